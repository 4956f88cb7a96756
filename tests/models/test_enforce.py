"""Which columns and values fit a signature, and what they become."""

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.domain.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    ColumnType,
    DataType,
    MapType,
    ObjectType,
    Property,
    SparkVectorType,
    TensorSchema,
    TensorSpec,
)
from podium.errors import SchemaMismatch
from podium.models.enforce import InputEnforcer


def enforced(values: Any, kind: ColumnType, required: bool = True) -> Any:
    frame = pd.DataFrame({"x": values})
    return InputEnforcer(ColumnSchema((Column(kind, "x", required),))).enforce(frame)["x"]


def refused(values: Any, kind: ColumnType, required: bool = True) -> str:
    with pytest.raises(SchemaMismatch) as caught:
        enforced(values, kind, required)
    return caught.value.message.partition("Error: ")[2]


def series(values: Any, dtype: Any) -> Any:
    return pd.Series(values, dtype=dtype)


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (series([1], "int8"), DataType.INTEGER, "int32"),
        (series([1], "int32"), DataType.LONG, "int64"),
        (series([1], "uint32"), DataType.LONG, "int64"),
        (series([1], "float32"), DataType.DOUBLE, "float64"),
        (series([1], "int32"), DataType.DOUBLE, "float64"),
        (series([5, -7], "int64"), DataType.DOUBLE, "float64"),
        (series([2**53], "int64"), DataType.DOUBLE, "float64"),
        (series([0, 1], "int64"), DataType.FLOAT, "float32"),
        (series([1, None], "Int64"), DataType.DOUBLE, "float64"),
        (series([Decimal("1.5"), None], object), DataType.DOUBLE, "float64"),
        (series([1, 2], object), DataType.LONG, "int64"),
        (series(["2024-01-02"], "datetime64[s]"), DataType.DATETIME, "datetime64[ns]"),
        (series([datetime.date(2024, 1, 2)], object), DataType.DATETIME, "datetime64[ns]"),
        (series(pd.to_datetime(["2024-01-02T01:00"]).tz_localize("Asia/Tokyo"), None), DataType.DATETIME, "datetime64[ns]"),
        (series([True, None], object), DataType.BOOLEAN, "object"),
        (series([1, "a"], object), DataType.STRING, "object"),
        (series([b"a"], object), DataType.BINARY, "object"),
    ],
)
def test_what_loses_nothing_is_converted(values: Any, kind: DataType, dtype: str) -> None:
    """Wider types, whole numbers that floats hold exactly, dates, moments in a zone."""
    assert dtype == str(enforced(values, kind).dtype)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        (series([1.0], "float64"), DataType.LONG, "Can not safely convert float64 to int64."),
        (series([1], "int64"), DataType.INTEGER, "Can not safely convert int64 to int32."),
        (series([1.5], "float64"), DataType.FLOAT, "Can not safely convert float64 to float32."),
        (series([2**53 + 1], "int64"), DataType.DOUBLE, "Can not safely convert int64 to float64."),
        (series([2], "int64"), DataType.FLOAT, "Can not safely convert int64 to float32."),
        (series([2], "int32"), DataType.FLOAT, "Can not safely convert int32 to float32."),
        (series([1], "uint64"), DataType.LONG, "Can not safely convert uint64 to int64."),
        (series([1], "int64"), DataType.BOOLEAN, "Can not safely convert int64 to bool."),
        (series([True], "bool"), DataType.LONG, "Can not safely convert bool to int64."),
        (series([1], "int64"), DataType.STRING, "Can not safely convert int64 to <U0."),
        (series([1], "int64"), DataType.DATETIME, "Can not safely convert int64 to datetime64[ns]."),
        (series(["a secret"], object), DataType.DOUBLE, "to float64."),
        (series([[1]], object), DataType.LONG, "Can not safely convert object to int64."),
    ],
)
def test_what_could_lose_something_is_refused(values: Any, kind: DataType, said: str) -> None:
    """With the type it has and the one that is declared, and nothing of the data."""
    message = refused(values, kind)

    assert message.startswith("Incompatible input types for column x.")
    assert said in message
    assert "secret" not in message


def test_missing_whole_numbers_come_with_a_hint() -> None:
    """The commonest mistake: a gap made floats of them."""
    assert "Hint: the type mismatch is likely caused by missing values." in refused([1.0, None], DataType.LONG)
    assert "Hint" not in refused([1.5, None], DataType.LONG)


