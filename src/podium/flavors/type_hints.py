"""Type hints of a predict function: the signature they say, and checking input against them, by MLflow's rules.

A hint counts where it is `list[...]` of `str`, `int`, `float`, `bool`, `bytes`, `datetime`, `dict[str, ...]`, lists, `Any`
or a pydantic model. DataFrames, Series and arrays as hints say nothing about columns and are left alone.
"""

import base64
import datetime
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from podium.domain.frames import is_frame
from podium.domain.reasons import Quotes, reason
from podium.domain.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    ColumnType,
    DataType,
    MapType,
    ObjectType,
    Property,
)
from podium.errors import InvalidInput, SchemaMismatch
from podium.flavors.python_model import TypeHints

_SCALARS: dict[Any, DataType] = {
    int: DataType.LONG,
    str: DataType.STRING,
    bool: DataType.BOOLEAN,
    float: DataType.DOUBLE,
    bytes: DataType.BINARY,
    datetime.datetime: DataType.DATETIME,
}
_NAMED_IN_MESSAGE = 5


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether predict is `(context, model_input, ...)` and not `(model_input, ...)`, by names first, then by number."""
    parameters = inspect.signature(function).parameters
    return "context" in parameters or len([name for name in parameters if name not in {"self", "params"}]) == 2


def hints_of(function: Callable[..., Any]) -> TypeHints:
    """The hints of a predict function's input and answer; None for those that are absent or cannot be resolved."""
    if not hasattr(function, "__annotations__"):
        # An object with __call__.
        function = type(function).__call__.__get__(function)
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    position = 1 if takes_context(function) else 0
    if not getattr(function, "__annotations__", None) or len(names) <= position:
        return TypeHints()
    try:
        hints = typing.get_type_hints(function)
    except (TypeError, NameError):
        # A postponed annotation that names what only exists while type checking.
        return TypeHints()
    return TypeHints(hints.get(names[position]), hints.get("return"))


def checked_hint(hint: Any) -> Any:
    """The hint when input can be checked against it, else None."""
    try:
        schema = schema_of_hint(hint)
    except InvalidInput:
        return None
    return None if schema is None else hint


def schema_of_hint(hint: Any) -> ColumnSchema | None:
    """The one unnamed column that a `list[...]` hint says; None where a hint says nothing about columns.

    Raises:
        InvalidInput: A list whose items have no place in a schema; names the hint.
    """
    if hint is None or typing.get_origin(hint) is not list:
        return None
    kind, is_required = _column_type(_item(hint))
    if not is_required:
        raise InvalidInput(
            f"The hint {describe(hint)} allows None as an item, which a signature without names cannot say. "
            "Take Optional away, or use a pydantic model with an optional field."
        )
    return ColumnSchema((Column(kind),))


def schema_of_answer(hint: Any) -> ColumnSchema:
    """The schema that the hint of a return value says: of its items where it is a list; `any` where nothing can be told."""
    try:
        kind, is_required = _column_type(_item(hint) if typing.get_origin(hint) is list else hint)
    except InvalidInput:
        return ColumnSchema((Column(AnyType()),))
    return ColumnSchema((Column(kind if is_required else AnyType()),))


def fit(data: Any, hint: Any) -> Any:
    """Input in the form that a hint asks for: DataFrames become lists, dicts become pydantic models; then it is checked.

    Raises:
        MlflowException: Base64 or a date that cannot be read, as in MLflow.
        SchemaMismatch: In MLflow's words; of the data the first scalar that does not fit is quoted, and nothing else.
    """
    try:
        return _check(from_frame(data, hint), hint, Quotes())
    except SchemaMismatch:
        raise
    except Exception as error:
        # Base64 or a date that cannot be read: MLflow's error, with its status.
        from podium.flavors.mlflow_shims import MlflowException

        raise MlflowException(
            f"Failed to validate the input data against the type hint `{hint}`. Error: {reason(error)}"
        ) from error


