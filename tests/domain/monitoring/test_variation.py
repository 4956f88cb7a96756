"""What a season does to a column is known before it could be taken for drift."""

import numpy as np
from profile_world import counted, profile_of, repeated

from podium.domain.monitoring.counting import Layout
from podium.domain.monitoring.findings import Check, ColumnVerdict, judge, watch
from podium.domain.monitoring.profile_reading import read_profile
from podium.domain.monitoring.variation import Days, with_variation
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
