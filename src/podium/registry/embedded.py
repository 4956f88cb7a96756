"""What a reference stands for in podium's own registry: which version, which digest, and where it lies.

What is not found is explained from what is there: each place that was searched, what stands there instead, the name that
was perhaps meant.
"""

import hashlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.artifacts.digest import PREFIX, digest_folder
from podium.artifacts.local import LocalArtifacts
from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.here import LocalArchive
from podium.domain.model_files.archives import ARCHIVE_ENDINGS, archive_stem
from podium.domain.nearest import did_you_mean, listed
from podium.domain.references import (
    AliasRef,
    FolderRef,
    LatestRef,
    LoggedRef,
    ModelRef,
    RemoteRef,
    RunRef,
    StageRef,
    VersionRef,
)
from podium.domain.stages import Stage
from podium.errors import InvalidInput, InvalidModel, NotFound, RegistryError
from podium.registry.contract import Reader, Version
from podium.settings.home import Home


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference stands for now.

    Attributes:
        name: The registered model's; None for a folder or a logged model.
        version: Its number; None for a folder or a logged model.
        label: What people see: the version, or the first 12 hex digits of the content's digest.
        stage: The version's stage; None without a version.
        digest: What the registry recorded; None when there is no record ("unverified").
        folder: Where to copy from. What is loaded is a verified copy, never this folder itself.
        place: Which other registry or machine it came from, without a secret; None for what podium keeps itself.
    """

    reference: ModelRef
    name: str | None
    version: int | None
    label: str
    stage: Stage | None
    digest: str | None
    folder: Path
    place: str | None = None


def resolve_folder(reference: FolderRef, home: Home) -> Resolved:
    """A folder as it stands, hashed for its label; the registry has no part in it."""
    folder = model_folder(reference, home)
    return Resolved(reference, None, None, label_of(digest_folder(folder)), None, None, folder)


def model_folder(reference: FolderRef, home: Home) -> Path:
    """The folder that a reference names, if there is a model in it; of an archive, what was unpacked into the cache."""
    folder = Path(reference.path).expanduser().absolute()
    if not folder.exists():
        message = f"There is no model folder {reference.path}."
        if "/" not in reference.path:
            message += f" A registered model is named models:/{reference.path}/production."
        raise NotFound(message, [f"{folder}: not there", f"{home.registry}: not asked, for this is not a models:/ URI"])
    if folder.is_file() and archive_stem(folder.name) is not None:
        key = hashlib.sha256(b"archive:" + os.fsencode(folder)).hexdigest()
        return Cache(home.cache).fetch(key, LocalArchive(folder), is_packed=True)
    if not folder.is_dir():
        raise InvalidModel(
            f"{folder} is a file. A model is a folder with an MLmodel file in it, or an archive of one "
            f"({', '.join(ARCHIVE_ENDINGS)})."
        )
    if not (folder / "MLmodel").is_file():
        raise InvalidModel(f"{folder} has no MLmodel file, so it is not a model's folder.")
    return folder


def label_of(digest: str) -> str:
    """What people see of a digest."""
    return digest.removeprefix(PREFIX)[:12]


def resolve_in(reader: Reader, reference: ModelRef, home: Home) -> Resolved:
    """Resolve a reference that is not a folder in one view of the registry."""
    match reference:
        case LoggedRef(model_id):
            logged = reader.logged(model_id)
            if logged is None:
                raise NotFound(f"No model was logged as {model_id}.", [f"{home.registry}: logged models"])
            label = label_of(logged.digest)
            return Resolved(reference, None, None, label, None, logged.digest, _folder(logged.digest, reference, home))
        case FolderRef() | RunRef() | RemoteRef():
            raise AssertionError("folders, runs and addresses are not in the registry")
        case _:
            version = find_version(reader, reference, str(home.registry))
            folder = _folder(version.digest, reference, home)
            number = version.version
            return Resolved(reference, version.name, number, str(number), version.stage, version.digest, folder)


def find_version(reader: Reader, reference: VersionRef | StageRef | LatestRef | AliasRef, place: str) -> Version:
    """The version that a reference stands for in one view of the registry.

    Raises:
        NotFound: Says what is there instead.
    """
    found = _look_up(reader, reference)
    if found is None:
        raise _not_found(reader, reference, reader.versions(reference.name), place)
    return found


def _look_up(reader: Reader, reference: VersionRef | StageRef | LatestRef | AliasRef) -> Version | None:
    match reference:
        case VersionRef(name, number):
            return reader.version(name, number)
        case StageRef(name, stage):
            return reader.highest(name, stage)
        case AliasRef(name, alias) if alias.lower() != "latest":
            model = reader.model(name)
            return reader.version(name, model.aliases[alias]) if model and alias in model.aliases else None
        case _:
            # `@latest` is reserved as an alias and means what `/latest` means.
            return reader.highest(reference.name)


def _not_found(
    reader: Reader, reference: VersionRef | StageRef | LatestRef | AliasRef, versions: Sequence[Version], place: str
) -> NotFound:
    name = reference.name
    if reader.model(name) is None:
        names = [model.name for model in reader.models()]
        hint = did_you_mean(name, names)
        return NotFound(
            f"{reference}: no registered model is named {name!r}.{hint}", [f"{place}: {listed('models', sorted(names))}"]
        )
    if not versions:
        return NotFound(f"{reference}: {name!r} has no versions.", [f"{place}: versions of {name!r}: none"])
    highest = versions[-1].version
    match reference:
        case StageRef(_, stage):
            there = [f"{version.version} ({version.stage.value})" for version in versions]
            fix = f"Run: podium models transition {shlex.quote(name)} {highest} {stage.value.lower()}"
            return NotFound(
                f"{reference}: no version of {name!r} is in stage {stage.value}. {fix}",
                [f"{place}: {listed('versions', there)}"],
            )
        case AliasRef(_, alias):
            aliases = [f"{other} -> {version.version}" for version in versions for other in version.aliases]
            fix = f"Run: podium models alias {shlex.quote(name)} {shlex.quote(alias)} {highest}"
            return NotFound(
                f"{reference}: {name!r} has no alias {alias!r}. {fix}", [f"{place}: {listed('aliases', sorted(aliases))}"]
            )
        case _:
            numbers = [str(version.version) for version in versions]
            return NotFound(
                f"{reference}: {name!r} has no version {reference.version}."
                if isinstance(reference, VersionRef)
                else f"{reference}: not found.",
                [f"{place}: {listed('versions', numbers)}"],
            )


def _folder(digest: str, reference: ModelRef, home: Home) -> Path:
    store = LocalArtifacts(home.artifacts)
    try:
        return store.locate(digest)
    except InvalidInput as error:
        raise RegistryError(f"{home.registry} is damaged: {reference} has no proper digest. Restore a backup.") from error
    except NotFound as error:
        raise RegistryError(
            f"{reference} is registered with digest {digest}, but its folder is gone from {home.artifacts}. "
            "Restore it, or register the same folder again."
        ) from error
