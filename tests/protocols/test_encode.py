"""What a prediction looks like on the wire."""

import datetime
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import UnencodableOutput
from podium.protocols.mlflow.codec import encode


def test_an_array_is_written_as_mlflow_writes_it() -> None:
    """With the spaces after colon and comma, and a float32 with the digits of its double."""
    assert (
        encode(np.array([[0.1, 0.2]], dtype=np.float32)) == b'{"predictions": [[0.10000000149011612, 0.20000000298023224]]}'
    )


def test_a_frame_is_written_as_records() -> None:
    """The index is dropped."""
    assert (
        encode(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=[5, 6]))
        == b'{"predictions": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}'
    )


def test_a_unified_answer_has_no_envelope() -> None:
    """The prediction alone."""
    assert encode({"choices": []}, is_enveloped=False) == b'{"choices": []}'


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ([float("nan"), float("inf"), float("-inf")], "[NaN, Infinity, -Infinity]"),
        ("é", '"\\u00e9"'),
        (b"hi", '"aGk=\\n"'),
        ([pd.Timestamp("2024-01-02T03:04:05.678"), pd.NaT, pd.NA], '["2024-01-02T03:04:05.678000", "NaT", null]'),
        (datetime.timedelta(days=1, seconds=3723, microseconds=500_000), '"P1DT1H2M3.5S"'),
        (-datetime.timedelta(seconds=90), '"-P0DT0H1M30S"'),
        ([pd.Timedelta("90s")], '["P0DT0H1M30S"]'),
        ({"price": Decimal("1.50")}, '{"price": 1.5}'),
        ({"labels": {3, 1, 2}}, '{"labels": [1, 2, 3]}'),
        ({np.int64(1): {datetime.date(2024, 1, 2): 0}}, '{"1": {"2024-01-02": 0}}'),
        ({"frame": pd.DataFrame({"a": [1]}), "series": pd.Series([1, 2])}, '{"frame": [{"a": 1}], "series": [1, 2]}'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_beyond_plain_json_have_a_form(prediction: Any, expected: str) -> None:
    """Bare NaN as in MLflow; types on which MLflow answers 500 as ISO 8601, numbers and lists."""
    assert f'{{"predictions": {expected}}}' == encode(prediction).decode()


def test_of_columns_with_one_name_the_last_is_kept_without_a_warning() -> None:
    """pandas warns; a server's log would fill with it."""
    assert encode(pd.DataFrame([[1, 2]], columns=["a", "a"])) == b'{"predictions": [{"a": 2}]}'


@pytest.mark.parametrize(
    ("prediction", "told"),
    [
        (1j, "complex"),
        ([object()], "object"),
        ({"x": iter([])}, "list_iterator"),
        ({(1, 2): 0}, "tuple"),
        ({b"k": 0}, "bytes"),
        (np.longdouble(1), "numpy.longdouble"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_form_is_named_by_its_type(prediction: Any, told: str) -> None:
    """So that whoever wrote the model knows what to change."""
    with pytest.raises(UnencodableOutput, match=told):
        encode(prediction)


def test_a_list_that_holds_itself_is_refused() -> None:
    """And so is nesting beyond Python's stack."""
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    for prediction in (endless, deep):
        with pytest.raises(UnencodableOutput):
            encode(prediction)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_plain_json_is_written_as_pythons_json_writes_it(value: Any) -> None:
    """Byte for byte, for whatever JSON can hold."""
    assert json.dumps({"predictions": value}).encode() == encode(value)
