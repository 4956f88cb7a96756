"""Rollouts as state: records and marks in the tags of a registered model, each written once, in any of three places.

- `EmbeddedBook`: podium's own registry. One transaction for each change; what a rollout's end moves is moved in it.
- `MlflowBook`: an MLflow server's registered-model tags. MLflow has no transaction: what is there is looked at before, and
  what came of it after. Two that write the same mark at the same instant both succeed, and one of the two texts stays.
- `rollout_sides.SideBook`: a file or a database of our own, for registries that may not be written.

Whoever may write these tags may move traffic.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from podium.domain.rollouts.clocks import Reading
from podium.domain.rollouts.records import PIN_KEY, PREFIX, read_notices
from podium.domain.rollouts.schedule import RolloutNotices
from podium.domain.stages import Stage
from podium.errors import NotFound, RegistryError
from podium.registry.clock import shown, ticks
from podium.registry.contract import Action, Reader, RegistryStore, Writer
from podium.registry.mlflow.contract import ModelRegistry, NotWritable
from podium.registry.moves import stage_patch
from podium.registry.snapshot import ReadOnlyRegistry

Stands = Callable[[str], str | None]
"""What a stage (`production`) or an alias (`@champion`) stands for now."""


@dataclass(frozen=True, slots=True)
class RolloutPage:
    """What is known of one model when a change of it is decided.

    Args:
        notices: What its tags say.
        tags: The tags themselves, of rollouts and pins.
        now: The registry's clock.
        stands: What a stage or an alias stands for.
    """

    notices: RolloutNotices
    tags: Mapping[str, str]
    now: float
    stands: Stands


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be written: tags, of which None are removed, and a stage or alias that is moved to a version."""

    tags: Mapping[str, str | None] = field(default_factory=dict)
    moves: tuple[str, str] | None = None


Decide = Callable[[RolloutPage], Edit]


class Book(Protocol):
    """Where rollouts are kept.

    Attributes:
        place: What people call it.
        may_move: Whether it can move stages and aliases, too.
    """

    @property
    def place(self) -> str: ...

    @property
    def may_move(self) -> bool: ...

    def read(self, name: str) -> tuple[RolloutNotices, Reading]:
        """What is written of a model, and the place's clock. Raises NotFound, RegistryError."""

    def change(self, name: str, decide: Decide) -> None:
        """Decide on what is there and write it, as one.

        Raises:
            NotFound: No model has the name.
            NotWritable: It may not be written.
            RegistryError: It cannot be reached. Whatever `decide` raises is raised, and nothing is written.
        """


class EmbeddedBook:
    """In podium's own registry; every change is in its record."""

    may_move = True

    def __init__(self, store: RegistryStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    @property
    def place(self) -> str:
        return self._store.place

    def read(self, name: str) -> tuple[RolloutNotices, Reading]:
        asked_at = ticks()
        with self._store.reading() as reader:
            tags = tags_in(reader, name)
        return read_notices(tags), shown(self._clock(), asked_at)

    def change(self, name: str, decide: Decide) -> None:
        try:
            with self._store.writing() as writer:
                tags = tags_in(writer, name)
                edit = decide(
                    RolloutPage(read_notices(tags), tags, self._clock(), lambda follows: stands_in(writer, name, follows))
                )
                if edit.tags:
                    writer.apply(Action.TAG, name, {"tags": dict(edit.tags)})
                if edit.moves is not None:
                    _move(writer, name, *edit.moves)
        except ReadOnlyRegistry as error:
            raise NotWritable(self.place, error.message) from error


class MlflowBook:
    """In the tags of an MLflow server's registered model."""

    may_move = False

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry

    @property
    def place(self) -> str:
        return self._registry.place

    def read(self, name: str) -> tuple[RolloutNotices, Reading]:
        tags, reading = self._registry.tags(name)
        if tags is None:
            raise NotFound(f"No registered model is named {name!r}.", [f"{self.place}: models"])
        return read_notices(tags), reading

    def change(self, name: str, decide: Decide) -> None:
        tags, reading = self._registry.tags(name)
        if tags is None:
            raise NotFound(f"No registered model is named {name!r}.", [f"{self.place}: models"])
        edit = decide(RolloutPage(read_notices(tags), tags, reading.middle, self._stands(name)))
        for key, value in edit.tags.items():
            self._registry.set_tag(name, key, value)
        after, _ = self._registry.tags(name)
        lost = [key for key, value in edit.tags.items() if (after or {}).get(key) != value]
        # Another text of the same mark is another node's, and as good.
        if any((after or {}).get(key) is None and edit.tags[key] is not None for key in lost):
            raise RegistryError(f"{self.place} took {', '.join(lost)} and does not have it. Try again.")

    def _stands(self, name: str) -> Stands:
        def stands(follows: str) -> str | None:
            if follows.startswith("@"):
                found = self._registry.aliased(name, follows[1:])
            else:
                found = self._registry.highest(name, Stage(follows.capitalize()))
            return None if found is None else str(found.number)

        return stands


def tags_in(reader: Reader, name: str) -> dict[str, str]:
    """The tags of rollouts and pins of a model.

    Raises:
        NotFound: No model has the name.
    """
    model = reader.model(name)
    if model is None:
        known = ", ".join(each.name for each in reader.models()) or "none"
        raise NotFound(f"No registered model is named {name!r}; there are: {known}.")
    return rollout_tags(model.tags)


def rollout_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Those of a model's tags that are of rollouts and pins."""
    return {key: value for key, value in tags.items() if key.startswith(PREFIX) or key == PIN_KEY}


def stands_in(reader: Reader, name: str, follows: str) -> str | None:
    """What a stage or an alias stands for in one view of the registry."""
    if follows.startswith("@"):
        model = reader.model(name)
        number = model.aliases.get(follows[1:]) if model is not None else None
        return None if number is None else str(number)
    found = reader.highest(name, Stage(follows.capitalize()))
    return None if found is None else str(found.version)


def _move(writer: Writer, name: str, follows: str, version: str) -> None:
    number = int(version)
    if writer.version(name, number) is None:
        raise NotFound(f"{name} has no version {version} any more.")
    if follows.startswith("@"):
        writer.apply(Action.ALIAS, name, {"aliases": {follows[1:]: number}}, number)
        return
    patch = stage_patch(writer.versions(name), number, Stage(follows.capitalize()), keep_existing=False)
    if patch:
        writer.apply(Action.TRANSITION, name, patch, number)
