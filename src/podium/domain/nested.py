"""Which nested values (lists, objects, maps) fit which column type, and what they become.

MLflow's rules (`mlflow.models.utils._enforce_type`), with three losses of theirs not repeated: whole numbers are taken
for floats, numbers of JSON, which have no width, fit 32-bit types when their value does, and null in a list of strings
stays null.
"""

import sys
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from podium.domain.columns import COLUMNS, conform_column, pandas_for
from podium.domain.conversions import NUMPY_TYPES, RULES, is_exact
from podium.domain.reasons import listed
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

# The types of JSON values that are what they stand for; bytes and datetimes come as text.
_PLAIN: Mapping[DataType, frozenset[type]] = {
    kind: rule.kinds for kind, rule in RULES.items() if kind not in (DataType.BINARY, DataType.DATETIME)
}
_NONE: frozenset[type] = frozenset()


def conform_value(value: Any, kind: ColumnType, required: bool = True) -> Any:
    """One cell as its type declares it; the argument is not changed.

    Raises:
        SchemaMismatch: What does not fit, and where in the value, without quoting it.
    """
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
    if given in _PLAIN.get(kind, _NONE) and (given is not int or is_exact(cast("int", value), kind)):
        with np.errstate(over="ignore"):
            return NUMPY_TYPES[kind].type(value)
    try:
        if kind is DataType.DATETIME and isinstance(value, str):
            return _timestamp(value)
        return conform_column("", pandas_for(COLUMNS).Series([value]), kind)[0]
    except (SchemaMismatch, ValueError, TypeError, OverflowError) as error:
        raise SchemaMismatch(f"Failed to enforce schema of data with dtype `{kind.value}`") from error


def _conform_array(value: Any, items: ColumnType, required: bool) -> Any:
    is_list = isinstance(value, list | np.ndarray)
    if not is_list and not required and is_missing(value):
        return None
    if (not required or isinstance(items, AnyType)) and (value is None or (is_list and not len(value))):
        return value
    if not is_list:
        raise SchemaMismatch(f"Expected data to be list or numpy array, got {type(value).__name__}")
    if not len(value):
        return value
    if isinstance(items, DataType):
        return _conform_list_of_scalars(value, items)
    conformed = [conform_value(item, items, required) for item in value]
    return np.array(conformed) if isinstance(value, np.ndarray) else conformed


def _conform_list_of_scalars(value: Any, items: DataType) -> Any:
    if isinstance(value, list):
        given = set(map(type, value))
        if given <= _PLAIN.get(items, _NONE) and (
            int not in given or all(is_exact(v, items) for v in value if type(v) is int)
        ):
            return [float(v) for v in value] if items is DataType.DOUBLE and int in given else _rounded(value, items)
        if items is DataType.STRING and given <= {str, type(None)}:
            return list(value)
        if items is DataType.DATETIME and given == {str}:
            return [_timestamp(text) for text in value]
    array = conform_column("", pandas_for(COLUMNS).Series(value), items).to_numpy(dtype=NUMPY_TYPES[items])
    return array.tolist() if isinstance(value, list) else array


def _rounded(value: list[Any], items: DataType) -> list[Any]:
    if items is not DataType.FLOAT:
        return list(value)
    with np.errstate(over="ignore"):
        rounded: list[Any] = np.asarray(value, dtype=np.float32).tolist()
    return rounded


def _conform_object(value: Any, kind: ObjectType, required: bool) -> Any:
    if not required and (is_missing(value) or value == {}):
        return value if value == {} else None
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
        return conform_value(value, field.type, field.required)
    except SchemaMismatch as error:
        raise SchemaMismatch(
            f"Failed to enforce schema for key `{field.name}`. Expected type {type_to_json(field.type)['type']}, "
            f"received type {type(value).__name__}"
        ) from error


def _conform_map(value: Any, values: ColumnType, required: bool) -> Any:
    if (not required or isinstance(values, AnyType)) and (is_missing(value) or value == {}):
        return value if value == {} else None
    if not isinstance(value, Mapping):
        raise SchemaMismatch(f"Expected data to be a dict, got {type(value).__name__}")
    if not all(isinstance(name, str) for name in value):
        raise SchemaMismatch("Expected all keys in the map type data are string type.")
    return {name: conform_value(item, values, required) for name, item in value.items()}


def is_missing(value: Any) -> bool:
    """None, NaN, pandas' NA and NaT."""
    if isinstance(value, float):
        return value != value
    pandas = sys.modules.get("pandas")
    return value is None or (pandas is not None and (value is pandas.NA or value is pandas.NaT))


def _timestamp(text: str) -> Any:
    moment = pandas_for(COLUMNS).Timestamp(text)
    return moment if moment.tzinfo is None else moment.tz_convert("UTC").tz_localize(None)
