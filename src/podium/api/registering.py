"""`podium.Registry`: register, promote, roll back, name and search models from Python.

    from podium import Registry

    registry = Registry()
    version = registry.register("model-folder", "fraud")
    registry.promote("fraud", version.version)
    registry.rollback("fraud")

What serves models:/fraud/production follows within a second.
"""

import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.artifacts.contract import StoredFolder
from podium.artifacts.derived import Derived, conversions_of
from podium.artifacts.local import LocalArtifacts
from podium.domain.references import FolderRef, ModelRef, parse_reference
from podium.domain.signature import Signature
from podium.domain.stages import Stage
from podium.errors import InvalidModel, NotFound
from podium.models.code_needs import code_needs
from podium.models.mlmodel import read_mlmodel
from podium.registry.contract import Change, LoggedModel, RegisteredModel, Version
from podium.registry.embedded import Resolved, model_folder
from podium.registry.moves import Moved
from podium.registry.resolve import resolve
from podium.registry.search import ResultPage
from podium.registry.service import RegistryService
from podium.registry.sqlite import SqliteStore
from podium.settings.home import Home, find_home


@dataclass(frozen=True, slots=True)
class Contents:
    """What a version's folder says of the model in it.

    Args:
        flavors: Names, as its MLmodel file has them.
        signature: None where it has none.
        needs_code: What loading it would run of what its author put into it, as sentences.
    """

    flavors: tuple[str, ...]
    signature: Signature | None
    needs_code: tuple[str, ...]


