"""Another machine's clock: how far it is from ours, and how sure that is."""

import random

from podium.domain.rollouts.clocks import DRIFT, Offset, Reading, corrected
from podium.registry.clock import dated


def test_one_answer_in_whole_seconds_bounds_the_difference():
    """A Date header of 1000 that came within 0.2 s: the other clock was at 1000 to 1001 meanwhile."""
    offset = corrected(None, Reading(50.0, 50.2, 1000.0, 1001.0))

    assert (offset.low, offset.high) == (949.8, 951.0)
    assert offset.now(50.0) == 1000.4
    assert abs(0.6 - offset.uncertainty_s(50.2)) < 1e-9


def test_answers_cut_each_other_down():
    """Many looks at a clock that shows whole seconds tell where its seconds begin."""
    luck, true, offset = random.Random(1), 1234.567, None
    for number in range(200):
        ours = number * 0.53 + luck.uniform(0, 0.05)
        took = luck.uniform(0.001, 0.02)
        shown = float(int(ours + took / 2 + true))
        offset = corrected(offset, Reading(ours, ours + took, shown, shown + 1))
        assert offset.low - 1e-9 <= true <= offset.high + 1e-9

    assert offset.uncertainty_s(ours) < 0.05


def test_a_clock_that_was_set_is_believed():
    """What is heard now counts against what was heard before."""
    before = Offset(10.0, 10.1, 100.0)

    assert Offset(500.0, 500.2, 101.0) == corrected(before, Reading(100.8, 101.0, 601.0, 601.0))


def test_silence_makes_less_sure():
    """Clocks drift."""
    offset = Offset(10.0, 10.0, 100.0)

    assert offset.uncertainty_s(10_100.0) == DRIFT * 10_000


def test_a_date_header_may_be_a_second_old():
    """uvicorn writes it anew once a second; a machine that asks itself must not seem to be ahead of itself."""
    reading = dated("Sat, 21 Nov 2026 13:00:00 GMT", 10.0, 10.1)

    assert reading.least == 1795266000.0
    assert reading.most == reading.least + 2
