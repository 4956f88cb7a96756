"""What a value counts as: numbers of any type, texts, moments, and what is missing."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from profile_world import counted, profile_of, repeated

from podium.domain.monitoring.columns import Privacy
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.counts import ColumnCounts
from podium.domain.monitoring.profile_reading import read_profile
from podium.domain.monitoring.values import category_hash, is_missing, lengths, name, number, numbers
from podium.errors import InvalidInput

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "counts_as"),
    [
        (3, 3.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3.0),
        (Decimal("0.1"), 0.1),
        ("2.5", 2.5),
        ("two", NAN),
        ("", NAN),
        (None, NAN),
        (pd.NA, NAN),
        (pd.NaT, NAN),
        (np.datetime64("NaT"), NAN),
        (Decimal("NaN"), NAN),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        (Decimal("1e999"), math.inf),
        (1 + 2j, NAN),
        ([1.0], NAN),
        (np.array([1.0]), NAN),
        (np.array(1.0), NAN),
        ({"a": 1}, NAN),
        (object(), NAN),
        (datetime(1970, 1, 2, tzinfo=UTC), 86400.0),
        (datetime.fromisoformat("1970-01-02T00:00:00"), 86400.0),
        (datetime(1970, 1, 2, tzinfo=timezone(timedelta(hours=1))), 82800.0),
        (date(1970, 1, 2), 86400.0),
        (pd.Timestamp("1970-01-02"), 86400.0),
        (np.datetime64("1970-01-02T00:00:00.5"), 86400.5),
        (timedelta(minutes=1), 60.0),
        (np.timedelta64(1500, "ms"), 1.5),
    ],
    ids=lambda value: type(value).__name__ if type(value) is object else repr(value),
)
def test_an_object_counts_as_a_number_or_is_missing(value, counts_as):
    among = np.empty(2, dtype=object)
    among[:] = [value, 1.0]

    assert np.array([number(value)]) == pytest.approx([counts_as], nan_ok=True)
    assert numbers(among) == pytest.approx([counts_as, 1.0], nan_ok=True)


@pytest.mark.parametrize(
    ("values", "count_as"),
    [
        (np.array([1, 2], np.uint8), [1, 2]),
        (np.array([2**63], np.uint64), [2.0**63]),
        (np.array([True, False]), [1, 0]),
        (np.array([1.5, np.nan], np.float16), [1.5, NAN]),
        (np.array(["1970-01-02", "NaT"], "datetime64[D]"), [86400, NAN]),
        (np.array([1_500_000_000, np.iinfo(np.int64).min], "timedelta64[ns]"), [1.5, NAN]),
        (np.array([1 + 1j]), [NAN]),
        (np.array(["1.5", "x"]), [1.5, NAN]),
        (np.array([None, 1.5, 2, True], dtype=object), [NAN, 1.5, 2, 1]),
        (np.array([None, 10**400], dtype=object), [NAN, math.inf]),
        (pd.Series([1, None, 3], dtype="Int64"), [1, NAN, 3]),
        (pd.Series([True, None], dtype="boolean"), [1, NAN]),
        (pd.Series(["1970-01-02"], dtype="datetime64[ns, UTC]"), [86400]),
        (pd.Series([1.5, 2.5], dtype="category"), [1.5, 2.5]),
        ([1, 2.5], [1, 2.5]),
        (np.array([]), []),
    ],
    ids=lambda each: str(getattr(each, "dtype", "")),
)
def test_an_array_counts_as_numbers(values, count_as):
    assert numbers(values).tolist() == pytest.approx(count_as, nan_ok=True)
    assert numbers(values).dtype == np.float64


def test_a_column_of_narrow_floats_is_what_the_model_sees():
    """JSON has 0.1 where training had the 32-bit float next to it: the same atom."""
    profile = profile_of({"x": np.full(100, 0.1, np.float32)})

    counts = counted(profile, {"x": np.array([0.1, 0.1, 0.1000001, 1e300])}).columns["x"]

    assert counts == ColumnCounts((0, 2, 1), missing=1, non_finite=1, above=1)


@pytest.mark.parametrize(
    "value", [None, NAN, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), Decimal("NaN")], ids=repr
)
def test_what_says_that_nothing_is_there_is_missing(value):
    column = np.empty(3, dtype=object)
    column[:] = ["a", value, "b"]

    counts = counted(profile_of({"x": repeated(a=50, b=50)}), {"x": column}).columns["x"]

    assert is_missing(value)
    assert counts == ColumnCounts((1, 1), missing=1)
    assert lengths(column).tolist() == pytest.approx([1, NAN, 1], nan_ok=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (1, "1"),
        (1.0, "1"),
        (True, "1"),
        (np.int64(7), "7"),
        (1.5, "1.5"),
        (b"\xff", "\\xff"),
        ((1, "a"), "(1, 'a')"),
    ],
)
def test_objects_among_texts_have_names(value, text):
    assert name(value) == text


def test_lists_among_texts_are_counted_by_what_they_read():
    column = np.empty(3, dtype=object)
    column[:] = [["a"], "a", {"b": 1}]

    counts = counted(profile_of({"x": repeated(a=50, b=50)}), {"x": column}).columns["x"]

    assert counts == ColumnCounts((1, 0), unseen=2)


@pytest.mark.parametrize("dtype", ["datetime", "datetime64[ns]"])
def test_moments_that_arrive_as_text_are_moments(dtype):
    """As JSON has them."""
    column = np.array(["1970-01-02", "1970-01-02T01:00:00+01:00", "1970-01-02T00:00:00.5Z", "soon", None], dtype=object)

    assert numbers(column, dtype).tolist() == pytest.approx([86400, 86400, 86400.5, NAN, NAN], nan_ok=True)
    assert np.isnan(numbers(column)).all()


def test_whole_numbers_that_arrive_as_floats_are_the_same_categories():
    """A batch with a missing value has no column of whole numbers."""
    profile = profile_of({"x": np.repeat([3, 1], [60, 40])})

    counts = counted(profile, {"x": np.array([1.0, NAN, 3.0, 2.0, 3.5, math.inf])}).columns["x"]

    assert profile.columns["x"].bins.names == ("3", "1")
    assert counts == ColumnCounts((1, 1), missing=2, non_finite=1, unseen=2)


@pytest.mark.parametrize(
    "column",
    [repeated(a=60, b=40, c=3), np.repeat([3, 1, 2], [60, 40, 3]), np.repeat([True, False], [60, 40])],
    ids=["text", "whole", "truth"],
)
def test_hashed_categories_are_counted_like_others(column):
    """By whoever has the key."""
    plain, hashed = (profile_of({"x": column}, privacy=Privacy(hash_key=key)) for key in (None, b"secret"))
    names = [category_hash(b"secret", each) for each in plain.columns["x"].bins.names]

    assert names == list(hashed.columns["x"].bins.names)
    for _ in range(2):
        assert counted(plain, {"x": column}).columns["x"] == counted(hashed, {"x": column}, key=b"secret").columns["x"]
    odd = np.array([1.0, NAN, math.inf, 7.5]) if column.dtype != object else np.array(["a", None, "zzz"], dtype=object)
    assert counted(plain, {"x": odd}).columns["x"] == counted(hashed, {"x": odd}, key=b"secret").columns["x"]


def test_hashed_categories_are_not_counted_without_their_key():
    """Not even as unseen or missing, by nobody and by whoever has another key; other columns are counted as ever."""
    columns = {"x": repeated(a=60, b=40, c=3), "y": np.arange(103) / 7}
    hashed = profile_of(columns, privacy=Privacy(hash_key=b"secret"))

    for key in (None, b"another", b""):
        layout = Layout(hashed, key)
        counts = counted(hashed, columns, key=key)
        assert layout.uncounted == ("x",)
        assert (counts.rows, counts.columns["x"].rows, counts.columns["y"].rows) == (103, 0, 103)
        assert counted(hashed, {"y": columns["y"]}, key=key).columns["x"].rows == 0
    assert Layout(hashed, b"secret").uncounted == ()
    assert Layout(hashed).size == Layout(hashed, b"secret").size


def test_classes_of_a_model_are_told_by_name_whoever_hashes_its_columns():
    """Quality goes by them, and they are the model's own words."""
    told = repeated(yes=60, no=40)
    profile = profile_of({"x": told}, value=told, is_classifier=True, privacy=Privacy(hash_key=b"secret"))

    assert profile.predictions.classes.bins.names == ("yes", "no")
    assert profile.columns["x"].bins.is_hashed
    assert read_profile(profile.to_json().encode()) == profile
    assert profile_of({"x": np.arange(1000) / 7}, privacy=Privacy(hash_key=b"secret")).key_mark == ""