class Registry:
    """The embedded registry under a podium home folder.

    Nothing is created until something is recorded. Any number of processes may use one registry; each method is one
    transaction. Every change is recorded with who made it (`user@host/pid`, unless `author` says it).

    Raises, from any method:
        NotFound: The model, version or alias is not there; lists what is.
        InvalidInput: A name, stage, tag or filter cannot be used.
        RegistryError: The registry cannot be read or written; `RegistryBusy` when another process held it too long.
    """

    def __init__(
        self, home: Home | Path | str | None = None, busy_timeout_s: float = 10.0, author: str | None = None
    ) -> None:
        self.home = Home(Path(home).expanduser().absolute()) if isinstance(home, Path | str) else home or find_home()
        store = SqliteStore(self.home.registry, author or actor(), busy_timeout_s=busy_timeout_s)
        self._service = RegistryService(store, LocalArtifacts(self.home.artifacts))

    def register(
        self, model: Path | str, name: str, description: str = "", tags: Mapping[str, str] | None = None
    ) -> Version:
        """Record a model as the next version of a name, which is made if it is new.

        Args:
            model: A model folder, or the URI of a model (`models:/m-…`, `models:/a/3`, `runs:/…`, `s3://…`); one that is
                not in this registry is fetched and copied into it.
            name: The registered model's.
            description: Of the version.
            tags: Of the version.
        """
        reference = _reference(model)
        if isinstance(reference, FolderRef):
            folder = self._checked(reference)
            self.home.create()
            return self._service.register(folder, name, None, description, tags)
        found = resolve(reference, self.home)
        if found.digest is None:
            read_mlmodel(found.folder)
            self.home.create()
            return self._service.register(found.folder, name, str(reference), description, tags)
        return self._service.register_digest(found.digest, name, str(model), description, tags)

    def contents(self, version: Version) -> Contents | None:
        """What a version's folder holds; None where its files are gone or are no model any more."""
        try:
            folder = LocalArtifacts(self.home.artifacts).locate(version.digest)
            mlmodel = read_mlmodel(folder)
            needs = tuple(str(need) for need in code_needs(folder, mlmodel) if need.is_code)
            signature = Signature.from_dict(mlmodel["signature"]) if mlmodel.get("signature") else None
        except (NotFound, InvalidModel):
            return None
        return Contents(tuple(mlmodel["flavors"]), signature, needs)

    def conversions(self, version: Version) -> list[Derived]:
        """What was made of a version by `podium models accelerate`, accepted ones first, each with its proof."""
        return conversions_of(self.home.derived, version.digest)

    def log(self, folder: Path | str, model_id: str | None = None) -> LoggedModel:
        """Keep a model folder under an id of its own (`models:/m-…`) without a name; a new id unless told."""
        checked = self._checked(FolderRef(str(folder)))
        self.home.create()
        return self._service.log(checked, model_id)

    def create(self, name: str, description: str = "", tags: Mapping[str, str] | None = None) -> RegisteredModel:
        """Make a registered model without versions. Raises AlreadyExists."""
        self.home.create()
        return self._service.create_model(name, description, tags)

    def resolve(self, reference: str) -> Resolved:
        """What a model URI or folder stands for now."""
        return resolve(parse_reference(reference), self.home)

    def model(self, name: str) -> RegisteredModel:
        """One registered model."""
        return self._service.model(name)

    def models(self) -> list[RegisteredModel]:
        """All registered models, by name."""
        return self._service.models()

    def version(self, name: str, version: int) -> Version:
        """One version."""
        return self._service.version(name, version)

    def versions(self, name: str | None = None) -> list[Version]:
        """The versions of one registered model, or of all; by name and number."""
        return self._service.versions(name)

    def logged(self, model_id: str) -> LoggedModel:
        """One logged model."""
        return self._service.logged(model_id)

    def history(self, name: str | None = None) -> list[Change]:
        """Every change, oldest first: who, when, what, before, after."""
        return self._service.changes(name)

    def search(
        self,
        filter_string: str = "",
        order_by: Sequence[str] = (),
        max_results: int | None = None,
        page_token: str | None = None,
    ) -> ResultPage[RegisteredModel]:
        """Registered models that fit one of MLflow's filters, such as `name LIKE 'fr%' AND tags.team = 'risk'`."""
        return self._service.search_models(filter_string, order_by, max_results, page_token)

    def search_versions(
        self,
        filter_string: str = "",
        order_by: Sequence[str] = (),
        max_results: int | None = None,
        page_token: str | None = None,
    ) -> ResultPage[Version]:
        """Versions that fit one of MLflow's filters, such as `name = 'fraud' AND version_number > 3`."""
        return self._service.search_versions(filter_string, order_by, max_results, page_token)

    def transition(self, name: str, version: int, stage: Stage | str, keep_existing: bool = False) -> Moved:
        """Move a version into a stage; the others in Staging or Production are archived unless they are to be kept.

        `Moved.warning` says so when the stage nevertheless stands for another version.
        """
        return self._service.transition(name, version, Stage.parse(stage), keep_existing=keep_existing)

    def promote(self, name: str, version: int, keep_existing: bool = False, expected: Sequence[int] | None = None) -> Moved:
        """Move a version to Production.

        `expected` are the versions that were there when somebody decided this: if others are there now, nothing is
        changed, and ChangedMeanwhile says so. What was done already is no change, and raises nothing.
        """
        return self._service.transition(name, version, Stage.PRODUCTION, keep_existing=keep_existing, expected=expected)

    def rollback(self, name: str, to: int | None = None, expected: Sequence[int] | None = None) -> Moved:
        """Put the previous live version, or one that was live at some time, back into Production; `expected` as above."""
        return self._service.rollback(name, to, expected)

    def previous(self, name: str) -> int:
        """The version that a rollback would put back into Production. Raises NotFound where there is none."""
        return self._service.previous(name)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point an alias (`models:/name@alias`) at a version."""
        self._service.set_alias(name, alias, version)

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; no error when it is not there."""
        self._service.delete_alias(name, alias)

    def set_tag(self, name: str, key: str, value: str, version: int | None = None) -> None:
        """Set a tag of a registered model, or of one version."""
        self._service.set_tag(name, key, value, version)

    def delete_tag(self, name: str, key: str, version: int | None = None) -> None:
        """Remove a tag; no error when it is not there."""
        self._service.delete_tag(name, key, version)

    def describe(self, name: str, description: str, version: int | None = None) -> None:
        """Set the description of a registered model, or of one version."""
        self._service.describe(name, description, version)

    def rename(self, name: str, new_name: str) -> RegisteredModel:
        """Give a registered model another name. Raises AlreadyExists."""
        return self._service.rename(name, new_name)

    def delete_version(self, name: str, version: int, force: bool = False) -> None:
        """Delete a version; one in Production only with `force`."""
        self._service.delete_version(name, version, force=force)

    def delete(self, name: str, force: bool = False) -> None:
        """Delete a registered model and all its versions; with one in Production only with `force`."""
        self._service.delete_model(name, force=force)

    def clean(self, dry_run: bool = False) -> list[StoredFolder]:
        """Remove stored artifacts that no version and no logged model needs; those that were, or would be, removed."""
        return self._service.clean(dry_run=dry_run)

    def _checked(self, reference: FolderRef) -> Path:
        """The folder, if it holds a model: read now, so that what cannot be served is not registered."""
        folder = model_folder(reference, self.home)
        read_mlmodel(folder)
        return folder


def actor() -> str:
    """Who makes a change, for the record: `user@host/pid`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user id need not have a name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}/{os.getpid()}"


def _reference(model: Path | str) -> ModelRef:
    return FolderRef(str(model)) if isinstance(model, Path) else parse_reference(model)
