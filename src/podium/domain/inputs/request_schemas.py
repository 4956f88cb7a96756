"""What a model's signature takes, as JSON Schema (2020-12): the values of each column type, and the bodies made of them.

The schemas say what the server takes and refuses by the signature, in the dialect that it speaks (`conversions.py` has the
table): numbers as text and true for 1 where MLflow converts them, additional names where they are dropped. What JSON Schema
cannot say is narrowed rather than widened, so that what a schema allows is never refused for its form: all columns in the
signature's order, one row as a tensor request. Text is text, though MLflow passes on whatever is in such a column; null
fits optional columns, though it becomes NaN in others. A model's own code may still refuse a value.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from podium.domain.inputs.conversions import MOST_EXACT, RULES
from podium.domain.inputs.unified import FIELDS
from podium.domain.signature import (
    ArrayType,
    Column,
    ColumnSchema,
    ColumnType,
    DataType,
    MapType,
    ObjectType,
    Param,
    Signature,
    SparkVectorType,
    TensorSchema,
    TensorSpec,
)

Json = dict[str, Any]

_FLOAT32_MAX = 3.4028234663852886e38
_DIGITS = r"^[+-]?[0-9]{1,9}$"
_NUMBER = r"^[+-]?[0-9]{1,15}(\.[0-9]{1,15})?([eE][+-]?[0-9])?$"
_QUOTED = frozenset('",\r\n')
SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}/]")
# Within what pandas' nanoseconds hold; empty text is a missing time.
DATE = r"^$|^(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"
_CELLS: Mapping[DataType, str] = {
    DataType.BOOLEAN: "(True|False)",
    DataType.INTEGER: "-?[0-9]{1,9}",
    DataType.LONG: "-?[0-9]{1,18}",
    DataType.FLOAT: r"-?[0-9]{1,9}(\.[0-9]{1,9})?",
    DataType.DOUBLE: r"-?[0-9]{1,15}(\.[0-9]{1,15})?",
    DataType.STRING: "[A-Za-z][A-Za-z ]*",
}
_TEXT: Json = {"type": "string"}
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_ANY_OF_THEM: dict[str, Json] = {
    "dataframe_split": {"type": "object", "required": ["data"]},
    "dataframe_records": {"type": "array", "items": {"type": "object"}},
    "instances": {},
    "inputs": {},
}


def invocation_schema(signature: Signature | None, is_strict: bool) -> Json:
    """The JSON bodies of `/invocations`: an object with one of the input forms, and params beside it."""
    forms = _forms(signature, is_strict)
    beside = _params(signature, is_strict)
    if signature is None or signature.inputs is None:
        # A unified body is taken as well: it is the input as it stands.
        return {"anyOf": [{"type": "object", "required": [name], "properties": beside} for name in forms]}
    return {"anyOf": [_body(name, schema, beside, is_strict) for name, schema in forms.items()]}


def instances_schema(signature: Signature | None, is_strict: bool) -> Json:
    """The bodies of KServe's V1 protocol: `instances` alone of the forms."""
    forms = _forms(signature, is_strict)
    schema = forms.get("instances") or forms.get("inputs") or {}
    inputs = None if signature is None or signature.is_from_type_hint else signature.inputs
    if isinstance(inputs, ColumnSchema) and "dataframe_records" in forms:
        # One value in a list is one for each row of a model with one column: that it is meant so nobody knows.
        lists = [forms["dataframe_split"]["properties"]["data"]] if len(inputs.columns) > 1 else []
        schema = {"anyOf": [forms["dataframe_records"], *lists]}
    if isinstance(inputs, TensorSchema) and inputs.is_named:
        values = {str(each.name): _nested(each.shape[1:], _element(each, is_strict)) for each in inputs.tensors}
        row = {"type": "object", "required": list(values), "properties": values, "additionalProperties": False}
        schema = {"type": "array", "minItems": 1, "items": row}
    return _body("instances", schema, _params(signature, is_strict), is_strict)


def csv_schema(signature: Signature | None) -> Json | None:
    """A CSV body as text: a header with the signature's columns, then rows; None where there is no CSV for the model."""
    inputs = None if signature is None else signature.inputs
    if not isinstance(inputs, ColumnSchema) or not inputs.is_named:
        return None
    names = [str(label) for label in inputs.labels]
    cells = [_CELLS.get(column.type) if isinstance(column.type, DataType) else None for column in inputs.columns]
    if None in cells or any(set(name) & _QUOTED or not name for name in names):
        return None
    header = ",".join(SPECIAL.sub(r"\\\g<0>", name) for name in names)
    row = ",".join(
        str(cell) if column.required else f"({cell})?" for cell, column in zip(cells, inputs.columns, strict=True)
    )
    return {"type": "string", "pattern": f"^{header}\\n({row}\\n)+$"}


