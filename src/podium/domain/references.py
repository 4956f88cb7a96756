"""What a person writes to name a model: `models:/fraud/production`, `models:/fraud@champion`, an address, a folder."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from podium.domain.masking import masked
from podium.domain.nearest import did_you_mean
from podium.domain.stages import Stage
from podium.errors import InvalidInput, InvalidReference

_LOGGED_ID = re.compile(r"m-[0-9a-f]{32}")
_ALIAS = re.compile(r"[\w\-]{1,255}")
# Python reads no number of more than some thousand digits; what is longer is not a version but a stage that there is not.
_MAX_DIGITS = 100
_MAX_NAME = 256
_VERSION_LIKE = re.compile(r"v\d+", re.IGNORECASE)
_RUN_ID = re.compile(r"[\w\-]{1,256}")
REMOTE_SCHEMES = ("s3", "gs", "abfs", "abfss", "wasb", "wasbs", "http", "https", "mlflow-artifacts")
_FORMS = (
    "Write models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME/latest, models:/NAME@ALIAS, models:/m-<id>, "
    "runs:/RUN/PATH, a folder, an archive, or a URI with file:, mlflow-artifacts:, s3:, gs:, abfss:, wasbs:, http: "
    "or https:."
)


@dataclass(frozen=True, slots=True)
class VersionRef:
    """`models:/fraud/7`: one immutable version."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class StageRef:
    """`models:/fraud/production`: the highest version in a stage; moves when a version is moved."""

    name: str
    stage: Stage

    def __str__(self) -> str:
        return f"models:/{self.name}/{self.stage.value.lower()}"


@dataclass(frozen=True, slots=True)
class LatestRef:
    """`models:/fraud/latest`: the highest version in any stage."""

    name: str

    def __str__(self) -> str:
        return f"models:/{self.name}/latest"


@dataclass(frozen=True, slots=True)
class AliasRef:
    """`models:/fraud@champion`: the version an alias points at."""

    name: str
    alias: str

    def __str__(self) -> str:
        return f"models:/{self.name}@{self.alias}"


@dataclass(frozen=True, slots=True)
class LoggedRef:
    """`models:/m-<32 hex>`: a logged model that need not be registered."""

    model_id: str

    def __str__(self) -> str:
        return f"models:/{self.model_id}"


@dataclass(frozen=True, slots=True)
class FolderRef:
    """A folder on this machine, as it was written (a leading `file:` taken off)."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class RunRef:
    """`runs:/<run id>/<path>`: what a run of MLflow's logged, or a model that was logged in it by that name."""

    run_id: str
    path: str

    def __str__(self) -> str:
        return f"runs:/{self.run_id}/{self.path}"


@dataclass(frozen=True, slots=True)
class RemoteRef:
    """A folder or an archive that another machine keeps: `s3://bucket/key`, `https://host/model.tar.gz`.

    `uri` may hold a secret; what is shown (`str`, `repr`) does not.
    """

    uri: str = field(repr=False)

    def __str__(self) -> str:
        return masked(self.uri)


ModelRef = VersionRef | StageRef | LatestRef | AliasRef | LoggedRef | FolderRef | RunRef | RemoteRef


def parse_reference(text: str) -> ModelRef:
    """Read what a person wrote, by MLflow's table of URIs (`models:/` forms, `file:`, plain paths).

    Raises:
        InvalidReference: Names what is wrong and the forms that are right.
    """
    if text.startswith("models:"):
        return _parse_models_uri(text)
    if text.startswith("file:"):
        return FolderRef(_strip_file_scheme(text))
    if text.startswith("runs:"):
        return _parse_runs_uri(text)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.\-]+):/", text)
    if scheme and scheme[1].lower() in REMOTE_SCHEMES:
        return _parse_remote_uri(text, scheme[1].lower())
    if scheme:
        near = did_you_mean(f"{scheme[1]}:", [f"{name}:" for name in ("models", "runs", "file", *REMOTE_SCHEMES)])
        raise InvalidReference(f"{masked(text)}: podium does not read {scheme[1]}: URIs.{near} {_FORMS}")
    if not text.strip():
        raise InvalidReference(f"An empty model URI. {_FORMS}")
    return FolderRef(text)


