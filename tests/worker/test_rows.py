"""Rows are counted, merged only among equals, and cut back exactly."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.worker.rows import RowsDiffer, count_rows, merge, merge_key, split, take


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


COUNTS = [
    ("an array", np.zeros((3, 2)), 3),
    ("a vector", np.zeros(4), 4),
    ("a scalar array", np.array(1.0), None),
    ("a table", frame(a=[1, 2]), 2),
    ("an empty table", frame(a=[]), 0),
    ("a list", [1, 2, 3], 3),
    ("named arrays of one length", {"a": np.zeros(2), "b": np.zeros((2, 5))}, 2),
    ("named arrays of two lengths", {"a": np.zeros(2), "b": np.zeros(3)}, None),
    ("a dict of something else", {"messages": [1]}, None),
    ("an empty dict", {}, None),
    ("a string", "text", None),
    ("nothing", None, None),
]


@pytest.mark.parametrize(("what", "data", "rows"), COUNTS, ids=[row[0] for row in COUNTS])
def test_counts_rows(what: str, data: Any, rows: int | None) -> None:
    assert count_rows(data) == rows


APART = [
    ("dtypes", np.zeros((1, 2)), np.zeros((1, 2), np.float32)),
    ("numbers of columns", np.zeros((1, 2)), np.zeros((1, 3))),
    ("numbers of axes", np.zeros((1, 2)), np.zeros((1, 2, 1))),
    ("widths of text", np.array(["ab"]), np.array(["abc"])),
    ("nulls", np.array([[1.0, 2.0]]), np.array([[1.0, np.nan]])),
    ("columns with nulls", np.array([[np.nan, 2.0]]), np.array([[1.0, np.nan]])),
    ("types of objects", np.array([["a"]], object), np.array([[1]], object)),
    ("columns", frame(a=[1]), frame(b=[1])),
    ("orders of columns", frame(a=[1], b=[1]), frame(b=[1], a=[1])),
    ("column dtypes", frame(a=[1]), frame(a=[1.0])),
    ("columns with nulls in a table", frame(a=[1.0], b=[1.0]), frame(a=[1.0], b=[np.nan])),
    ("text and no text", frame(a=["x"]), frame(a=[None])),
    ("categories", frame(a=pd.Categorical(["x"])), frame(a=pd.Categorical(["y"]))),
    ("an array and a table", np.zeros((1, 1)), frame(a=[0.0])),
    ("names", {"a": np.zeros(1)}, {"b": np.zeros(1)}),
    ("dtypes by name", {"a": np.zeros(1)}, {"a": np.zeros(1, int)}),
    ("types in lists", [1], ["a"]),
    ("keys in lists", [{"a": 1}], [{"b": 1}]),
    ("nulls in lists", [{"a": 1.0}], [{"a": None}]),
    ("NaN in lists", [{"a": 1.0}], [{"a": float("nan")}]),
]


@pytest.mark.parametrize(("what", "left", "right"), APART, ids=[row[0] for row in APART])
def test_other_columns_dtypes_and_null_patterns_have_other_keys(what: str, left: Any, right: Any) -> None:
    assert merge_key(left, None) != merge_key(right, None)
    assert merge_key(left, None) == merge_key(take(left, [0]), None)
    assert merge_key(right, None) == merge_key(take(right, [0]), None)


PARAMS: list[tuple[Any, Any]] = [
    (None, {"a": 1}),
    ({"a": 1}, {"a": 2}),
    ({"a": 1}, {"b": 1}),
    ({"a": 1}, {"a": 1.0}),
    ({"a": 1}, {"a": True}),
    ({"a": "1"}, {"a": 1}),
    ({"a": np.float32(1)}, {"a": np.float64(1)}),
    ({"a": np.arange(5000)}, {"a": np.arange(5000)[::-1]}),
    ({"a": [1, 2]}, {"a": [2, 1]}),
]


@pytest.mark.parametrize(("left", "right"), PARAMS)
def test_requests_with_other_params_never_merge(left: Any, right: Any) -> None:
    data = np.zeros((1, 2))

    assert merge_key(data, left) != merge_key(data, right)
    assert merge_key(data, right) == merge_key(data, dict(right))


def test_no_params_and_empty_params_are_the_same() -> None:
    assert merge_key([1], None) == merge_key([1], {})


ALONE = [
    ("a scalar", np.array(1.0)),
    ("a string", "text"),
    ("a raw request", {"messages": [1]}),
    ("an index of its own", pd.DataFrame({"a": [1]}, index=[7])),
    ("a named index", pd.DataFrame({"a": [1]}, index=["x"])),
    ("columns in levels", pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")]))),
    ("an empty list", []),
]


@pytest.mark.parametrize(("what", "data"), ALONE, ids=[row[0] for row in ALONE])
def test_what_cannot_be_merged_has_no_key(what: str, data: Any) -> None:
    assert merge_key(data, None) is None


MERGED = [
    np.arange(12.0).reshape(6, 2),
    np.array(["a", "b", "c", "d", "e", "f"]),
    {"a": np.arange(6), "b": np.arange(12.0).reshape(6, 2)},
    pd.DataFrame({"a": [1, 2, 3, 4, 5, 6], "b": list("uvwxyz"), "c": [1.5] * 6}),
    [{"a": i} for i in range(6)],
]


@pytest.mark.parametrize("data", MERGED, ids=lambda data: type(data).__name__)
@given(sizes=st.sampled_from([[6], [1, 5], [2, 0, 4], [1] * 6]))
def test_splitting_is_the_inverse_of_merging(data: Any, sizes: list[int]) -> None:
    ends = np.cumsum(sizes)
    parts = [take(data, range(end - size, end)) for end, size in zip(ends, sizes, strict=True)]

    again = split(merge(parts), sizes)

    assert repr(again) == repr(parts)
    assert repr(merge(again)) == repr(data)


UNEQUAL = [
    ("too few", np.zeros(3)),
    ("too many", np.zeros(5)),
    ("a scalar array", np.array(1.0)),
    ("a number", 4.0),
    ("a string of the right length", "four"),
    ("bytes of the right length", b"four"),
    ("a tuple of the right length", (1, 2, 3, 4)),
    ("nothing", None),
    ("an empty dict", {}),
    ("a dict with one value too short", {"a": [1, 2, 3, 4], "b": [1]}),
    ("a dict with a scalar", {"a": [1, 2, 3, 4], "mean": 2.5}),
    ("a table with too few", pd.DataFrame({"a": [1]})),
    ("a table with an index of its own", pd.DataFrame({"a": [1, 2, 3, 4]}, index=[3, 2, 1, 0])),
    ("a series in another order", pd.Series([1, 2, 3, 4], index=[0, 2, 1, 3])),
]


@pytest.mark.parametrize(("what", "output"), UNEQUAL, ids=[row[0] for row in UNEQUAL])
def test_an_answer_without_the_inputs_rows_is_never_cut(what: str, output: Any) -> None:
    with pytest.raises(RowsDiffer):
        split(output, [1, 3])


def test_parts_of_a_table_are_numbered_from_zero() -> None:
    """As each would be, had it been asked alone."""
    _, second = split(pd.DataFrame({"a": [1, 2, 3]}), [1, 2])

    assert list(second.index) == [0, 1]


def test_a_merge_that_changes_dtypes_is_refused() -> None:
    parts = [frame(a=pd.Categorical(["x"])), frame(a=pd.Categorical(["y"]))]

    with pytest.raises(RowsDiffer, match="other dtypes"):
        merge(parts)


def test_what_a_model_does_to_merged_rows_is_not_done_to_the_parts() -> None:
    """They are run again, each alone, where the batch fails."""
    parts: list[Any] = [[{"text": ["a"]}], [{"text": ["b"]}, {"text": ["c"]}]]

    for row in merge(parts):
        row.pop("text").clear()

    assert parts == [[{"text": ["a"]}], [{"text": ["b"]}, {"text": ["c"]}]]
