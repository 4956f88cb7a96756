"""A request made up from a signature: something for the probe to look at where a model has no input example."""

import json
from typing import Any

from podium.domain.signature import ColumnSchema, DataType, Schema, Signature, TensorSchema

_ROWS = 3
_MOST_VALUES = 100_000
_NUMBERS = {DataType.DOUBLE, DataType.FLOAT, DataType.LONG, DataType.INTEGER, DataType.BOOLEAN}


def made_up_request(signature: Signature | None) -> str | None:
    """A JSON body of three rows of different numbers that fits the signature; None where only the model's owner could.

    Numbers alone are made up: a word that a model never saw may be an error where another number is none. A tensor's
    further sizes that are left open are taken as 1.
    """
    inputs = None if signature is None else signature.inputs
    body = None if inputs is None else _body(inputs)
    return None if body is None else json.dumps(body)


def _body(schema: Schema) -> dict[str, Any] | None:
    match schema:
        case ColumnSchema(columns):
            if any(column.type not in _NUMBERS for column in columns) or len(columns) * _ROWS > _MOST_VALUES:
                return None
            rows = [[_value(column.type, row, i) for i, column in enumerate(columns)] for row in range(_ROWS)]
            return {"dataframe_split": {"columns": schema.labels, "data": rows}}
        case TensorSchema(tensors):
            made = [_tensor(tensor.dtype, tensor.shape) for tensor in tensors]
            if any(values is None for values in made):
                return None
            named = {tensor.name: values for tensor, values in zip(tensors, made, strict=True)}
            return {"inputs": named if schema.is_named else made[0]}


def _tensor(dtype: str, shape: tuple[int, ...]) -> list[Any] | None:
    if not dtype.startswith(("float", "int", "uint")) or not shape or shape[0] != -1:
        return None
    rest = [max(size, 1) for size in shape[1:]]
    count = _ROWS
    for size in rest:
        count *= size
    if count > _MOST_VALUES:
        return None
    kind = DataType.DOUBLE if dtype.startswith("float") else DataType.LONG
    return [_nested(rest, kind, row) for row in range(_ROWS)]


def _nested(sizes: list[int], kind: DataType, row: int, position: int = 0) -> Any:
    if not sizes:
        return _value(kind, row, position)
    return [_nested(sizes[1:], kind, row, position * sizes[0] + i) for i in range(sizes[0])]


def _value(kind: Any, row: int, position: int) -> float | int | bool:
    """Different in each row, and for fractions also in each place; whole numbers stay small, for some are indices."""
    if kind is DataType.BOOLEAN:
        return (row + position) % 2 == 0
    if kind in {DataType.LONG, DataType.INTEGER}:
        return (row + position) % _ROWS
    return round(0.25 + 1.5 * row - 0.125 * (position % 7), 3)
