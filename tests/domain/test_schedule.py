"""phase() and course() as truth tables: what is recorded, what time it is, who gets which share."""

import itertools
import random
from dataclasses import replace

import pytest

from podium.domain.rollouts.judging import Criterion, Figure, JudgingPolicy, Opinion, Verdict
from podium.domain.rollouts.schedule import (
    Course,
    Mark,
    MarkedRollout,
    MarkKind,
    Pin,
    Rollout,
    RolloutNotices,
    RolloutPhase,
    State,
    course,
    ending,
    may_finish,
    newest,
    phase,
    rejection,
)

ROLLOUT = Rollout("r1", "fraud", "production", "6", "6", "7", (5, 25, 100), 10.0, 100.0, "ann@host/1")


def marks(text: str) -> tuple[Mark, ...]:
    """`begin@110 pause@115`."""
    pairs = (word.split("@") for word in text.split())
    return tuple(Mark(MarkKind(kind), float(at), "node") for kind, at in pairs)


PHASES = [
    ("nothing before the candidate is loaded", "", 500, RolloutPhase(0, State.RUNNING, None, is_begun=False)),
    ("the first step begins with the mark", "begin@110", 110, RolloutPhase(5, State.RUNNING, 120)),
    ("and lasts an interval", "begin@110", 119.9, RolloutPhase(5, State.RUNNING, 120)),
    ("then the second", "begin@110", 120, RolloutPhase(25, State.RUNNING, 130)),
    ("then all", "begin@110", 131, RolloutPhase(100, State.RUNNING, 140)),
    ("after the last interval the end is due", "begin@110", 140, RolloutPhase(100, State.RUNNING, None, is_due=True)),
    ("and overdue after that", "begin@110", 147, RolloutPhase(100, State.RUNNING, None, is_due=True, overdue_s=7.0)),
    ("a clock before the beginning shows the first step", "begin@110", 50, RolloutPhase(5, State.RUNNING, 120 - 60)),
    ("a pause holds the share", "begin@110 pause@121", 900, RolloutPhase(25, State.PAUSED)),
    ("it goes on where it stood", "begin@110 pause@121 resume@221", 222, RolloutPhase(25, State.RUNNING, 230)),
    ("two pauses add up", "begin@110 pause@111 resume@121 pause@122 resume@132", 133, RolloutPhase(5, State.RUNNING, 140)),
    ("a second pause is one pause", "begin@110 pause@121 pause@125 resume@130", 131, RolloutPhase(25, State.RUNNING, 139)),
    ("a pause before the beginning keeps it from beginning", "pause@105 begin@110", 200, RolloutPhase(5, State.PAUSED)),
    ("and it begins with the resumption", "pause@105 begin@110 resume@150", 151, RolloutPhase(5, State.RUNNING, 160)),
    ("paused at its end it is not due", "begin@110 pause@145", 500, RolloutPhase(100, State.PAUSED)),
    ("a veto takes everything back", "begin@110 veto@125", 126, RolloutPhase(0, State.REJECTED)),
    ("for ever", "begin@110 veto@125 resume@130 finish@140", 999, RolloutPhase(0, State.REJECTED)),
    ("an undo, too", "begin@110 undo@125", 126, RolloutPhase(0, State.UNDONE)),
    ("a finish gives everything", "begin@110 finish@112", 113, RolloutPhase(100, State.FINISHED)),
    ("even to what never began", "finish@102", 113, RolloutPhase(100, State.FINISHED)),
    ("a veto after it comes too late", "begin@110 finish@112 veto@113", 114, RolloutPhase(100, State.FINISHED)),
    ("an undo does not", "begin@110 finish@112 undo@113", 114, RolloutPhase(0, State.UNDONE)),
    (
        "of two ends at one instant the careful one counts",
        "begin@110 finish@112 veto@112",
        114,
        RolloutPhase(0, State.REJECTED),
    ),
    ("somebody else's wish ends it", "begin@110 supersede@120", 121, RolloutPhase(0, State.SUPERSEDED)),
]


@pytest.mark.parametrize(("noted", "now", "expected"), [row[1:] for row in PHASES], ids=[row[0] for row in PHASES])
def test_the_phase(noted, now, expected):
    """One row, one sentence of the specification; the order in which marks are read does not matter."""
    assert {expected} == {phase(ROLLOUT, order, now) for order in itertools.permutations(marks(noted))}


def test_the_share_never_falls_while_it_runs():
    """Whatever is paused and resumed when."""
    luck = random.Random(7)
    for _ in range(300):
        noted = [f"begin@{luck.uniform(100, 120)}"]
        noted += [f"{luck.choice(['pause', 'resume'])}@{luck.uniform(90, 200)}" for _ in range(luck.randrange(6))]
        known = marks(" ".join(noted))
        shares = [phase(ROLLOUT, known, now).percent for now in range(200, 300)]
        assert shares == sorted(shares)


def entry(noted="", record=ROLLOUT):
    return MarkedRollout(record, marks(noted))


MOVED = MarkedRollout(ROLLOUT, (Mark(MarkKind.FINISH, 140.0, "node", is_moved=True),))
NEXT = Rollout("r2", "fraud", "production", "6", "7", "8", (100,), 10.0, 200.0, "ann@host/1")

