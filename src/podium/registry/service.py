"""The registry's use cases: each is one transaction, checked before it is made.

Where MLflow leaves a choice, or chooses what loses something:

- A version's number is never used again for its name, not even after the model was deleted (MLflow begins again at 1).
- A version that is in Production, or a model that has one, is deleted only with `force` (MLflow deletes it).
- An alias of a deleted version goes with it, and the change record says so.
- What changes nothing is no change: it is not recorded and moves no time.
"""

import contextlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from podium.artifacts.contract import ArtifactStore, StoredFolder
from podium.domain.nearest import did_you_mean
from podium.domain.references import LoggedRef, check_alias, check_name, parse_reference
from podium.domain.stages import Stage
from podium.errors import AlreadyExists, InvalidReference, NotFound, RegistryError
from podium.registry.contract import (
    Action,
    Change,
    LoggedModel,
    Patch,
    Reader,
    RegisteredModel,
    RegistryStore,
    Version,
    Writer,
)
from podium.registry.limits import check_description, check_not_a_rollouts, check_source, check_tag_key, check_tags
from podium.registry.moves import Moved, check_held, check_not_live, others_in, stage_patch, stands_for
from podium.registry.record import check_was_live, live_so_far, previous_live
from podium.registry.search import MODELS, VERSIONS, ResultPage, search

T = TypeVar("T")
_Numbers = Sequence[int] | None
_ATTEMPTS = 5


