"""A conversion is worth taking where it is faster at some size and slower at none, beyond what timings vary by."""

import pytest

from podium.domain.worth import is_worth_taking, told


@pytest.mark.parametrize(
    ("one", "many", "expected"),
    [
        ([40, 10], [300, 100], True),
        ([40, 10], [300, 310], True),
        ([40, 41], [300, 100], True),
        ([40, 10], [300, 400], False),
        ([40, 60], [300, 100], False),
        ([40, 39], [300, 299], False),
        ([40, 44], [300, 330], False),
    ],
    ids=[
        "faster",
        "as fast for many",
        "as fast for one",
        "slower for many",
        "slower for one",
        "as fast",
        "a little slower",
    ],
)
def test_it_is_taken_where_it_is_faster_and_nowhere_slower(one, many, expected):
    assert expected is is_worth_taking({"1": one, "256": many})


@pytest.mark.parametrize("speed", [None, {}], ids=["nobody measured", "no size"])
def test_what_nobody_measured_is_not_taken(speed):
    assert is_worth_taking(speed) is False


def test_people_are_told_both_figures():
    assert told({"1": [41.4, 9.2], "256": [210.0, 300.0]}) == "1 row in 9 us for 41, 256 rows in 300 us for 210"
    assert told(None) == "not measured"
