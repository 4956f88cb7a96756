"""One endpoint's part in rollouts: what the registry says becomes what is wanted, what is seen becomes marks in it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from podium.domain.planning import Candidate, Journal
from podium.domain.references import AliasRef, ModelRef, StageRef
from podium.domain.rollouts.clocks import Offset
from podium.domain.rollouts.evidence import Evidence
from podium.domain.rollouts.judging import Opinion, Stratum, Verdict, judge
from podium.domain.rollouts.schedule import (
    FULL,
    Course,
    MarkedRollout,
    MarkKind,
    Pin,
    RolloutPhase,
    State,
    course,
    may_finish,
    why,
)
from podium.domain.traffic import Target
from podium.fleet.rollouts.history import History
from podium.fleet.rollouts.marks import Marks, Run, Write
from podium.fleet.rollouts.status import rollout_status
from podium.fleet.rollouts.witness import Witness
from podium.fleet.site import EndpointOrder, Site
from podium.fleet.sources import Wish
from podium.fleet.telling.events import Event
from podium.registry.clock import ticks
from podium.registry.resolve import Resolved
from podium.registry.rollout_edits import Note

_JUDGE_S = 1.0
_STOPPED_S = 2.0
_SET_BACK_S = 5.0


@dataclass(frozen=True, slots=True)
class Guidance:
    """What an endpoint should do.

    Args:
        resolved: The version that is to serve; None where nothing is wanted.
        candidate: What is tried beside it, and `tried` what that is; both None where nothing is.
    """

    resolved: Resolved | None
    candidate: Candidate | None = None
    tried: Resolved | None = None


@dataclass(frozen=True, slots=True)
class EndpointStanding:
    """How an endpoint is, as far as a rollout is concerned.

    Args:
        targets: Its part of the routing table.
        is_acknowledged: Whether every gateway routes by it.
        journal: What was remembered.
    """

    targets: tuple[Target, ...]
    is_acknowledged: bool
    journal: Journal

    def is_served_by(self, version: str) -> bool:
        """Whether a version serves, and whoever else is there is beside it."""
        return bool(self.targets and self.targets[0].version == version and self.targets[0].replicas)

    def weight(self, version: str) -> int | None:
        """A version's share here; None where it is not ready, or not known to every gateway."""
        found = next((target for target in self.targets if target.version == version and target.replicas), None)
        return found.weight if found is not None and self.is_acknowledged else None


