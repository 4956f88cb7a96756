"""Seven clocks, each by itself."""

import pytest

from podium.domain.monitoring.staleness import AgeBounds, AgeStanding, Clock, Times, ages, spoken
from podium.errors import InvalidInput

DAY = 86_400.0
NOW = 1000 * DAY


def standing(clock, bounds=None, **days_ago):
    """Times are given as days ago."""
    given = {name: NOW - days * DAY if name.endswith("_at") else days for name, days in days_ago.items()}
    return ages(Times(**given), NOW, bounds)[clock].standing


@pytest.mark.parametrize(
    ("clock", "times", "expected"),
    [
        (Clock.MODEL, {"trained_at": 29}, "ok"),
        (Clock.MODEL, {"trained_at": 30}, "ok"),
        (Clock.MODEL, {"trained_at": 31}, "warn"),
        (Clock.MODEL, {"trained_at": 91}, "alert"),
        (Clock.MODEL, {"registered_at": 91}, "alert"),
        (Clock.MODEL, {"trained_at": 5, "registered_at": 91}, "ok"),
        (Clock.MODEL, {"trained_at": -5}, "ok"),
        (Clock.MODEL, {}, "stopped"),
        (Clock.DEPLOYMENT, {"deployed_at": 400}, "warn"),
        (Clock.SUPERSEDED, {"superseded_at": 8}, "alert"),
        (Clock.SUPERSEDED, {"superseded_at": 6}, "warn"),
        (Clock.SUPERSEDED, {"superseded_at": 0.5}, "ok"),
        (Clock.SUPERSEDED, {}, "stopped"),
        (Clock.PROFILE, {"profiled_at": 181}, "alert"),
        (Clock.TRAFFIC, {"deployed_at": 30, "requested_at": 1.1}, "alert"),
        (Clock.TRAFFIC, {"deployed_at": 30, "requested_at": 0.6}, "warn"),
        (Clock.TRAFFIC, {"deployed_at": 30}, "alert"),
        (Clock.TRAFFIC, {"deployed_at": 0.1, "requested_at": 5}, "ok"),
        (Clock.LABELS, {"requested_at": 0, "labelled_at": 2, "usual_delay_s": DAY}, "ok"),
        (Clock.LABELS, {"requested_at": 0, "labelled_at": 4, "usual_delay_s": DAY}, "warn"),
        (Clock.LABELS, {"requested_at": 0, "labelled_at": 6, "usual_delay_s": DAY}, "alert"),
        (Clock.LABELS, {"requested_at": 7, "labelled_at": 6, "usual_delay_s": DAY}, "stopped"),
        (Clock.LABELS, {"requested_at": 0}, "stopped"),
        (Clock.LABELS, {"requested_at": 0, "labelled_at": 0.01, "usual_delay_s": 1.0}, "ok"),
        (Clock.MONITOR, {"evaluated_at": 0.001}, "ok"),
        (Clock.MONITOR, {"evaluated_at": 0.02}, "warn"),
        (Clock.MONITOR, {"evaluated_at": 0.05}, "alert"),
    ],
    ids=[
        "29 days are young", "30 are not more than 30", "31 are a warning", "91 an alert", "registered stands for trained",
        "but only where that is not known", "another clock is ahead", "nobody knows", "an old deployment is no alert",
        "8 days superseded", "6 days", "half a day", "no newer version", "an old profile", "no request for a day",
        "none for half a day", "never any", "it has just taken over", "labels within their delay", "late", "very late",
        "nothing was asked since", "no label ever came", "quick labels may take an hour", "the monitor looks",
        "it did not for half an hour", "for more than an hour",
    ],
)  # fmt: skip
def test_how_old_something_is(clock, times, expected):
    """One row, one sentence."""
    assert standing(clock, **times) == expected


def test_each_model_may_have_its_own_bounds():
    """And the other clocks keep theirs."""
    bounds = {Clock.MODEL: AgeBounds(alert_s=7 * DAY)}

    assert standing(Clock.MODEL, bounds, trained_at=8) is AgeStanding.ALERT
    assert standing(Clock.SUPERSEDED, bounds, superseded_at=8) is AgeStanding.ALERT


def test_a_clock_without_bounds_never_alarms():
    """It still says how old it is."""
    age = ages(Times(deployed_at=0.0), NOW, {Clock.DEPLOYMENT: AgeBounds()})[Clock.DEPLOYMENT]

    assert (age.standing, age.age_s) == (AgeStanding.OK, NOW)


def test_the_bounds_of_the_labels_are_multiples_of_their_delay():
    """As seconds, for whoever shows them."""
    age = ages(Times(requested_at=NOW, labelled_at=NOW - 1, usual_delay_s=7200.0), NOW)[Clock.LABELS]

    assert (age.warn_s, age.alert_s) == (3 * 7200, 5 * 7200)


@pytest.mark.parametrize("given", [(2.0, 1.0), (-1.0, None), (0.0, None), (float("nan"), None), (None, float("inf"))])
def test_bounds_that_make_no_sense_are_refused(given):
    """A warning comes before the alert."""
    with pytest.raises(InvalidInput, match="bounds of a clock"):
        AgeBounds(*given)


def test_every_clock_has_a_sentence():
    """Also one that stands still."""
    running = ages(Times(0, 0, 0, 0, "7", 0, 0, 0, 60.0, 0), NOW)

    assert all(age.sentence for age in [*ages(Times(), NOW).values(), *running.values()])
    assert running[Clock.SUPERSEDED].sentence == "For 1000 days version 7 has been in its stage and is not served."


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (90, "90 seconds"),
        (5400, "90 minutes"),
        (86_400, "24 hours"),
        (8.9 * DAY, "8 days"),
    ],
)
def test_ages_are_said_as_people_say_them(seconds, expected):
    """Rounded down."""
    assert spoken(seconds) == expected