@pytest.mark.parametrize("kind", [DataType.INTEGER, DataType.LONG])
def test_an_optional_column_of_whole_numbers_may_have_gaps(kind: DataType) -> None:
    """As floats, or as objects where pandas sees no number in them; fractions are still refused."""
    assert [
        str(enforced(values, kind, required=False).dtype)
        for values in ([1.0, None], series([7, pd.NA], object), [None, np.nan])
    ] == ["float64", "object", "float64"]
    assert "Can not safely convert" in refused([1.5, None], kind, required=False)
    assert "Can not safely convert" in refused(series(["x", None], object), kind, required=False)


@pytest.mark.parametrize("kind", list(DataType))
def test_an_optional_column_may_be_missing_throughout(kind: DataType) -> None:
    """Whatever its type."""
    assert enforced(series([None, None], object), kind, required=False).isna().sum() == 2


OBJECT = ObjectType((Property("k", DataType.STRING), Property("n", DataType.LONG, required=False)))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ([1, 2], ArrayType(DataType.LONG), [1, 2]),
        ([1, 2.5], ArrayType(DataType.DOUBLE), [1.0, 2.5]),
        ([1.5, None], ArrayType(DataType.DOUBLE), "[1.5, nan]"),
        ([["a"], []], ArrayType(ArrayType(DataType.STRING)), [["a"], []]),
        ([None, {"x": 1}], ArrayType(AnyType()), [None, {"x": 1}]),
        ([1.5, 2], SparkVectorType(), [1.5, 2.0]),
        ({"k": "v"}, OBJECT, {"k": "v"}),
        ({"k": "v", "n": None}, OBJECT, {"k": "v", "n": None}),
        ({"z": 1}, MapType(DataType.DOUBLE), {"z": 1.0}),
        ({"z": {"k": "v"}}, MapType(OBJECT), {"z": {"k": "v"}}),
        ({"any": [1]}, AnyType(), {"any": [1]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nested_values_become_what_is_declared(value: Any, kind: ColumnType, expected: Any) -> None:
    """Cell by cell; the caller's own value is not changed."""
    before = repr(value)

    cell = enforced(series([value], object), kind)[0]

    assert cell == expected or str(cell) == expected
    assert before == repr(value)


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ("a secret", ArrayType(DataType.LONG), "Expected data to be list or numpy array, got str"),
        (["a secret"], ArrayType(DataType.LONG), "Can not safely convert"),
        ([1.5], ArrayType(DataType.LONG), "Can not safely convert float64 to int64."),
        ([[1], "a secret"], ArrayType(ArrayType(DataType.LONG)), "Expected data to be list or numpy array, got str"),
        ({"n": 1}, OBJECT, "Missing required properties: {'k'}"),
        ({"k": "v", "q": "a secret"}, OBJECT, "Invalid properties not defined in the schema found: {'q'}"),
        ({"k": 5}, OBJECT, "Failed to enforce schema for key `k`. Expected type string, received type int"),
        ("a secret", OBJECT, "Expected data to be dictionary, got str"),
        ({"z": "a word"}, MapType(DataType.DOUBLE), "Failed to enforce schema of data `a word` with dtype `double`"),
        ({"z": 5}, MapType(DataType.INTEGER), "Failed to enforce schema of data `5` with dtype `integer`"),
        ({"z": 2}, MapType(DataType.DOUBLE), "Failed to enforce schema of data `2` with dtype `double`"),
        ([0.1], ArrayType(DataType.FLOAT), "Can not safely convert float64 to float32."),
        ({"z": [1]}, MapType(DataType.DOUBLE), "Expected data to be scalar, got list"),
        ([1], MapType(DataType.DOUBLE), "Expected data to be a dict, got list"),
        ({1: 2.0}, MapType(DataType.DOUBLE), "Expected all keys in the map type data are string type."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nested_values_that_do_not_fit_are_refused(value: Any, kind: ColumnType, said: str) -> None:
    """Names of properties are told, and of values one scalar, where MLflow tells it."""
    message = refused(series([value], object), kind)

    assert said in message
    assert "secret" not in message


@pytest.mark.parametrize("kind", [ArrayType(DataType.LONG), OBJECT, MapType(DataType.DOUBLE)])
def test_an_optional_nested_column_may_have_gaps(kind: ColumnType) -> None:
    """None and NaN alike become None."""
    assert enforced(series([None, float("nan")], object), kind, required=False).tolist() == [None, None]


def test_columns_without_names_are_matched_by_position() -> None:
    """The frame keeps its own labels; columns beyond the signature's are dropped."""
    enforcer = InputEnforcer(ColumnSchema((Column(DataType.DOUBLE), Column(DataType.LONG))))

    frame = enforcer.enforce(pd.DataFrame({"p": [1.5], "q": [2], "r": [3]}))

    assert list(frame.columns) == ["p", "q"]
    with pytest.raises(SchemaMismatch, match="declares 2 inputs  but the provided value only has 1 inputs"):
        enforcer.enforce(pd.DataFrame({"p": [1.5]}))


def test_columns_numbered_by_a_frame_are_matched_by_number() -> None:
    """A signature inferred from a frame without names has whole numbers for names."""
    enforcer = InputEnforcer(ColumnSchema((Column(DataType.DOUBLE, 0), Column(DataType.DOUBLE, 1))))

    assert enforcer.enforce(np.array([[1.0, 2.0]])).to_numpy().tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (pd.Series(["a", "b"], name="x"), 2),
        ({"x": ["a", "b"]}, 1),
        ({"x": np.array(["a", "b"])}, 2),
        ({"x": "a"}, 1),
        ([{"x": "a"}, {"x": "b"}], 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_forms_become_frames_as_in_mlflow(data: Any, rows: int) -> None:
    """A dict of lists of text is one row, of arrays many."""
    enforcer = InputEnforcer(ColumnSchema((Column(AnyType(), "x"),)))

    assert rows == len(enforcer.enforce(data))


def test_two_columns_of_one_name_are_refused() -> None:
    """Which of them is meant nobody can tell."""
    enforcer = InputEnforcer(ColumnSchema((Column(DataType.DOUBLE, "a"),)))

    with pytest.raises(SchemaMismatch, match="more than one column named 'a'"):
        enforcer.enforce(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))


@pytest.mark.parametrize(
    "data",
    [5, "x", None, object(), {"a": 1}, [1], pd.DataFrame(), np.zeros((2, 2, 2))],
    ids=lambda value: type(value).__name__,
)
def test_forms_that_hold_no_such_tensor_or_table_are_refused(data: Any) -> None:
    """By both kinds of schema, and with a sentence."""
    for schema in (
        ColumnSchema((Column(DataType.DOUBLE, "x"),)),
        TensorSchema((TensorSpec("float32", (-1, 3)),)),
        TensorSchema((TensorSpec("float32", (-1,), "x"), TensorSpec("float32", (-1,), "y"))),
    ):
        with pytest.raises(SchemaMismatch, match="Failed to enforce schema of data with schema"):
            InputEnforcer(schema).enforce(data)


def test_ragged_arrays_pass_where_sizes_vary() -> None:
    """An array of objects, for a tensor with several open dimensions."""
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.zeros((1, 2)), np.zeros((3, 2))]

    assert InputEnforcer(TensorSchema((TensorSpec("float64", (-1, -1, 2)),))).enforce(ragged) is ragged


def test_frames_become_tensors() -> None:
    """Columns of numbers side by side, or one column with a list for each row."""
    unnamed = InputEnforcer(TensorSchema((TensorSpec("float64", (-1, 2)),)))
    named = InputEnforcer(TensorSchema((TensorSpec("float32", (-1, 2), "x"), TensorSpec("int64", (-1,), "y"))))

    assert unnamed.enforce(pd.DataFrame({"p": [1.0], "q": [2.0]}, index=[7])).tolist() == [[1.0, 2.0]]
    assert unnamed.enforce(pd.DataFrame({"p": [[1, 2]]})).tolist() == [[1.0, 2.0]]
    tensors = named.enforce(pd.DataFrame({"x": [np.array([1, 2], dtype=np.float32)], "y": [5], "z": [0]}))
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {"x": [[1.0, 2.0]], "y": [5]}


def test_a_column_without_a_row_of_label_0_is_no_tensor() -> None:
    """As in MLflow, which looks the first row up by that label."""
    enforcer = InputEnforcer(TensorSchema((TensorSpec("float64", (-1, 2)),)))

    with pytest.raises(SchemaMismatch, match=r"Error: 0$"):
        enforcer.enforce(pd.DataFrame({"p": [[1, 2]]}, index=[7]))