def test_what_a_batch_does_not_have_is_missing_and_what_a_profile_does_not_have_is_passed_over():
    profile = profile_of(
        {"x": np.arange(100.0), "y": repeated(a=90, b=10), "z": repeated(**{f"t{i}": 1 for i in range(100)})}
    )

    counts = counted(profile, {"x": np.arange(5.0), "else": np.arange(5.0)})

    assert counts.columns["y"] == ColumnCounts((0, 0), missing=5)
    assert counts.columns["z"].missing == 5
    assert set(counts.columns) == {"x", "y", "z"}


def test_a_batch_whose_columns_differ_in_length_is_refused_whole():
    profile = profile_of({"x": np.arange(100.0), "y": np.arange(100.0)})
    counter = BatchCounter(Layout(profile))

    with pytest.raises(InvalidInput, match="'y' has 4 rows in a batch of 5"):
        counter.add(5, {"x": np.arange(5.0), "y": np.arange(4.0)}, {})

    assert not counter.cells.any()


@pytest.mark.parametrize(
    "reference",
    [np.arange(100.0), repeated(a=60, b=40), np.repeat([1, 2], 50), repeated(**{f"t{i}": 1 for i in range(100)})],
)
def test_whatever_a_column_holds_is_counted_once(reference):
    """Numbers, texts, lists and nothing, in a column that was of one kind when the profile was made."""
    hostile = np.empty(12, dtype=object)
    hostile[:] = [1, 1.5, "a", b"b", None, NAN, math.inf, [1], [10**9999], pd.NA, datetime(2020, 1, 1, tzinfo=UTC), 10**400]

    assert counted(profile_of({"x": reference}), {"x": hostile}).columns["x"].rows == 12


