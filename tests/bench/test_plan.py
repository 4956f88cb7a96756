"""Phases, due times and durations."""

import pytest

from podium.bench.plan import MOST_REQUESTS, parse_seconds, phases, schedule
from podium.errors import Misconfigured


def test_a_warm_up_at_the_first_rate_comes_before_each_rate_in_turn():
    """Only the warm-up is not judged; a phase begins where the one before ends."""
    planned = phases([100, 400], 2, 10)

    assert [(p.name, p.begins_s, p.rate, p.count, p.is_judged) for p in planned] == [
        ("warm-up", 0, 100, 200, False),
        ("100/s", 2, 100, 1000, True),
        ("400/s", 12, 400, 4000, True),
    ]


def test_one_rate_is_the_steady_phase_and_no_warm_up_may_be_asked_for():
    """The name says that nothing changes in it."""
    assert [phase.name for phase in phases([5], 0, 10)] == ["steady"]


def test_requests_are_due_evenly_and_no_error_adds_up():
    """The last of a third of a million at 3 a second is due exactly when arithmetic says."""
    planned = phases([3], 0, 100_000)

    due = [at for at, _ in schedule(planned)]

    assert len(due) == 300_000
    assert due[:4] == [0, 1 / 3, 2 / 3, 1]
    assert due[-1] == 299_999 / 3


def test_the_schedule_names_each_request_s_phase():
    """Warm-up first, then the steady phase."""
    assert list(schedule(phases([2], 1, 1))) == [(0, 0), (0.5, 0), (1, 1), (1.5, 1)]


@pytest.mark.parametrize(("rates", "duration"), [([], 10), ([0], 10), ([-1], 10), ([0.01], 1), ([1e6], 1e3)], ids=str)
def test_a_plan_without_requests_or_with_too_many_is_refused(rates, duration):
    """Bounded: the samples are kept in memory."""
    with pytest.raises(Misconfigured):
        phases(rates, 0, duration)
    assert MOST_REQUESTS >= 1_000_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("20ms", 0.02), ("1.5s", 1.5), (" 250us ", 0.00025), ("2m", 120), (".5 s", 0.5)]
)
def test_times_have_units(text, seconds):
    """Spaces are allowed, and a fraction."""
    assert parse_seconds(text, "--p99") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["20", "", "ms", "-1s", "1h", "1s2", "nan s"])
def test_a_time_without_its_unit_is_refused_by_name(text):
    """20 may be milliseconds or seconds."""
    with pytest.raises(Misconfigured, match="--p99"):
        parse_seconds(text, "--p99")
