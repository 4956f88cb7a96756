"""Signatures from examples of a model's data, by MLflow's rules (`mlflow.types.utils`).

Arrays and dicts of arrays become tensors whose first dimension varies; everything else becomes columns. What cannot be
told from the example becomes `any`, with a warning, as in MLflow: a model may always be saved.
"""

import datetime
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from podium.domain.inputs.nested import is_missing
from podium.domain.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    ColumnType,
    DataType,
    MapType,
    ObjectType,
    Param,
    Property,
    Schema,
    Signature,
    TensorSchema,
    TensorSpec,
)
from podium.errors import InvalidInput
from podium.flavors.notes import note
from podium.models.infer_hints import schema_of_dataclass

_SCALARS: dict[type, DataType] = {
    bool: DataType.BOOLEAN,
    np.bool_: DataType.BOOLEAN,
    int: DataType.LONG,
    np.int64: DataType.LONG,
    np.int32: DataType.INTEGER,
    float: DataType.DOUBLE,
    np.float64: DataType.DOUBLE,
    np.float32: DataType.FLOAT,
    str: DataType.STRING,
    np.str_: DataType.STRING,
    object: DataType.STRING,
    bytes: DataType.BINARY,
    np.bytes_: DataType.BINARY,
    bytearray: DataType.BINARY,
    datetime.date: DataType.DATETIME,
    datetime.datetime: DataType.DATETIME,
    np.datetime64: DataType.DATETIME,
}

_MIXED = "the values of a list must be of one type (for several, write the signature by hand with an array of any)"

_INTEGERS_WITH_MISSING_VALUES = (
    "The inferred schema contains integer columns, and integer columns cannot hold missing values: input with a missing "
    "value arrives as floats and is refused. Infer the signature from a sample that includes missing values, or declare "
    "such columns as doubles (convert them to float64 before inferring)."
)


def infer_signature(
    model_input: Any = None, model_output: Any = None, params: Mapping[str, Any] | None = None
) -> Signature:
    """Read a signature off examples of a model's input, output and params.

    Args:
        model_input: DataFrame, Series, ndarray, sparse matrix, dict of arrays, dict, list, list of dicts, scalar.
        model_output: Likewise; what the model answers for `model_input`.
        params: Each param's name and default; scalars, lists of scalars and dicts.

    Raises:
        InvalidInput: A param of a type that has no place in a signature, or a pydantic object as example.
    """
    return Signature(
        inputs=_infer_or_any(model_input, "input"),
        outputs=_infer_or_any(model_output, "output"),
        params=_infer_params(params) if params else None,
    )


def infer_schema(data: Any) -> Schema:
    """Read a schema off one example.

    Raises:
        InvalidInput: Nothing can be told from it, or its types have no place in a schema.
    """
    pandas = sys.modules.get("pandas")
    match data:
        case list() | tuple() if not len(data):
            # What MLflow has answered since before it knew `any`; signatures saved with it must stay the same.
            return ColumnSchema((Column(DataType.STRING),))
        case list() if all(isinstance(row, dict) for row in data):
            return _schema_of_records(data)
        case list():
            return ColumnSchema((Column(_item_type(data)),))
        case dict() if all(isinstance(value, np.ndarray) for value in data.values()):
            return TensorSchema(tuple(_tensor(value, str(name)) for name, value in data.items()))
        case dict():
            return _schema_of_dict(data)
        case np.ndarray():
            return TensorSchema((_tensor(data),))
        case _ if pandas is not None and isinstance(data, pandas.Series):
            return ColumnSchema((_column_of_series(data, data.name),))
        case _ if pandas is not None and isinstance(data, pandas.DataFrame):
            return ColumnSchema(tuple(_column_of_series(data[name], name) for name in data.columns))
        case _ if _is_sparse(data):
            return TensorSchema((TensorSpec(_dtype_name(data.data.dtype), _varying(data.shape)),))
        case _ if hasattr(type(data), "__dataclass_fields__") or hasattr(data, "__dataclass_fields__"):
            return schema_of_dataclass(data)
        case _:
            return ColumnSchema((Column(_known_type(data)),))


def _infer_or_any(data: Any, what: str) -> Schema | None:
    if data is None:
        return None
    if _is_pydantic(data):
        raise InvalidInput(
            f"A signature cannot be inferred from a pydantic object as the model's {what}. Give predict() a type hint "
            "such as list[YourModel] instead, and the signature follows from it."
        )
    try:
        schema = infer_schema(data)
    except InvalidInput as error:
        note(
            f"No schema could be inferred for the model's {what}, so that it is declared as any and not checked when the "
            f"model is called: {error.message}"
        )
        return ColumnSchema((Column(AnyType()),))
    columns = schema.columns if what == "input" and isinstance(schema, ColumnSchema) else ()
    if any(column.type in (DataType.INTEGER, DataType.LONG) for column in columns):
        note(_INTEGERS_WITH_MISSING_VALUES)
    return schema


