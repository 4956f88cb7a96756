"""What a signature takes as tensors, and as the generate extension's objects, in JSON Schema; laws as `request_schemas`."""

import re
from collections.abc import Mapping
from typing import Any

from podium.domain.inputs.request_schemas import DATA_ELEMENTS, DATE, Json, cell_schema, param_schema, takes_texts
from podium.domain.open_inference import tensors_of
from podium.domain.signature import (
    ArrayType,
    Column,
    ColumnSchema,
    ColumnType,
    DataType,
    ObjectType,
    Signature,
    TensorSpec,
)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_ -]+")
_OWN_PARAMETERS: Json = dict.fromkeys(("classification", "shared_memory_region", "sequence_id"), False)


def tensors_schema(signature: Signature | None) -> Json:
    """The JSON bodies of the Open Inference Protocol: one row. Without a signature any tensors are taken."""
    inputs = None if signature is None or signature.is_from_type_hint else signature.inputs
    described = tensors_of(inputs, "input")
    if inputs is None or not described:
        is_text = signature is not None and takes_texts(signature)
        any_tensor = [_any_tensor("BYTES", {"type": "string"})] if is_text else _ANY_TENSOR
        tensors: Json = {"type": "array", "minItems": 1, "maxItems": 1, "items": {"anyOf": any_tensor}}
    else:
        entries: tuple[Column | TensorSpec, ...] = inputs.columns if isinstance(inputs, ColumnSchema) else inputs.tensors
        each = [_one_row(told, entry) for told, entry in zip(described, entries, strict=True)]
        needed = [at for at, entry in enumerate(entries, 1) if not isinstance(entry, Column) or entry.required]
        tensors = {"type": "array", "prefixItems": each, "minItems": max(needed, default=0), "maxItems": len(each)}
    outputs = tensors_of(signature.outputs if signature is not None else None, "output")
    params = {param.name: param_schema(param) for param in (signature.params if signature is not None else None) or ()}
    known = {"type": "object", "required": ["name"], "properties": {"name": {"enum": [each["name"] for each in outputs]}}}
    properties = {
        "inputs": tensors,
        "id": {"type": ["string", "null"]},
        "parameters": {"type": ["object", "null"], "properties": {**_OWN_PARAMETERS, **params}},
        "outputs": {"type": ["array", "null"], **({"items": known} if outputs else {"maxItems": 0})},
    }
    return {"type": "object", "required": ["inputs"], "properties": properties}


def generate_schema(signature: Signature | None) -> Json:
    """The bodies of the generate extension: text alone, or the columns by name; params under `parameters`."""
    params = {param.name: param_schema(param) for param in (signature.params if signature is not None else None) or ()}
    beside: Json = {
        "id": {"type": ["string", "null"]},
        "parameters": {"type": ["object", "null"], "properties": params},
    }
    inputs = None if signature is None or signature.is_from_type_hint else signature.inputs
    if not isinstance(inputs, ColumnSchema) or not inputs.is_named:
        # Whatever it holds beside these two is the input.
        return {"type": "object", "properties": beside, "not": {"propertyNames": {"enum": list(beside)}}}
    cells = {str(column.name): cell_schema(column, is_strict=False) for column in inputs.columns}
    required = [str(column.name) for column in inputs.columns if column.required]
    by_name: Json = {"type": "object", "required": required, "properties": {**beside, **cells}, "minProperties": 1}
    if [column.type for column in inputs.columns] != [DataType.STRING]:
        return by_name
    text = {"text_input": {"type": "string"}, **beside}
    return {
        "anyOf": [
            {"type": "object", "required": ["text_input"], "properties": text, "additionalProperties": False},
            by_name,
        ]
    }


def _one_row(told: Mapping[str, Any], entry: Column | TensorSpec) -> Json:
    shape = [1 if size < 0 else size for size in told["shape"]]
    count = 1
    for size in shape:
        count *= size
    required = not isinstance(entry, Column) or entry.required
    element = DATA_ELEMENTS.get(told["datatype"]) or _text_of(entry)
    if not required and told["datatype"].startswith("FP"):
        element = {"anyOf": [element, {"type": "null"}]}
    data = {"type": "array", "items": element, "minItems": count, "maxItems": count}
    # The only tensor may be called as one likes, where the signature does not name it.
    name = {"type": "string"} if entry.name is None and isinstance(entry, TensorSpec) else {"const": told["name"]}
    schema = _tensor_object(name, {"const": told["datatype"]}, data)
    schema["properties"]["shape"] = {"const": shape}
    return schema if required else {**schema, "description": "May be left out."}


def _text_of(entry: Column | TensorSpec) -> Json:
    """A value that is told as text: times, and nested values as JSON; narrower than what is taken."""
    kind = entry.type if isinstance(entry, Column) else None
    if kind is DataType.DATETIME:
        return {"type": "string", "pattern": DATE}
    pattern = None if kind is None or isinstance(kind, DataType) else _json_pattern(kind)
    return {"type": "string"} if pattern is None else {"type": "string", "pattern": f"^{pattern}$"}


_SCALARS: Mapping[DataType, str] = {
    DataType.STRING: '"[A-Za-z0-9 ]{0,20}"',
    DataType.BOOLEAN: "(true|false)",
    DataType.INTEGER: "-?[1-9][0-9]{0,8}",
    DataType.LONG: "-?[1-9][0-9]{0,8}",
    DataType.FLOAT: r"-?[1-9][0-9]{0,3}\.[1-9]",
    DataType.DOUBLE: r"-?[1-9][0-9]{0,3}\.[1-9]",
}


def _json_pattern(kind: ColumnType) -> str | None:
    """A pattern of JSON texts of this type, its required names in the signature's order; None where there is none."""
    match kind:
        case DataType():
            return _SCALARS.get(kind)
        case ArrayType(items):
            item = _json_pattern(items)
            return None if item is None else rf"\[({item}(, {item}){{0,3}})?\]"
        case ObjectType(properties):
            parts = [(each.name, _json_pattern(each.type)) for each in properties if each.required]
            if any(part is None or not _PLAIN_NAME.fullmatch(name) for name, part in parts):
                return None
            members = ", ".join(f'"{name}": {part}' for name, part in parts)
            return rf"\{{{members}\}}"
        case _:
            return None


def _tensor_object(name: Json, datatype: Json, data: Json) -> Json:
    shape = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    return {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": name,
            "shape": shape,
            "datatype": datatype,
            "data": data,
            "parameters": {"type": ["object", "null"]},
        },
    }


def _any_tensor(datatype: str, element: Json) -> Json:
    values = {"anyOf": [element, {"type": "null"}]} if datatype.startswith("FP") else element
    data = {"type": "array", "items": values, "minItems": 1, "maxItems": 1}
    schema = _tensor_object({"type": "string"}, {"const": datatype}, data)
    schema["properties"]["shape"] = {"const": [1]}
    return schema


_ANY_TENSOR = [_any_tensor(*each) for each in {**DATA_ELEMENTS, "BYTES": {"type": "string"}}.items()]
