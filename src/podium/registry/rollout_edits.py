"""What may be written about a rollout, and when: each a decision on the page as it is now. Pure.

A mark that is there already is not written again, and an end that came too late is none: whoever asks learns what is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from podium.domain.rollouts.judging import JudgingPolicy
from podium.domain.rollouts.records import (
    PIN_KEY,
    check_interval,
    check_policy,
    check_steps,
    mark_key,
    mark_text,
    next_number,
    pin_text,
    record_key,
    record_text,
)
from podium.domain.rollouts.schedule import (
    Mark,
    MarkedRollout,
    MarkKind,
    Pin,
    Rollout,
    State,
    course,
    ending,
    newest,
    phase,
    rejection,
)
from podium.errors import AlreadyExists, InvalidInput, NotFound
from podium.registry.rollouts import Edit, RolloutPage

_STEP_S = 0.001


@dataclass(frozen=True, slots=True)
class RolloutOrder:
    """A rollout as somebody asks for it.

    Args:
        follows: The stage or alias: `production`, `@champion`.
        is_again: Whether a version that was rejected before may be tried.
    """

    id: str
    model: str
    follows: str
    candidate: str
    steps: Sequence[int]
    interval_s: float
    by: str
    policy: JudgingPolicy = field(default_factory=JudgingPolicy)
    is_again: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A mark as somebody asks for it; which rollout is meant, None is the newest one of what is followed."""

    kind: MarkKind
    by: str = ""
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    rollout_id: str | None = None


def begin(asked: RolloutOrder, page: RolloutPage) -> Edit:
    """Write a record.

    Raises:
        InvalidInput: It cannot be: nothing serves yet, the version does already, the endpoint is pinned.
        AlreadyExists: Another one is under way, or the version was rejected.
    """
    steps, interval_s = check_steps(asked.steps), check_interval(asked.interval_s)
    check_policy(asked.policy)
    stands_for = page.stands(asked.follows)
    where = _where(asked.model, asked.follows)
    if stands_for is None:
        raise InvalidInput(
            f"{where} stands for no version yet, so there is nothing to roll out beside. "
            f"Make version {asked.candidate} live at once: podium models promote {asked.model} {asked.candidate}; or say "
            "which endpoints are meant: --alias ALIAS, --stage STAGE"
        )
    now = course(page.notices, asked.follows, stands_for, page.now)
    if now.pin is not None:
        raise InvalidInput(
            f"{asked.model} is pinned to version {now.pin.version} ({now.pin.reason}). First: podium unpin {asked.model}"
        )
    if now.phase is not None and not now.phase.state.is_over and now.candidate is not None:
        raise AlreadyExists(
            f"A rollout of {where} to version {now.candidate} is {now.phase.state} at {now.phase.percent} %. "
            f"End it first: podium rollout finish {asked.model}, or podium rollout undo {asked.model}"
        )
    if now.version == asked.candidate:
        raise InvalidInput(f"{where} is version {asked.candidate} already; there is nothing to roll out.")
    veto = rejection(page.notices, asked.follows, asked.candidate)
    if veto is not None and not asked.is_again:
        raise AlreadyExists(
            f"Version {asked.candidate} was rejected: {veto.reason or 'no reason was given'} It is not tried again by "
            "itself; to try it all the same, add --again."
        )
    before = newest(page.notices.entries, asked.follows)
    at = _after([before.rollout.started_at] if before is not None else [], page.now)
    record = Rollout(
        asked.id, asked.model, asked.follows, stands_for, now.version or stands_for, asked.candidate, steps, interval_s,
        at, asked.by, asked.policy,
    )  # fmt: skip
    return Edit({record_key(asked.id): record_text(record)})


def note(asked: Note, follows: str, model: str, may_move: bool, page: RolloutPage) -> Edit:
    """Write a mark, unless it is there or has become meaningless; a finish moves what is followed, where that can be.

    Raises:
        NotFound: There is no such rollout.
        InvalidInput: It cannot be noted on a rollout in this state.
    """
    entry = find(page, follows, model, asked.rollout_id)
    now = phase(entry.rollout, entry.marks, page.now)
    if not _may(asked.kind, entry, now.state):
        return Edit()
    key = mark_key(entry.rollout.id, asked.kind, next_number(entry.marks, asked.kind))
    if key in page.tags:
        return Edit()
    mark = Mark(asked.kind, _after_marks(entry, page.now), asked.by, asked.reason, evidence=asked.evidence)
    stands_for, record = page.stands(follows), entry.rollout
    if asked.kind is MarkKind.FINISH:
        if stands_for not in {record.stands_for, record.candidate}:
            # Somebody moved it meanwhile, and the newest wish counts.
            gone = replace(mark, kind=MarkKind.SUPERSEDE, reason=f"{_where(model, follows)} is version {stands_for} now")
            return Edit({mark_key(record.id, MarkKind.SUPERSEDE): mark_text(gone)})
        mark = replace(mark, is_moved=may_move)
        return Edit({key: mark_text(mark)}, (follows, record.candidate) if may_move else None)
    if asked.kind is MarkKind.UNDO and may_move and stands_for == record.candidate:
        return Edit({key: mark_text(mark)}, (follows, record.stable))
    return Edit({key: mark_text(mark)})