class RegistryService:
    """What can be done with a registry and its artifacts. Safe for several threads and processes."""

    def __init__(self, store: RegistryStore, artifacts: ArtifactStore) -> None:
        self._store = store
        self._artifacts = artifacts

    # Registering

    def create_model(self, name: str, description: str = "", tags: Mapping[str, str] | None = None) -> RegisteredModel:
        """Make a registered model without versions.

        Raises:
            AlreadyExists: The name is taken.
        """
        patch = _new_model(name, description, tags or {})
        with self._store.writing(may_create=True) as writer:
            if writer.model(name):
                raise AlreadyExists(f"Registered Model (name={name}) already exists.")
            writer.apply(Action.CREATE, name, patch)
            return self._model(writer, name)

    def register(
        self,
        folder: Path,
        name: str,
        source: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Version:
        """Store a model folder and record it as the next version of a name, which is made if it is new.

        The source says, for people, where it came from; the folder unless told.

        Raises:
            NotFound, InvalidModel: There is no such folder, or it was written to meanwhile.
        """
        check_name(name)
        came_from = check_source(source or str(folder))
        return self._kept(folder, lambda digest: self.register_digest(digest, name, came_from, description, tags))

    def register_digest(
        self, digest: str, name: str, source: str, description: str = "", tags: Mapping[str, str] | None = None
    ) -> Version:
        """Record what the artifact store holds as the next version of a name."""
        part = {
            "stage": Stage.NONE.value,
            "digest": digest,
            "source": check_source(source),
            "description": check_description(description),
            "tags": check_tags(tags or {}),
        }
        with self._store.writing(may_create=True) as writer:
            # In the transaction, where no cleaning can come between.
            self._check_stored(digest)
            if writer.model(name) is None:
                writer.apply(Action.CREATE, name, _new_model(name, "", {}))
            number = writer.next_number(name)
            writer.apply(Action.REGISTER, name, {"versions": {str(number): part}}, number)
            return self._version(writer, name, number)

    def log(self, folder: Path, model_id: str | None = None, source: str | None = None) -> LoggedModel:
        """Store a model folder and record it under a `m-<32 hex>` id, a new one unless told.

        Raises:
            AlreadyExists: Another content was logged under this id.
        """
        chosen = model_id or f"m-{uuid.uuid4().hex}"
        if not isinstance(parse_reference(f"models:/{chosen}"), LoggedRef):
            raise InvalidReference(f"{chosen!r} is not a logged model's id; expected m- and 32 hex digits.")
        came_from = check_source(source or str(folder))
        return self._kept(folder, lambda digest: self._log_digest(digest, chosen, came_from))

    # Asking

    def model(self, name: str) -> RegisteredModel:
        """One registered model. Raises NotFound."""
        with self._store.reading() as reader:
            return self._model(reader, name)

    def models(self) -> list[RegisteredModel]:
        """All of them, by name."""
        with self._store.reading() as reader:
            return reader.models()

    def version(self, name: str, number: int) -> Version:
        """One version. Raises NotFound."""
        with self._store.reading() as reader:
            return self._version(reader, name, number)

    def versions(self, name: str | None = None) -> list[Version]:
        """Of one registered model, or of all; by name and number. Raises NotFound for a name that is not there."""
        with self._store.reading() as reader:
            if name is not None:
                self._model(reader, name)
            return reader.versions(name)

    def logged(self, model_id: str) -> LoggedModel:
        """One logged model. Raises NotFound."""
        with self._store.reading() as reader:
            found = reader.logged(model_id)
        if found is None:
            raise NotFound(f"No model was logged as {model_id}.", [f"{self._store.place}: logged models"])
        return found

    def changes(self, name: str | None = None) -> list[Change]:
        """The change record, oldest first; of a name, also under its former names and after it was deleted."""
        with self._store.reading() as reader:
            found = reader.changes(name)
            if name is not None and not found:
                self._model(reader, name)
            return found

    def search_models(
        self, text: str = "", order_by: Sequence[str] = (), max_results: int | None = None, page_token: str | None = None
    ) -> ResultPage[RegisteredModel]:
        """Registered models that fit a filter of MLflow's grammar."""
        return search(self.models(), MODELS, text, order_by, max_results, page_token)

    def search_versions(
        self, text: str = "", order_by: Sequence[str] = (), max_results: int | None = None, page_token: str | None = None
    ) -> ResultPage[Version]:
        """Versions that fit a filter of MLflow's grammar."""
        return search(self.versions(), VERSIONS, text, order_by, max_results, page_token)

    # Moving

    def transition(
        self, name: str, number: int, stage: Stage, *, keep_existing: bool = False, expected: _Numbers = None
    ) -> Moved:
        """Move a version into a stage; the others in Staging or Production are archived unless told to be kept.

        Raises:
            ChangedMeanwhile: The stage does not hold the versions that it was expected to.
        """
        with self._store.writing() as writer:
            self._version(writer, name, number)
            return self._move(writer, Action.TRANSITION, name, number, stage, keep_existing, expected)

    def previous(self, name: str) -> int:
        """The version that a rollback would restore. Raises as `rollback`."""
        with self._store.reading() as reader:
            self._model(reader, name)
            return self._previous(name, reader.versions(name), reader.changes(name))

    def rollback(self, name: str, to: int | None = None, expected: _Numbers = None) -> Moved:
        """Put the previous live version, by the change record, back into Production, alone.

        A version that was rolled back from is not what the next rollback restores: that goes further back. With `to`, a
        version that was live at some time is restored instead of the previous one.

        Raises:
            NotFound: There is nothing to go back to; says what was live and what is left.
            InvalidInput: `to` was never live.
            ChangedMeanwhile: Production does not hold the versions that it was expected to.
        """
        with self._store.writing() as writer:
            self._model(writer, name)
            versions = writer.versions(name)
            changes = writer.changes(name)
            if to is None:
                target = self._previous(name, versions, changes)
            else:
                target = self._version(writer, name, to).version
                check_was_live(name, target, changes)
            return self._move(writer, Action.ROLLBACK, name, target, Stage.PRODUCTION, False, expected)

    # Naming and describing

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Point an alias at a version; it points at one version at a time."""
        check_alias(alias)
        with self._store.writing() as writer:
            version = self._version(writer, name, number)
            if alias not in version.aliases:
                writer.apply(Action.ALIAS, name, {"aliases": {alias: number}}, number)

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias. Removing one that is not there is no error."""
        with self._store.writing() as writer:
            number = self._model(writer, name).aliases.get(alias)
            if number is not None:
                writer.apply(Action.ALIAS, name, {"aliases": {alias: None}}, number)

    def set_tag(self, name: str, key: str, value: str, number: int | None = None) -> None:
        """Set a tag of a registered model, or of one of its versions."""
        check_tags({key: value})
        self._tag(name, key, value, number)

    def delete_tag(self, name: str, key: str, number: int | None = None) -> None:
        """Remove a tag. Removing one that is not there is no error."""
        check_tag_key(key)
        self._tag(name, key, None, number)

    def describe(self, name: str, text: str, number: int | None = None) -> None:
        """Set the description of a registered model, or of one of its versions."""
        check_description(text)
        with self._store.writing() as writer:
            if self._found(writer, name, number).description != text:
                writer.apply(Action.DESCRIBE, name, _of(number, {"description": text}), number)

    def rename(self, name: str, new_name: str) -> RegisteredModel:
        """Give a registered model another name; versions, aliases, tags and history go with it.

        Raises:
            AlreadyExists: The new name is taken.
        """
        check_name(new_name)
        with self._store.writing() as writer:
            self._model(writer, name)
            if new_name != name:
                if writer.model(new_name):
                    raise AlreadyExists(f"Registered Model (name={new_name}) already exists.")
                writer.apply(Action.RENAME, name, {"name": new_name})
            return self._model(writer, new_name)

    # Removing

    def delete_version(self, name: str, number: int, *, force: bool = False) -> None:
        """Delete a version and its aliases. Its number is never used again; its artifact stays until `clean`.

        Raises:
            InvalidInput: It is in Production, and `force` was not given.
        """
        with self._store.writing() as writer:
            version = self._version(writer, name, number)
            if not force:
                check_not_live(name, [version])
            aliases = dict.fromkeys(version.aliases)
            patch: Patch = {"versions": {str(number): None}} | ({"aliases": aliases} if aliases else {})
            writer.apply(Action.DELETE_VERSION, name, patch, number)

    def delete_model(self, name: str, *, force: bool = False) -> None:
        """Delete a registered model with all its versions. The change record stays.

        Raises:
            InvalidInput: A version is in Production, and `force` was not given.
        """
        with self._store.writing() as writer:
            self._model(writer, name)
            if not force:
                check_not_live(name, writer.versions(name))
            writer.apply(Action.DELETE_MODEL, name, None)

    def clean(self, *, dry_run: bool = False) -> list[StoredFolder]:
        """Remove the artifacts that no version and no logged model needs; those that were, or would be, removed.

        In a transaction, so that nothing can be registered meanwhile.
        """
        if not dry_run:
            self._artifacts.sweep()
        with self._store.writing() as writer:
            needed = writer.digests()
            unneeded = [stored for stored in self._artifacts.list() if stored.digest not in needed]
            for stored in () if dry_run else unneeded:
                self._artifacts.delete(stored.digest)
        return unneeded

    # What they share

    def _move(
        self, writer: Writer, action: Action, name: str, number: int, stage: Stage, keep_existing: bool, expected: _Numbers
    ) -> Moved:
        versions = writer.versions(name)
        patch = stage_patch(versions, number, stage, keep_existing=keep_existing)
        if patch:
            check_held(name, versions, stage, expected)
            writer.apply(action, name, patch, number)
        archived = [] if keep_existing or not stage.is_exclusive else others_in(versions, number, stage)
        after = writer.versions(name)
        return Moved(self._version(writer, name, number), tuple(archived), stands_for(after, stage), bool(patch))

    def _previous(self, name: str, versions: Sequence[Version], changes: Sequence[Change]) -> int:
        there = {version.version for version in versions}
        stack = live_so_far(changes)
        target = previous_live(stack, stands_for(versions, Stage.PRODUCTION), there)
        if target is not None:
            return target
        history = [f"{number} (deleted since)" if number not in there else str(number) for number in stack]
        raise NotFound(
            f"{name}: there is nothing to roll back to; no other version was live before and is still there. "
            "Say which one to promote: podium models promote NAME VERSION",
            [f"{self._store.place}: change record, live in this order: {', '.join(history) or 'none'}"],
        )

    def _tag(self, name: str, key: str, value: str | None, number: int | None) -> None:
        if number is None:
            check_not_a_rollouts(key)
        with self._store.writing() as writer:
            if self._found(writer, name, number).tags.get(key) != value:
                writer.apply(Action.TAG, name, _of(number, {"tags": {key: value}}), number)

    def _found(self, reader: Reader, name: str, number: int | None) -> RegisteredModel | Version:
        return self._model(reader, name) if number is None else self._version(reader, name, number)

    def _model(self, reader: Reader, name: str) -> RegisteredModel:
        found = reader.model(name)
        if found is None:
            names = [model.name for model in reader.models()]
            hint = did_you_mean(name, names)
            searched = f"{self._store.place}: models {', '.join(names) or 'none'}"
            raise NotFound(f"Registered Model with name={name} not found{hint and '.' + hint}", [searched])
        return found

    def _version(self, reader: Reader, name: str, number: int) -> Version:
        found = reader.version(name, number)
        if found is None:
            self._model(reader, name)
            numbers = ", ".join(str(version.version) for version in reader.versions(name)) or "none"
            raise NotFound(
                f"Model Version (name={name}, version={number}) not found", [f"{self._store.place}: versions {numbers}"]
            )
        return found

    def _log_digest(self, digest: str, model_id: str, source: str) -> LoggedModel:
        with self._store.writing(may_create=True) as writer:
            self._check_stored(digest)
            known = writer.logged(model_id)
            if known and known.digest != digest:
                raise AlreadyExists(
                    f"{model_id} was logged before with another content ({known.digest}). Log it under a new id."
                )
            return known or writer.log(model_id, digest, source)

    def _kept(self, folder: Path, record: Callable[[str], T]) -> T:
        """Store a folder and record it; again if it was cleaned away before it was recorded."""
        for _ in range(_ATTEMPTS):
            digest = self._artifacts.put(folder)
            with contextlib.suppress(_CleanedAwayError):
                return record(digest)
        raise RegistryError(f"{folder} was cleaned away each time before it could be recorded. Try again.")

    def _check_stored(self, digest: str) -> None:
        if not self._artifacts.contains(digest):
            raise _CleanedAwayError(
                f"The artifact store has no {digest} to record; it was removed. Register the folder again."
            )


class _CleanedAwayError(RegistryError):
    """Between storing and recording somebody removed what nothing needed yet."""


def _new_model(name: str, description: str, tags: Mapping[str, str]) -> Patch:
    check_name(name)
    return {"name": name, "description": check_description(description), "tags": check_tags(tags)}


def _of(number: int | None, part: Patch) -> Patch:
    """A patch of the model, or of one of its versions."""
    return part if number is None else {"versions": {str(number): part}}