def _body(form: str, schema: Json, beside: Json, is_strict: bool) -> Json:
    others = [name for name in (*_FORMS, *FIELDS) if name != form]
    return {
        "title": form,
        "type": "object",
        "required": [form],
        # A body with another form beside this one, or with a name of a unified body, is something else.
        "properties": {form: schema, **beside, **dict.fromkeys(others, False)},
        "additionalProperties": not is_strict,
    }


def _forms(signature: Signature | None, is_strict: bool) -> dict[str, Json]:
    if signature is None or signature.inputs is None:
        return dict(_ANY_OF_THEM)
    if signature.is_from_type_hint:
        return {"inputs": {"type": "array", "items": _TEXT if takes_texts(signature) else {}}}
    match signature.inputs:
        case ColumnSchema():
            return _of_columns(signature.inputs, is_strict)
        case TensorSchema():
            return _of_tensors(signature.inputs, is_strict)


def takes_texts(signature: Signature) -> bool:
    """Whether the type hint of a Python model's input is a list of texts; of other hints only a list is known."""
    inputs = signature.inputs if signature.is_from_type_hint else None
    return isinstance(inputs, ColumnSchema) and [column.type for column in inputs.columns] == [DataType.STRING]


def _of_columns(schema: ColumnSchema, is_strict: bool) -> dict[str, Json]:
    cells = [cell_schema(column, is_strict) for column in schema.columns]
    row = {"type": "array", **_in_order(cells)}
    rows = {"type": "array", "minItems": 1, "items": row}
    if not schema.is_named:
        return {"dataframe_split": _table({"data": rows}, ["data"]), "inputs": rows}
    labels = schema.labels
    split = _table({"columns": {"const": labels}, "data": rows}, ["columns", "data"])
    required = [str(label) for label, column in zip(labels, schema.columns, strict=True) if column.required]
    if any(not isinstance(label, str) for label in labels):
        return {"dataframe_split": split}
    record: Json = {"type": "object", "required": required, "properties": dict(zip(schema.names, cells, strict=True))}
    loose = {**record, "additionalProperties": not is_strict}
    return {"dataframe_split": split, "dataframe_records": {"type": "array", "minItems": 1, "items": loose}}


def _table(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _in_order(schemas: list[Json]) -> Json:
    """The items of a list of this length, in this order."""
    size = {"minItems": len(schemas), "maxItems": len(schemas)}
    if all(each == schemas[0] for each in schemas):
        return {"items": schemas[0], **size}
    return {"prefixItems": schemas, **size}


def _of_tensors(schema: TensorSchema, is_strict: bool) -> dict[str, Json]:
    if not schema.is_named:
        tensor = schema.tensors[0]
        whole = _nested(tensor.shape, _element(tensor, is_strict))
        return {"inputs": whole, "instances": whole}
    names = [str(tensor.name) for tensor in schema.tensors]
    values = [_nested(tensor.shape, _element(tensor, is_strict)) for tensor in schema.tensors]
    named = {"type": "object", "required": names, "properties": dict(zip(names, values, strict=True))}
    return {"inputs": {**named, "additionalProperties": not is_strict}}


def _nested(shape: Iterable[int], element: Json) -> Json:
    schema = element
    for size in reversed(tuple(shape)):
        bounds = {"minItems": 1} if size < 0 else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema, **bounds}
    return schema


def _element(tensor: TensorSpec, is_strict: bool) -> Json:
    kind = _kind_of(tensor.dtype)
    if kind is None:
        return {} if tensor.dtype == "object" else {"type": "string"}
    if tensor.dtype.startswith(("int", "uint")):
        return _whole(*_bounds(tensor.dtype), is_strict=is_strict)
    return _scalar(kind, is_strict)


def _kind_of(dtype: str) -> DataType | None:
    if dtype == "bool":
        return DataType.BOOLEAN
    if dtype in {"float16", "float32", "float64"}:
        return DataType.DOUBLE if dtype == "float64" else DataType.FLOAT
    return DataType.LONG if dtype.startswith(("int", "uint")) else None


def _bounds(dtype: str) -> tuple[int, int]:
    bits = int("".join(filter(str.isdigit, dtype)) or "64")
    return (0, 2**bits - 1) if dtype.startswith("uint") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def cell_schema(column: Column, is_strict: bool) -> Json:
    """A value of this column."""
    schema = _type(column.type, is_strict)
    if column.required or not schema:
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def _type(kind: ColumnType, is_strict: bool) -> Json:
    match kind:
        case DataType():
            return _scalar(kind, is_strict)
        case ArrayType(items):
            return {"type": "array", "items": _inner(items)}
        case SparkVectorType():
            return {"type": "array", "items": {"type": "number"}}
        case ObjectType() | MapType():
            return _inner(kind)
        case _:
            return {}


