"""The batcher's judgement as a truth table, and its laws as properties."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.batching import BatchPolicy, Dispatch, LatencyModel, Previous, Wait, decide


@dataclass(frozen=True)
class Item:
    rows: int = 1
    merge_key: str | None = "a"
    deadline_ns: int = 0
    requests: int = 1
    each_rows: int | None = None

    @property
    def widest(self) -> int:
        return self.rows if self.each_rows is None else self.each_rows


def queue(text: str) -> list[Item]:
    """`a b3 - a:9`: key, rows (1 unless said), deadline after a colon; `-` merges with nobody."""
    items = []
    for entry in text.split():
        word, _, deadline = entry.partition(":")
        items.append(Item(int(word[1:] or 1), None if word[0] == "-" else word[0], int(deadline or 0)))
    return items


TABLE = [
    # why, queue, policy, picked
    ("a lone request runs at once", "a", {}, (0,)),
    ("all that wait run together", "a a a", {}, (0, 1, 2)),
    ("another key stays, in its place", "a b a", {}, (0, 2)),
    ("a request that merges with nobody runs alone", "- a a", {}, (0,)),
    ("and is never merged into a batch", "a - a", {}, (0, 2)),
    ("two that merge with nobody do not merge with each other", "- -", {}, (0,)),
    ("rows are counted, not requests", "a2 a2 a2", {"max_rows": 4}, (0, 1)),
    ("the first that does not fit ends the batch, in order", "a2 a3 a1", {"max_rows": 4}, (0,)),
    ("the cap is reached exactly", "a2 a1 a1 a1", {"max_rows": 4}, (0, 1, 2)),
    ("requests are capped too", "a a a", {"max_requests": 2}, (0, 1)),
    ("a big request runs by itself", "a65 a a", {}, (0,)),
    ("64 rows are not big", "a64 a a", {}, (0, 1, 2)),
    ("a big request does not join a batch", "a a65 a", {}, (0, 2)),
    ("one request alone may pass the cap", "a9 a", {"max_rows": 4}, (0,)),
    ("an empty request counts no row", "a0 a a", {"max_rows": 2}, (0, 1, 2)),
]


@pytest.mark.parametrize(("why", "text", "limits", "picked"), TABLE, ids=[row[0] for row in TABLE])
def test_picks_by_the_truth_table(why: str, text: str, limits: dict[str, int], picked: tuple[int, ...]) -> None:
    assert Dispatch(picked) == decide(queue(text), 0, LatencyModel(), BatchPolicy(**limits))


def group(requests: int, rows_each: int = 1) -> Item:
    """Requests that came in one frame."""
    return Item(rows=requests * rows_each, requests=requests, each_rows=rows_each)


GROUPS = [
    # why, queue, policy, picked
    ("a group of many single rows is not one big request", [group(100), group(100)], {}, (0, 1)),
    ("a group is taken whole or not at all", [group(3), group(3), group(1)], {"max_rows": 4}, (0,)),
    ("its requests count against the cap", [group(3), group(3)], {"max_requests": 5}, (0,)),
    ("a group of one big request runs by itself", [group(1, 65), group(2)], {}, (0,)),
    ("a big request in a group does not join a batch", [group(2), group(1, 65), group(2)], {}, (0, 2)),
]


@pytest.mark.parametrize(("why", "items", "limits", "picked"), GROUPS, ids=[row[0] for row in GROUPS])
def test_groups_are_picked_by_the_truth_table(
    why: str, items: list[Item], limits: dict[str, int], picked: tuple[int, ...]
) -> None:
    assert Dispatch(picked) == decide(items, 0, LatencyModel(), BatchPolicy(**limits))


def test_a_group_of_fewer_than_before_gathers_though_it_is_one_entry() -> None:
    cost = LatencyModel(fixed_ns=1000)

    assert Wait(190) == decide([group(3)], 100, cost, BatchPolicy(), Previous(4, 4, 90))


def test_a_group_of_one_is_a_lone_request_and_never_waits() -> None:
    assert Dispatch((0,)) == decide([group(1)], 100, LatencyModel(fixed_ns=1000), BatchPolicy(), Previous(4, 4, 90))


DEADLINES = [
    # why, queue, picked; a call costs 2 per row and 10 at all, now is 100
    ("nothing is late: all run", "a:1000 a:1000 a", (0, 1, 2)),
    ("the third would make the first late", "a:114 a a", (0, 1)),
    ("the third would make the second late", "a a:114 a", (0, 1)),
    ("what is late anyway holds nobody back", "a:105 a a", (0, 1, 2)),
    ("nor does one that is late anyway hide another's deadline", "a0:110 a2:105 a1", (0,)),
    ("a deadline met exactly is met", "a:116 a a", (0, 1, 2)),
]


@pytest.mark.parametrize(("why", "text", "picked"), DEADLINES, ids=[row[0] for row in DEADLINES])
def test_adds_nothing_that_makes_another_late(why: str, text: str, picked: tuple[int, ...]) -> None:
    assert Dispatch(picked) == decide(queue(text), 100, LatencyModel(per_row_ns=2, fixed_ns=10), BatchPolicy())


GATHER = [
    # why, queue, previous (requests, ended), gather_share, answer; a call costs 1000 whatever its rows, now is 100
    ("at the start nothing is gathered", "a a", None, 0.1, Dispatch((0, 1))),
    ("after a batch of more, gather a tenth", "a a", (4, 90), 0.1, Wait(190)),
    ("a lone request never waits", "a", (4, 90), 0.1, Dispatch((0,))),
    ("as many are there again", "a a a a", (4, 90), 0.1, Dispatch((0, 1, 2, 3))),
    ("after a single one nobody waits", "a a", (1, 90), 0.1, Dispatch((0, 1))),
    ("the window is over", "a a", (4, 0), 0.1, Dispatch((0, 1))),
    ("no window is wanted", "a a", (4, 100), 0.0, Dispatch((0, 1))),
    ("what merges with nobody does not wait", "- a", (4, 90), 0.1, Dispatch((0,))),
    ("a big request does not wait", "a65 a", (4, 90), 0.1, Dispatch((0,))),
    ("the oldest would miss its deadline", "a:1100 a", (4, 90), 0.1, Dispatch((0, 1))),
    ("the oldest can afford to wait", "a:1190 a", (4, 90), 0.1, Wait(190)),
]


@pytest.mark.parametrize(("why", "text", "before", "share", "answer"), GATHER, ids=[row[0] for row in GATHER])
def test_gathers_by_the_truth_table(
    why: str, text: str, before: tuple[int, int] | None, share: float, answer: Dispatch | Wait
) -> None:
    previous = None if before is None else Previous(before[0], before[0], before[1])

    assert answer == decide(queue(text), 100, LatencyModel(fixed_ns=1000), BatchPolicy(gather_share=share), previous)


def test_a_window_is_never_longer_than_its_limit() -> None:
    cost, policy = LatencyModel(fixed_ns=1e12), BatchPolicy(gather_limit_ns=7)

    assert Wait(107) == decide(queue("a a"), 100, cost, policy, Previous(4, 4, 100))


ITEMS = st.lists(
    st.builds(
        Item,
        rows=st.integers(0, 80),
        merge_key=st.sampled_from(["a", "b", None]),
        deadline_ns=st.one_of(st.just(0), st.integers(1, 5000)),
    ),
    min_size=1,
    max_size=40,
)
COSTS = st.builds(LatencyModel, per_row_ns=st.floats(0, 100), fixed_ns=st.floats(0, 1000))
POLICIES = st.builds(BatchPolicy, max_rows=st.integers(1, 300), max_requests=st.integers(1, 50))


@given(ITEMS, st.integers(0, 5000), COSTS, POLICIES)
def test_laws_hold_for_any_queue(items: list[Item], now: int, cost: LatencyModel, policy: BatchPolicy) -> None:
    """The oldest runs, keys are equal, caps hold, order is kept, and nobody is made late by company."""
    decision = decide(items, now, cost, policy)

    assert isinstance(decision, Dispatch)
    batch = [items[position] for position in decision.picked]
    assert decision.picked[0] == 0
    assert list(decision.picked) == sorted(set(decision.picked))
    if len(batch) > 1:
        assert {item.merge_key for item in batch} == {items[0].merge_key} != {None}
        assert sum(item.rows for item in batch) <= policy.max_rows
        assert len(batch) <= policy.max_requests
        assert all(item.rows <= policy.merge_rows for item in batch)
    total = 0
    for count, item in enumerate(batch, 1):
        before, total = total, total + item.rows
        for earlier in batch[: count - 1]:
            was_in_time = now + cost.cost_ns(before) <= earlier.deadline_ns
            assert not (earlier.deadline_ns and was_in_time) or now + cost.cost_ns(total) <= earlier.deadline_ns


@given(ITEMS, st.integers(0, 5000), COSTS, st.integers(0, 50), st.integers(0, 5000))
def test_a_wait_ends_and_is_short(items: list[Item], now: int, cost: LatencyModel, requests: int, ended: int) -> None:
    decision = decide(items, now, cost, BatchPolicy(), Previous(requests, requests, ended))

    if isinstance(decision, Wait):
        assert len(items) > 1
        assert now < decision.until_ns <= ended + 0.1 * cost.cost_ns(requests)
        assert isinstance(
            decide(items, decision.until_ns, cost, BatchPolicy(), Previous(requests, requests, ended)), Dispatch
        )


def test_the_cost_of_a_line_is_found() -> None:
    cost = LatencyModel()
    for rows in [1, 64, 7, 30, 2, 64, 1, 16]:
        cost = cost.observe(rows, 500 + 20 * rows)

    assert pytest.approx(20) == cost.per_row_ns
    assert pytest.approx(500) == cost.fixed_ns


def test_batches_of_one_size_show_no_slope() -> None:
    cost = LatencyModel().observe(8, 100).observe(8, 100)

    assert (0.0, pytest.approx(100)) == (cost.per_row_ns, cost.fixed_ns)


def test_a_slow_first_call_is_forgotten() -> None:
    cost = LatencyModel().observe(1, 1_000_000_000)
    for _ in range(300):
        cost = cost.observe(4, 1000)

    assert cost.cost_ns(4) < 1100


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 10**10)), min_size=1, max_size=30))
def test_a_cost_is_never_negative(batches: list[tuple[int, int]]) -> None:
    cost = LatencyModel()
    for rows, elapsed in batches:
        cost = cost.observe(rows, elapsed)

    assert cost.per_row_ns >= 0
    assert cost.fixed_ns >= 0