def from_frame(data: Any, hint: Any) -> Any:
    """A DataFrame as the list that a `list[...]` hint asks for: records for `dict` and models, else the first column.

    Everything else is unchanged.
    """
    if not is_frame(data) or typing.get_origin(hint) is not list:
        return data
    item = _item(hint)
    if (item is dict or _is_pydantic(item)) and list(data.columns) != [0]:
        return _plain(data.to_dict(orient="records"))
    return _plain(data.iloc[:, 0].tolist())


def from_text_frame(data: Any, hint: Any) -> Any:
    """A DataFrame as the list of texts, or of objects of texts, that these two hints ask for; else unchanged.

    MLflow's wrapper does this for every PythonModel, and before anything is checked.

    Raises:
        SchemaMismatch: A list of texts from a table that holds none.
    """
    is_list = typing.get_origin(hint) is list
    item = typing.get_args(hint)[0] if is_list and typing.get_args(hint) else None
    is_object = typing.get_origin(item) is dict and typing.get_args(item) == (str, str)
    if not is_frame(data) or not (item is str or is_object):
        return data
    texts = [name for name, value in data.iloc[0].items() if isinstance(value, str)]
    if is_object:
        # Of its one column where MLflow looks for a text first.
        return data[[texts[0]]].to_dict(orient="records") if texts else _records(data)
    if not texts:
        raise SchemaMismatch("Expected model input to contain at least one string column")
    return data[texts[0]].tolist()


def _records(data: Any) -> Any:
    return data.to_dict("list")[0] if len(data.columns) == 1 else data.to_dict(orient="records")


def describe(hint: Any) -> str:
    """A hint as people write it: `list[str]`, `Person`."""
    return hint.__name__ if type(hint) is type or _is_pydantic(hint) else str(hint)


def _check(data: Any, hint: Any, quotes: Quotes) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return data
    if _is_pydantic(hint):
        return _check_pydantic(data, hint, quotes)
    if hint in _SCALARS:
        return _check_scalar(data, hint)
    if origin is list:
        return _check_list(data, arguments[0], quotes)
    if origin is dict:
        return _check_dict(data, arguments[1], quotes)
    if _is_union(origin):
        others = [each for each in arguments if each is not type(None)]
        if len(others) < len(arguments) and len(others) == 1 and data is not None:
            return _check(data, others[0], quotes)
        return data
    raise SchemaMismatch(f"The hint {describe(hint)} is not one that input can be checked against.")


def _check_scalar(data: Any, hint: Any) -> Any:
    # JSON has neither bytes nor dates; both come as text.
    if hint is bytes and isinstance(data, str):
        return base64.decodebytes(data.encode())
    if hint is datetime.datetime and isinstance(data, str):
        return datetime.datetime.fromisoformat(data)
    if isinstance(data, hint):
        return data
    raise SchemaMismatch(f"Expected type {describe(hint)}, but got {type(data).__name__}")


def _check_list(data: Any, item: Any, quotes: Quotes) -> list[Any]:
    if not isinstance(data, list):
        raise SchemaMismatch(f"Expected list, but got {type(data).__name__}")
    fitted, wrong = [], []
    for each in data:
        try:
            fitted.append(_check(each, item, quotes))
        except SchemaMismatch as error:
            wrong.append((quotes.of(each), error.message))
    if wrong:
        shown = f"{wrong[:_NAMED_IN_MESSAGE]} ... (truncated)" if len(wrong) > _NAMED_IN_MESSAGE else str(wrong)
        raise SchemaMismatch(
            f"Failed to validate data against type hint `list[{describe(item)}]`, invalid elements: {shown}"
        )
    return fitted


def _check_dict(data: Any, value: Any, quotes: Quotes) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise SchemaMismatch(f"Expected dict, but got {type(data).__name__}")
    fitted, wrong = {}, {}
    for name, each in data.items():
        if not isinstance(name, str):
            wrong[str(name)] = f"Key must be a string, got {type(name).__name__}"
            continue
        try:
            fitted[name] = _check(each, value, quotes)
        except SchemaMismatch as error:
            wrong[name] = error.message
    if wrong:
        raise SchemaMismatch(
            f"Failed to validate data against type hint `dict[str, {describe(value)}]`, invalid elements: {wrong}"
        )
    return fitted


