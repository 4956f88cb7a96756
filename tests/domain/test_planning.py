"""plan() as a truth table: what is seen, what is wanted, the one next action."""

import dataclasses

import pytest

from podium.domain.causes import KILLED
from podium.domain.lifecycle import ReplicaState
from podium.domain.planning import (
    Crashes,
    Desired,
    Drain,
    Failure,
    Journal,
    Observed,
    ObservedReplica,
    Publish,
    Settle,
    Start,
    Stop,
    goal,
    is_hopeless,
    note_end,
    note_settled,
    note_wanted,
    plan,
    restart_at,
)
from podium.domain.traffic import Target

BROKEN = Failure("import_error", "No module named 'nowhere'", 0.0)


def seen(text="", routes="", *, stable=None, vetoed=(), crashes=None, acknowledged=True, now=100.0):
    """`6:ready 7:starting` are replicas 1 and 2; `6:1,3` routes version 6 to replicas 1 and 3."""
    replicas = tuple(
        ObservedReplica(i, version, ReplicaState(state))
        for i, (version, state) in enumerate((word.split(":") for word in text.split()), start=1)
    )
    targets = tuple(
        Target(version, 100, tuple(int(i) for i in ids.split(",")))
        for version, ids in (word.split(":") for word in routes.split())
    )
    journal = Journal(stable=stable, vetoed=dict.fromkeys(vetoed, BROKEN), crashes=crashes or {})
    return Observed(replicas, targets, acknowledged, journal, now)


def to(version, *ids):
    return Publish((Target(version, 100, ids),))


THREE = seen("6:ready 6:ready 6:ready 7:ready 7:starting", "6:1,2,3", stable="6")