@pytest.mark.parametrize(
    "values", [np.zeros((3, 2)), np.zeros((3, 1)), pd.DataFrame({"a": [1, 2, 3]})], ids=["two", "one", "frame"]
)
def test_several_values_in_a_row_are_refused_before_anything_is_counted(values):
    counter = BatchCounter(Layout(profile_of({"x": np.arange(100.0)})))

    with pytest.raises(InvalidInput, match="expected one value in each row"):
        counter.add(3, {"x": values}, {})
    with pytest.raises(InvalidInput, match="expected one value in each row"):
        profile_of({"x": values})

    assert not counter.cells.any()


def test_what_a_mask_hides_is_missing():
    masked = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])

    assert counted(profile_of({"x": masked}), {"x": masked}).columns["x"].missing == 1
    assert profile_of({"x": masked}).columns["x"].counts.missing == 1


def test_lists_are_columns_too():
    """Of numbers, and of lists, whose text is counted."""
    profile = profile_of({"x": [1.5, 2.5, None] * 20, "y": [["a"], ["b", "c"], ["a"]] * 20})

    assert profile.columns["x"].counts.missing == 20
    assert profile.columns["y"].bins.names == ("['a']", "['b', 'c']")
    assert counted(profile, {"x": [1.5], "y": [["a"]]}).columns["y"].bins == (1, 0)
