"""What a signature made of the values of a request: which of its columns were converted, from what to what.

Told afterwards from a body that was kept, so that no request pays for it; the laws are those of `conversions.py`. Types
are called as a signature calls them: JSON has `boolean`, `long` (whole numbers), `double`, `string` and `null`, a tensor
of the Open Inference Protocol its datatype. What is null or missing where the type has a value for that, and the insides
of lists, objects and maps, are enforced and not converted.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from podium.domain.inputs.conversions import RULES, WHOLE, leaves
from podium.domain.open_inference import ARRAYS, COLUMNS
from podium.domain.signature import Column, ColumnSchema, DataType, Schema, TensorSpec

MOST = 200
LEFT_OUT = "left out"
_LONGEST = 200
_SPLIT, _RECORDS = "dataframe_split", "dataframe_records"
_ARRAYS = ("inputs", "instances")
_SENT: Mapping[type, str] = {
    bool: "boolean", int: "long", float: "double", str: "string", type(None): "null", dict: "object", list: "list",
}  # fmt: skip
# Kinds of numpy's dtypes whose tensors hold a JSON value as it is.
_TENSORS: Mapping[str, type] = {"b": bool, "i": int, "u": int, "f": float, "U": str}


@dataclass(frozen=True, slots=True)
class Coercion:
    """Values of one column that the model did not get as they were sent.

    Args:
        column: Its name, or its place where it has none.
        sent: What they were.
        taken: What they became; `LEFT_OUT` where the signature has no such column.
        values: How many of them.
    """

    column: str
    sent: str
    taken: str
    values: int


@dataclass(frozen=True, slots=True)
class Given:
    """What a request has under a column's label.

    Args:
        label: A name, or a place.
        value: A cell, or lists of them.
        datatype: Of the Open Inference Protocol; None where JSON's own types count.
        is_frame: It stands in a data frame, whose cells of text are left as they are.
    """

    label: str | int
    value: Any
    datatype: str | None = None
    is_frame: bool = False


def coercions(body: Any, schema: Schema) -> list[Coercion] | None:
    """What was converted of a request, in the order in which it came; `MOST` at most.

    Args:
        body: Decoded JSON, of MLflow's protocol or the Open Inference Protocol.
        schema: The inputs of the model that answered it.

    Returns: None where the body has no form in which columns are told apart.
    """
    given = _given(body, isinstance(schema, ColumnSchema))
    if given is None:
        return None
    entries = _entries(schema)
    counted: Counter[tuple[str, str, str]] = Counter()
    for each in given:
        entry = _entry_of(each, schema, entries)
        label = str(each.label)[:_LONGEST]
        if entry is None:
            counted[label, _sent_of(each), LEFT_OUT] += 1
        elif each.datatype is not None:
            taken = _taken_of_tensor(each.datatype, entry)
            if taken is not None:
                counted[label, each.datatype, taken] += sum(1 for _ in leaves(each.value))
        else:
            for value in leaves(each.value):
                taken = _taken(value, entry, each.is_frame)
                if taken is not None:
                    counted[label, _SENT.get(type(value), "object"), taken] += 1
    return [Coercion(*kind, count) for kind, count in islice(counted.items(), MOST)]


def _entries(schema: Schema) -> dict[str | int, Column | TensorSpec]:
    if isinstance(schema, ColumnSchema):
        return dict(zip(schema.labels, schema.columns, strict=True))
    return {i if tensor.name is None else tensor.name: tensor for i, tensor in enumerate(schema.tensors)}


def _entry_of(given: Given, schema: Schema, entries: Mapping[str | int, Column | TensorSpec]) -> Column | TensorSpec | None:
    """What the signature declares of it; None where nothing."""
    if given.label in entries:
        return entries[given.label]
    if isinstance(schema, ColumnSchema):
        # Datatypes come with names, also for columns without one: `input-0`.
        place = str(given.label).rpartition("-")[2]
        is_place = not schema.is_named and given.datatype is not None and place.isdecimal()
        return entries.get(int(place)) if is_place and len(place) < len(str(MOST)) + 2 else None
    # A single tensor is whatever came, whatever that is called.
    is_whole = len(schema.tensors) == 1 and (not schema.is_named or given.label == 0)
    return schema.tensors[0] if is_whole else None


def _given(body: Any, is_table: bool) -> Iterator[Given] | None:
    """Everything that a body holds under names or places."""
    if not isinstance(body, Mapping):
        return None
    if isinstance(frame := body.get(_SPLIT), Mapping):
        return _of_split(frame)
    if isinstance(records := body.get(_RECORDS), list):
        return _of_records(records, is_frame=True)
    for field in _ARRAYS:
        if isinstance(values := body.get(field), Mapping):
            return (Given(name, value) for name, value in values.items())
        if isinstance(values, list):
            return _of_list(values, is_table)
    return None


def _of_split(frame: Mapping[str, Any]) -> Iterator[Given]:
    names, rows = frame.get("columns"), frame.get("data")
    for row in rows if isinstance(rows, list) else ():
        cells = row if isinstance(row, list) else [row]
        labels: Sequence[str | int] = names if isinstance(names, list) else range(len(cells))
        for label, cell in zip(labels, cells, strict=False):
            yield Given(label, cell, is_frame=True)


def _of_records(records: Sequence[Any], is_frame: bool) -> Iterator[Given]:
    for record in records:
        for name, value in record.items() if isinstance(record, Mapping) else ():
            yield Given(name, value, is_frame=is_frame)


def _of_list(values: list[Any], is_table: bool) -> Iterator[Given] | None:
    """Tensors, records, or rows without names."""
    if values and all(isinstance(each, Mapping) for each in values):
        if all({"name", "datatype"} <= each.keys() for each in values):
            return (Given(str(each["name"]), each.get("data"), str(each["datatype"])) for each in values)
        return _of_records(values, is_frame=False)
    if any(isinstance(each, Mapping) for each in values):
        return None
    if not is_table:
        return iter([Given(0, values)])
    return (Given(i, cell) for row in values for i, cell in enumerate(row if isinstance(row, list) else [row]))


def _sent_of(given: Given) -> str:
    return given.datatype or _SENT.get(type(given.value), "object")


def _taken_of_tensor(datatype: str, entry: Column | TensorSpec) -> str | None:
    """What a tensor of this datatype became; None where it is what the signature declares."""
    if isinstance(entry, TensorSpec):
        return None if ARRAYS.get(entry.dtype, "BYTES") == datatype else entry.dtype
    if not isinstance(entry.type, DataType):
        return None
    is_same = COLUMNS.get(entry.type, "BYTES") == datatype and entry.type is not DataType.DATETIME
    return None if is_same else entry.type.value


def _taken(value: Any, entry: Column | TensorSpec, is_frame: bool) -> str | None:
    """What a JSON value became; None where it is still what it was."""
    if isinstance(entry, TensorSpec):
        dtype = np.dtype(entry.dtype)
        natural = _TENSORS.get(dtype.kind)
        is_same = natural is None and dtype.kind not in "SM"
        is_rounded = dtype.kind == "f" and type(value) is float and _is_rounded(value, dtype)
        return None if is_same or value is None or (type(value) is natural and not is_rounded) else entry.dtype
    kind = entry.type
    if not isinstance(kind, DataType):
        return None
    if value is None:
        is_made_up = kind is DataType.BOOLEAN or (not is_frame and kind in (DataType.STRING, DataType.BINARY))
        return kind.value if is_made_up and entry.required else None
    if kind is DataType.STRING and is_frame:
        return None  # as in MLflow a frame's cells of text are whatever came
    if kind is DataType.STRING or kind is DataType.BOOLEAN or kind in WHOLE:
        return None if type(value) in RULES[kind].kinds else kind.value
    if type(value) is float and not (kind is DataType.FLOAT and _is_rounded(value, RULES[kind].numpy)):
        return None if kind in (DataType.FLOAT, DataType.DOUBLE) else kind.value
    return kind.value


def _is_rounded(value: float, dtype: "np.dtype[Any]") -> bool:
    with np.errstate(over="ignore"):
        return math.isfinite(value) and float(dtype.type(value)) != value