TABLE = [
    # the first version
    ("an empty house starts what is wanted", "6", 1, seen(), Start("6")),
    ("what is starting is awaited", "6", 1, seen("6:starting"), None),
    ("what is ready is published", "6", 1, seen("6:ready"), to("6", 1)),
    ("what everybody routes to is written down", "6", 1, seen("6:ready", "6:1"), Settle("6")),
    ("what not everybody routes to is not", "6", 1, seen("6:ready", "6:1", acknowledged=False), None),
    ("the goal is the end", "6", 1, seen("6:ready", "6:1", stable="6"), None),
    ("nothing wanted, nothing done", None, 1, seen(), None),
    ("two replicas start together", "6", 2, seen("6:starting"), Start("6")),
    ("half of the first version is better than nothing", "6", 2, seen("6:ready 6:starting"), to("6", 1)),
    ("the other half joins", "6", 2, seen("6:ready 6:ready", "6:1", stable="6"), to("6", 1, 2)),
    # a swap
    ("the new version starts beside the old one", "7", 1, seen("6:ready", "6:1", stable="6"), Start("7")),
    ("a starting replica gets no traffic", "7", 1, seen("6:ready 7:starting", "6:1", stable="6"), None),
    ("a ready one takes over", "7", 1, seen("6:ready 7:ready", "6:1", stable="6"), to("7", 2)),
    (
        "the old one is not drained before all route by the new table",
        "7",
        1,
        seen("6:ready 7:ready", "7:2", stable="6", acknowledged=False),
        None,
    ),
    ("acknowledged, the new one is the stable one", "7", 1, seen("6:ready 7:ready", "7:2", stable="6"), Settle("7")),
    ("then the old one is drained", "7", 1, seen("6:ready 7:ready", "7:2", stable="7"), Drain(1)),
    ("a draining one is left alone", "7", 1, seen("6:draining 7:ready", "7:2", stable="7"), None),
    ("of a newcomer one replica is tried first", "7", 2, seen("6:ready 6:ready 7:starting", "6:1,2", stable="6"), None),
    ("then the others start together", "7", 3, THREE, Start("7")),
    (
        "half a new version takes nothing over",
        "7",
        2,
        seen("6:ready 6:ready 7:ready 7:starting", "6:1,2", stable="6"),
        None,
    ),
    (
        "a whole new version does",
        "7",
        2,
        seen("6:ready 6:ready 7:ready 7:ready", "6:1,2", stable="6"),
        to("7", 3, 4),
    ),
    (
        "of two old ones the first goes first",
        "7",
        2,
        seen("6:ready 6:ready 7:ready 7:ready", "7:3,4", stable="7"),
        Drain(1),
    ),
    # the mind is changed
    ("what is starting for nobody is stopped", "8", 1, seen("6:ready 7:starting", "6:1", stable="6"), Stop(2)),
    ("back to what serves: the newcomer is stopped", "6", 1, seen("6:ready 7:starting", "6:1", stable="6"), Stop(2)),
    ("back to what serves: the ready newcomer is drained", "6", 1, seen("6:ready 7:ready", "6:1", stable="6"), Drain(2)),
    ("back before it was settled", "6", 1, seen("6:ready 7:ready", "7:2", stable="6"), to("6", 1)),
    ("back to one that drains: it is started anew", "6", 1, seen("6:draining 7:ready", "7:2", stable="7"), Start("6")),
    # the source is silent
    ("a silent source unloads nothing", None, 1, seen("6:ready", "6:1", stable="6"), None),
    ("a silent source does not end a crash's repair", None, 1, seen(stable="6"), Start("6")),
    ("what is wanted no more is not brought up", None, 1, seen("6:ready 7:starting", "6:1", stable="6"), Stop(2)),
    # a broken version
    ("a vetoed version is not tried again", "7", 1, seen("6:ready", "6:1", stable="6", vetoed=["7"]), None),
    (
        "a vetoed version's other replica ends",
        "7",
        2,
        seen("6:ready 6:ready 7:starting", "6:1,2", stable="6", vetoed=["7"]),
        Stop(3),
    ),
    ("a vetoed first version leaves an empty house", "7", 1, seen(vetoed=["7"]), None),
    ("another version is tried", "8", 1, seen("6:ready", "6:1", stable="6", vetoed=["7"]), Start("8")),
    # a crash
    ("a dead replica leaves the table at once", "6", 1, seen("", "6:1", stable="6"), Publish(())),
    ("a crashed replica is replaced at once", "6", 1, seen(stable="6", crashes={"6": Crashes(1, 100.0)}), Start("6")),
    ("a second crash waits a second", "6", 1, seen(stable="6", crashes={"6": Crashes(2, 99.5)}), None),
    ("and not longer", "6", 1, seen(stable="6", crashes={"6": Crashes(2, 99.0)}), Start("6")),
    ("its sister serves on", "6", 2, seen("6:ready", "6:1,2", stable="6"), to("6", 1)),
    ("the old one is mended while the new one loads", "7", 1, seen("7:starting", stable="6"), Start("6")),
    ("the old one first, for it serves", "7", 2, seen("6:ready", "6:1", stable="6"), Start("6")),
    (
        "half of the new one is better than nothing",
        "7",
        2,
        seen("7:ready 7:starting 6:starting 6:starting", stable="6"),
        to("7", 1),
    ),
    ("a crash right after the switch falls back", "7", 1, seen("6:ready", "7:2", stable="6"), to("6", 1)),
    # more than wanted
    ("one too many is taken out of the table", "6", 1, seen("6:ready 6:ready", "6:1,2", stable="6"), to("6", 1)),
    ("and then drained", "6", 1, seen("6:ready 6:ready", "6:1", stable="6"), Drain(2)),
    # sleep
    ("an endpoint that sleeps starts nothing", "6", 0, seen(), None),
    ("to sleep, it leaves the table first", "6", 0, seen("6:ready", "6:1", stable="6"), Publish(())),
    ("and is not drained before all know", "6", 0, seen("6:ready", stable="6", acknowledged=False), None),
    ("then it is drained", "6", 0, seen("6:ready", stable="6"), Drain(1)),
    ("one after the other", "6", 0, seen("6:draining 6:ready", stable="6"), Drain(2)),
    ("what is still starting is stopped", "6", 0, seen("6:ready 6:starting", "6:1", acknowledged=False), Publish(())),
    ("at once", "6", 0, seen("6:ready 6:starting", stable="6", acknowledged=False), Stop(2)),
    ("a swap goes to sleep whole", "7", 0, seen("6:ready 7:starting", stable="6"), Drain(1)),
    ("what it was is remembered", "6", 0, seen("6:draining", stable="6"), None),
    ("a dead replica of a sleeper is not replaced", "6", 0, seen(stable="6", crashes={"6": Crashes(9, 0.0)}), None),
    ("a silent source does not wake it", None, 0, seen(stable="6"), None),
    ("a veto neither", "7", 0, seen(stable="6", vetoed=["7"]), None),
    ("awake again, what was stable starts", "6", 1, seen(stable="6"), Start("6")),
    ("also where the source is silent", None, 1, seen(stable="6"), Start("6")),
    ("also beside one that still drains", "6", 1, seen("6:draining", stable="6"), Start("6")),
    ("awake before it was drained, it serves on", "6", 1, seen("6:ready", stable="6"), to("6", 1)),
    ("another version was wanted meanwhile: the stable one first", "7", 1, seen(stable="6"), Start("6")),
    ("and the new one beside it", "7", 1, seen("6:starting", stable="6"), Start("7")),
]


