"""What podium asks of an MLflow store, whichever way it is reached.

A store answers from what is there now. What it cannot answer is a RegistryError and never an empty answer: a server that
is down, a page of HTML, a database without its tables. NotFound means that it was asked and said so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from podium.domain.rollouts.clocks import Reading
from podium.domain.stages import Stage
from podium.errors import RegistryError


class NotWritable(RegistryError):
    """A registry that is read and not written; rollouts may be kept elsewhere."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(
            f"{place} cannot be written: {why} Keep rollouts beside it, here and for every server, in a file or database: "
            "--rollout-store FILE, or postgresql://USER@HOST/DATABASE (PODIUM_SERVE_ROLLOUT_STORE)"
        )


@dataclass(frozen=True, slots=True)
class MlflowVersion:
    """A version of a registered model, as MLflow records it.

    `created_ms` and `source` tell a version from another of the same number, when a model was deleted and made again.
    """

    name: str
    number: int
    stage: Stage | None
    created_ms: int
    source: str
    run_id: str | None = None

    @property
    def is_ready(self) -> bool:
        """MLflow redacts a version's source when it is deleted."""
        return bool(self.source)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A registered model as a list of all has it.

    Attributes:
        name: Its name.
        created_ms: Tells it from another of that name, made after it was deleted.
        latest: The version with the highest number of each stage.
        aliases: With the number of each one's version.
        tags: Its own, not those of its versions.
    """

    name: str
    created_ms: int
    latest: tuple[MlflowVersion, ...]
    aliases: Mapping[str, int]
    tags: Mapping[str, str]


class ModelRegistry(Protocol):
    """Registered models. `place` is what people call it, without a secret."""

    @property
    def place(self) -> str: ...

    def version(self, name: str, number: int) -> MlflowVersion | None: ...

    def highest(self, name: str, stage: Stage | None) -> MlflowVersion | None:
        """The version with the highest number, of those in a stage or of all."""

    def aliased(self, name: str, alias: str) -> MlflowVersion | None: ...

    def location(self, version: MlflowVersion) -> str:
        """The URI of its files; perhaps one that names another model."""

    def names(self) -> Sequence[str] | None:
        """Registered models, the first few hundred; None if it does not say."""

    def listed(self) -> tuple[Sequence[ListedModel], Reading]:
        """All registered models, and the store's clock.

        Raises:
            RegistryError: It cannot be read to its end.
        """

    def versions(self, name: str) -> Sequence[MlflowVersion] | None:
        """All versions, ascending; None when no model has the name."""

    def aliases(self, name: str) -> dict[str, int]: ...

    def tags(self, name: str) -> tuple[dict[str, str] | None, Reading]:
        """The tags of a registered model, and the store's clock; None when no model has the name."""

    def set_tag(self, name: str, key: str, value: str | None) -> None:
        """Set a tag of a registered model; None removes it. The only thing that podium ever writes here.

        Raises:
            NotWritable: This kind of store is only read, or this user may not.
        """

    def abort(self) -> None:
        """End what is under way, from another thread."""


class Tracking(Protocol):
    """Runs and logged models."""

    @property
    def place(self) -> str: ...

    def logged(self, model_id: str) -> str | None:
        """The URI of a logged model's files."""

    def run(self, run_id: str) -> str | None:
        """The URI of a run's artifacts."""

    def logged_in(self, run_id: str, name: str) -> str | None:
        """The URI of the files of the model that a run logged by a name; the newest, if there are several."""

    def abort(self) -> None:
        """End what is under way, from another thread."""


class Store(ModelRegistry, Tracking, Protocol):
    """Both: one MLflow server, database or folder."""
