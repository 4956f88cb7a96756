"""What a strict server refuses in JSON before anything is converted: values that would lose something, extra columns."""

from collections.abc import Iterator
from typing import Any

from podium.domain.inputs.conversions import loss
from podium.domain.reasons import listed
from podium.domain.signature import Column, Schema, TensorSchema, TensorSpec
from podium.errors import MalformedBody


def check_lossless(field: str, data: Any, schema: Schema) -> None:
    """Refuse the first column whose values do not fit its declared type as they are.

    A body of another form than its field asks for is left to the reader, which says so.

    Args:
        field: The input field of the body.
        data: Its value.
        schema: The signature's inputs.

    Raises:
        MalformedBody: Names the column, what its type takes and what kind of value was sent.
    """
    entries: tuple[Column | TensorSpec, ...] = schema.tensors if isinstance(schema, TensorSchema) else schema.columns
    by_name = {entry.name: entry for entry in entries} if schema.is_named else {}
    is_one = isinstance(schema, TensorSchema) and not schema.is_named
    for position, name, values in _columns(field, data):
        entry: Column | TensorSpec | None
        if is_one or name is None:
            entry = entries[0]
        elif schema.is_named:
            entry = by_name.get(name)
        else:
            entry = entries[position] if position < len(entries) else None
        if entry is None:
            raise MalformedBody(f"Invalid input. The model's signature has no input {listed([name])}.")
        if why := loss(values, entry):
            label = f"Input {listed([name])}" if name is not None else "The input"
            raise MalformedBody(f"Invalid input. {label} of {why}.")


def _columns(field: str, data: Any) -> Iterator[tuple[int, Any, list[Any]]]:
    """Each column's position, name (None: the body has no names) and values."""
    match field:
        case "dataframe_split" if isinstance(data, dict) and isinstance(data.get("data"), list):
            rows = data["data"]
            names = data.get("columns")
            if not isinstance(names, list):
                names = list(range(max((len(row) for row in rows if isinstance(row, list)), default=1)))
            for position, name in enumerate(names):
                if isinstance(name, list | dict):
                    continue
                cells = [row[position] for row in rows if isinstance(row, list) and position < len(row)]
                yield position, name, cells or [row for row in rows if not isinstance(row, list)]
        case "dataframe_records" | "inputs" | "instances" if _is_rows(data):
            names = list(dict.fromkeys(name for row in data for name in row))
            for position, name in enumerate(names):
                yield position, name, [row[name] for row in data if name in row]
        case "inputs" | "instances" if isinstance(data, dict):
            for position, (name, value) in enumerate(data.items()):
                yield position, name, value if isinstance(value, list) else [value]
        case "inputs" | "instances":
            yield 0, None, data if isinstance(data, list) else [data]


def _is_rows(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and all(isinstance(row, dict) for row in data)
