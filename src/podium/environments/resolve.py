"""Deciding what requirements leave open, once: exact versions of everything, as of the day on which the model was saved.

    <root>/resolutions/<request>.txt        exact versions
    <root>/resolutions/<request>.lock.txt   the same with the digest of each file: made by `podium env lock`

The first line of each is a comment with what was decided, as JSON. Models whose requirements come to the same versions
share one environment, whenever they were saved.
"""

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.environments.running import BuildJob
from podium.environments.spec import EnvironmentSpec
from podium.environments.tools import Tools
from podium.errors import LoadFailed, Misconfigured
from podium.settings.environments import EnvironmentSettings
from podium.settings.whole_files import write_whole

FOLDER = "resolutions"
_HEAD = "# podium: "
_MODEL = "{model}"
_NO_SOLUTION = 1  # uv's status; 2 is for what it cannot read
# Of an index that does not say when its files were uploaded.
_NO_DATES = r"missing an upload (date|time)"


@dataclass(frozen=True, slots=True)
class EnvironmentRequest:
    """What an environment is asked for with: everything that decides which versions it gets.

    Args:
        spec: What the model wants.
        tools: What builds.
        settings: How.
        has_builds: Whether packages may be built from their sources, which runs what their authors put there.
    """

    spec: EnvironmentSpec
    tools: Tools
    settings: EnvironmentSettings
    has_builds: bool = True

    @property
    def as_of(self) -> str | None:
        """Until when packages count; None for all. A folder of wheels is what somebody put there for this."""
        is_dated = self.settings.is_dated and self.settings.wheels is None and self.tools.uv is not None
        return self.spec.created if is_dated else None

    @property
    def digest(self) -> str:
        """Its name."""
        return self.spec.key(
            self.tools.identity, self.as_of, _shelf(self.settings.wheels), None if self.has_builds else "wheels"
        )

    @property
    def is_resolved_first(self) -> bool:
        """Whether versions are decided before they are installed: uv does; pip and conda decide while they install."""
        return self.tools.uv is not None and self.tools.conda is None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was decided.

    Args:
        text: Lines for `uv pip sync`; the model's folder stands as `{model}`.
        as_of: Until when packages counted; None for all.
        notice: What people should know of how it was decided.
        has_hashes: Whether each file's digest is there.
    """

    text: str
    as_of: str | None = None
    notice: str | None = None
    has_hashes: bool = False

    @property
    def packages(self) -> tuple[str, ...]:
        """`scikit-learn==1.5.0`, one for each package."""
        lines = [line.split(";")[0].split(" \\")[0].strip() for line in self.text.splitlines()]
        return tuple(line for line in lines if line and not line.startswith(("#", "-")))

    def lines(self, folder: str) -> str:
        """For a file that the tools read.

        Args:
            folder: Where the model lies now.
        """
        return self.text.replace(f"{_MODEL}/", f"{folder}/")


def key_of(request: EnvironmentRequest, resolution: Resolution | None) -> str:
    """The name of the environment: of what is in it, whoever asked for it."""
    if resolution is None:
        return request.digest
    facts = [request.spec.contents, request.tools.identity, resolution.text]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def kept_resolution(root: Path, request: EnvironmentRequest) -> Resolution | None:
    """What was decided before: a lock where there is one.

    Raises:
        Misconfigured: Only a lock will do, and there is none.
    """
    locked = _read(lock_file(root, request))
    if locked is None and request.settings.requires_hashes:
        if not request.is_resolved_first:
            raise Misconfigured("--require-hashes needs uv: pip install 'podium[uv]'")
        raise Misconfigured(
            "--require-hashes: the model has no lock file yet. Make one, on a machine whose index you trust: "
            "podium env lock MODEL"
        )
    return locked or _read(root / FOLDER / f"{request.digest}.txt")


def lock_file(root: Path, request: EnvironmentRequest) -> Path:
    """Where the model's lock is, or would be."""
    return root / FOLDER / f"{request.digest}.lock.txt"


