"""Moments: what stands out of a candidate's own time is left out, what it always does is not."""

import pytest

from podium.domain.rollouts.evidence import Evidence
from podium.domain.rollouts.moments import Moments

GOOD = Evidence(100, 0, (0, 90, 10, 0, 0))
BESIDE = Evidence(1000, 2, (0, 900, 100, 0, 0))
OUTAGE = Evidence(100, 30, (0, 90, 10, 0, 0))
SLOW = Evidence(100, 0, (0, 0, 0, 90, 10))


def seen(*answers: Evidence) -> Moments:
    moments = Moments()
    for each in answers:
        moments = moments.and_then(each)
    return moments


def test_nothing_is_left_out_of_what_is_always_alike():
    """Neither of a candidate without a fault, nor of one that always has it."""
    always = Evidence(100, 2, (0, 90, 10, 0, 0))

    assert seen(*[GOOD] * 20).without_the_worst(BESIDE)[0] == sum([GOOD] * 20, Evidence())
    assert seen(*[always] * 20).without_the_worst(Evidence())[0] == sum([always] * 20, Evidence())


def test_a_bad_moment_is_left_out():
    """Of errors the errors, of slowness the latencies."""
    kept = seen(*[GOOD] * 16, OUTAGE, OUTAGE, SLOW, GOOD).without_the_worst(BESIDE)[0]

    assert (kept.requests, kept.errors) == (1800, 0)
    assert kept.latency == (0, 90 * 19, 10 * 19, 0, 0)


def test_one_at_the_very_beginning_stands_out_from_what_was_before():
    """Five looks are forgiven, whatever else there is."""
    assert seen(*[OUTAGE] * 5).without_the_worst(BESIDE)[0].errors == 0
    assert seen(*[OUTAGE] * 6).without_the_worst(BESIDE)[0].errors == 30


@pytest.mark.parametrize("looks", [40, 64, 500, 5000])
def test_who_fails_all_the_time_is_forgiven_a_quarter_of_it_at_most(looks):
    """However long it lasts; and what is kept of it stays small."""
    moments = seen(*[OUTAGE] * looks)

    assert moments.without_the_worst(BESIDE)[0].errors >= 30 * looks * 0.7
    assert len(moments.full) < 64
    assert moments.without_the_worst(Evidence())[0].requests == 100 * looks


def test_few_errors_that_come_unevenly_are_all_kept():
    """A version that fails at 2 % has seconds with six errors of 120; none of them is an outage."""
    moments = Moments()
    for errors in (2, 1, 3, 6, 2, 0, 8, 2, 1, 3, 0, 2, 7, 1):
        moments = moments.and_then(Evidence(requests=120, errors=errors))

    assert moments.without_the_worst(Evidence(requests=1580))[0].errors == 38