def check_name(name: str) -> str:
    """Return a registered model's name, or say what is wrong with it.

    Raises:
        InvalidReference: Empty, too long, not to be shown on one line, or with `/` or `:`, which model URIs give a meaning.
    """
    if not name.strip():
        raise InvalidReference("A registered model needs a name; it was empty.")
    if "/" in name or ":" in name:
        raise InvalidReference(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    if len(name) > _MAX_NAME:
        raise InvalidReference(f"A registered model's name has at most {_MAX_NAME} characters; got {len(name)}.")
    if not name.isprintable():
        raise InvalidReference(f"The name {name!r} has characters that cannot be printed.")
    return name


def check_alias(alias: str) -> str:
    """Return an alias, or say what is wrong with it.

    Raises:
        InvalidReference: Not `[A-Za-z0-9_-]`, too long, or a word that URIs reserve (`latest`, `v3`).
    """
    if alias.lower() == "latest":
        raise InvalidReference("'latest' alias name (case insensitive) is reserved.")
    if _VERSION_LIKE.fullmatch(alias):
        raise InvalidReference(f"Version alias name '{alias}' is reserved.")
    if not _ALIAS.fullmatch(alias):
        raise InvalidReference(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    return alias


def _parse_models_uri(text: str) -> ModelRef:
    rest = re.match(r"models:/(?:/[^/]*/)?(?!/)(.+)", text)
    if not rest:
        raise InvalidReference(f"Not a proper models:/ URI: {text}. {_FORMS}")
    parts = rest[1].split("/")
    match parts:
        case [single] if "@" in single:
            name, _, alias = single.rpartition("@")
            if name and alias:
                return AliasRef(name, alias)
        case [single] if _LOGGED_ID.fullmatch(single):
            return LoggedRef(single)
        case [name, suffix] if name and suffix:
            return _parse_suffix(name, suffix)
        case _:
            pass
    raise InvalidReference(f"Not a proper models:/ URI: {text}. {_FORMS}")


def _parse_suffix(name: str, suffix: str) -> ModelRef:
    if suffix.isascii() and suffix.isdigit() and len(suffix) <= _MAX_DIGITS:
        return VersionRef(name, int(suffix))
    if suffix.lower() == "latest":
        return LatestRef(name)
    try:
        return StageRef(name, Stage.parse(suffix))
    except InvalidInput as error:
        near = did_you_mean(suffix.lower(), [*(stage.value.lower() for stage in Stage), "latest"])
        raise InvalidReference(f"models:/{name}/{suffix}: {error.message}{near}") from None


def _parse_runs_uri(text: str) -> RunRef:
    # As in models: URIs, a name after two slashes is a profile of Databricks' and nothing to us.
    rest = re.match(r"runs:/(?:/[^/]*/)?(?!/)(.+)", text)
    run_id, _, path = (rest[1] if rest else "").partition("/")
    parts = path.rstrip("/").split("/")
    if not _RUN_ID.fullmatch(run_id) or {"", ".", ".."} & set(parts):
        raise InvalidReference(f"Not a proper runs:/ URI: {text}. Write runs:/RUN/PATH, as in runs:/<run id>/model.")
    return RunRef(run_id, "/".join(parts))


def _parse_remote_uri(text: str, scheme: str) -> RemoteRef:
    place = text.partition(":")[2]
    # The proxy of an MLflow server may be named by its path alone.
    is_named = place.startswith("//") and place[2:].partition("/")[0]
    if not is_named and not (scheme == "mlflow-artifacts" and re.match(r"/+[^/]", place)):
        raise InvalidReference(f"{masked(text)}: a {scheme}: URI names a host or a bucket after two slashes. {_FORMS}")
    if any(ord(character) <= 32 or ord(character) == 127 for character in text):
        raise InvalidReference(f"{masked(text)!r}: write blanks and control characters in a URI as %XX.")
    return RemoteRef(scheme + ":" + place)


def _strip_file_scheme(text: str) -> str:
    path = text.removeprefix("file:")
    if path.startswith("//"):
        host, slash, tail = path[2:].partition("/")
        if host not in {"", "localhost"}:
            raise InvalidReference(f"{text}: a file: URI names a folder on this machine, not on {host}.")
        path = slash + tail
    return unquote(path)
