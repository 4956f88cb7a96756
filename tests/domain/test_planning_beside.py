"""plan() with a candidate, a split, a shadow: what runs beside the version that is wanted, as a truth table."""

import pytest

from podium.domain.lifecycle import ReplicaState
from podium.domain.planning import (
    MOST_CRASHES,
    Candidate,
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
    beside,
    note_beside,
    note_end,
    note_wanted,
    plan,
)
from podium.domain.traffic import Target

BROKEN = Failure("import_error", "No module named 'nowhere'", 0.0)


def routes(text):
    """`6@95:1,2 7@5:3` gives version 6 weight 95 and replicas 1 and 2."""
    targets = []
    for word in text.split():
        name, _, ids = word.partition(":")
        version, _, weight = name.partition("@")
        targets.append(Target(version, int(weight), tuple(int(i) for i in ids.split(",") if i)))
    return tuple(targets)


def seen(text, table="", *, stable="6", vetoed=(), crashes=None, acknowledged=True, now=100.0):
    replicas = tuple(
        ObservedReplica(i, version, ReplicaState(state))
        for i, (version, state) in enumerate((word.split(":") for word in text.split()), start=1)
    )
    journal = Journal(stable=stable, vetoed=dict.fromkeys(vetoed, BROKEN), crashes=crashes or {})
    return Observed(replicas, routes(table), acknowledged, journal, now)


def trying(version, percent, *, stable="6", replicas=1, split=()):
    return Desired(stable, replicas, Candidate(version, percent), tuple(Candidate(*each) for each in split))


def to(text):
    return Publish(routes(text))


SERVES = "6@100:1"
FOUR = "6:ready 6:ready 6:ready 6:ready"
TABLE = [
    # a candidate comes
    ("it starts beside the stable one", trying("7", 5), seen("6:ready", SERVES), Start("7")),
    ("not before something serves", trying("7", 5, stable="6"), seen("6:starting", stable=None), None),
    ("while it loads nothing moves", trying("7", 5), seen("6:ready 7:starting", SERVES), None),
    ("ready, it is published without weight", trying("7", 5), seen("6:ready 7:ready", SERVES), to("6@100:1 7@0:2")),
    (
        "it has no weight while a gateway does not know it",
        trying("7", 5),
        seen("6:ready 7:ready", "6@100:1 7@0:2", acknowledged=False),
        None,
    ),
    ("all know it: it gets its part", trying("7", 5), seen("6:ready 7:ready", "6@100:1 7@0:2"), to("6@95:1 7@5:2")),
    ("that is the end", trying("7", 5), seen("6:ready 7:ready", "6@95:1 7@5:2"), None),
    ("a dark launch stays dark", trying("7", 0), seen("6:ready 7:ready", "6@100:1 7@0:2"), None),
    # it grows
    ("more is given at once", trying("7", 25), seen("6:ready 7:ready", "6@95:1 7@5:2"), to("6@75:1 7@25:2")),
    (
        "also while a gateway is late",
        trying("7", 25),
        seen("6:ready 7:ready", "6@95:1 7@5:2", acknowledged=False),
        to("6@75:1 7@25:2"),
    ),
    (
        "all of it leaves the stable one in the table",
        trying("7", 100),
        seen("6:ready 7:ready", "6@75:1 7@25:2"),
        to("6@0:1 7@100:2"),
    ),
    ("and does not make it the stable one", trying("7", 100), seen("6:ready 7:ready", "6@0:1 7@100:2"), None),
    ("less is taken at once", trying("7", 5), seen("6:ready 7:ready", "6@0:1 7@100:2"), to("6@95:1 7@5:2")),
    # several replicas
    (
        "one of four carries up to a quarter",
        trying("7", 25, replicas=4),
        seen(f"{FOUR} 7:ready", "6@75:1,2,3,4 7@25:5"),
        None,
    ),
    (
        "for more another is started",
        trying("7", 26, replicas=4),
        seen(f"{FOUR} 7:ready", "6@75:1,2,3,4 7@25:5"),
        Start("7"),
    ),
    (
        "and no more is given than is carried",
        trying("7", 100, replicas=4),
        seen(f"{FOUR} 7:ready 7:ready 7:starting 7:starting", "6@75:1,2,3,4 7@25:5"),
        to("6@50:1,2,3,4 7@50:5,6"),
    ),
    (
        "the stable one keeps all its replicas at 100 percent",
        trying("7", 100, replicas=2),
        seen("6:ready 6:ready 7:ready 7:ready", "6@0:1,2 7@100:3,4"),
        None,
    ),
    (
        "what too many carry is unpublished first",
        trying("7", 5, replicas=2),
        seen("6:ready 6:ready 7:ready 7:ready", "6@0:1,2 7@100:3,4"),
        to("6@95:1,2 7@5:3"),
    ),
    (
        "and then drained",
        trying("7", 5, replicas=2),
        seen("6:ready 6:ready 7:ready 7:ready", "6@95:1,2 7@5:3"),
        Drain(4),
    ),
    # it dies
    ("dead, it loses its weight at once", trying("7", 5), seen("6:ready", "6@95:1 7@5:2"), to(SERVES)),
    ("and comes back as a newcomer", trying("7", 5), seen("6:ready 7:ready", SERVES), to("6@100:1 7@0:2")),
    ("it is started again", trying("7", 5), seen("6:ready", SERVES, crashes={"7": Crashes(1, 100.0)}), Start("7")),
    ("after a wait", trying("7", 5), seen("6:ready", SERVES, crashes={"7": Crashes(2, 100.0)}), None),
    ("vetoed, it is not", trying("7", 5), seen("6:ready", SERVES, vetoed=["7"]), None),
    ("vetoed, it leaves the table", trying("7", 5), seen("6:ready 7:ready", "6@95:1 7@5:2", vetoed=["7"]), to(SERVES)),
    ("and is drained", trying("7", 5), seen("6:ready 7:ready", SERVES, vetoed=["7"]), Drain(2)),
    # the stable one dies
    ("the candidate takes all", trying("7", 5), seen("7:ready", "6@95:9 7@5:1"), to("6@0: 7@100:1")),
    ("but is not settled, and the stable one is mended", trying("7", 5), seen("7:ready", "6@0: 7@100:1"), Start("6")),
    ("back again it has what it had", trying("7", 5), seen("7:ready 6:ready", "6@0: 7@100:1"), to("6@95:2 7@5:1")),
    ("a dark one never takes over", trying("7", 0), seen("7:ready", "6@100:9 7@0:1"), to("")),
    # it ends
    ("taken back, it leaves the table", Desired("6"), seen("6:ready 7:ready", "6@75:1 7@25:2"), to(SERVES)),
    ("not drained before all know", Desired("6"), seen("6:ready 7:ready", SERVES, acknowledged=False), None),
    ("and is drained once all know", Desired("6"), seen("6:ready 7:ready", SERVES), Drain(2)),
    ("what still loads is stopped", Desired("6"), seen("6:ready 7:starting", SERVES), Stop(2)),
    ("wanted, it takes all from the same processes", Desired("7"), seen("6:ready 7:ready", "6@75:1 7@25:2"), to("7@100:2")),
    ("and is settled", Desired("7"), seen("6:ready 7:ready", "7@100:2"), Settle("7")),
    (
        "wanted with too few replicas it keeps what it has",
        Desired("7", 2),
        seen("6:ready 6:ready 7:ready", "6@75:1,2 7@25:3"),
        Start("7"),
    ),
    (
        "until they are there",
        Desired("7", 2),
        seen("6:ready 6:ready 7:ready 7:ready", "6@75:1,2 7@25:3"),
        to("7@100:3,4"),
    ),
    # others beside
    (
        "a split's other version and a candidate",
        trying("7", 5, split=[("8", 10)]),
        seen("6:ready 7:ready 8:ready", "6@100:1 7@0:2 8@0:3"),
        to("6@85:1 7@5:2 8@10:3"),
    ),
    (
        "a part of the wanted one is its own anyway",
        Desired("6", beside=(Candidate("6", 90), Candidate("8", 10))),
        seen("6:ready 8:ready", "6@100:1 8@0:2"),
        to("6@90:1 8@10:2"),
    ),
    (
        "a swap leaves the parts beside alone",
        Desired("7", beside=(Candidate("8", 10),)),
        seen("6:ready 7:ready 8:ready", "6@90:1 8@10:3"),
        to("7@90:2 8@10:3"),
    ),
    (
        "asleep nothing runs beside either",
        Desired("6", 0, Candidate("7", 5)),
        seen("6:ready 7:ready", "6@95:1 7@5:2"),
        to(""),
    ),
    ("and all are drained", Desired("6", 0, Candidate("7", 5)), seen("6:ready 7:ready"), Drain(1)),
]


