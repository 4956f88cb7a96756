"""What a model takes and gives: MLflow's signature as values, and its JSON both ways.

Format: MLflow's `mlflow.types.schema`. Only shapes and names live here. Which values fit
a type is in `columns.py` and `nested.py`; the codec (`protocols/mlflow`) converts leniently before, the predictor
(`models/enforce.py`) enforces.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from podium.errors import InvalidModel


class DataType(StrEnum):
    """The scalar types of a column, named as in the MLmodel file."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"
    BINARY = "binary"
    DATETIME = "datetime"


@dataclass(frozen=True, slots=True)
class ArrayType:
    """A list of `items`."""

    items: "ColumnType"

    def __str__(self) -> str:
        return f"Array({self.items})"


@dataclass(frozen=True, slots=True)
class Property:
    """One named field of an object."""

    name: str
    type: "ColumnType"
    required: bool = True


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A JSON object with known fields, sorted by name."""

    properties: tuple[Property, ...]

    def __str__(self) -> str:
        fields = ", ".join(f"{p.name}: {p.type} ({'required' if p.required else 'optional'})" for p in self.properties)
        return "{" + fields + "}"


@dataclass(frozen=True, slots=True)
class MapType:
    """A JSON object with unknown names and one type of value."""

    values: "ColumnType"

    def __str__(self) -> str:
        values = f"DataType.{self.values}" if isinstance(self.values, DataType) else self.values
        return f"Map(str -> {values})"


@dataclass(frozen=True, slots=True)
class AnyType:
    """Anything, unchanged."""

    def __str__(self) -> str:
        return "Any"


@dataclass(frozen=True, slots=True)
class SparkVectorType:
    """A Spark ML vector: kept through a round trip, treated as an array of doubles."""

    def __str__(self) -> str:
        return "SparkML vector"


ColumnType = DataType | ArrayType | ObjectType | MapType | AnyType | SparkVectorType


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: `name` is None in an unnamed schema, an int where a frame had numbered columns."""

    type: ColumnType
    name: str | int | None = None
    required: bool = True

    def __str__(self) -> str:
        need = "required" if self.required else "optional"
        return f"{self.type} ({need})" if self.name is None else f"{self.name!r}: {self.type} ({need})"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor: `shape` has -1 where the size varies; `dtype` is numpy's name (`float32`, `str`, `object`)."""

    dtype: str
    shape: tuple[int, ...]
    name: str | None = None

    def __str__(self) -> str:
        tensor = f"Tensor({self.dtype!r}, {self.shape!r})"
        return tensor if self.name is None else f"{self.name!r}: {tensor}"


@dataclass(frozen=True, slots=True)
class ColumnSchema:
    """A table's columns: all named or none."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The columns' names; their positions as text where they have none."""
        return [str(label) for label in self.labels]

    @property
    def labels(self) -> list[str | int]:
        """The columns' labels in a data frame: their names, or their positions where they have none."""
        return [column.name if column.name is not None else i for i, column in enumerate(self.columns)]

    @property
    def is_named(self) -> bool:
        return bool(self.columns) and self.columns[0].name is not None

    def __str__(self) -> str:
        return "[" + ", ".join(map(str, self.columns)) + "]"


@dataclass(frozen=True, slots=True)
class TensorSchema:
    """Several named tensors, or one unnamed."""

    tensors: tuple[TensorSpec, ...]

    @property
    def is_named(self) -> bool:
        return self.tensors[0].name is not None

    def __str__(self) -> str:
        return "[" + ", ".join(map(str, self.tensors)) + "]"


Schema = ColumnSchema | TensorSchema


@dataclass(frozen=True, slots=True)
class Param:
    """An inference parameter: `shape` is None for a scalar and (-1,) for a list. `default` is plain JSON."""

    name: str
    type: DataType | ObjectType
    default: Any
    shape: tuple[int, ...] | None = None

    def __str__(self) -> str:
        shape = "" if self.shape is None else f" (shape: {self.shape})"
        return f"{self.name!r}: {self.type} (default: {self.default}){shape}"


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs, outputs and params; each may be absent."""

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: tuple[Param, ...] | None = None
    is_from_type_hint: bool = False

    def to_dict(self) -> dict[str, str | None]:
        """The `signature` map of an MLmodel file: each part a JSON string or None."""
        return {
            "inputs": None if self.inputs is None else json.dumps(schema_to_json(self.inputs)),
            "outputs": None if self.outputs is None else json.dumps(schema_to_json(self.outputs)),
            "params": None if self.params is None else json.dumps([_param_to_json(p) for p in self.params]),
        }

    @classmethod
    def from_dict(cls, parts: Mapping[str, Any], is_from_type_hint: bool = False) -> "Signature":
        """Read the `signature` map of an MLmodel file.

        Raises:
            InvalidModel: Names the part and the entry that cannot be read.
        """
        inputs, outputs, params = (_loads(parts, part) for part in ("inputs", "outputs", "params"))
        return cls(
            inputs=None if inputs is None else schema_from_json(inputs),
            outputs=None if outputs is None else schema_from_json(outputs),
            params=None if params is None else tuple(_param_from_json(entry) for entry in params),
            is_from_type_hint=is_from_type_hint,
        )


def schema_to_json(schema: Schema) -> list[dict[str, Any]]:
    """The list that MLflow writes for a schema, keys in MLflow's order."""
    if isinstance(schema, ColumnSchema):
        return [_column_to_json(column) for column in schema.columns]
    return [_tensor_to_json(tensor) for tensor in schema.tensors]


