"""Signatures from examples."""

import datetime
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.domain.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    ObjectType,
    Param,
    Property,
    TensorSchema,
    TensorSpec,
)
from podium.errors import InvalidInput
from podium.models.infer import infer_schema, infer_signature


def test_a_frame_gives_columns_and_an_array_a_tensor() -> None:
    """The tensor's first dimension varies."""
    signature = infer_signature(pd.DataFrame({"a": [1.0], "s": ["x"]}), np.array([[1, 2]]))

    assert ColumnSchema((Column(DataType.DOUBLE, "a"), Column(DataType.STRING, "s"))) == signature.inputs
    assert TensorSchema((TensorSpec("int64", (-1, 2)),)) == signature.outputs
    assert None is signature.params


def test_a_column_with_gaps_is_optional() -> None:
    """Whatever stands for the gap."""
    frame = pd.DataFrame({"f": [1.0, None], "s": ["x", None], "t": [pd.Timestamp("2024-01-02"), pd.NaT]})

    schema = infer_schema(frame)

    assert isinstance(schema, ColumnSchema)
    assert [(column.type, column.required) for column in schema.columns] == [
        (DataType.DOUBLE, False),
        (DataType.STRING, False),
        (DataType.DATETIME, False),
    ]


@pytest.mark.parametrize("name", [0, np.int64(0)])
def test_frames_without_names_keep_their_numbers(name: Any) -> None:
    """As Python's own numbers, which JSON can hold."""
    schema = infer_schema(pd.DataFrame({name: [1.0]}))

    assert isinstance(schema, ColumnSchema)
    assert (0, int) == (schema.columns[0].name, type(schema.columns[0].name))


def test_whole_numbers_in_the_input_come_with_a_hint() -> None:
    """They have no room for gaps; of an output nobody asks that."""
    with pytest.warns(UserWarning, match="integer columns cannot hold missing values"):
        infer_signature(pd.DataFrame({"a": [1]}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        infer_signature(np.array([1]), pd.Series([1]))


def test_what_cannot_be_told_is_any_with_a_warning() -> None:
    """A model may always be saved."""
    with pytest.warns(UserWarning, match="No schema could be inferred for the model's output"):
        signature = infer_signature(None, 1j)

    assert ColumnSchema((Column(AnyType()),)) == signature.outputs


def test_nested_examples_unite_their_properties() -> None:
    """What is absent in one of them is optional."""
    rows = [{"x": {"k": "v", "l": [1]}}, {"x": {"k": "w", "d": datetime.datetime.fromisoformat("2024-01-02")}}]

    expected = ObjectType((
        Property("d", DataType.DATETIME, required=False),
        Property("k", DataType.STRING),
        Property("l", ArrayType(DataType.LONG), required=False),
    ))  # fmt: skip
    assert ColumnSchema((Column(expected, "x"),)) == infer_schema(rows)


def test_params_have_types_shapes_and_plain_defaults() -> None:
    """Numpy's scalars and datetimes become what JSON can hold."""
    given = {
        "t": np.float32(0.5), "n": 1, "l": ["a"], "f": False, "e": [], "d": datetime.date(2024, 1, 2), "m": [1, 2.5],
        "o": {"k": 1},
    }  # fmt: skip

    params = infer_signature(params=given).params

    assert params == (
        Param("t", DataType.FLOAT, 0.5),
        Param("n", DataType.LONG, 1),
        Param("l", DataType.STRING, ["a"], (-1,)),
        Param("f", DataType.BOOLEAN, False),
        Param("e", DataType.STRING, [], (-1,)),
        Param("d", DataType.DATETIME, "2024-01-02"),
        Param("m", DataType.DOUBLE, [1, 2.5], (-1,)),
        Param("o", ObjectType((Property("k", DataType.LONG),)), {"k": 1}),
    )


@pytest.mark.parametrize(
    "default", [None, b"x", [[1]], ["a", 1], {}, object(), np.zeros((2, 2))], ids=lambda value: type(value).__name__
)
def test_params_that_no_schema_holds_are_refused_by_name(default: Any) -> None:
    """So that saving the model fails, not its first request."""
    with pytest.raises(InvalidInput, match="'p'"):
        infer_signature(params={"p": default})


@dataclass
class Message:
    role: str
    score: float | None = None


@dataclass
class Chat:
    messages: list[Message]
    n: int = 1
    first: Message | None = None


def test_a_dataclass_gives_its_fields() -> None:
    """Optional ones are optional; a class and an instance say the same."""
    message = ObjectType((Property("role", DataType.STRING), Property("score", DataType.FLOAT, required=False)))
    expected = ColumnSchema((
        Column(ArrayType(message), "messages"),
        Column(DataType.LONG, "n"),
        Column(message, "first", required=False),
    ))  # fmt: skip

    assert expected == infer_schema(Chat) == infer_schema(Chat([Message("user")]))
