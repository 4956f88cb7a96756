"""What the registry is made of, and what a store of it must do.

Every change of a registered model is a *patch* of its document, a JSON value:

    {"name": "fraud", "description": "", "tags": {"team": "risk"}, "aliases": {"champion": 3},
     "versions": {"3": {"stage": "Production", "digest": "sha256:…", "source": "…", "description": "", "tags": {}}}}

A patch holds only what changes; None removes (JSON Merge Patch, RFC 7396). A store has one way to write, `Writer.apply`,
which changes the state by a patch and records the patch in the same transaction. So the change record is complete by
construction: replaying it gives the state (`registry.record.replay`).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from podium.domain.stages import Stage

Patch = Mapping[str, Any]


class Action(StrEnum):
    """What somebody did; one change has one action."""

    CREATE = "create"
    REGISTER = "register"
    TRANSITION = "transition"
    ROLLBACK = "rollback"
    ALIAS = "alias"
    TAG = "tag"
    DESCRIBE = "describe"
    RENAME = "rename"
    DELETE_VERSION = "delete-version"
    DELETE_MODEL = "delete-model"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable version of a registered model. Times are milliseconds of the Unix epoch.

    `digest` names its folder in the artifact store; `source` is where it came from, for people.
    """

    name: str
    version: int
    stage: Stage
    digest: str
    source: str
    description: str
    created_ms: int
    updated_ms: int
    created_by: str
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A name with versions. `key` stays when the name changes and is never used again."""

    key: int
    name: str
    description: str
    created_ms: int
    updated_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model that was logged (`models:/m-<32 hex>`), registered or not."""

    model_id: str
    digest: str
    source: str
    created_ms: int
    created_by: str


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the change record: who did what when, and the patch in both directions.

    `before` holds the old values of exactly what `after` sets. `model_key` and `model` are None for a logged model.
    """

    id: int
    at_ms: int
    actor: str
    action: Action
    model_key: int | None
    model: str | None
    version: int | None
    before: Patch | None
    after: Patch | None


class Reader(Protocol):
    """One consistent view of the registry."""

    def model(self, name: str) -> RegisteredModel | None: ...

    def models(self) -> list[RegisteredModel]:
        """By name."""

    def version(self, name: str, number: int) -> Version | None: ...

    def versions(self, name: str | None = None) -> list[Version]:
        """Of one model or of all; by name, then number, ascending."""

    def highest(self, name: str, stage: Stage | None = None) -> Version | None:
        """The version with the highest number, of those in a stage or of all."""

    def logged(self, model_id: str) -> LoggedModel | None: ...

    def changes(self, name: str | None = None) -> list[Change]:
        """Oldest first; of all, or of the model that has this name now, under whatever names it had.

        When no model has the name, of those that once had it.
        """

    def digests(self) -> set[str]:
        """Every digest that a version or a logged model needs."""


class Writer(Reader, Protocol):
    """A transaction: all of it happens, or nothing. It sees its own changes."""

    def next_number(self, name: str) -> int:
        """The number of this name's next version: above every number that the name ever had, deleted ones included."""

    def apply(self, action: Action, name: str, patch: Patch | None, version: int | None = None) -> Change:
        """Change a registered model by a patch and record it; None deletes the model; a new name creates it.

        `version` is the version that the change is about, for readers of the record.
        """

    def log(self, model_id: str, digest: str, source: str) -> LoggedModel:
        """Record a logged model."""


class RegistryStore(Protocol):
    """Where a registry lives. Several processes may use it at once; writers wait for each other, up to a deadline."""

    @property
    def place(self) -> str:
        """What people call it: a path or an address."""

    def reading(self) -> AbstractContextManager[Reader]:
        """A view; nothing is created. An absent registry reads as an empty one.

        Raises:
            RegistryError: It cannot be read. `RegistryBusy`: another process held it past the deadline.
        """

    def writing(self, *, may_create: bool = False) -> AbstractContextManager[Writer]:
        """A transaction that is committed at the end of the block and rolled back when the block raises.

        An absent registry is made only with `may_create`: what cannot be found in it is no reason to make one.

        Raises:
            NotFound: It is absent.
            RegistryError: It cannot be written. `RegistryBusy`: another process held it past the deadline.
        """