def schema_from_json(entries: Sequence[Mapping[str, Any]]) -> Schema:
    """Read a schema; columns and tensors may not mix, names are all there or all absent.

    Raises:
        InvalidModel: Names the entry that cannot be read.
    """
    if not entries:
        raise InvalidModel("The signature's schema is empty; it needs at least one column or tensor.")
    kinds = {entry.get("type") == "tensor" for entry in entries}
    if len(kinds) != 1:
        raise InvalidModel("The signature mixes columns and tensors; MLflow allows one or the other.")
    names = [entry.get("name") for entry in entries]
    if len({name is None for name in names}) != 1:
        raise InvalidModel("The signature names some inputs and not others; name all or none.")
    if names[0] is not None and len(set(names)) != len(names):
        raise InvalidModel("The signature gives two inputs the same name; each needs a name of its own.")
    if kinds == {True} and names[0] is None and len(names) > 1:
        raise InvalidModel("The signature has several tensors without names; only a single tensor may have none.")
    if kinds == {True}:
        return TensorSchema(tuple(_tensor_from_json(entry) for entry in entries))
    return ColumnSchema(tuple(_column_from_json(entry) for entry in entries))


def type_to_json(kind: ColumnType) -> dict[str, Any]:
    """A column type's JSON, without name and required."""
    match kind:
        case DataType():
            return {"type": kind.value}
        case ArrayType(items):
            return {"type": "array", "items": type_to_json(items)}
        case ObjectType(properties):
            fields = sorted(properties, key=lambda p: p.name)
            return {
                "type": "object",
                "properties": {p.name: type_to_json(p.type) | {"required": p.required} for p in fields},
            }
        case MapType(values):
            return {"type": "map", "values": type_to_json(values)}
        case AnyType():
            return {"type": "any"}
        case SparkVectorType():
            return {"type": "sparkml_vector"}


def type_from_json(entry: Mapping[str, Any]) -> ColumnType:
    """Read a column type.

    Raises:
        InvalidModel: An unknown type or a part that is missing.
    """
    kind = entry.get("type")
    try:
        match kind:
            case "array":
                return ArrayType(type_from_json(entry["items"]))
            case "object":
                return ObjectType(
                    tuple(
                        Property(name, type_from_json(field), field.get("required", True))
                        for name, field in sorted(entry["properties"].items())
                    )
                )
            case "map":
                return MapType(type_from_json(entry["values"]))
            case "any":
                return AnyType()
            case "sparkml_vector":
                return SparkVectorType()
            case _:
                return DataType(str(kind))
    except (KeyError, ValueError) as error:
        raise InvalidModel(f"The signature has a type that cannot be read: {dict(entry)}") from error


def _column_to_json(column: Column) -> dict[str, Any]:
    entry = type_to_json(column.type)
    if column.name is not None:
        entry["name"] = column.name
    return entry | {"required": column.required}


def _column_from_json(entry: Mapping[str, Any]) -> Column:
    # MLflow reads an absent `required` on array/object/map/any as optional; that is a slip there, not a meaning.
    return Column(type_from_json(entry), entry.get("name"), entry.get("required", True) is not False)


def _tensor_to_json(tensor: TensorSpec) -> dict[str, Any]:
    name = {} if tensor.name is None else {"name": tensor.name}
    return {**name, "type": "tensor", "tensor-spec": {"dtype": tensor.dtype, "shape": list(tensor.shape)}}


def _tensor_from_json(entry: Mapping[str, Any]) -> TensorSpec:
    try:
        spec = entry["tensor-spec"]
        return TensorSpec(str(spec["dtype"]), tuple(int(size) for size in spec["shape"]), entry.get("name"))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(f"The signature has a tensor that cannot be read: {dict(entry)}") from error


def _param_to_json(param: Param) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": param.name,
        "default": param.default,
        "shape": None if param.shape is None else list(param.shape),
    }
    return entry | type_to_json(param.type)


def _param_from_json(entry: Mapping[str, Any]) -> Param:
    # Files of MLflow before 2.11 say `dtype` where later ones say `type`.
    kind = type_from_json({**entry, "type": entry.get("type", entry.get("dtype"))})
    if not isinstance(kind, DataType | ObjectType):
        raise InvalidModel(f"The signature has a param that cannot be read: {dict(entry)}")
    shape = entry.get("shape")
    return Param(str(entry["name"]), kind, entry.get("default"), None if shape is None else tuple(shape))


def _loads(parts: Mapping[str, Any], part: str) -> Any:
    text = parts.get(part)
    if text is None:
        return None
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError as error:
        raise InvalidModel(f"The signature's {part} are not valid JSON: {error}") from error
