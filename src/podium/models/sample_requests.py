"""Requests to try a model with: its example, and what its signature says, in every form; and some that are wrong."""

import json
from dataclasses import dataclass
from typing import Any

from podium.domain.signature import ColumnSchema, DataType, Schema, Signature, TensorSchema

_JSON, _CSV = "application/json", "text/csv"
_ROWS = 3
_VALUES: dict[DataType, list[Any]] = {
    DataType.BOOLEAN: [True, False, True],
    DataType.INTEGER: [0, 1, 2],
    DataType.LONG: [0, 1, 2],
    DataType.FLOAT: [0.25, 1.75, -3.5],
    DataType.DOUBLE: [0.25, 1.75, -3.5],
    DataType.STRING: ["a", "b", "c"],
    DataType.DATETIME: ["2024-01-02T03:04:05", "2024-02-03T00:00:00", "1999-12-31T23:59:59"],
}


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One request; `kind` says what it is, for people and for the differences that are meant."""

    kind: str
    content_type: str | None
    body: bytes


def sample_requests(signature: Signature | None, example: str | None) -> list[SampleRequest]:
    """What can be asked of a model. Columns of nested types cannot be made up: then its example is all that is right.

    Args:
        signature: The model's.
        example: The body of its serving example.
    """
    samples = [SampleRequest("example", _JSON, example.encode())] if example is not None else []
    inputs = None if signature is None else signature.inputs
    return [*samples, *([] if inputs is None else _right(inputs)), *_wrong(inputs)]


def _right(schema: Schema) -> list[SampleRequest]:
    match schema:
        case ColumnSchema(columns):
            kinds = [column.type for column in columns]
            if not all(isinstance(kind, DataType) and kind in _VALUES for kind in kinds):
                return []
            table = [_VALUES[kind] for kind in kinds if isinstance(kind, DataType)]
            labels = [str(label) for label in schema.labels]
            rows = [list(row) for row in zip(*table, strict=True)]
            records = [dict(zip(labels, row, strict=True)) for row in rows]
            lines = [",".join(labels), *(",".join(str(value) for value in row) for row in rows)]
            return [
                _json("dataframe_split", {"dataframe_split": {"columns": schema.labels, "data": rows}}),
                _json("dataframe_records", {"dataframe_records": records}),
                _json("inputs", {"inputs": dict(zip(labels, table, strict=True))}),
                _json("instances", {"instances": records}),
                SampleRequest("CSV", _CSV, "\n".join([*lines, ""]).encode()),
            ]
        case TensorSchema(tensors):
            values = [_tensor(tensor.dtype, tensor.shape) for tensor in tensors]
            if any(value is None for value in values):
                return []
            if schema.is_named:
                return [_json("inputs", {"inputs": {t.name: v for t, v in zip(tensors, values, strict=True)}})]
            return [_json("inputs", {"inputs": values[0]}), _json("instances", {"instances": values[0]})]


def _wrong(schema: Schema | None) -> list[SampleRequest]:
    wrong = [
        SampleRequest("no content type", None, b'{"inputs": [[1]]}'),
        SampleRequest("unknown content type", "text/html", b"<p>"),
        SampleRequest("no JSON", _JSON, b"{"),
        SampleRequest("a list", _JSON, b"[1, 2]"),
        SampleRequest("no input field", _JSON, b"{}"),
        SampleRequest("two input fields", _JSON, b'{"inputs": [[1]], "instances": [[1]]}'),
    ]
    if isinstance(schema, ColumnSchema) and schema.columns:
        labels = schema.labels
        row: list[Any] = ["not a number"] * len(labels)
        wrong += [
            _json("a column is missing", {"dataframe_split": {"columns": labels[1:], "data": [row[1:]]}}),
            _json("text everywhere", {"dataframe_split": {"columns": labels, "data": [row]}}),
            _json("null everywhere", {"dataframe_split": {"columns": labels, "data": [[None] * len(labels)]}}),
            _json("a row is short", {"dataframe_split": {"columns": labels, "data": [row[1:]]}}),
        ]
    if isinstance(schema, TensorSchema):
        wrong.append(_json("text in a tensor", {"inputs": [["not a number"]]}))
        wrong.append(_json("another shape", {"inputs": [[[[[[1.0]]]]]]}))
    return wrong


def _tensor(dtype: str, shape: tuple[int, ...]) -> list[Any] | None:
    if not dtype.startswith(("float", "int", "uint")) or not shape or any(size > 4096 for size in shape):
        return None

    def fill(sizes: list[int], at: int) -> Any:
        if not sizes:
            return at % 3 if "int" in dtype else round(0.25 + 0.5 * (at % 7), 3)
        return [fill(sizes[1:], at * 3 + i) for i in range(sizes[0])]

    made: list[Any] = fill([_ROWS if shape[0] < 0 else shape[0], *(max(size, 1) for size in shape[1:])], 0)
    return made


def _json(kind: str, body: dict[str, Any]) -> SampleRequest:
    return SampleRequest(kind, _JSON, json.dumps(body).encode())
