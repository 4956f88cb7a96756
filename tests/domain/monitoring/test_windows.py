"""Stretches of time."""

import pytest

from podium.domain.monitoring.windows import DAY_S, HOUR_S, WEEK_S, Span

BEGIN = 20_000 * DAY_S


def test_the_stretch_before_is_as_long_and_shares_no_second():
    """Or it is the same one of so much earlier: the same hour of last week."""
    day = Span(BEGIN, BEGIN + DAY_S)

    assert day.before() == Span(BEGIN - DAY_S, BEGIN)
    assert Span(BEGIN, BEGIN + HOUR_S).before(WEEK_S) == Span(BEGIN - WEEK_S, BEGIN - WEEK_S + HOUR_S)
    assert day.length_s == day.before().length_s == DAY_S


@pytest.mark.parametrize("end", [5, 4])
def test_a_stretch_of_no_time_is_refused(end):
    """And one that ends before it starts."""
    with pytest.raises(ValueError, match=f"got 5 to {end}"):
        Span(5, end)