def resolve(root: Path, request: EnvironmentRequest, job: BuildJob, *, with_hashes: bool = False) -> Resolution:
    """Decide, and keep what was decided.

    Args:
        root: Where environments are kept.
        request: What is asked for.
        job: For the tools.
        with_hashes: Make the lock.

    Raises:
        LoadFailed: The requirements contradict each other, or a package does not exist; says where uv's words stand.
        Stopped: As in `BuildJob.run`.
    """
    spec = request.spec
    with tempfile.TemporaryDirectory(prefix="podium-resolve-") as place:
        source, target = Path(place) / "requirements.in", Path(place) / "requirements.txt"
        source.write_text("".join(f"{line}\n" for line in spec.lines), encoding="utf-8")
        as_of, notice = request.as_of, None
        command = _command(request, source, target, with_hashes=with_hashes)
        what = f"resolving {len(spec.lines)} requirements" + (f" as of {as_of[:10]}" if as_of else "")
        job.tell(f"environment: {what}")
        dated = [] if as_of is None else ["--exclude-newer", as_of]
        status = job.status_of([*command, *dated], what)
        if as_of is not None and status == _NO_SOLUTION:
            because = (
                "the index does not say when its files were uploaded" if job.says(_NO_DATES) else "nothing of then fits"
            )
            notice = f"resolved with today's packages, not as of {as_of[:10]}: {because}"
            as_of = None
            job.note(f"podium: {notice}")
            status = job.status_of(command, what)
        if status != 0:
            raise job.failure(f"uv ended with status {status}")
        if notice is not None:
            job.tell(f"environment: {notice}")
        text = _own_options(spec) + target.read_text(encoding="utf-8")
    if spec.folder:
        text = text.replace(f"{spec.folder}/", f"{_MODEL}/")
    resolution = Resolution(text, as_of, notice, with_hashes)
    _keep(lock_file(root, request) if with_hashes else root / FOLDER / f"{request.digest}.txt", resolution, job)
    return resolution


def options_of(request: EnvironmentRequest, as_of: str | None) -> list[str]:
    """What uv is told of where packages come from."""
    settings = request.settings
    options = ["--exclude-newer", as_of] if as_of else []
    options += [] if request.has_builds else ["--only-binary", ":all:"]
    if settings.wheels is not None:
        return [*options, "--offline", "--no-index", "--find-links", str(Path(settings.wheels).expanduser().absolute())]
    return [*options, "--offline"] if settings.is_offline else options


def _command(request: EnvironmentRequest, source: Path, target: Path, *, with_hashes: bool) -> list[str]:
    if request.tools.uv is None or request.tools.interpreter is None:
        raise LoadFailed("Requirements are resolved by uv, which is not here: pip install 'podium[uv]'", "environment")
    command = [request.tools.uv, "pip", "compile", "--python", request.tools.interpreter.path, "--no-header"]
    command += ["--no-annotate", "--no-progress", "--output-file", str(target), str(source), *options_of(request, None)]
    return [*command, "--generate-hashes"] if with_hashes else command


def _own_options(spec: EnvironmentSpec) -> str:
    """Options that the model's own files have (`--extra-index-url`): what is installed must be looked for there too."""
    own = [line for line in spec.lines if line.startswith("-") and not re.match(r"-(r|c|-requirement|-constraint)\b", line)]
    return "".join(f"{line}\n" for line in own)


def _keep(path: Path, resolution: Resolution, job: BuildJob) -> None:
    facts = {"as_of": resolution.as_of, "notice": resolution.notice, "has_hashes": resolution.has_hashes}
    try:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        write_whole(path, f"{_HEAD}{json.dumps(facts)}\n{resolution.text}".encode())
    except OSError as error:
        raise job.not_written(error) from error


def _read(path: Path) -> Resolution | None:
    try:
        head, _, text = path.read_text(encoding="utf-8").partition("\n")
        facts: dict[str, Any] = json.loads(head.removeprefix(_HEAD))
        return Resolution(text, facts["as_of"], facts["notice"], facts["has_hashes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _shelf(wheels: str | None) -> str | None:
    """What a folder of wheels has."""
    if wheels is None:
        return None
    folder = Path(wheels).expanduser().absolute()
    if not folder.is_dir():
        raise Misconfigured(f"--env-wheels {wheels}: there is no such folder.")
    return json.dumps(sorted(path.name for path in folder.iterdir()))
