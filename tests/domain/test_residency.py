"""Who stays in memory as a truth table, and in thousands of random histories: never more than there is room for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.domain.capacity.residency import (
    TYPICAL_BYTES,
    Admit,
    Evict,
    Refuse,
    Resident,
    Room,
    WaitForRoom,
    estimate,
    make_room,
    too_many,
)


def residents(text):
    """`a:100@1 b:50@2busy c:10@3pinned d:5@0leaving`: name, bytes, last use, and what is so of it."""
    found = []
    for word in text.split():
        name, _, rest = word.partition(":")
        held, _, mark = rest.partition("@")
        used = mark.rstrip("abcdefghijklmnopqrstuvwxyz")
        kind = mark[len(used) :]
        found.append(Resident(name, int(held), float(used), kind == "busy", kind == "pinned", kind == "leaving"))
    return found


def room(budget=None, most=None, available=10_000):
    return Room(budget, most, available)


@pytest.mark.parametrize(
    ("needed", "present", "limits", "expected"),
    [
        (10, "", room(budget=10), Admit()),
        (10, "a:90@1", room(budget=100), Admit()),
        (11, "a:90@1", room(budget=100), Evict(("a",))),
        (20, "a:50@2 b:50@1", room(budget=100), Evict(("b",))),
        (60, "a:50@2 b:50@1", room(budget=100), Evict(("b", "a"))),
        (20, "a:50@2 b:50@1busy", room(budget=100), Evict(("a",))),
        (20, "a:50@2busy b:50@1busy", room(budget=100), WaitForRoom()),
        (60, "a:50@2 b:50@1busy", room(budget=100), WaitForRoom()),
        (20, "a:50@2leaving b:50@1", room(budget=100), WaitForRoom()),
        (60, "a:50@2leaving b:50@1", room(budget=100), Evict(("b",))),
        (20, "a:50@2pinned b:50@1", room(budget=100), Evict(("b",))),
        (10, "a:50@1", room(most=2), Admit()),
        (10, "a:50@1", room(most=1), Evict(("a",))),
        (10, "a:50@1busy", room(most=1), WaitForRoom()),
        (10, "a:50@1", room(available=10), Admit()),
        (20, "a:50@1", room(available=10), Evict(("a",))),
        (20, "", room(available=10), WaitForRoom()),
        (10, "a:5@2 b:5@1", room(budget=100, most=2), Evict(("b",))),
    ],
    ids=[
        "alone it may fill the budget", "it fits", "one byte too many", "the least recently used goes",
        "as many as it takes", "who is busy stays", "all are busy", "nobody goes in vain",
        "who leaves is waited for", "and others go for the rest", "who is pinned stays", "a place is free",
        "no place is free", "its place is busy", "the machine has it", "the machine has too little",
        "somebody else has it", "places count beside bytes",
    ],
)  # fmt: skip
def test_whether_one_more_fits(needed, present, limits, expected):
    """One row, one sentence."""
    assert make_room(needed, residents(present), limits) == expected


@pytest.mark.parametrize(
    ("needed", "present", "limits", "says"),
    [
        (101 << 20, "", room(budget=100 << 20), "It needs about 101 MiB, and the memory budget is 100 MiB."),
        (1 << 30, f"a:{2 << 30}@1pinned", room(budget=2 << 30, available=1 << 40), "held by models that always stay"),
        (1, "a:1@1pinned", room(most=1), "1 models always stay, and at most 1 may be loaded at a time."),
    ],
)
def test_what_never_fits_is_refused_with_the_reason(needed, present, limits, says):
    """At once: waiting would not help."""
    decision = make_room(needed, residents(present), limits)

    assert isinstance(decision, Refuse)
    assert says in decision.reason


def test_what_is_only_promised_to_those_that_stay_is_waited_for():
    """They load, and may take less than was thought: nobody is refused for good by a guess."""
    loading = Resident("a", 160, 1.0, is_busy=True, is_pinned=True, measured_bytes=30)

    assert make_room(60, [loading], room(budget=200)) == WaitForRoom()
    assert isinstance(make_room(171, [loading], room(budget=200)), Refuse)


def test_another_worker_of_a_resident_takes_no_place():
    """Only its memory counts."""
    assert make_room(10, residents("a:50@1busy"), room(most=1), is_new=False) == Admit()


@pytest.mark.parametrize(
    ("present", "limits", "expected"),
    [
        ("a:50@2 b:50@1", room(budget=100), ()),
        ("a:60@2 b:50@1", room(budget=100), ("b",)),
        ("a:60@2busy b:50@1busy", room(budget=100), ()),
        ("a:160@2busy b:50@1", room(budget=100), ("b",)),
        ("a:60@2 b:50@1leaving", room(budget=100), ()),
        ("", room(budget=100), ()),
    ],
    ids=["in bounds", "grown", "busy, all of them", "better than nothing", "it goes already", "nobody"],
)
def test_who_goes_when_models_have_grown(present, limits, expected):
    """What was estimated too low is mended."""
    assert too_many(residents(present), limits) == expected


def test_what_a_version_will_take():
    """What it took last time; else what others take, and its files."""
    assert estimate(70, [10, 20], 5) == 70
    assert estimate(None, [10, 20], 5) == 20
    assert estimate(None, [], 5) == TYPICAL_BYTES + 5


SIZES = st.integers(1, 60)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), SIZES, st.booleans()), max_size=60), st.integers(60, 200), st.integers(1, 6))
def test_in_any_history_what_is_held_and_promised_is_within_the_room(history, budget, most):
    """Models that are asked for in any order, busy or not; who is evicted leaves by itself, and nobody who is busy goes."""
    held: dict[int, int] = {}
    busy: set[int] = set()
    used: dict[int, float] = {}
    for clock, (name, size, is_busy) in enumerate(history):
        used[name] = clock
        (busy.add if is_busy else busy.discard)(name)
        if name in held:
            continue
        world = [Resident(str(each), size, used[each], each in busy) for each, size in held.items()]
        decision = make_room(size, world, Room(budget, most, 10_000))
        if isinstance(decision, Evict):
            assert not {int(gone) for gone in decision.names} & busy
            stay = [each for each in held if str(each) not in decision.names and each not in busy]
            assert all(used[int(gone)] < used[each] for gone in decision.names for each in stay)
            for gone in decision.names:
                del held[int(gone)]
            world = [Resident(str(each), size, used[each], each in busy) for each, size in held.items()]
            assert make_room(size, world, Room(budget, most, 10_000)) == Admit()
            decision = Admit()
        if decision == Admit():
            held[name] = size
        assert sum(held.values()) <= budget
        assert len(held) <= most