class Desk:
    """Turns what is said of rollouts into guidance, and what is seen into marks. Event loop's thread only.

    Args:
        reference: What the endpoint serves.
        offset: How far the registry's clock is from `clock`; None before it was heard.
        write: Puts a mark into the registry.
        evidence: What is known of a version here, by its label.
        tell: Called with events.
        ring: Called when something else is to be done.
        run: Makes a task that somebody owns.
        clock: Seconds that never jump.
    """

    def __init__(
        self,
        reference: ModelRef,
        offset: Callable[[], Offset | None],
        write: Write,
        evidence: Callable[[str], Evidence],
        tell: Callable[[Event], None],
        ring: Callable[[], None],
        run: Run,
        clock: Callable[[], float] = ticks,
    ) -> None:
        self._reference = reference
        self._offset = offset
        self._evidence = evidence
        self._tell = tell
        self._ring = ring
        self._clock = clock
        self._wish = Wish(None)
        self._last = clock()
        self._frozen: tuple[float, float] | None = None
        self._now: float | None = None
        self._judged_at = 0.0
        self._judged: tuple[str, int | None] | None = None
        self._verdict = Verdict(Opinion.UNKNOWN)
        self._witness = Witness()
        self._history = History(clock)
        self._seen = (Evidence(), Evidence())
        self._marks = Marks(write, tell, ring, run, clock)
        self._told: tuple[object, ...] | None = None
        self._course: Course | None = None
        self._guidance = Guidance(None)
        self._share = 0
        self._pinned: Pin | None = None

    def hear(self, wish: Wish) -> None:
        """The source said something new."""
        self._wish = wish

    def asked(self, began_at: float) -> None:
        """The source was asked, and has answered or not; `began_at` is by `clock.ticks`."""
        if self._frozen is not None and began_at > self._frozen[1]:
            self._frozen = None
            self._ring()

    def guide(self) -> Guidance:
        """What the endpoint should do now. To be asked several times a second."""
        now, wish = self._registry_now(), self._wish
        tidings, followed = wish.tidings, _number(wish.resolved)
        if tidings is None or now is None:
            self._course = None
            self._guidance = Guidance(wish.resolved)
            return self._guidance
        self._course = course(self._marks.counted(tidings.notices), tidings.follows, followed, now)
        serving = self._found(self._course.version)
        if serving is None and self._course.version is not None:
            # What should serve cannot be had yet: what did, does.
            serving = self._guidance.resolved or wish.resolved
        tried = self._found(self._course.candidate)
        candidate = Candidate(tried.label, self._course.percent) if tried is not None else None
        if serving is not None and tried is not None and tried.label == serving.label:
            candidate = tried = None
        self._guidance = Guidance(serving, candidate, tried)
        return self._guidance

    def tick(self, standing: EndpointStanding) -> None:
        """Judge, once a second, and see to the marks that are due."""
        now = self._clock()
        found, serving = self._course, self._guidance.resolved
        self._tell_pin()
        # Where no rollout can begin nothing need be kept for one.
        if self._wish.tidings is not None and serving is not None and standing.is_served_by(serving.label):
            self._history.look(serving.label, self._evidence)
        if self._wish.tidings is not None:
            self._marks.seen(self._wish.tidings.notices)
        if found is None or found.entry is None or found.phase is None or self._frozen is not None:
            return
        entry, phase = found.entry, found.phase
        self._share = 0
        if self._guidance.candidate is not None:
            weight = standing.weight(self._guidance.candidate.version)
            self._share = weight or 0
            key = (entry.rollout.id, weight)
            # At once where the share has changed: what follows belongs to another stratum.
            if now - self._judged_at >= _JUDGE_S or self._judged != key:
                self._judged_at, self._judged = now, key
                self._judge(entry, standing)
        self._tell_changes(entry, phase)
        if (note := self._due(found, entry, phase, standing)) is not None:
            assert self._now is not None
            self._marks.add(replace(note, rollout_id=entry.rollout.id), self._now)
        self._marks.go_on(_number(self._wish.resolved))

    def close(self) -> None:
        """Write nothing more."""
        self._marks.close()

    def status(self) -> dict[str, Any] | None:
        """The last rollout of what is followed, as this server sees it; None where there never was one."""
        found = self._course
        if found is None or found.entry is None or found.phase is None:
            return None
        problem = self._marks.problem or (self._wish.tidings.problem if self._wish.tidings else None)
        return rollout_status(found.entry, found.phase, self._share, self._verdict, self._seen, problem)

    def pin(self) -> dict[str, Any] | None:
        """What holds the endpoint; None where nothing does."""
        return None if self._course is None or self._course.pin is None else asdict(self._course.pin)

    def clock_status(self) -> dict[str, float] | None:
        """How far the clock by which rollouts go is from this machine's, and how sure that is, in tenths of a second."""
        offset = self._offset()
        if offset is None:
            return None
        now = self._clock()
        return {
            "skew_s": round(offset.now(now) - time.time(), 1) + 0.0,
            "uncertainty_s": round(offset.uncertainty_s(now) + 0.05, 1),
        }

    def _registry_now(self) -> float | None:
        """The registry's clock; after this process was stopped, as it was before, until the registry was asked again.

        Else a node that was stopped would run ahead by a schedule that somebody has ended meanwhile.
        """
        now, before = self._clock(), self._last
        self._last = now
        if now - before > _STOPPED_S and self._now is not None and self._frozen is None:
            self._frozen = (self._now, now)
        if self._frozen is not None:
            return self._frozen[0]
        offset = self._offset()
        if offset is not None:
            said = offset.now(now)
            # What is known of it becomes more exact: by less than this it only seems to go back, and no share does.
            is_later = self._now is None or said > self._now or said < self._now - _SET_BACK_S
            self._now = said if is_later else self._now
        return self._now

    def _found(self, version: str | None) -> Resolved | None:
        wish = self._wish
        if version is None:
            return None
        if _number(wish.resolved) == version:
            return wish.resolved
        return wish.tidings.others.get(version) if wish.tidings is not None else None

    def _judge(self, entry: MarkedRollout, standing: EndpointStanding) -> None:
        assert self._guidance.candidate is not None
        stable = self._guidance.resolved.label if self._guidance.resolved is not None else ""
        candidate = self._guidance.candidate.version
        counted, weight = Stratum(self._evidence(stable), self._evidence(candidate)), standing.weight(candidate)
        if weight == FULL and standing.is_served_by(stable):
            self._history.look(stable, self._evidence, now=True)
        strata = self._witness.see(entry.rollout.id, (stable, candidate), weight, counted, self._history.moments())
        self._verdict = judge(strata, entry.rollout.policy)
        self._seen = (
            sum((each.stable for each in strata), Evidence()),
            sum((each.candidate for each in strata), Evidence()),
        )

    def _due(self, found: Course, entry: MarkedRollout, phase: RolloutPhase, standing: EndpointStanding) -> Note | None:
        """The mark that should be in the registry and is not."""
        rollout, candidate = entry.rollout, self._guidance.candidate
        if found.is_overtaken and not any(mark.kind is MarkKind.SUPERSEDE for mark in entry.marks):
            if phase.state in {State.REJECTED, State.UNDONE} and rollout.stable == rollout.stands_for:
                return None
            return Note(MarkKind.SUPERSEDE, reason=f"{self._reference} was moved to version {_number(self._wish.resolved)}")
        if phase.state.is_over or found.pin is not None:
            return None
        if _number(self._wish.resolved) == rollout.candidate:
            return Note(MarkKind.FINISH, reason=f"{self._reference} was moved to the candidate by hand")
        if candidate is None:
            return None
        failure = standing.journal.vetoed.get(candidate.version)
        if failure is not None:
            return Note(MarkKind.VETO, reason=f"It does not run here ({failure.cause}): {failure.message}"[:1000])
        if self._verdict.opinion is Opinion.WORSE and standing.weight(candidate.version):
            told = {criterion.value: asdict(figure) for criterion, figure in self._verdict.figures.items()}
            return Note(MarkKind.VETO, reason=self._verdict.reason, evidence=told)
        weight, stable = standing.weight(candidate.version), self._guidance.resolved
        # What still serves from a rollout that was undone a moment ago has nothing beside it to be held against.
        is_beside = weight is not None and stable is not None and standing.is_served_by(stable.label)
        if not phase.is_begun and phase.state is State.RUNNING and is_beside:
            return Note(MarkKind.BEGIN, reason="the candidate is loaded")
        if weight == 100 and may_finish(rollout, phase, self._verdict):
            return Note(MarkKind.FINISH, reason=f"100 % for {rollout.interval_s:g} s without a veto")
        return None

    def _tell_pin(self) -> None:
        """An event when somebody holds the endpoint, or lets go."""
        held = self._course.pin if self._course is not None else None
        if held != self._pinned:
            was, self._pinned = self._pinned, held
            if held is not None:
                text = f"held at version {held.version} by {held.by}: {held.reason}"
                self._tell(Event("pinned", text, held.version, is_problem=True))
            elif was is not None:
                self._tell(Event("pinned", f"no longer held at version {was.version}", was.version))

    def _tell_changes(self, entry: MarkedRollout, phase: RolloutPhase) -> None:
        """An event whenever people would want to know."""
        rollout = entry.rollout
        key = (rollout.id, phase.state, phase.percent)
        if key == self._told:
            return
        first, self._told = self._told is None, key
        if first and phase.state.is_over:
            return
        where = f"rollout of version {rollout.candidate} beside {rollout.stable}"
        reason = why(entry.marks)
        text = {
            State.RUNNING: f"{where}: {phase.percent} % of the traffic",
            State.PAUSED: f"{where}: paused at {phase.percent} %",
            State.FINISHED: f"{where}: finished, version {rollout.candidate} has all of it",
            State.REJECTED: f"{where}: rejected, version {rollout.stable} has all of it",
            State.UNDONE: f"{where}: undone, version {rollout.stable} has all of it",
            State.SUPERSEDED: f"{where}: over, for something else is wanted",
        }[phase.state]
        said = f"{text}. {reason}" if reason and phase.state is not State.RUNNING else text
        self._tell(Event("rollout", said, rollout.candidate, is_problem=phase.state is State.REJECTED))


def desk_of(order: EndpointOrder, site: Site, evidence: Callable[[str, str], Evidence]) -> Desk:
    """The desk of an endpoint; `evidence` says what is known of a version, by the endpoint's name and its label."""
    ledger, reference = order.source or order.ledger, order.reference

    async def write(note: Note, followed: str | None) -> None:
        assert ledger is not None
        assert isinstance(reference, StageRef | AliasRef)
        await asyncio.to_thread(ledger.note, reference, note, followed)

    return Desk(
        reference,
        lambda: ledger.offset if ledger is not None else None,
        write,
        lambda version: evidence(order.name, version),
        site.tell,
        site.bell.ring,
        site.tasks.create_task,
    )


def _number(resolved: Resolved | None) -> str | None:
    return None if resolved is None or resolved.version is None else str(resolved.version)