def _schema_of_records(rows: Sequence[dict[str, Any]]) -> ColumnSchema:
    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return ColumnSchema(
        tuple(
            Column(_item_type(column), name, required=all(row.get(name) is not None for row in rows))
            for name, column in values.items()
        )
    )


def _schema_of_dict(data: dict[Any, Any]) -> ColumnSchema:
    if not all(isinstance(name, str) for name in data):
        raise InvalidInput("the dictionary's keys are not all strings")
    return ColumnSchema(
        tuple(Column(_known_type(value), name, required=_has_no_missing(value)) for name, value in data.items())
    )


def _column_of_series(series: Any, name: Any) -> Column:
    if not isinstance(name, int | str | None):
        name = name.item() if isinstance(name, np.integer) else str(name)
    return Column(_type_of_series(series), name, required=_has_no_missing(series))


def _type_of_series(series: Any) -> ColumnType:
    import pandas

    if series.dtype.kind == "O":
        series = series.infer_objects()
    if series.dtype.kind != "O":
        return _type_of_dtype(series.dtype)
    try:
        return _item_type(series.to_list())
    except InvalidInput:
        if pandas.api.types.is_string_dtype(series):
            return DataType.STRING
        raise


def _type_of_dtype(dtype: Any) -> DataType:
    """A column type for a numpy dtype or a pandas extension dtype; the narrowest that holds every value."""
    size = getattr(dtype, "itemsize", 8)
    match dtype.kind:
        case "b":
            return DataType.BOOLEAN
        case "i":
            return DataType.INTEGER if size <= 4 else DataType.LONG
        case "u" if size < 8:
            return DataType.INTEGER if size < 4 else DataType.LONG
        case "f" if size <= 8:
            return DataType.FLOAT if size <= 4 else DataType.DOUBLE
        case "U":
            return DataType.STRING
        case "S":
            return DataType.BINARY
        case "M":
            return DataType.DATETIME
        case _:
            raise InvalidInput(
                f"data of dtype {dtype} has no column type; convert it to one of {[t.value for t in DataType]}"
            )


def _known_type(value: Any) -> ColumnType:
    kind = _type_of(value)
    if kind is None:
        raise InvalidInput("an empty array says nothing about its type; give an example with at least one item")
    return kind


def _item_type(values: Sequence[Any]) -> ColumnType:
    kind = _type_of_items(values)
    if kind is None:
        raise InvalidInput("an empty array says nothing about its type; give an example with at least one item")
    return kind


def _type_of(value: Any) -> ColumnType | None:
    """The type of one value; None for an empty array, of which nothing can be told."""
    if is_missing(value) or (isinstance(value, list | dict) and not value):
        return AnyType()
    if isinstance(value, dict):
        return _type_of_object(value)
    if isinstance(value, list | np.ndarray):
        items = _type_of_items(value)
        return None if items is None else ArrayType(items)
    # Types, not isinstance: bool is an int and datetime a date, and a Timestamp is neither MLflow's datetime nor ours.
    kind = _SCALARS.get(type(value))
    if kind is None and isinstance(value, datetime.date):
        kind = DataType.DATETIME
    if kind is None:
        raise InvalidInput(f"a value of type {type(value).__name__} has no column type")
    return kind


def _type_of_object(value: Mapping[Any, Any]) -> ObjectType:
    properties = []
    for name, item in value.items():
        if not isinstance(name, str):
            raise InvalidInput("the names of an object's properties must be strings")
        kind = _known_type(item)
        properties.append(Property(name, kind, required=not isinstance(kind, AnyType)))
    return ObjectType(tuple(sorted(properties, key=lambda each: each.name)))


def _type_of_items(values: Any) -> ColumnType | None:
    merged: ColumnType | None = None
    for value in values:
        kind = _type_of(value)
        if kind is not None:
            merged = kind if merged is None else _merge_items(merged, kind)
    return merged


def _merge_items(seen: ColumnType, kind: ColumnType) -> ColumnType:
    if isinstance(seen, DataType):
        if isinstance(kind, AnyType) or kind == seen:
            return seen
        raise InvalidInput(_MIXED)
    return merge_types(seen, kind)