def _inner(kind: ColumnType) -> Json:
    """Values inside of others are enforced and not converted, in either dialect."""
    match kind:
        case DataType():
            return _scalar(kind, is_strict=True)
        case ArrayType(items):
            return {"type": "array", "items": _inner(items)}
        case MapType(values):
            return {"type": "object", "additionalProperties": _inner(values)}
        case ObjectType(properties):
            return {
                "type": "object",
                "required": [each.name for each in properties if each.required],
                "properties": {each.name: _inner(each.type) for each in properties},
                "additionalProperties": False,
            }
        case _:
            return _type(kind, is_strict=True)


def _scalar(kind: DataType, is_strict: bool) -> Json:
    match kind:
        case DataType.INTEGER | DataType.LONG:
            return _whole(*(RULES[kind].whole or (0, 0)), is_strict=is_strict)
        case DataType.FLOAT if is_strict:
            bounds = {"minimum": -_FLOAT32_MAX, "maximum": _FLOAT32_MAX, "not": {"type": "integer"}}
            whole = {"type": "integer", "minimum": -(2**24), "maximum": 2**24}
            number: Json = {"anyOf": [whole, {"type": "number", **bounds}]}
        case DataType.DOUBLE if is_strict:
            # Beyond these all numbers are whole, and written as such they are refused.
            number = {"type": "number", "minimum": -MOST_EXACT, "maximum": MOST_EXACT}
        case DataType.FLOAT:
            # Larger ones are taken, as infinity.
            number = DATA_ELEMENTS["FP32"]
        case DataType.DOUBLE:
            number = {"type": "number"}
        case DataType.BOOLEAN:
            return {"type": "boolean"} if is_strict else {}
        case DataType.DATETIME:
            return {"type": "string", "pattern": DATE}
        case DataType.BINARY:
            return {"type": "string", "contentEncoding": "base64"}
        case DataType.STRING:
            return _TEXT
    return number if is_strict else {"anyOf": [number, {"type": "boolean"}, {"type": "string", "pattern": _NUMBER}]}


def _whole(least: int, most: int, *, is_strict: bool) -> Json:
    if is_strict:
        return {"type": "integer", "minimum": least, "maximum": most}
    digits = _DIGITS if most >= 2**31 - 1 else r"^[0-9]{1,2}$"
    number = {"type": "number", "minimum": least, "maximum": most}
    return {"anyOf": [number, {"type": "boolean"}, {"type": "string", "pattern": digits}]}


def _params(signature: Signature | None, is_strict: bool) -> Json:
    params = signature.params if signature is not None else None
    if params is None:
        # A model without params gets none, whatever is said.
        return {"params": {"type": ["object", "null"], "maxProperties": 0}} if is_strict else {}
    properties = {param.name: param_schema(param) for param in params}
    return {"params": {"type": ["object", "null"], "properties": properties, "additionalProperties": not is_strict}}


_PARAMS: Mapping[DataType, Json] = {
    DataType.BOOLEAN: {"type": ["boolean", "null"]},
    DataType.INTEGER: {"type": ["integer", "null"]},
    DataType.LONG: {"type": ["integer", "null"]},
    DataType.FLOAT: {"type": ["number", "null"]},
    DataType.DOUBLE: {"type": ["number", "null"]},
    DataType.DATETIME: {"type": ["string", "null"], "format": "date-time"},
}


def param_schema(param: Param) -> Json:
    """A value of this param."""
    kind = param.type
    schema = _PARAMS.get(kind, {"type": ["string", "null"]}) if isinstance(kind, DataType) else _inner(kind)
    if param.shape is not None:
        schema = {"type": "array", "items": schema}
    return {**schema, "default": param.default}


DATA_ELEMENTS: Mapping[str, Json] = {
    "BOOL": {"type": "boolean"},
    # The first that are rounded to infinity.
    "FP16": {"type": "number", "exclusiveMinimum": -65520, "exclusiveMaximum": 65520},
    "FP32": {"type": "number", "exclusiveMinimum": -(2.0**128 - 2.0**103), "exclusiveMaximum": 2.0**128 - 2.0**103},
    "FP64": {"type": "number"},
    **{
        f"{sign.upper()}INT{bits}": {"type": "integer", "minimum": low, "maximum": high}
        for sign in ("", "u")
        for bits in (8, 16, 32)
        for low, high in [_bounds(f"{sign}int{bits}")]
    },
    # Bounds of 64 bits are read as floating point by many tools, and are others then.
    "INT64": {"type": "integer", "format": "int64"},
    "UINT64": {"type": "integer", "format": "uint64", "minimum": 0},
}
