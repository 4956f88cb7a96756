"""What a season does to a column is known before it could be taken for drift."""

import numpy as np
import pytest
from profile_world import counted, profile_of, repeated

from podium.domain.monitoring.counting import Layout
from podium.domain.monitoring.findings import Check, ColumnVerdict, judge, watch
from podium.domain.monitoring.profile_reading import read_profile
from podium.domain.monitoring.variation import Days, Hours, with_variation
from podium.domain.monitoring.windows import Span

DAYS, A_DAY = 20, 600
RNG = np.random.default_rng(17)
DAY = np.repeat(np.arange(DAYS), A_DAY)
TIMES = np.datetime64("2026-01-01", "s") + DAY * 86_400 + RNG.integers(0, 86_400, DAYS * A_DAY)
COLUMNS = {
    "steady": RNG.normal(size=DAYS * A_DAY),
    "weekly": RNG.normal(size=DAYS * A_DAY) + (DAY % 7 > 4),
    "plan": np.where((DAY % 7 > 4) & (RNG.random(DAYS * A_DAY) < 0.5), "pro", "basic"),
    "note": np.array(["x" * (i % 601 + d % 7) for i, d in enumerate(DAY)], dtype=object),
}


def varied(rows=slice(None), chunks=1):
    columns = {name: values[rows] for name, values in COLUMNS.items()}
    profile = profile_of(columns, value=columns["steady"])
    days = Days(Layout(profile))
    times = TIMES[rows]
    for part in np.array_split(RNG.permutation(len(times)), chunks):
        cut = {name: values[part] for name, values in columns.items()}
        days.add(times[part], cut, {"value": cut["steady"]})
    return with_variation(profile, days.counts())


def test_a_column_that_weekends_move_varies_and_another_does_not():
    profile = varied()

    q99 = {name: column.chunk_psi_q99 for name, column in profile.columns.items() if name != "note"}
    assert q99["weekly"] > 0.2
    assert q99["plan"] > 0.2
    assert q99["steady"] < 0.1
    assert profile.columns["note"].length.chunk_psi_q99 < 0.1
    assert profile.predictions.value.chunk_psi_q99 == q99["steady"]


def drifted(profile, rows):
    window = counted(profile, {name: values[rows] for name, values in COLUMNS.items()}, {"value": COLUMNS["steady"][rows]})
    findings = judge(watch(profile, window), Span(0, 86_400))
    return {each.name for each in findings if each.check is Check.DRIFT and each.verdict is not ColumnVerdict.OK}


def test_a_weekend_is_drift_only_where_the_profile_does_not_know_of_weekends():
    plain, seasoned = profile_of(COLUMNS, value=COLUMNS["steady"]), varied()

    for day in range(DAYS):
        assert drifted(plain, day == DAY) >= ({"weekly", "plan"} if day % 7 > 4 else set())
        assert drifted(seasoned, day == DAY) == set()


def test_neither_order_nor_chunks_matter():
    profile = varied()

    assert varied(chunks=7) == profile
    assert read_profile(profile.to_json().encode()) == profile


def test_four_days_say_nothing():
    assert varied(DAY < 4).columns["weekly"].chunk_psi_q99 is None


def test_rows_without_a_time_are_passed_over():
    profile = profile_of({"x": repeated(a=50, b=50)})
    days = Days(Layout(profile))

    days.add(np.array([None, "2026-01-01", "NaT"], "datetime64[s]"), {"x": repeated(a=3)}, {})

    assert days.passed_over == 2
    assert [counts.rows for counts in days.counts()] == [1]


def hourly(days, rows_a_day, rng):
    """A steady column, and one that the sun moves; as the profile of them has it, with their times."""
    times = np.sort(rng.random(days * rows_a_day)) * days * 86_400.0
    columns = {"steady": rng.normal(size=len(times)), "sun": rng.normal(size=len(times)) + sun(times)}
    profile = profile_of(columns)
    day, hour = Days(Layout(profile)), Hours(Layout(profile), len(times), times[0], times[-1])
    for part in np.array_split(rng.permutation(len(times)), 3):
        for each in (day, hour):
            each.add(times[part], {name: values[part] for name, values in columns.items()}, {})
    return with_variation(profile, day.counts(), hour.counts()), hour


def sun(times):
    return np.sin(times % 86_400 / 86_400 * 2 * np.pi)


@pytest.mark.parametrize(("days", "rows_a_day"), [(7, 1500), (33, 6_000)], ids=["few rows", "many"])
def test_an_hour_of_the_day_is_no_drift_where_the_profile_knows_of_hours(days, rows_a_day):
    """And half a deviation more of what the sun does not move is."""
    rng = np.random.default_rng(17)
    profile, hours = hourly(days, rows_a_day, rng)

    def drifting(hour, rows, shift=0.0, length_s=3600):
        times = 86_400.0 * 100 + 3600 * (hour + rng.random(rows))
        columns = {"steady": rng.normal(size=rows) + shift, "sun": rng.normal(size=rows) + sun(times)}
        found = judge(watch(profile, counted(profile, columns), length_s=length_s), Span(0, 3600))
        return {each.name for each in found if each.check is Check.DRIFT and each.verdict is not ColumnVerdict.OK}

    assert len(hours.counts()) <= 32 * 24
    assert [drifting(hour, rows) for hour in range(24) for rows in (500, 5000)] == [set()] * 48
    assert drifting(6, 5000, length_s=86_400) == {"sun"}
    assert all(drifting(hour, 5000, shift=0.7) == {"steady"} for hour in range(24))
    assert read_profile(profile.to_json().encode()) == profile
