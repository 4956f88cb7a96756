"""Whatever a reference and a window hold, a verdict comes of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_world import counted, profile_of, repeated

from podium.domain.monitoring.findings import Check, ColumnVerdict, judge, watch
from podium.domain.monitoring.windows import Span

HOUR = Span(0, 3600)
KINDS = {
    "normal": lambda rng, rows: rng.normal(size=rows),
    "constant": lambda rng, rows: np.full(rows, 2.5),
    "zero": lambda rng, rows: np.zeros(rows),
    "nearly zero": lambda rng, rows: np.where(rng.random(rows) < 0.97, 0, rng.normal(size=rows)),
    "two numbers": lambda rng, rows: rng.choice([0.1, 0.2], rows),
    "rounded": lambda rng, rows: np.round(rng.normal(size=rows), 1),
    "heavy": lambda rng, rows: rng.standard_cauchy(rows),
    "huge": lambda rng, rows: rng.choice([-1.7e308, 1.7e308, 0], rows),
    "missing": lambda rng, rows: np.full(rows, np.nan),
    "infinite": lambda rng, rows: np.full(rows, np.inf),
    "label": lambda rng, rows: rng.integers(0, 5, rows),
    "truth": lambda rng, rows: rng.random(rows) < 0.001,
    "names": lambda rng, rows: rng.choice(np.array([f"c{i}" for i in range(90)], dtype=object), rows),
    "ids": lambda rng, rows: rng.integers(10**7, size=rows).astype(str).astype(object),
    "nothing": lambda rng, rows: np.array([None] * rows, dtype=object),
    "moment": lambda rng, rows: np.datetime64("2026-01-01", "s") + rng.integers(0, 10**6, rows),
}


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([1, 600, 2000]),
    st.sampled_from([1, 600]),
)
def test_no_pair_of_columns_is_beyond_judgement(reference, current, rows, window_rows):
    rng = np.random.default_rng(1)
    profile = profile_of({"x": KINDS[reference](rng, rows)})
    window = counted(profile, {"x": KINDS[current](rng, window_rows)})

    findings = judge(watch(profile, window), HOUR)

    assert {each.verdict for each in findings} <= set(ColumnVerdict)
    if window_rows == 1:
        assert {each.verdict for each in findings} == {ColumnVerdict.INSUFFICIENT_DATA}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rows_of_the_same_kind_are_no_finding(kind):
    rng = np.random.default_rng(2)
    profile = profile_of({"x": KINDS[kind](rng, 5000)})

    findings = [
        each for _ in range(5) for each in judge(watch(profile, counted(profile, {"x": KINDS[kind](rng, 1000)})), HOUR)
    ]

    assert {each.verdict for each in findings} <= {ColumnVerdict.OK, ColumnVerdict.INSUFFICIENT_DATA}


@pytest.mark.parametrize(
    ("current", "check"),
    [
        (np.full(600, 9.0), Check.OUT_OF_RANGE),
        (np.full(600, np.nan), Check.MISSING),
        (np.full(600, np.inf), Check.MISSING),
        (repeated(x=600), Check.MISSING),
        (np.full(600, 0.25), Check.DRIFT),
    ],
    ids=["beyond", "missing", "infinite", "text", "one value"],
)
def test_what_is_wrong_is_called_by_its_name(current, check):
    profile = profile_of({"x": np.random.default_rng(3).random(5000)})

    findings = judge(watch(profile, counted(profile, {"x": current})), HOUR)

    assert check in {each.check for each in findings if each.verdict is ColumnVerdict.ALERT}