@pytest.mark.parametrize(("desired", "world", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_next_action(desired, world, expected):
    """One row, one sentence of the specification."""
    assert expected == plan(desired, world)


def test_parts_are_added_up_and_bounded():
    """One version under two names has both parts; together they are never more than everything."""
    desired = Desired("6", 1, Candidate("7", 30), (Candidate("8", 40), Candidate("7", 20), Candidate("9", 40)))

    assert beside(desired, Journal(stable="6")) == (Candidate("7", 50), Candidate("8", 40), Candidate("9", 10))


def test_a_candidate_that_crashes_again_and_again_is_vetoed():
    """Otherwise it would take traffic and lose it, for ever. The stable one is restarted however often it dies."""
    journal = note_beside(Journal(wanted="6", stable="6"), Desired("6", 1, Candidate("7", 5)))
    for count in range(1, MOST_CRASHES + 1):
        assert "7" not in journal.vetoed
        journal = note_end(journal, "7", BROKEN, 1.0, is_routed=True, now=float(count))
        journal = note_end(journal, "6", BROKEN, 1.0, is_routed=True, now=float(count))

    assert journal.vetoed == {"7": BROKEN}


def test_a_veto_beside_outlives_a_swap_and_ends_when_it_is_wanted_anew():
    """Another stable version says nothing of the candidate; another candidate, or the same as the wanted one, does."""
    first = Desired("6", 1, Candidate("7", 5))
    journal = note_beside(note_wanted(Journal(stable="6"), "6"), first)
    journal = note_end(journal, "7", BROKEN, None, is_routed=False, now=1.0)

    assert note_wanted(journal, "8").vetoed == {"7": BROKEN}
    assert note_beside(journal, first).vetoed == {"7": BROKEN}
    assert note_wanted(journal, "7").vetoed == {}
    other = note_beside(journal, Desired("6", 1, Candidate("9", 5)))
    assert note_beside(other, first).vetoed == {}