@pytest.mark.parametrize(
    ("wanted", "replicas", "world", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_next_action(wanted, replicas, world, expected):
    """One row, one sentence of the specification."""
    assert expected == plan(Desired(wanted, replicas), world)


def test_first_restarts_are_free_and_later_ones_wait_longer_and_longer():
    """Each replica may die once; after each round of deaths 1, 2, 4 ... and never more than 30 seconds."""
    alone = [restart_at(Crashes(count, 0.0), replicas=1) for count in (1, 2, 3, 4, 5, 6, 7, 8, 1000)]
    two = [restart_at(Crashes(count, 0.0), replicas=2) for count in (1, 2, 3, 4, 5, 6, 7, 8, 9, 1000)]

    assert alone == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert two == [0, 0, 1, 1, 2, 2, 4, 4, 8, 30]


def test_a_version_that_never_loaded_is_vetoed():
    """It died before it was ready and nothing routes to it."""
    after = note_end(Journal(wanted="7", stable="6"), "7", BROKEN, None, is_routed=False, now=5.0)

    assert (after.vetoed, after.crashes) == ({"7": BROKEN}, {})


def test_a_version_that_was_killed_while_it_loaded_is_tried_again():
    """Whoever did it, it says nothing of the version; the third time in a row is enough."""
    killed, journal = Failure(KILLED, "SIGKILL", 5.0), Journal(wanted="7", stable="6")
    told = []
    for now in (5.0, 6.0, 7.0):
        journal = note_end(journal, "7", killed, None, is_routed=False, now=now)
        told.append(dict(journal.vetoed))

    assert told == [{}, {}, {"7": killed}]
    assert journal.crashes == {"7": Crashes(3, 7.0)}


def test_a_version_that_was_ready_is_restarted_not_vetoed():
    """A death after ready is a crash."""
    after = note_end(Journal(wanted="7", stable="6"), "7", BROKEN, 0.5, is_routed=False, now=5.0)

    assert ({}, {"7": Crashes(1, 5.0)}) == (after.vetoed, after.crashes)


def test_the_stable_version_is_never_vetoed():
    """A restart that fails to load is one more crash; the serving version may not be left short for ever."""
    journal = Journal(wanted="6", stable="6", crashes={"6": Crashes(1, 4.0)})

    after = note_end(journal, "6", BROKEN, None, is_routed=False, now=5.0)

    assert ({}, {"6": Crashes(2, 5.0)}) == (after.vetoed, after.crashes)


def test_a_long_good_life_is_not_held_against_a_version():
    """Ready for a minute: the count starts anew."""
    journal = Journal(wanted="6", stable="6", crashes={"6": Crashes(5, 4.0)})

    assert Crashes(1, 99.0) == note_end(journal, "6", BROKEN, 60.0, is_routed=True, now=99.0).crashes["6"]


def test_another_wish_lifts_the_veto_and_silence_does_not():
    """Wanted 7 (broken), nothing, 7 again: still vetoed. 6 in between: tried again."""
    journal = Journal(wanted="7", stable="6", vetoed={"7": BROKEN})

    assert journal == note_wanted(note_wanted(journal, None), "7")
    assert note_wanted(note_wanted(journal, "6"), "7").vetoed == {}


def test_the_goal_of_a_vetoed_wish_is_what_serves():
    """Traffic, restarts and status all work towards the goal."""
    journal = note_settled(Journal(wanted="7", vetoed={"7": BROKEN}), "6")

    assert [goal(Desired(version), journal) for version in ("7", "8", None)] == ["6", "8", "6"]


def test_the_values_are_frozen():
    """What was seen cannot be changed by whoever looks at it."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen().now = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wanted", "stable", "vetoed", "expected"),
    [
        ("7", None, (), False),
        ("7", None, ("7",), True),
        ("7", "6", ("7",), False),
        (None, None, (), True),
        (None, "6", (), False),
    ],
    ids=["it loads", "it did not load", "another serves", "nothing was ever found", "what served goes on"],
)
def test_without_hope_is_what_never_served_and_is_not_tried(wanted, stable, vetoed, expected):
    """Nobody need wait for it, until something else is wanted."""
    journal = Journal(wanted=wanted, stable=stable, vetoed=dict.fromkeys(vetoed, BROKEN))

    assert is_hopeless(Desired(wanted), journal) is expected
