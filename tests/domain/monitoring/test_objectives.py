"""Error budgets and how fast they burn: the SRE workbook's figures, low traffic, gaps and targets that none of it fits."""

import pytest
from reading_world import Reading, line_of

from podium.domain.monitoring.growth import Growth
from podium.domain.monitoring.objectives import (
    BURN_WINDOWS,
    DAY_S,
    LowTraffic,
    ObjectiveKind,
    Slo,
    budget_left,
    burn,
    burn_rate,
)
from podium.errors import InvalidInput

FAST, MEDIUM, SLOW = BURN_WINDOWS
NOW = 10 * DAY_S


def traffic(*spans, a_minute=600):
    """A line of readings every half minute that ends now: spans of (minutes, share of bad requests), oldest first."""
    at = NOW - 60 * sum(minutes for minutes, _ in spans)
    readings, total, bad = [Reading(at, 0, 0)], 0.0, 0.0
    for minutes, share in spans:
        for _ in range(round(minutes * 2)):
            at, total, bad = at + 30, total + a_minute / 2, bad + share * a_minute / 2
            readings.append(Reading(at, total, bad))
    return line_of(readings)


def test_a_share_of_errors_is_a_burn_rate():
    """1.44 % of errors spend a budget of 0.1 % 14.4 times too fast."""
    assert burn_rate(Growth(10_000, 144, 1), 0.001) == pytest.approx(14.4)


@pytest.mark.parametrize(("windows", "expected"), [(FAST, 14.4), (MEDIUM, 6), (SLOW, 1)])
def test_the_rates_are_those_that_spend_so_much_of_thirty_days(windows, expected):
    """2 % in an hour, 5 % in six, 10 % in three days."""
    assert windows.rate(Slo()) == expected


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (Slo(period_s=7 * DAY_S), [3.36, 1.4, 1]),
        (Slo(target=0.9), [9, 6, 1]),
        (Slo(target=0.5), [1.8, 1.8, 1]),
        (Slo(ObjectiveKind.LATENCY, 0.99, 0.25), [14.4, 6, 1]),
    ],
    ids=["a week has less to spend", "a tenth may fail", "half may fail", "a percentile"],
)
def test_a_rate_is_within_what_can_burn_and_what_is_too_much(objective, expected):
    """With a target of 0.9 nothing burns at 14.4, and a burn below 1 spends no budget."""
    assert [windows.rate(objective) for windows in BURN_WINDOWS] == pytest.approx(expected)


def test_on_a_models_first_day_an_hour_is_not_three_days():
    """What nobody watched counts as good: a short outage is told by the windows that it is for, a total one at once."""
    short = traffic((240, 0), (10, 0.1))
    total = traffic((6, 1.0))

    assert [burn(short, windows.terms(Slo()), NOW).is_too_fast for windows in BURN_WINDOWS] == [True, False, False]
    assert [burn(total, windows.terms(Slo()), NOW).is_too_fast for windows in BURN_WINDOWS] == [True, False, False]


def test_an_outage_is_too_fast_whatever_the_target():
    """Where all requests fail somebody hears of it."""
    line = traffic((60, 0), (60, 1.0))

    assert [burn(line, FAST.terms(Slo(target=target)), NOW).is_too_fast for target in (0.9, 0.99, 0.9999)] == [True] * 3


@pytest.mark.parametrize(
    ("spans", "windows", "expected"),
    [
        ([(120, 0.02)], FAST, True),
        ([(120, 0.0144)], FAST, False),
        ([(120, 0.014)], FAST, False),
        ([(60, 0), (54, 0.05), (6, 0)], FAST, False),
        ([(60, 0), (57, 0), (3, 0.1)], FAST, False),
        ([(60, 0), (48, 0), (12, 0.1)], FAST, True),
        ([(720, 0.007)], MEDIUM, True),
        ([(720, 0.007)], FAST, False),
        ([(4320, 0.0012)], SLOW, True),
        ([(4320, 0.0009)], SLOW, False),
    ],
    ids=[
        "both windows burn", "at the rate it does not burn too fast", "below it neither", "five minutes are clean",
        "five minutes burn and the hour does not yet", "after a while it does", "slower takes longer", "and is not fast",
        "above the budget for three days", "within the budget",
    ],
)  # fmt: skip
def test_when_a_budget_burns_too_fast(spans, windows, expected):
    """One row, one sentence."""
    found = burn(traffic(*spans), windows.terms(Slo()), NOW)

    assert (found.is_known, found.is_too_fast) == (True, expected)


@pytest.mark.parametrize(
    ("a_minute", "share", "expected"), [(1, 0.5, False), (2, 0.5, True), (2, 0.04, False), (2, 0.05, True)],
    ids=["60 requests are too few", "120 suffice", "four bad ones are too few", "six suffice"],
)  # fmt: skip
def test_low_traffic_alarms_nobody(a_minute, share, expected):
    """At least 100 requests and five bad ones."""
    assert burn(traffic((60, share), a_minute=a_minute), FAST.terms(Slo()), NOW).is_too_fast is expected


def test_how_little_traffic_is_too_little_can_be_said():
    """For a model that is asked once a minute."""
    line = traffic((60, 0.5), a_minute=1)

    assert burn(line, FAST.terms(Slo(), LowTraffic(50, 5)), NOW).is_too_fast


def test_a_server_that_fails_from_its_start_is_heard_of_in_minutes():
    """The hour has as much as the five minutes have."""
    assert burn(traffic((5, 0.5)), FAST.terms(Slo()), NOW).is_too_fast
    assert not burn(traffic((3, 0.5)), FAST.terms(Slo()), NOW).is_known


def test_when_nobody_reads_the_counters_nothing_is_known():
    """Ten minutes without a reading: neither burning nor clean."""
    found = burn(traffic((120, 0.5)), FAST.terms(Slo()), NOW + 600)

    assert (found.is_known, found.is_too_fast) == (False, False)


def test_errors_of_a_gap_do_not_burn_in_the_five_minutes_after_it():
    """A monitor comes back after an hour in which half of all failed, and nothing fails any more."""
    before = [Reading(NOW - 7200 + 30 * turn, 300 * turn, 0) for turn in range(110)]
    total = before[-1].total
    after = [Reading(NOW - 300 + 30 * turn, total + 36_000 + 300 * turn, 18_000) for turn in range(11)]

    found = burn(line_of([*before, *after]), FAST.terms(Slo()), NOW)

    assert (found.is_known, found.short.bad, found.is_too_fast) == (True, 0, False)


def test_what_is_left_of_a_budget():
    """Untouched, half, spent, twice spent; nothing to say without requests."""
    left = [budget_left(Growth(10_000, bad, 1), Slo()) for bad in (0, 5, 10, 20)]

    assert left == pytest.approx([1, 0.5, 0, -1])
    assert budget_left(Growth(0, 0, 0), Slo()) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"target": 1.0}, {"target": 0.9999999999999},
        {"target": 0.0}, {"target": 99.9}, {"target": float("nan")}, {"period_s": 3600.0},
        {"kind": ObjectiveKind.LATENCY}, {"threshold_s": 0.1}, {"kind": ObjectiveKind.LATENCY, "threshold_s": -1.0},
        {"kind": ObjectiveKind.LATENCY, "threshold_s": float("inf")},
    ],
)  # fmt: skip
def test_what_is_no_objective_is_refused(fields):
    """A target of 100 % has no budget; 99.9 is no share."""
    with pytest.raises(InvalidInput):
        Slo(**fields)
