"""Making a profile: which kind a column is, what may be told of it, and that chunks do not matter."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_world import NOW, TRAINING, counted, profile_of, psi, repeated

from podium.domain.monitoring.bins import Of
from podium.domain.monitoring.columns import Privacy
from podium.domain.monitoring.comparison import compared
from podium.domain.monitoring.features import Feature, Features
from podium.domain.monitoring.profile import CategoryProfile, NumberProfile, Source, SourceKind, TextProfile
from podium.domain.monitoring.profile_reading import read_profile
from podium.domain.monitoring.profiling import Profiler, concerns, is_bootstrap_ready
from podium.errors import InvalidInput

RNG = np.random.default_rng(5)
ROWS = 1000
MIXED = {
    "number": np.where(RNG.random(ROWS) < 0.05, np.inf, RNG.normal(size=ROWS)),
    "whole": RNG.integers(0, 500, ROWS),
    "label": RNG.integers(0, 4, ROWS),
    "truth": RNG.random(ROWS) < 0.4,
    "plan": RNG.choice(np.array(["basic", "pro", "rare"], dtype=object), ROWS, p=[0.6, 0.395, 0.005]),
    "note": np.array([f"note {i}" for i in range(ROWS)], dtype=object),
    "maybe": np.array([None if i % 9 == 0 else i % 3 for i in range(ROWS)], dtype=object),
    "moment": np.datetime64("2026-01-01", "s") + RNG.integers(0, 10**6, ROWS),
}


@settings(max_examples=10)
@given(st.integers(1, 40))
def test_chunks_do_not_matter(chunks):
    assert profile_of(
        MIXED, chunks=chunks, value=MIXED["label"], score=RNG.random(0)[:0] if not ROWS else None
    ) == profile_of(MIXED, value=MIXED["label"])


def test_chunks_do_not_matter_beyond_what_is_exact():
    values = np.random.default_rng(6).normal(size=150_000)
    values[::7] = 0

    once, again = (profile_of({"x": values}, chunks=chunks) for chunks in (1, 23))

    assert once.profile_id == again.profile_id
    exact = counted(once, {"x": values}).columns["x"]
    assert exact.rows == once.columns["x"].counts.rows
    assert np.abs(np.cumsum(exact.bins) - np.cumsum(once.columns["x"].counts.bins)).max() <= 10


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (np.arange(50) % 10, CategoryProfile, "int64"),
        (np.arange(50) % 11, NumberProfile, "int64"),
        (np.arange(50) % 2 == 0, CategoryProfile, "bool"),
        (np.arange(50) % 2 / 1, NumberProfile, "float64"),
        (np.arange(50, dtype=np.float32), NumberProfile, "float32"),
        (repeated(a=25, b=25), CategoryProfile, "object"),
        (np.array(["a", "b"] * 25), CategoryProfile, "str"),
        (pd.Series(["a", "b"] * 25, dtype="string"), CategoryProfile, "object"),
        (pd.Series(["a", "b"] * 25, dtype="category"), CategoryProfile, "object"),
        (pd.Series([1, 2, None] * 25, dtype="Int64"), CategoryProfile, "int64"),
        (pd.Series([True, None] * 25, dtype="boolean"), CategoryProfile, "bool"),
        (repeated(**{f"t{i}": 1 for i in range(50)}), TextProfile, "object"),
        (repeated(**{f"{i}" * 60: 10 for i in range(2, 5)} | {"x" * 129: 10}), TextProfile, "object"),
        (repeated(**{f"t{i}": 2 for i in range(1001)}), TextProfile, "object"),
        (repeated(**{f"t{i}": 2 for i in range(1000)}), CategoryProfile, "object"),
        (np.array([1, 2.5, None] * 20, dtype=object), NumberProfile, "object"),
        (np.array([1, 2, None] * 20, dtype=object), CategoryProfile, "object"),
        (np.array([True, False, None] * 20, dtype=object), CategoryProfile, "object"),
        (np.array([1, "a"] * 20, dtype=object), CategoryProfile, "object"),
        (np.array(["1", "2"] * 20, dtype=object), CategoryProfile, "object"),
        (np.array([None, np.nan] * 20, dtype=object), NumberProfile, "object"),
        (np.full(20, np.nan), NumberProfile, "float64"),
        (np.array(["2026-01-01", "NaT"] * 20, "datetime64[ns]"), NumberProfile, "datetime64[ns]"),
        (pd.Series(["2026-01-01", None] * 20, dtype="datetime64[ns, UTC]"), NumberProfile, "datetime"),
    ],
    ids=str,
)
def test_a_column_is_what_its_values_are(values, kind, dtype):
    column = profile_of({"x": values}).columns["x"]

    assert isinstance(column, kind)
    assert column.dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "values", "kind", "of"),
    [
        ("boolean", np.array([0, 1, 1] * 10), CategoryProfile, Of.BOOLEAN),
        ("long", np.array([1.0, 2.0, np.nan] * 10), CategoryProfile, Of.INTEGER),
        ("double", np.array([1, 2, 3] * 10), NumberProfile, None),
        ("string", np.array([1, 2, 3] * 10), CategoryProfile, Of.TEXT),
        ("binary", np.array([b"a", b"b"] * 10, dtype=object), TextProfile, None),
        ("datetime", np.array(["2026-01-01"] * 20, "datetime64[D]"), NumberProfile, None),
    ],
)
def test_a_declared_type_says_what_a_column_is(dtype, values, kind, of):
    features = Features((Feature("x", dtype, "x"),), {"y": "holds array values"})

    profile = profile_of({"x": values, "y": values}, features=features)

    assert isinstance(profile.columns["x"], kind)
    assert getattr(getattr(profile.columns["x"], "bins", None), "of", None) is of
    assert profile.left_out == {"y": "holds array values"}


def test_rare_categories_are_counted_together_and_not_named():
    """Nine rows are too few; whoever has such a value is as any other of them."""
    profile = profile_of({"x": repeated(often=500, seldom=10, secret=9, only=1)})

    assert profile.columns["x"].bins.names == ("often", "seldom")
    assert profile.columns["x"].counts.unseen == 10
    assert profile.columns["x"].distinct == 4
    assert "secret" not in profile.to_json()


def test_a_hundred_categories_are_named():
    profile = profile_of({"x": repeated(**{f"c{i:03}": 10 + i for i in range(140)})})

    assert profile.columns["x"].bins.names[0] == "c139"
    assert len(profile.columns["x"].bins) == 100
    assert profile.columns["x"].counts.unseen == sum(range(10, 50))


def test_text_is_never_in_a_profile():
    profile = profile_of({"x": np.array([f"patient {i} has it" for i in range(500)], dtype=object)})

    assert "patient" not in profile.to_json()
    assert profile.columns["x"].length.bins.high == len("patient 100 has it")


def test_a_number_of_few_rows_has_no_bin_of_its_own():
    """A twentieth of 100 rows would be 5."""
    values = np.concatenate([np.full(9, 77.0), np.arange(91) / 91])

    assert profile_of({"x": values}).columns["x"].bins.atoms == ()
    assert profile_of({"x": np.append(values, 77.0)}).columns["x"].bins.atoms == (77.0,)


def test_a_private_range_is_nobody_s_value():
    """Quantiles with a thousandth of the rows, and ten at least, beyond them."""
    values = np.random.default_rng(7).normal(size=20_000)

    private, open_one = (
        profile_of({"x": values}, privacy=Privacy(hides_range=hides)).columns["x"] for hides in (True, False)
    )
    few = profile_of({"x": values[:200]}, privacy=Privacy(hides_range=True)).columns["x"]

    assert (open_one.bins.low, open_one.bins.high) == (values.min(), values.max())
    assert (private.bins.low, private.bins.high) == tuple(np.quantile(values, [0.001, 0.999]))
    assert (private.counts.below, private.counts.above) == (20, 20)
    assert (few.counts.below, few.counts.above) == (10, 10)
    assert min(few.counts.bins) >= 10
    assert all(few.bins.low <= quantile <= few.bins.high for quantile in few.quantiles)


def test_predictions_are_values_or_classes():
    rows = {"x": np.arange(1000.0)}
    labels = np.arange(1000) % 20

    classes = profile_of(rows, value=labels, is_classifier=True).predictions
    floats = profile_of(rows, value=labels / 1, is_classifier=True).predictions
    values = profile_of(rows, value=labels % 3, is_classifier=False).predictions
    told = profile_of(rows, value=np.where(labels > 9, "yes", "no"), score=labels / 20).predictions

    assert len(classes.classes.bins) == len(floats.classes.bins) == 20
    assert isinstance(values.value, NumberProfile)
    assert told.classes.bins.names == ("no", "yes")
    assert told.score.counts.bins == (50,) * 20


def test_scores_outside_zero_and_one_are_out_of_range():
    profile = profile_of({"x": np.arange(4.0)}, score=np.array([-0.5, 0.0, 1.0, 1.5]))

    assert (profile.predictions.score.counts.below, profile.predictions.score.counts.above) == (1, 1)


@pytest.mark.parametrize("usual", [0.01, 0.52, 0.99])
def test_scores_that_lie_in_one_bin_are_seen_to_leave_it(usual):
    """Bins of equal width: the full one is not taken together with the empty ones beside it."""
    profile = profile_of({"x": np.arange(1000.0)}, score=np.full(1000, usual))
    window = counted(profile, {"x": np.arange(1000.0)}, {"score": np.linspace(0, 1, 1000)})

    assert psi(compared(profile.predictions.score, window.predictions["score"])) > 2


def test_columns_that_come_late_or_not_at_all_are_missing_in_the_other_rows():
    profiler = Profiler()
    profiler.add({"x": np.arange(10.0)})
    profiler.add({"y": np.arange(20.0)})

    profile = profiler.profile(TRAINING, NOW)

    assert [profile.columns[name].counts.missing for name in "xy"] == [20, 10]
    assert profile.source.rows == 30


def test_a_data_frame_will_do():
    frame = pd.DataFrame({"x": [1.5, 2.5], 7: [1, 2]})

    profiler = Profiler(left_out=frozenset({"x"}))
    profiler.add(frame)
    profile = profiler.profile(TRAINING, NOW)

    assert list(profile.columns) == ["7"]
    assert profile.left_out == {"x": "left out on request"}


def test_columns_are_bounded():
    profile = profile_of({f"c{i}": np.arange(2.0) for i in range(600)} | {"n" * 300: np.arange(2.0)})

    assert len(profile.columns) == 500
    assert len(profile.left_out) == 101


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InvalidInput, match="'y' has 2 rows, 'x' has 3"):
        Profiler().add({"x": np.arange(3.0), "y": np.arange(2.0)})


def test_no_rows_make_no_profile():
    profiler = Profiler()
    profiler.add({"x": np.arange(0.0)})

    with pytest.raises(InvalidInput, match="needs rows"):
        profiler.profile(TRAINING, NOW)


def test_a_column_that_is_numbers_in_one_chunk_and_text_in_another_is_left_out():
    """As a CSV file gives them that is read in parts. The others are profiled nevertheless."""
    profiler = Profiler()
    profiler.add({"x": np.arange(3), "y": np.arange(3)}, value=np.arange(3))
    profiler.add({"x": repeated(a=3), "y": np.arange(3)}, value=repeated(a=3))

    profile = profiler.profile(TRAINING, NOW)

    assert list(profile.columns) == ["y"]
    assert "'x' has numbers in one part of the rows and text in another" in profile.left_out["x"]
    assert profile.predictions.present() == {}
    assert "text in another" in profile.left_out["(prediction)"]
    assert read_profile(profile.to_json().encode()) == profile


class Strange:
    """Somebody's object that nobody can read."""

    def __str__(self) -> str:
        raise RuntimeError("Jane Doe has it")


