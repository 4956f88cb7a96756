"""Which nested values (lists, objects, maps) fit which column type, and what they become.

MLflow's rules (`mlflow.models.utils._enforce_type`): each value, or list of them, is a column of its own to which the
rules of columns apply. JSON's numbers are 64 bits wide there, so that they fit neither `integer` nor `float`.
"""

import sys
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from podium.domain.inputs.columns import COLUMNS, conform_column, pandas_for
from podium.domain.inputs.conversions import NUMPY_TYPES, is_exact
from podium.domain.reasons import listed, scalar
from podium.domain.signature import (
    AnyType,
    ArrayType,
    ColumnType,
    DataType,
    MapType,
    ObjectType,
    Property,
    SparkVectorType,
    type_to_json,
)
from podium.errors import SchemaMismatch

# What is known to fit without asking pandas: the JSON type that each of these columns is made of.
_PLAIN: Mapping[DataType, type] = {
    DataType.STRING: str,
    DataType.BOOLEAN: bool,
    DataType.LONG: int,
    DataType.DOUBLE: float,
}


def conform_value(value: Any, kind: ColumnType, required: bool = True) -> Any:
    """One cell as its type declares it; the argument is not changed.

    Raises:
        SchemaMismatch: What does not fit, and where in the value, without quoting it.
    """
    if not required and not isinstance(kind, DataType | AnyType) and is_missing(value):
        # A cell of an optional column without a value, which pandas fills with NaN.
        return None
    return _conform(value, kind, required)


def _conform(value: Any, kind: ColumnType, required: bool) -> Any:
    match kind:
        case DataType():
            return _conform_scalar(value, kind, required)
        case ArrayType(items):
            return _conform_array(value, items, required)
        case SparkVectorType():
            return _conform_array(value, DataType.DOUBLE, required)
        case ObjectType():
            return _conform_object(value, kind, required)
        case MapType(values):
            return _conform_map(value, values, required)
        case AnyType():
            return value


def _conform_scalar(value: Any, kind: DataType, required: bool) -> Any:
    if not required and is_missing(value):
        return None
    if not np.isscalar(value):
        raise SchemaMismatch(f"Expected data to be scalar, got {type(value).__name__}")
    given: type[Any] = type(value)
    if (kind is DataType.STRING and given is str) or (kind is DataType.BINARY and given in (str, bytes)):
        return value
    if given is _PLAIN.get(kind) and (given is not int or is_exact(cast("int", value), kind)):
        return NUMPY_TYPES[kind].type(value)
    try:
        return conform_column("", pandas_for(COLUMNS).Series([value]), kind, widens=False)[0]
    except SchemaMismatch as error:
        raise SchemaMismatch(f"Failed to enforce schema of data `{scalar(value)}` with dtype `{kind.value}`") from error


def _conform_array(value: Any, items: ColumnType, required: bool) -> Any:
    is_list = isinstance(value, list | np.ndarray)
    if (not required or isinstance(items, AnyType)) and (value is None or (is_list and not len(value))):
        return value
    if not is_list:
        raise SchemaMismatch(f"Expected data to be list or numpy array, got {type(value).__name__}")
    if isinstance(items, DataType):
        if not len(value):
            return value
        return _conform_list_of_scalars(value, items)
    conformed = [_conform(item, items, required) for item in value]
    return np.array(conformed) if isinstance(value, np.ndarray) else conformed


def _conform_list_of_scalars(value: Any, items: DataType) -> Any:
    if isinstance(value, list):
        given = set(map(type, value))
        if given == {_PLAIN.get(items)} and (items is not DataType.LONG or all(is_exact(v, items) for v in value)):
            return list(value)
    array = conform_column("", pandas_for(COLUMNS).Series(value), items, widens=False).to_numpy(dtype=NUMPY_TYPES[items])
    return array.tolist() if isinstance(value, list) else array


def _conform_object(value: Any, kind: ObjectType, required: bool) -> Any:
    if not required and (value is None or value == {}):
        return value
    if not isinstance(value, Mapping):
        raise SchemaMismatch(
            f"Failed to enforce schema of data with type '{kind}'. Expected data to be dictionary, got "
            f"{type(value).__name__}"
        )
    properties = {each.name: each for each in kind.properties}
    if missing := [each.name for each in kind.properties if each.required and each.name not in value]:
        raise SchemaMismatch(f"Missing required properties: {{{listed(missing)}}}")
    if unknown := [name for name in value if name not in properties]:
        raise SchemaMismatch(f"Invalid properties not defined in the schema found: {{{listed(unknown)}}}")
    return {name: _conform_property(item, properties[name]) for name, item in value.items()}


def _conform_property(value: Any, field: Property) -> Any:
    try:
        return _conform(value, field.type, field.required)
    except SchemaMismatch as error:
        raise SchemaMismatch(
            f"Failed to enforce schema for key `{field.name}`. Expected type {type_to_json(field.type)['type']}, "
            f"received type {type(value).__name__}"
        ) from error


def _conform_map(value: Any, values: ColumnType, required: bool) -> Any:
    if (not required or isinstance(values, AnyType)) and (value is None or value == {}):
        return value
    if not isinstance(value, Mapping):
        raise SchemaMismatch(f"Expected data to be a dict, got {type(value).__name__}")
    if not all(isinstance(name, str) for name in value):
        raise SchemaMismatch("Expected all keys in the map type data are string type.")
    return {name: _conform(item, values, required) for name, item in value.items()}


def is_missing(value: Any) -> bool:
    """None, NaN, pandas' NA and NaT."""
    if isinstance(value, float):
        return value != value
    pandas = sys.modules.get("pandas")
    return value is None or (pandas is not None and (value is pandas.NA or value is pandas.NaT))
