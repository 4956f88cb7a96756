"""What counters grew by in a window: exactly where readings say so, and nothing where nobody knows."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_world import Reading, line_of

from podium.domain.monitoring.growth import Growth


def every_half_minute(count, start=0.0, total=10, bad=1):
    return [Reading(start + 30 * turn, total * turn, bad * turn) for turn in range(count)]


def test_a_window_of_an_even_line_has_its_part_of_it():
    """20 requests a minute, two of them bad."""
    line = line_of(every_half_minute(121))

    assert line.within(3300, 3600) == Growth(100, 10, 300)


def test_an_edge_between_two_readings_takes_its_part_of_their_growth():
    """Half of 30 s."""
    assert line_of(every_half_minute(3)).within(15, 60) == Growth(15, 1.5, 45)


def test_a_gap_inside_the_window_does_no_harm():
    """The counters went on while nobody read them."""
    line = line_of(
        [*every_half_minute(11), *(Reading(3000 + 30 * turn, 2000 + 10 * turn, 200 + turn) for turn in range(11))]
    )

    assert line.within(0, 3300) == Growth(2100, 210, 3300)


def test_a_gap_over_the_edge_is_left_out():
    """An hour nobody looked; what was counted then may have been at its beginning."""
    readings = [Reading(0, 0, 0), Reading(3600, 1000, 500), Reading(3630, 1010, 500), Reading(3660, 1020, 500)]

    assert line_of(readings).within(3360, 3660) == Growth(20, 0, 60)


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([], Growth(0, 0, 0)),
        ([Reading(50, 10, 1)], Growth(0, 0, 0)),
        ([Reading(-1000, 0, 0), Reading(-900, 10, 1)], Growth(0, 0, 0)),
        ([Reading(200, 0, 0), Reading(230, 10, 1)], Growth(0, 0, 0)),
        ([Reading(10, 0, 0), Reading(40, 10, 1)], Growth(10, 1, 30)),
    ],
    ids=["nothing", "one reading", "all before", "all after", "a part of it"],
)
def test_windows_of_which_little_is_known(readings, expected):
    """One row, one sentence."""
    assert line_of(readings).within(0, 100) == expected


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 100), st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=40),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
)
def test_windows_side_by_side_add_up_and_no_request_is_counted_twice(moves, cuts):
    """Wherever the windows are cut, as long as somebody looks."""
    at, total, bad, readings = 0, 0, 0, [Reading(0, 0, 0)]
    for seconds, good, wrong in moves:
        at, total, bad = at + seconds, total + good + wrong, bad + wrong
        readings.append(Reading(at, total, bad))
    line = line_of(readings)
    edges = [0, *sorted(cut * at for cut in cuts), at]
    parts = [line.within(since, until) for since, until in pairwise(edges) if since < until]

    assert sum(part.total for part in parts) == pytest.approx(total)
    assert line.within(0, at).total == pytest.approx(total)
    assert all(0 <= part.bad <= part.total + 1e-9 for part in parts)