def test_a_column_that_cannot_be_read_is_left_out_and_its_error_not_quoted():
    objects = np.fromiter([Strange() for _ in range(20)], object, 20)

    profile = profile_of({"x": np.arange(20.0), "y": objects})

    assert list(profile.columns) == ["x"]
    assert profile.left_out == {"y": "RuntimeError when it was read"}


def test_predictions_may_be_known_of_some_rows_only():
    """The others are not missing: nobody asked the model."""
    profiler = Profiler()
    profiler.add({"x": np.arange(1000.0)})
    profiler.add_predictions(np.arange(100) % 3, np.full(100, 0.9))

    profile = profiler.profile(TRAINING, NOW)

    assert profile.predictions.classes.counts.rows == 100
    assert profile.predictions.classes.counts.missing == profile.predictions.score.counts.missing == 0


def test_a_profile_of_the_first_rows_in_production_says_so():
    profile = profile_of({"x": np.arange(600.0)}, source=Source(SourceKind.PRODUCTION_BOOTSTRAP, 0, "2026-01-01T00:00:00Z"))

    assert profile.is_bootstrapped
    assert json.loads(profile.to_json())["source"]["kind"] == "production_bootstrap"
    assert concerns(profile) == ["It was made of the first rows in production: what was wrong then, it takes for right."]


@pytest.mark.parametrize(
    ("rows", "hours", "is_ready"),
    [(9_999, 1, False), (10_000, 0, True), (499, 24, False), (500, 24, True), (500, 23.9, False)],
)
def test_a_profile_is_bootstrapped_from_ten_thousand_rows_or_a_day(rows, hours, is_ready):
    assert is_bootstrap_ready(rows, hours * 3600) is is_ready


def test_few_rows_are_a_concern():
    assert concerns(profile_of({"x": np.arange(500.0)})) == []
    assert "499 rows" in concerns(profile_of({"x": np.arange(499.0)}))[0]
