"""Every registered model at once: which version of each is to be served, and what is said of rollouts and pins.

One reading for all, however many there are.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from podium.domain.nearest import did_you_mean
from podium.domain.references import AliasRef, LatestRef, StageRef, VersionRef, check_alias
from podium.domain.rollouts.clocks import Offset, corrected
from podium.domain.rollouts.records import read_notices
from podium.domain.rollouts.schedule import RolloutNotices
from podium.domain.stages import Stage
from podium.errors import InvalidInput, NotFound, RegistryError
from podium.registry.clock import shown, ticks
from podium.registry.contract import Reader
from podium.registry.embedded import Resolved, resolve_in
from podium.registry.observe_rollouts import Tidings, followed_by, tidings_of, write_mark
from podium.registry.rollout_edits import Note
from podium.registry.rollout_sides import Side
from podium.registry.rollouts import rollout_tags
from podium.registry.snapshot import FileState, file_state, read_snapshot
from podium.settings.home import Home

_TIMEOUT_S = 2.0
NamedRef = StageRef | AliasRef | LatestRef
"""What may stand for one version of a registered model today and another tomorrow."""


@dataclass(frozen=True, slots=True)
class CensusEntry:
    """What the registry has of one model.

    Attributes:
        resolved: The version that is to be served; None where none is behind the stage or the alias.
        tidings: What is said of its rollouts and its pin.
    """

    resolved: Resolved | None
    tidings: Tidings | None = None


def reference_maker(which: str) -> Callable[[str], NamedRef]:
    """What `production`, `@champion` or `latest` makes of a registered model's name.

    Raises:
        InvalidInput: It is no stage, no alias and not `latest`.
    """
    if which.startswith("@"):
        alias = check_alias(which[1:])
        return lambda name: AliasRef(name, alias)
    if which.lower() == "latest":
        return LatestRef
    try:
        stage = Stage.parse(which)
    except InvalidInput:
        near = did_you_mean(which.lower(), ("production", "staging", "latest"))
        raise InvalidInput(
            f"serve.registry (--registry) is {which!r}; expected production, staging, latest or @ALIAS.{near}"
        ) from None
    return lambda name: StageRef(name, stage)


class RegistryCensus:
    """Says again and again which versions podium's own registry has behind a stage or an alias, for all models.

    Asking costs a few `stat` calls while nothing changed. The registry that was seen first is the only one that counts. For
    one thread at a time, but for `offset` and `note`.

    Args:
        home: PODIUM_HOME.
        which: `production`, `staging`, `latest`, `@ALIAS`.
        side: Where rollouts are kept; None keeps them in the registry.

    Attributes:
        offset: How far the clock by which rollouts go is from `clock.ticks`; None before the first reading.
    """

    def __init__(self, home: Home, which: str, side: Side | None = None) -> None:
        self.reference = reference_maker(which)
        self.offset: Offset | None = None
        self._home = home
        self._side = side
        self._all_notices: Mapping[str, RolloutNotices] = {}
        self._problem: str | None = None
        self._registry_id: str | None = None
        self._state: FileState | None = None
        self._found: Mapping[str, CensusEntry] = {}

    def take(self) -> Mapping[str, CensusEntry]:
        """By registered name. The same value as before while nothing changed.

        A model whose files are gone has what it had before: that is no reason to hear nothing of the others.

        Raises:
            RegistryError: The registry cannot be read. A side file that cannot be is a problem of the tidings.
        """
        path, asked_at = self._home.registry, ticks()
        # Before the versions, as `observe_rollouts` says.
        is_said_anew = self._hear_side()
        state = file_state(path)
        if state != self._state or is_said_anew:
            snapshot = read_snapshot(path, self._read, _TIMEOUT_S, self._registry_id)
            self._registry_id, self._found = snapshot.registry_id, snapshot.value
            # The state from before the reading, and only when a later change must show in it.
            self._state = state if state.is_settled(time.time()) else None
        if self._side is None:
            self.offset = corrected(self.offset, shown(time.time(), asked_at))
        return self._found

    def note(self, reference: StageRef | AliasRef, asked: Note, followed: str | None) -> None:
        """As `registry.observe.RegistryObserver.note`; from any thread."""
        write_mark(reference, asked, followed, self._home, self._side, None)

    def _hear_side(self) -> bool:
        """Read what is kept beside, where something is; whether it says something new."""
        if self._side is None:
            return False
        before = self._all_notices, self._problem
        try:
            self._all_notices, reading = self._side.read_all()
            self.offset, self._problem = corrected(self.offset, reading), None
        except RegistryError as error:
            self._problem = error.message
        return before != (self._all_notices, self._problem)

    def _read(self, reader: Reader) -> Mapping[str, CensusEntry]:
        return {model.name: self._of(reader, model.name, model.tags) for model in reader.models()}

    def _of(self, reader: Reader, name: str, tags: Mapping[str, str]) -> CensusEntry:
        tidings = self._tidings(reader, name, tags)
        try:
            return CensusEntry(resolve_in(reader, self.reference(name), self._home), tidings)
        except NotFound:
            return CensusEntry(None, tidings)
        except RegistryError:
            before = self._found.get(name)
            return CensusEntry(before.resolved if before is not None else None, tidings)

    def _tidings(self, reader: Reader, name: str, tags: Mapping[str, str]) -> Tidings | None:
        follows = followed_by(self.reference(name))
        if follows is None:
            return None
        notices = (
            self._all_notices.get(name, RolloutNotices()) if self._side is not None else read_notices(rollout_tags(tags))
        )
        before = self._found.get(name)

        def resolve(version: VersionRef) -> Resolved:
            return resolve_in(reader, version, self._home)

        return tidings_of(name, notices, follows, resolve, None if before is None else before.tidings, self._problem)