def merge_types(one: ColumnType, other: ColumnType) -> ColumnType:
    """The type of a list that holds values of both: objects unite their properties, `any` gives way.

    Raises:
        InvalidInput: No type holds both.
    """
    match one, other:
        case AnyType(), AnyType() | DataType():
            return other
        case AnyType(), _:
            return merge_types(other, one)
        case ObjectType(properties), AnyType():
            return ObjectType(tuple(Property(p.name, p.type, required=False) for p in properties))
        case (_, AnyType()):
            return one
        case _ if one == other:
            return one
        case ArrayType(items), ArrayType(others):
            return ArrayType(merge_types(items, others))
        case MapType(values), MapType(others):
            return MapType(merge_types(values, others))
        case ObjectType(), ObjectType():
            return _merge_objects(one, other)
        case _:
            raise InvalidInput(_MIXED)


def _merge_objects(one: ObjectType, other: ObjectType) -> ObjectType:
    mine, theirs = ({p.name: p for p in kind.properties} for kind in (one, other))
    merged = []
    for name in sorted(mine.keys() | theirs.keys()):
        if name in mine and name in theirs:
            first, second = mine[name], theirs[name]
            merged.append(Property(name, merge_types(first.type, second.type), first.required and second.required))
        else:
            merged.append(Property(name, (mine.get(name) or theirs[name]).type, required=False))
    return ObjectType(tuple(merged))


def _tensor(array: "np.ndarray[Any, Any]", name: str | None = None) -> TensorSpec:
    if array.ndim == 0:
        raise InvalidInput("an array without dimensions has no first dimension that could vary; give it at least one")
    return TensorSpec(_dtype_name(array.dtype), _varying(array.shape), name)


def _varying(shape: Sequence[int]) -> tuple[int, ...]:
    return (-1, *(int(size) for size in shape[1:]))


def _dtype_name(dtype: Any) -> str:
    """Numpy's name without the size of flexible types: `str`, `bytes`."""
    return {"U": "str", "S": "bytes"}.get(dtype.kind) or str(dtype.name)


def _has_no_missing(values: Any) -> bool:
    pandas = sys.modules.get("pandas")
    if isinstance(values, list) or (pandas is not None and isinstance(values, pandas.Series)):
        return not any(is_missing(value) for value in values)
    return not is_missing(values)


def _is_sparse(data: Any) -> bool:
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and isinstance(data, sparse.csr_matrix | sparse.csc_matrix)


def _is_pydantic(data: Any) -> bool:
    values = data if isinstance(data, list) else [data]
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and any(isinstance(value, pydantic.BaseModel) for value in values)


def _infer_params(params: Mapping[str, Any]) -> tuple[Param, ...]:
    if not isinstance(params, Mapping):
        raise InvalidInput(f"Params must be a dictionary of names and defaults, got {type(params).__name__}.")
    return tuple(_infer_param(str(name), default) for name, default in params.items())


def _infer_param(name: str, default: Any) -> Param:
    where = f"Param {name!r}"
    if isinstance(default, dict):
        kind = _type_of(default)
        if not isinstance(kind, ObjectType):
            raise InvalidInput(f"{where}: an empty dictionary says nothing about its properties; give it at least one.")
        return Param(name, kind, default)
    if isinstance(default, list | np.ndarray):
        array = np.asarray(default) if isinstance(default, np.ndarray) else None
        values = list(default) if array is None else list(array.tolist() if array.dtype.kind != "M" else array)
        if (array is not None and array.ndim != 1) or any(isinstance(value, list | np.ndarray) for value in values):
            raise InvalidInput(f"{where}: expected a scalar, a dictionary or a flat list, got a nested list.")
        return Param(name, _param_list_type(where, values), [_plain(value) for value in values], (-1,))
    return Param(name, _param_type(where, default), _plain(default))


def _param_list_type(where: str, values: Sequence[Any]) -> DataType:
    kinds = {_param_type(where, value) for value in values}
    if kinds == {DataType.LONG, DataType.DOUBLE}:
        return DataType.DOUBLE
    if len(kinds) > 1:
        raise InvalidInput(f"{where}: {_MIXED}.")
    # MLflow takes an empty list for one of datetimes, which then refuses every text it is given.
    return kinds.pop() if kinds else DataType.STRING


def _param_type(where: str, value: Any) -> DataType:
    kind = None if type(value) is object else _SCALARS.get(type(value))
    if kind is None and isinstance(value, np.generic):
        kind = _type_of_dtype(value.dtype)
    if kind is None and isinstance(value, datetime.date):
        kind = DataType.DATETIME
    if kind is None or kind is DataType.BINARY:
        got = type(value).__name__
        raise InvalidInput(
            f"{where}: expected a boolean, number, text or datetime, a flat list of them or a dict, got {got}."
        )
    return kind


def _plain(value: Any) -> Any:
    """A param's default as plain JSON: datetimes as ISO text, numpy's scalars as Python's."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value