def _check_pydantic(data: Any, hint: Any, quotes: Quotes) -> Any:
    fields = data.model_dump() if hasattr(data, "model_dump") else data
    if not isinstance(fields, dict):
        raise SchemaMismatch(
            f"Expecting example to be a dictionary or pydantic model instance for Pydantic type hint, got {type(data)}"
        )
    try:
        # Strict: "123" is no int. MLflow validates strictly and then builds the model from the same dict.
        hint.model_validate(fields, strict=True)
    except ValueError as error:
        raise SchemaMismatch(
            f"Data doesn't match type hint, error: {_validation_error(error, hint, quotes)}. Expected fields in the type "
            f"hint: {hint.model_fields}. Check "
            "https://mlflow.org/docs/latest/model/python_model.html#pydantic-model-type-hints-data-conversion for more "
            "details."
        ) from error
    return hint(**data) if isinstance(data, dict) else data


def _validation_error(error: ValueError, hint: Any, quotes: Quotes) -> str:
    """As pydantic prints it, with one value at most."""
    details = error.errors() if hasattr(error, "errors") else []
    lines = [f"{len(details)} validation error{'' if len(details) == 1 else 's'} for {hint.__name__}"]
    for each in details:
        given = each["input"]
        shown = repr(given) if quotes.of(given) == str(given) else "…"
        lines += [
            ".".join(map(str, each["loc"])),
            f"  {each['msg']} [type={each['type']}, input_value={shown}, input_type={type(given).__name__}]",
            f"    For further information visit {each.get('url', '')}",
        ]
    return "\n".join(lines)


def _column_type(hint: Any) -> tuple[ColumnType, bool]:
    """The type that a hint says, and whether None is excluded."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return AnyType(), True
    if hint in _SCALARS:
        return _SCALARS[hint], True
    if _is_pydantic(hint):
        return _object_type(hint), True
    if origin is list:
        return ArrayType(_column_type(_item(hint))[0]), True
    if origin is dict and len(arguments) == 2 and arguments[0] is str:
        return MapType(_column_type(arguments[1])[0]), True
    if _is_union(origin):
        others = [each for each in arguments if each is not type(None)]
        is_required = len(others) == len(arguments)
        return (_column_type(others[0])[0] if len(others) == 1 else AnyType()), is_required
    raise InvalidInput(
        f"The type hint {describe(hint)} has no place in a signature. Use list[...] of str, int, float, bool, bytes, "
        "datetime, dict[str, ...], lists, Any or a pydantic model; or leave the hint out and pass an input example."
    )


def _object_type(model: Any) -> ObjectType:
    properties = []
    fields: Mapping[str, Any] = model.model_fields
    for name, field in fields.items():
        kind, is_required = _column_type(field.annotation)
        if not is_required and field.is_required():
            raise InvalidInput(f"The optional field {name} of {model.__name__} has no default; set it to None.")
        properties.append(Property(name, kind, is_required))
    return ObjectType(tuple(sorted(properties, key=lambda each: each.name)))


def _item(hint: Any) -> Any:
    arguments = typing.get_args(hint)
    if len(arguments) != 1:
        raise InvalidInput(f"The type hint {describe(hint)} does not say of what; write list[str], for example.")
    return arguments[0]


def _is_union(origin: Any) -> bool:
    return origin is typing.Union or origin is types.UnionType


def _is_pydantic(hint: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(hint, type) and issubclass(hint, pydantic.BaseModel)


def _plain(data: Any) -> Any:
    """Lists in place of arrays, None in place of NaN, as frames made from JSON hold them."""
    if hasattr(data, "tolist") and hasattr(data, "dtype"):
        data = data.tolist()
    if isinstance(data, list):
        return [_plain(each) for each in data]
    if isinstance(data, dict):
        return {name: _plain(each) for name, each in data.items()}
    return None if isinstance(data, float) and data != data else data
