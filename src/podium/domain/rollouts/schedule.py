"""A rollout by schedule: what of an endpoint's traffic a candidate gets now, as a function of records and a clock.

A rollout is one record that never changes, and marks that are each written once. Every node reads them from the registry,
reads the registry's clock, and works out the same shares without talking to another. Nothing is remembered between two
calls; a node that stopped for an hour agrees again with its first look.

    start ──► (candidate loads: 0 %) ── begin ──► 5 % ──► 25 % ──► 100 % ── finish ──► the candidate is the stable version
                                         │         any time: pause, resume
                                         └──► veto: rejected │ undo: undone │ supersede: somebody wanted something else

The clock of the schedule starts with the mark `begin`, which the first node writes that has loaded the candidate: a
version that takes minutes to load would else get its first request at the last step. An end is the earliest of the marks
that end (of two at the same instant the more careful one); of what was finished only `undo` and `supersede` are left.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from podium.domain.rollouts.judging import JudgingPolicy, Opinion, Verdict

FULL = 100


class MarkKind(StrEnum):
    """What can be noted on a rollout."""

    BEGIN = "begin"
    PAUSE = "pause"
    RESUME = "resume"
    VETO = "veto"
    UNDO = "undo"
    SUPERSEDE = "supersede"
    FINISH = "finish"

    @property
    def is_repeated(self) -> bool:
        """Whether a rollout may have several; of all others one, the first that was written."""
        return self in {MarkKind.PAUSE, MarkKind.RESUME}


class State(StrEnum):
    """How a rollout is."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    REJECTED = "rejected"
    UNDONE = "undone"
    SUPERSEDED = "superseded"

    @property
    def is_over(self) -> bool:
        """Whether it never gives traffic again."""
        return self not in {State.RUNNING, State.PAUSED}


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout, as it was started. Never changes.

    Args:
        id: Of this one; no other's.
        model: The registered model's name, for people.
        follows: The stage or alias whose endpoints take part: `production`, `@champion`.
        stands_for: The version that this was when it was started.
        stable: The version that served when it was started: most often the same.
        candidate: The version that is tried.
        steps: Rising percentages, the last of which is 100.
        interval_s: How long each lasts.
        started_at: Seconds of the registry's clock.
        started_by: `user@host/pid`.
        policy: What the candidate is judged by.
    """

    id: str
    model: str
    follows: str
    stands_for: str
    stable: str
    candidate: str
    steps: tuple[int, ...]
    interval_s: float
    started_at: float
    started_by: str
    policy: JudgingPolicy = field(default_factory=JudgingPolicy)

    @property
    def lasts_s(self) -> float:
        """From its begin to its end, without pauses."""
        return len(self.steps) * self.interval_s


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was noted on a rollout, once. `at` is the registry's clock.

    Args:
        is_moved: Of a `finish`: whether what the endpoint follows was moved to the candidate with it. Where it could not
            be, the candidate serves by this mark.
        evidence: Of a `veto`: the figures.
    """

    kind: MarkKind
    at: float
    by: str
    reason: str = ""
    is_moved: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MarkedRollout:
    """A rollout with its marks, in any order."""

    rollout: Rollout
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Pin:
    """Holds the endpoints of a model at a version, whatever else the registry says, until a time of its clock."""

    version: str
    until: float
    reason: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class RolloutNotices:
    """All that a registry says about how traffic moves, of one model.

    Args:
        entries: In any order.
        pin: None where there is none.
        problems: What was found there and is not understood, for people.
    """

    entries: tuple[MarkedRollout, ...] = ()
    pin: Pin | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RolloutPhase:
    """Where a rollout is.

    Args:
        percent: The candidate's share of the traffic.
        state: Running or paused, or how it ended.
        next_step_at: When the share changes by itself, or the candidate takes over; the registry's clock. None if it
            does not, or not before something else happens.
        is_begun: Whether the schedule's clock was started.
        is_due: Whether all steps are over and only the end is missing.
        overdue_s: Since when it is.
    """

    percent: int
    state: State
    next_step_at: float | None = None
    is_begun: bool = True
    is_due: bool = False
    overdue_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Course:
    """Where an endpoint's traffic goes by everything that the registry says.

    Args:
        version: The one that serves; None where nothing is wanted.
        candidate: Gets `percent` of the traffic, once it is ready; None where nobody does.
        entry: The rollout that this comes from, or the last one that there was.
        phase: Where that is.
        pin: What holds the endpoint; None where nothing does.
        is_overtaken: Whether what is followed was moved by somebody else than this rollout, and nobody has noted it yet.
    """

    version: str | None
    candidate: str | None = None
    percent: int = 0
    entry: MarkedRollout | None = None
    phase: RolloutPhase | None = None
    pin: Pin | None = None
    is_overtaken: bool = False