COURSES = [
    ("without a rollout what is followed serves", (), "6", ("6", None, 0)),
    ("before its candidate is loaded it loads beside", (entry(),), "6", ("6", "7", 0)),
    ("then it has its share", (entry("begin@110"),), "6", ("6", "7", 100)),
    ("a rejected one has none", (entry("begin@110 veto@112"),), "6", ("6", None, 0)),
    ("an undone one has none", (entry("begin@110 undo@112"),), "6", ("6", None, 0)),
    ("a finished one serves although nothing was moved", (entry("begin@110 finish@112"),), "6", ("7", None, 0)),
    ("until somebody undoes it", (entry("begin@110 finish@112 undo@113"),), "6", ("6", None, 0)),
    ("what was moved to it serves", (MOVED,), "7", ("7", None, 0)),
    ("and a rollback after that counts", (MOVED,), "6", ("6", None, 0)),
    ("promoted by hand it is over", (entry("begin@110"),), "7", ("7", None, 0)),
    ("a move by hand counts", (entry("begin@110"),), "9", ("9", None, 0)),
    ("also after the move was taken back", (entry("begin@110 supersede@115"),), "6", ("6", None, 0)),
    ("a finish ends with the next move by hand", (entry("begin@110 finish@112 supersede@120"),), "6", ("6", None, 0)),
    ("nothing followed, nothing tried", (entry("begin@110"),), None, (None, None, 0)),
    ("the newest counts", (entry("begin@110 finish@112"), entry("", NEXT)), "6", ("7", "8", 0)),
    ("which starts from what served", (entry("begin@110 finish@112"), entry("veto@210", NEXT)), "6", ("7", None, 0)),
]


@pytest.mark.parametrize(("entries", "followed", "expected"), [r[1:] for r in COURSES], ids=[r[0] for r in COURSES])
def test_the_course(entries, followed, expected):
    """One row, one sentence of the specification."""
    found = course(RolloutNotices(tuple(entries)), "production", followed, 135.0)

    assert expected == (found.version, found.candidate, found.percent)


def test_a_move_by_somebody_else_is_told_until_it_is_noted():
    """So that every node hears of it, also those that did not see it."""
    assert course(RolloutNotices((entry("begin@110"),)), "production", "9", 135.0).is_overtaken
    assert not course(RolloutNotices((entry("begin@110 supersede@120"),)), "production", "9", 135.0).is_overtaken
    assert not course(RolloutNotices((entry("begin@110"),)), "production", "7", 135.0).is_overtaken


def test_a_pin_holds_against_everything_until_its_time():
    """Against a rollout, and against what is followed."""
    pin = Pin("5", 150.0, "the audit", "ann", 100.0)
    notices = RolloutNotices((entry("begin@110"),), pin)

    held = course(notices, "production", "9", 149.9)

    assert ("5", None, pin) == (held.version, held.candidate, held.pin)
    assert Course("9", None, 0, entry("begin@110"), phase(ROLLOUT, marks("begin@110"), 150.0), is_overtaken=True) == course(
        notices, "production", "9", 150.0
    )


def test_a_rollout_of_another_stage_is_no_concern():
    """An endpoint follows one stage or alias."""
    assert newest((entry("begin@110"),), "@champion") is None


def test_a_rejection_is_remembered_until_the_version_was_tried_again():
    """Why it was rejected is what whoever starts it again is told."""
    again = Rollout("r3", "fraud", "production", "6", "6", "7", (100,), 10.0, 300.0, "ann@host/1")
    rejected = entry("begin@110 veto@112")

    found = rejection(RolloutNotices((rejected,)), "production", "7")

    assert found == ending(rejected.marks)
    assert rejection(RolloutNotices((rejected, entry("finish@301", again))), "production", "7") is None
    assert rejection(RolloutNotices((rejected,)), "production", "8") is None


SOFTLY = Verdict(Opinion.FINE, figures={Criterion.ERRORS: Figure(0.0, 0.02, 700, 90.0, 500.0)}, answered=700)
UNKNOWN = Verdict(Opinion.UNKNOWN, figures={Criterion.ERRORS: Figure(0.0, 0.0, 20, 0.0, 500.0)}, answered=20)
FINE = replace(UNKNOWN, opinion=Opinion.FINE)
UNSEEN = Verdict(Opinion.UNKNOWN, answered=19)


@pytest.mark.parametrize(
    ("verdict", "now", "expected"),
    [(FINE, 139, False), (FINE, 140, True), (SOFTLY, 140, False), (SOFTLY, 169, False), (SOFTLY, 170, True)],
)
def test_what_speaks_softly_against_a_candidate_holds_its_end_back_for_a_while(verdict, now, expected):
    assert may_finish(ROLLOUT, phase(ROLLOUT, marks("begin@110"), now), verdict) is expected


def test_a_candidate_of_which_too_little_is_known_takes_over_only_where_that_was_said():
    """However long its steps are over: they may have been too short to tell."""
    careless = replace(ROLLOUT, policy=JudgingPolicy(detect=None))

    assert not may_finish(ROLLOUT, phase(ROLLOUT, marks("begin@110"), 1e6), UNKNOWN)
    assert may_finish(careless, phase(careless, marks("begin@110"), 140), UNKNOWN)


def test_a_candidate_that_nobody_asked_takes_over_only_where_that_was_said():
    """However long its steps are over: where the model slept meanwhile, nothing is known of it."""
    by_the_clock = replace(ROLLOUT, policy=JudgingPolicy(least_requests=0))

    assert not may_finish(ROLLOUT, phase(ROLLOUT, marks("begin@110"), 1e6), UNSEEN)
    assert may_finish(by_the_clock, phase(by_the_clock, marks("begin@110"), 140), Verdict(Opinion.UNKNOWN))
