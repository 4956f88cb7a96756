"""Hearing of rollouts from a server: read with the same look as what an endpoint follows, and a little before it.

Before, so that what is followed is never older than what is said of it: a rollout's end is written together with the move
of the stage, and a node that saw the end and not yet the move would go back to the old version for a moment.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from podium.domain.references import AliasRef, LatestRef, ModelRef, StageRef, VersionRef
from podium.domain.rollouts.clocks import Offset, Reading, corrected
from podium.domain.rollouts.records import read_notices
from podium.domain.rollouts.schedule import RolloutNotices, versions_named
from podium.errors import NotFound, PodiumError
from podium.registry.clock import shown, ticks
from podium.registry.embedded import Resolved
from podium.registry.mlflow.contract import ModelRegistry
from podium.registry.rollout_edits import Note, note
from podium.registry.rollout_sides import Side, SideBook
from podium.registry.rollouts import Book, EmbeddedBook, MlflowBook, tags_in
from podium.registry.snapshot import FileState, file_state, read_snapshot
from podium.registry.sqlite import SqliteStore
from podium.settings.home import Home

_TIMEOUT_S = 0.35
LATEST = "@latest"


@dataclass(frozen=True, slots=True)
class Tidings:
    """What is said of how an endpoint's traffic moves.

    Attributes:
        notices: The rollouts and the pin of its model.
        follows: The stage or alias that it follows.
        others: What the versions that are named there stand for, by number; those that are not there are missing, and those
            that could not be asked for before they were known.
        problem: Why it could not be read, or which version cannot be had; None if all is well.
    """

    notices: RolloutNotices
    follows: str
    others: Mapping[str, Resolved] = field(default_factory=dict)
    problem: str | None = None


class RolloutWatch:
    """Reads what is said of rollouts, again and again. For one thread at a time, but for `offset`.

    Args:
        home: PODIUM_HOME.
        side: Where rollouts are kept instead of in the registry; None keeps them there.

    Attributes:
        offset: How far the registry's clock is from ours; None before it was heard.
    """

    def __init__(self, home: Home, side: Side | None) -> None:
        self.offset: Offset | None = None
        self._home = home
        self._side = SideBook(side, lambda _name, _follows: None) if side is not None else None
        self._state: FileState | None = None
        self._notices: tuple[str, RolloutNotices] | None = None
        self._last: dict[ModelRef, Tidings] = {}

    def tidings(
        self, reference: ModelRef, registry: ModelRegistry | None, resolve: Callable[[ModelRef], Resolved]
    ) -> Tidings | None:
        """What is said of the model that a reference names; None of one that stands still.

        Args:
            reference: What the endpoint serves.
            registry: MLflow's, where that is the one that answers; None for podium's own.
            resolve: Says what another version of it stands for.

        Raises:
            PodiumError: The registry cannot be read. A side file that cannot be is a problem of the tidings.
        """
        follows = followed_by(reference)
        if follows is None or not isinstance(reference, StageRef | AliasRef | LatestRef):
            return None
        try:
            notices, reading = self._read(reference.name, registry)
        except PodiumError as error:
            if self._side is None or reference not in self._last:
                raise
            self._last[reference] = replace(self._last[reference], problem=error.message)
            return self._last[reference]
        self.offset = corrected(self.offset, reading)
        found = tidings_of(reference.name, notices, follows, resolve, self._last.get(reference))
        self._last[reference] = found
        return found

    def _read(self, name: str, registry: ModelRegistry | None) -> tuple[RolloutNotices, Reading]:
        if self._side is not None:
            return self._side.read(name)
        if registry is not None:
            return MlflowBook(registry).read(name)
        return self._embedded(name)

    def _embedded(self, name: str) -> tuple[RolloutNotices, Reading]:
        """As the versions are read: a few `stat` calls while nothing changed, and no trace left."""
        asked_at, path = ticks(), self._home.registry
        state = file_state(path)
        if self._notices is None or self._notices[0] != name or state != self._state:
            tags = read_snapshot(path, lambda reader: tags_in(reader, name), _TIMEOUT_S).value
            self._state = state if state.is_settled(time.time()) else None
            self._notices = (name, read_notices(tags))
        return self._notices[1], shown(time.time(), asked_at)


def followed_by(reference: ModelRef) -> str | None:
    """The stage or alias of a reference, as rollouts name it; None of one that never moves.

    What follows the latest version can be pinned; nothing is rolled out to it, for what is registered is the latest.
    """
    match reference:
        case StageRef(_, stage):
            return stage.value.lower()
        case AliasRef(_, alias):
            return f"@{alias}"
        case LatestRef():
            return LATEST
        case _:
            return None


def tidings_of(
    name: str,
    notices: RolloutNotices,
    follows: str,
    resolve: Callable[[VersionRef], Resolved],
    before: Tidings | None,
    problem: str | None = None,
) -> Tidings:
    """What is said of a model, with the versions that are named there.

    Args:
        name: The model's.
        notices: What is written.
        follows: The stage or alias that is followed.
        resolve: Says what another version of it stands for.
        before: What was said with the look before.
        problem: What is wrong already.
    """
    known = {} if before is None else before.others
    others = {}
    for number in sorted(versions_named(notices, follows)):
        try:
            others[number] = resolve(VersionRef(name, int(number)))
        except (PodiumError, ValueError) as error:
            message = error.message if isinstance(error, PodiumError) else f"{number} is no version's number"
            problem = f"version {number} cannot be had: {message}"
            # One lost answer takes no traffic away: only what is said not to be there is not.
            if not isinstance(error, NotFound) and number in known:
                others[number] = known[number]
    return Tidings(notices, follows, others, problem)


def write_mark(
    reference: StageRef | AliasRef,
    asked: Note,
    followed: str | None,
    home: Home,
    side: Side | None,
    registry: ModelRegistry | None,
) -> None:
    """Write a mark on a rollout, signed by this server; one that is there already stays. May wait.

    Args:
        reference: What the endpoint serves.
        asked: The mark; who asks is added.
        followed: The version that it stands for, as it was seen last.
        home: PODIUM_HOME.
        side: Where rollouts are kept; None keeps them in the registry.
        registry: MLflow's, where that is the one that answers; None for podium's own.

    Raises:
        PodiumError: It cannot be written.
    """
    follows = followed_by(reference)
    assert follows is not None, "only what is followed is rolled out"
    who = f"podium serve@{socket.gethostname()}/{os.getpid()}"
    book = book_for(home, side, registry, who, lambda _name, _follows: followed)
    signed = replace(asked, by=who)
    book.change(reference.name, lambda page: note(signed, follows, reference.name, book.may_move, page))


def book_for(
    home: Home, side: Side | None, registry: ModelRegistry | None, actor: str, stands: Callable[[str, str], str | None]
) -> Book:
    """Where rollouts are written: beside, an MLflow registry, or podium's own."""
    if side is not None:
        return SideBook(side, stands)
    if registry is not None:
        return MlflowBook(registry)
    return EmbeddedBook(SqliteStore(home.registry, actor))
