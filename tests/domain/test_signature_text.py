"""Signatures as MLflow writes and shows them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    MapType,
    ObjectType,
    Param,
    Property,
    Signature,
    SparkVectorType,
    TensorSchema,
    TensorSpec,
)
from podium.errors import InvalidModel

# As an MLflow 3.17 file has it.
WRITTEN = (
    '[{"type": "string", "name": "s", "required": true}, '
    '{"type": "array", "items": {"type": "long"}, "name": "arr", "required": false}, '
    '{"type": "object", "properties": {"k": {"type": "string", "required": true}, "l": {"type": "array", "items": '
    '{"type": "object", "properties": {"z": {"type": "double", "required": false}}}, "required": true}}, "name": "o", '
    '"required": true}, {"type": "map", "values": {"type": "double"}, "name": "m", "required": true}, '
    '{"type": "any", "name": "any", "required": true}, {"type": "datetime", "name": "d", "required": true}]'
)


def test_a_file_of_mlflows_is_read_and_written_byte_for_byte() -> None:
    """Nested types included."""
    assert Signature.from_dict({"inputs": WRITTEN}).to_dict()["inputs"] == WRITTEN


def test_schemas_are_shown_in_messages_as_mlflow_shows_them() -> None:
    """Columns, tensors, nested types."""
    nested = ObjectType((Property("k", DataType.STRING), Property("l", ArrayType(DataType.LONG), required=False)))
    columns = (Column(DataType.DOUBLE, "a"), Column(nested, "o", required=False), Column(MapType(DataType.LONG), "m"))

    assert "['a': double (required), 'o': {k: string (required), l: Array(long) (optional)} (optional), " in str(
        ColumnSchema(columns)
    )
    assert str(ColumnSchema((Column(DataType.DOUBLE),))) == "[double (required)]"
    assert str(TensorSchema((TensorSpec("float32", (-1, 3)),))) == "[Tensor('float32', (-1, 3))]"
    assert str(TensorSchema((TensorSpec("str", (-1,), "x"),))) == "['x': Tensor('str', (-1,))]"


def test_a_missing_required_means_required() -> None:
    """For nested columns too, which MLflow reads as optional by a slip."""
    schema = Signature.from_dict({"inputs": '[{"type": "any", "name": "x"}, {"type": "long", "name": "y"}]'}).inputs

    assert isinstance(schema, ColumnSchema)
    assert [column.required for column in schema.columns] == [True, True]


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"type": "quaternion"}],
        [{"type": "array"}],
        [{"type": "long", "name": "a"}, {"type": "long"}],
        [{"type": "long", "name": "a"}, {"type": "long", "name": "a"}],
        [{"type": "long"}, {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}],
        [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}] * 2,
        [{"type": "tensor", "tensor-spec": {"dtype": "float32"}}],
    ],
)
def test_schemas_that_mlflow_would_not_write_are_refused(entries: Any) -> None:
    """With a sentence that says what is wrong."""
    with pytest.raises(InvalidModel, match=r"signature"):
        Signature.from_dict({"inputs": json.dumps(entries)})


TYPES = st.recursive(
    st.sampled_from([*DataType, AnyType(), SparkVectorType()]),
    lambda inner: (
        inner.map(ArrayType)
        | inner.map(MapType)
        | st.dictionaries(st.text(max_size=3), st.tuples(inner, st.booleans()), min_size=1, max_size=3).map(
            lambda fields: ObjectType(tuple(Property(name, *rest) for name, rest in sorted(fields.items())))
        )
    ),
    max_leaves=6,
)
SCHEMAS = st.dictionaries(st.text(min_size=1, max_size=3), st.tuples(TYPES, st.booleans()), min_size=1, max_size=4).map(
    lambda columns: ColumnSchema(tuple(Column(kind, name, required) for name, (kind, required) in columns.items()))
)


@given(SCHEMAS)
def test_what_is_written_is_what_is_read(schema: ColumnSchema) -> None:
    """For every schema, with params beside it."""
    signature = Signature(schema, params=(Param("p", DataType.STRING, ["a"], (-1,)),))

    assert signature == Signature.from_dict(signature.to_dict())
