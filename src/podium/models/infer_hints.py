"""Schemas from classes: a dataclass's fields as columns, as MLflow's RAG and chat signatures are made."""

import dataclasses
import datetime
import types
import typing
from typing import Any

from podium.domain.signature import ArrayType, Column, ColumnSchema, ColumnType, DataType, ObjectType, Property
from podium.errors import InvalidInput

_FIELD_TYPES: dict[Any, DataType] = {
    bool: DataType.BOOLEAN,
    int: DataType.LONG,
    # Sic: MLflow's mapping for dataclasses says float where it says double everywhere else.
    float: DataType.FLOAT,
    str: DataType.STRING,
    bytes: DataType.BINARY,
    datetime.date: DataType.DATETIME,
}


def schema_of_dataclass(data: Any) -> ColumnSchema:
    """The columns of a dataclass or an instance of one; fields of its bases included.

    Raises:
        InvalidInput: A field whose type has no place in a schema, named.
    """
    fields = _fields(data if isinstance(data, type) else type(data))
    return ColumnSchema(tuple(Column(kind, name, required) for name, kind, required in fields))


def _fields(cls: type) -> list[tuple[str, ColumnType, bool]]:
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        kind, required = _without_none(hints[field.name])
        found.append((field.name, _type_of_hint(kind, f"{cls.__name__}.{field.name}"), required))
    return found


def _without_none(hint: Any) -> tuple[Any, bool]:
    """The type inside `Optional[...]`, and whether a value is required."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, True
    inner = [each for each in typing.get_args(hint) if each is not type(None)]
    if len(inner) == 1 and len(typing.get_args(hint)) == 2:
        return inner[0], False
    raise InvalidInput("only Optional[...] is supported as a union type in the fields of a dataclass")


def _type_of_hint(hint: Any, where: str) -> ColumnType:
    if typing.get_origin(hint) is list:
        return ArrayType(_type_of_hint(typing.get_args(hint)[0], where))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        properties = sorted(_fields(hint))
        return ObjectType(tuple(Property(name, kind, required) for name, kind, required in properties))
    if hint in _FIELD_TYPES:
        return _FIELD_TYPES[hint]
    raise InvalidInput(f"field {where} has a type that is not supported in a dataclass: {hint}")
