"""How many copies for shadows there is time for."""

import pytest

from podium.domain.rollouts.copying import LEAST, MOST, next_pace


@pytest.mark.parametrize(
    ("pace", "begun", "spare", "expected"),
    [
        (MOST, 2000, 0.9, MOST),
        (MOST, 2000, 0.1, 1000),
        (1000, 1000, 0.1, 500),
        (1000, 40, 0.1, 20),
        (20, 20, 0.0, LEAST),
        (LEAST, 0, 0.0, LEAST),
        (LEAST, LEAST, 0.5, 2 * LEAST),
        (MOST // 2 + 1, 0, 1.0, MOST),
    ],
    ids=["time enough", "busy", "still busy", "busy with few", "the least", "none begun", "time again", "the most"],
)
def test_a_busy_gateway_begins_fewer_copies_and_more_once_it_has_time(pace, begun, spare, expected):
    assert expected == next_pace(pace, begun, spare)


def test_a_gateway_that_is_always_busy_still_begins_a_few():
    """Within as many periods as halvings of what it began with."""
    pace = MOST
    for _ in range(20):
        pace = next_pace(pace, pace, 0.0)

    assert pace == LEAST