# Of marks of the same instant: what takes traffic from a candidate goes first.
_RANK = {kind: rank for rank, kind in enumerate(MarkKind)}
_ENDS = {
    MarkKind.VETO: State.REJECTED,
    MarkKind.UNDO: State.UNDONE,
    MarkKind.SUPERSEDE: State.SUPERSEDED,
    MarkKind.FINISH: State.FINISHED,
}


def phase(record: Rollout, marks: Sequence[Mark], now: float) -> RolloutPhase:
    """Where a rollout is at a time of the registry's clock.

    The percentage never falls while it is running, and while it is paused it stays.
    """
    over = ending(marks)
    if over is not None:
        state = _ENDS[over.kind]
        if state is State.FINISHED and any(mark.kind is MarkKind.UNDO for mark in marks):
            return RolloutPhase(0, State.UNDONE)
        return RolloutPhase(FULL if state is State.FINISHED else 0, state)
    begun = next((mark.at for mark in ordered(marks) if mark.kind is MarkKind.BEGIN), None)
    is_paused, elapsed = _elapsed(marks, begun, now)
    state = State.PAUSED if is_paused else State.RUNNING
    if begun is None:
        return RolloutPhase(0, state, None, is_begun=False)
    step = int(elapsed // record.interval_s)
    is_due = step >= len(record.steps)
    percent = record.steps[min(step, len(record.steps) - 1)]
    if is_paused or is_due:
        if is_paused or not is_due:
            return RolloutPhase(percent, state, None)
        return RolloutPhase(percent, state, None, is_due=True, overdue_s=elapsed - record.lasts_s)
    return RolloutPhase(percent, state, now + (step + 1) * record.interval_s - elapsed)


def may_finish(record: Rollout, at: RolloutPhase, verdict: Verdict) -> bool:
    """Whether the candidate takes over now: all steps are over, it was shown to be fine, and nothing speaks against it.

    Until it is shown not to have more errors than the policy says it keeps all of the traffic, and is judged: the steps
    were too short, or nobody asked for it. So it is where something else speaks against it and not loudly enough yet, for
    up to as long again as the steps lasted: it is rejected meanwhile, or what spoke against it was chance.
    """
    policy = record.policy
    if not at.is_due or verdict.answered < policy.least_requests:
        return False
    if policy.waits_for_evidence and verdict.opinion is not Opinion.FINE:
        return False
    return not verdict.is_suspicious or at.overdue_s >= record.lasts_s


def course(notices: RolloutNotices, follows: str, followed: str | None, now: float) -> Course:
    """Where the traffic of an endpoint goes.

    Args:
        notices: What the registry says.
        follows: The stage or alias that the endpoint follows.
        followed: The version that this stands for; None when it stands for none: that ends no rollout.
        now: The registry's clock.
    """
    entry = newest(notices.entries, follows)
    now_at = phase(entry.rollout, entry.marks, now) if entry is not None else None
    if notices.pin is not None and now < notices.pin.until:
        return Course(notices.pin.version, None, 0, entry, now_at, notices.pin)
    if entry is None or now_at is None or followed is None:
        return Course(followed, None, 0, entry, now_at)
    rollout, kinds = entry.rollout, {mark.kind for mark in entry.marks}
    if MarkKind.SUPERSEDE in kinds or followed == rollout.candidate:
        return Course(followed, None, 0, entry, now_at)
    if followed != rollout.stands_for:
        return Course(followed, None, 0, entry, now_at, is_overtaken=True)
    match now_at.state:
        case State.RUNNING | State.PAUSED:
            return Course(rollout.stable, rollout.candidate, now_at.percent, entry, now_at)
        case State.FINISHED:
            is_moved = any(mark.is_moved for mark in entry.marks if mark.kind is MarkKind.FINISH)
            return Course(followed if is_moved else rollout.candidate, None, 0, entry, now_at)
        case _:
            return Course(rollout.stable, None, 0, entry, now_at)


def newest(entries: Iterable[MarkedRollout], follows: str) -> MarkedRollout | None:
    """The rollout that counts of those for a stage or alias: the one that was started last."""
    fitting = [entry for entry in entries if entry.rollout.follows == follows]
    return max(fitting, key=lambda entry: (entry.rollout.started_at, entry.rollout.id), default=None)


def versions_named(notices: RolloutNotices, follows: str) -> set[str]:
    """The versions that what is said here may send traffic to, beside the one that is followed."""
    named = {notices.pin.version} if notices.pin is not None else set()
    entry = newest(notices.entries, follows)
    if entry is None or any(mark.kind is MarkKind.SUPERSEDE for mark in entry.marks):
        return named
    state = phase(entry.rollout, entry.marks, entry.rollout.started_at).state
    if not state.is_over or state is State.FINISHED:
        named.add(entry.rollout.candidate)
    if entry.rollout.stable != entry.rollout.stands_for:
        named.add(entry.rollout.stable)
    return named


def rejection(notices: RolloutNotices, follows: str, candidate: str) -> Mark | None:
    """Why a version was rejected the last time that it was tried; None where it was not."""
    tried = [each for each in notices.entries if each.rollout.follows == follows and each.rollout.candidate == candidate]
    last = newest(tried, follows)
    over = ending(last.marks) if last is not None else None
    return over if over is not None and over.kind is MarkKind.VETO else None


def ending(marks: Sequence[Mark]) -> Mark | None:
    """The mark that ended a rollout; None while it goes on."""
    return next((mark for mark in ordered(marks) if mark.kind in _ENDS), None)


def why(marks: Sequence[Mark]) -> str:
    """What was said with the mark by which a rollout is as it is; nothing where nothing was."""
    by_time = ordered(marks)
    over = ending(marks)
    if over is not None and over.kind is MarkKind.FINISH:
        over = next((mark for mark in by_time if mark.kind is MarkKind.UNDO), over)
    if over is not None:
        return over.reason
    holds = [mark for mark in by_time if mark.kind.is_repeated]
    return holds[-1].reason if holds and holds[-1].kind is MarkKind.PAUSE else ""


def ordered(marks: Iterable[Mark]) -> list[Mark]:
    """By time; the same on every node."""
    return sorted(marks, key=lambda mark: (mark.at, _RANK[mark.kind], mark.by))


def _elapsed(marks: Sequence[Mark], begun: float | None, now: float) -> tuple[bool, float]:
    """Whether it is paused, and how long it has been running."""
    is_paused, since, total = False, begun, 0.0
    for mark in ordered(marks):
        if mark.kind is MarkKind.PAUSE and not is_paused:
            is_paused = True
            if since is not None:
                total += max(0.0, min(mark.at, now) - since)
        elif mark.kind is MarkKind.RESUME and is_paused:
            is_paused = False
            since = max(mark.at, begun) if begun is not None else None
    if not is_paused and since is not None:
        total += max(0.0, now - since)
    return is_paused, total
