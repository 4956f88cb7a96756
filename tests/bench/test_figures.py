"""Percentiles, objectives, and when the generator doubts itself."""

import math

import pytest

from podium.bench.figures import Heard, as_json, generator_doubt, in_words, misses, percentile
from podium.bench.plan import Objective, Phase

STEADY = Phase("steady", 0.0, 100.0, 100, is_judged=True)


def heard(latencies, *, phase=STEADY, statuses=None, failures=None, late=(0.0,), last=1.0):
    return Heard(phase, sorted(latencies), statuses or {200: len(latencies)}, failures or {}, sorted(late), last)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.9, 90), (0.99, 99), (0.999, 100), (1.0, 100), (0.001, 1), (0.29, 29)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(share, expected):
    """One of the values, never between two; binary fractions do not move it."""
    assert percentile(list(range(1, 101)), share) == expected


def test_a_percentile_of_nothing_is_not_a_number():
    """Rather than a zero that looks quick."""
    assert math.isnan(percentile([], 0.5))


def test_a_request_without_an_answer_waited_for_ever():
    """Two of one hundred unanswered: p90 is known, p99 is not."""
    one = heard([0.001] * 98, failures={"no answer in time": 2})

    assert one.latency_s(0.9) == 0.001
    assert one.latency_s(0.99) == math.inf
    assert as_json(one)["latency_ms"]["p99"] is None
    assert misses(one, Objective(((0.99, 10.0),), failed_share=1.0))


def test_an_objective_holds_at_its_limit_and_is_missed_beyond():
    """At most means at most."""
    assert misses(heard([0.02] * 100), Objective(((0.99, 0.02),))) == []
    assert misses(heard([0.021] * 100), Objective(((0.99, 0.02),))) == ["steady: p99 is 21 ms, wanted at most 20 ms"]


def test_answers_that_are_not_2xx_miss_the_objective_unless_allowed():
    """One in one hundred is one percent."""
    one = heard([0.001] * 100, statuses={200: 99, 503: 1})

    assert misses(one, Objective()) == ["steady: 1 of 100 requests failed, wanted none"]
    assert misses(one, Objective(failed_share=0.01)) == []


def test_the_warm_up_is_not_judged():
    """It is shown, and that is all."""
    warm_up = Phase("warm-up", 0.0, 100.0, 100, is_judged=False)

    assert misses(heard([9.0] * 100, phase=warm_up, statuses={500: 100}), Objective(((0.5, 0.1),))) == []


def test_the_achieved_rate_counts_good_answers_until_the_last_of_them():
    """A server that takes twice as long for a phase's requests has achieved half its rate."""
    assert heard([0.001] * 100, last=0.9).achieved_rate == 100
    assert heard([0.001] * 100, last=2.0).achieved_rate == 50
    assert heard([0.001] * 100, statuses={200: 60, 503: 40}).achieved_rate == 60


def test_the_generator_says_when_it_was_late_or_had_no_processor_left():
    """Late by a tenth of what it reports, or at work for the whole time."""
    assert generator_doubt([heard([0.005] * 100, late=[0.0001] * 100)], 0.3) is None
    assert "schedule" in (generator_doubt([heard([0.005] * 100, late=[0.004] * 100)], 0.3) or "")
    assert generator_doubt([heard([0.5] * 100, late=[0.004] * 100)], 0.3) is None
    assert "processor" in (generator_doubt([heard([0.005] * 100)], 0.97) or "")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.00042, "0.42 ms"), (0.0204, "20.4 ms"), (0.25, "250 ms"), (1.5, "1.5 s"), (math.inf, "never")]
)
def test_times_are_said_in_the_unit_that_fits(seconds, text):
    """Three digits."""
    assert in_words(seconds) == text
