"""Windows: every row is in exactly one slot, and any stretch of time is a sum of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.domain.monitoring.windows import DAY_S, HOUR_S, SLOT_S, WEEK_S, Ring, Span, Window

BEGIN = 20_000 * DAY_S


def filled(*rows, step=SLOT_S):
    """A ring with so many rows in each slot from BEGIN on, counted when they came; and the time after the last."""
    ring = Ring()
    for place, count in enumerate(rows):
        ring.add(np.array([count, 2 * count]), count, BEGIN + place * step, BEGIN + place * step)
    return ring, BEGIN + len(rows) * step


def test_a_window_is_the_sum_of_its_slots():
    """An hour is the last twelve that are over; what is being counted now is not in it."""
    ring, now = filled(*range(1, 31))
    ring.add(np.array([1000, 1000]), 1000, now + 10, now + 10)

    window = ring.last(HOUR_S, now + 20)

    assert window.span == Span(now - HOUR_S, now)
    assert window.rows == sum(range(19, 31))
    assert window.counts.tolist() == [window.rows, 2 * window.rows]
    assert not window.has_gap


def test_a_day_and_a_week_are_hours():
    """Ten days of one row each five minutes; no slot is kept twice as long for it."""
    ring, now = filled(*[1] * (10 * DAY_S // SLOT_S))

    assert ring.last(DAY_S, now).rows == DAY_S // SLOT_S
    assert ring.last(WEEK_S, now).rows == WEEK_S // SLOT_S
    assert ring.last(DAY_S, now + 1700).span == Span(now - DAY_S, now)
    assert not ring.last(WEEK_S, now).has_gap
    assert len(ring._fine) + len(ring._coarse) <= 626


def test_windows_that_follow_each_other_share_no_row():
    """This hour and the one before, and this hour and the same of last week."""
    ring, now = filled(*[1] * (8 * DAY_S // HOUR_S), step=HOUR_S)
    window = ring.last(DAY_S, now)

    before = ring.over(window.span.before())

    assert before.span == Span(now - 2 * DAY_S, now - DAY_S)
    assert (window.rows, before.rows) == (24, 24)
    assert ring.over(Span(now - HOUR_S, now).before(WEEK_S)).rows == 1


def test_time_without_requests_is_no_gap_and_time_without_a_watch_is():
    """Whoever counts says so in every slot."""
    ring, _ = filled(5, 5, 5)
    for place in range(3, 6):
        ring.mark(BEGIN + place * SLOT_S)
    later = BEGIN + 9 * SLOT_S
    ring.add(np.array([7, 14]), 7, later, later)

    whole = ring.last(10 * SLOT_S, later + SLOT_S)

    assert whole == Window(whole.span, whole.counts, 22, 7 * SLOT_S, 0)
    assert whole.has_gap
    assert not ring.over(Span(BEGIN, BEGIN + 6 * SLOT_S)).has_gap
    assert ring.over(Span(BEGIN + 3 * SLOT_S, BEGIN + 6 * SLOT_S)).counts is None


def test_a_ring_in_which_nobody_counted_is_all_gap():
    """And has nothing to compare."""
    window = Ring().last(HOUR_S, BEGIN)

    assert (window.counts, window.rows, window.watched_s) == (None, 0, 0)


def test_late_counts_go_where_they_belong():
    """And are told apart; what belongs nowhere any more, or comes from the future, is counted as refused."""
    ring, now = filled(1, 1, 1)

    assert ring.add(np.array([5, 10]), 5, BEGIN + 10, now)
    assert ring.over(Span(BEGIN, BEGIN + SLOT_S)).late_rows == 5
    assert ring.last(3 * SLOT_S, now).rows == 8
    assert not ring.add(np.array([1, 2]), 1, now + SLOT_S, now)
    assert not ring.add(np.array([1, 2]), 1, now - 15 * DAY_S, now)
    assert ring.refused_rows == 2
    assert ring.add(np.array([9, 18]), 9, now - 3 * DAY_S, now)
    assert ring.over(Span(BEGIN - 4 * DAY_S, BEGIN)).rows == 9
    assert ring.over(Span(BEGIN - 4 * DAY_S, BEGIN + HOUR_S)).rows == 9 + 8


def test_the_last_rows_are_the_fewest_slots_that_have_them():
    """Of the last day."""
    ring, now = filled(100, 100, 0, 300, 50)

    assert ring.last_rows(50, now).span == Span(now - SLOT_S, now)
    assert ring.last_rows(51, now).rows == 350
    assert ring.last_rows(400, now).span == Span(BEGIN + SLOT_S, now)
    assert ring.last_rows(551, now) is None
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ring.last_rows(0, now)


def test_a_clock_that_was_wrong_for_a_moment_is_forgotten():
    """A minute of the year 2099 does not refuse every row until then; a second back is nothing."""
    ring, now = filled(1, 1, 1)
    ring.add(np.array([7, 14]), 7, now + 70 * 365 * DAY_S, now + 70 * 365 * DAY_S)

    assert ring.add(np.array([2, 4]), 2, now, now)
    assert ring.last(HOUR_S, now + SLOT_S).rows == 2
    assert ring.add(np.array([3, 6]), 3, now - 1, now - 1)
    assert ring.last(HOUR_S, now + SLOT_S).rows == 5


@pytest.mark.parametrize(
    "ask",
    [
        lambda ring: ring.last(0, BEGIN),
        lambda ring: ring.last(400, BEGIN),
        lambda ring: ring.last(DAY_S + SLOT_S, BEGIN),
        lambda ring: ring.last(3 * WEEK_S, BEGIN),
        lambda ring: ring.over(Span(BEGIN + 1, BEGIN + SLOT_S)),
        lambda ring: ring.over(Span(BEGIN - 5 * DAY_S + SLOT_S, BEGIN)),
        lambda ring: Span(5, 5),
    ],
)
def test_windows_that_would_cut_a_slot_are_refused(ask):
    """A part of a slot cannot be known."""
    ring, _ = filled(1)

    with pytest.raises(ValueError, match="got"):
        ask(ring)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30 * 60), st.integers(0, 40 * 60), st.integers(0, 9)), max_size=60))
def test_whatever_came_is_in_exactly_one_slot(arrivals):
    """However late, and with a clock that goes back now and then: what all windows have is what was taken."""
    ring, taken, clock = Ring(), 0, BEGIN + HOUR_S
    for forward, late, rows in arrivals:
        clock += forward
        taken += rows if ring.add(rows, rows, clock - late, clock - (late // 9)) else 0
    end = (clock // HOUR_S + 1) * HOUR_S

    day = [ring.over(Span(at, at + SLOT_S)).rows for at in range(max(BEGIN, end - DAY_S), end, SLOT_S)]
    fortnight = ring.over(Span(end - 2 * WEEK_S + HOUR_S, end))

    assert fortnight.rows == taken == (fortnight.counts or 0)
    if clock < BEGIN + DAY_S:
        assert sum(day) == taken