def check_note(kind: MarkKind, follows: str, model: str, page: RolloutPage) -> None:
    """Say why a person cannot note this now.

    Raises:
        NotFound: There is no rollout.
        InvalidInput: It is in another state.
    """
    entry = find(page, follows, model)
    now = phase(entry.rollout, entry.marks, page.now)
    if _may(kind, entry, now.state):
        return
    over = ending(entry.marks)
    why = f": {over.reason}" if over is not None and over.reason else "."
    raise InvalidInput(
        f"The rollout of {_where(model, follows)} to version {entry.rollout.candidate} is {now.state}{why} "
        f"There is nothing to {kind}."
    )


def find(page: RolloutPage, follows: str, model: str, rollout_id: str | None = None) -> MarkedRollout:
    """The rollout that is meant. Raises NotFound."""
    entries = [each for each in page.notices.entries if rollout_id in {None, each.rollout.id}]
    entry = newest(entries, follows)
    if entry is None:
        others = sorted({each.rollout.follows for each in page.notices.entries} - {follows})
        hint = f" There are some of {', '.join(others)}: --stage, --alias." if others else ""
        raise NotFound(
            f"{_where(model, follows)} has no rollout.{hint} Start one: "
            f"podium rollout start {model} --to VERSION --steps 5,25,100 --interval 600"
        )
    return entry


def pin(asked: Pin, page: RolloutPage) -> Edit:
    """Hold a model's endpoints at a version; rollouts that run are paused, and go on when somebody resumes them.

    Raises:
        InvalidInput: The time is over already.
    """
    if asked.until <= page.now:
        raise InvalidInput("The time until which the version is to be held is over already by the registry's clock.")
    tags: dict[str, str | None] = {PIN_KEY: pin_text(replace(asked, at=page.now))}
    for follows in sorted({entry.rollout.follows for entry in page.notices.entries}):
        entry = newest(page.notices.entries, follows)
        if entry is not None and phase(entry.rollout, entry.marks, page.now).state is State.RUNNING:
            # Its clock would else go on while nobody gives it traffic.
            why = f"pinned to version {asked.version}: {asked.reason}"
            mark = Mark(MarkKind.PAUSE, _after_marks(entry, page.now), asked.by, why)
            tags[mark_key(entry.rollout.id, mark.kind, next_number(entry.marks, mark.kind))] = mark_text(mark)
    return Edit(tags)


def unpin(model: str, page: RolloutPage) -> Edit:
    """Let go. Raises NotFound when nothing is pinned."""
    if PIN_KEY not in page.tags:
        raise NotFound(f"{model} is not pinned.")
    return Edit({PIN_KEY: None})


def _may(kind: MarkKind, entry: MarkedRollout, state: State) -> bool:
    """Whether a mark says anything about a rollout in this state that is not said yet."""
    kinds = {mark.kind for mark in entry.marks}
    if kind in kinds and not kind.is_repeated:
        return False
    match kind:
        case MarkKind.PAUSE:
            return state is State.RUNNING
        case MarkKind.RESUME:
            return state is State.PAUSED
        case MarkKind.UNDO:
            return not state.is_over or (state is State.FINISHED and MarkKind.SUPERSEDE not in kinds)
        case MarkKind.SUPERSEDE:
            # Also of what is over: what served when it began may still serve by it, and not by the stage.
            return True
        case _:
            return not state.is_over


def _after_marks(entry: MarkedRollout, now: float) -> float:
    return _after([mark.at for mark in entry.marks], now)


def _after(earlier: Sequence[float], now: float) -> float:
    """The time of what is written now, which comes after what is there already.

    The clock of a remote registry shows whole seconds, two of its processes not the same: by it alone, what happens at once
    would happen at the same time, or the other way round.
    """
    last = max(earlier, default=0.0)
    return now if now > last else last + _STEP_S


def _where(model: str, follows: str) -> str:
    return f"models:/{model}{follows}" if follows.startswith("@") else f"models:/{model}/{follows}"
