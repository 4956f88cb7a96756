"""`inputs` and `instances`: parsed JSON as numpy arrays, one for each input, by MLflow's rules.

Without a schema numpy chooses the types. With one, each value is converted as numpy converts it (`"7"` to 7, 1.5 to 1
for a whole number, `"false"` to True); what numpy wraps around silently is refused instead.
"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from podium.domain.dialect import COMPAT, Dialect
from podium.domain.inputs.conversions import NUMPY_TYPES, WHOLE, is_exact, without_zone
from podium.domain.inputs.nested import conform_value
from podium.domain.reasons import described, reason, scalar
from podium.domain.signature import AnyType, ArrayType, Column, ColumnSchema, DataType, Schema, SparkVectorType, TensorSpec
from podium.errors import MalformedBody, PodiumError, SchemaMismatch

Spec = Column | TensorSpec | None

_TEXT = (DataType.STRING, DataType.BINARY)
# Types in which null becomes another value; an optional input of a strict server keeps it.
_WITHOUT_NULL = (DataType.BOOLEAN, DataType.STRING)
# Text as a numpy array takes 4 bytes a character of the longest, for every value: one long text among many short ones
# must not multiply a body's size. From here on such a column is kept as Python strings, which a data frame makes of it
# anyway.
_WIDE_TEXT_BYTES = 16 * 2**20


class ArrayReader:
    """Reads `inputs` and `instances` for one schema, or for a model without one."""

    __slots__ = ("_decodes_base64", "_first", "_is_named", "_is_strict", "_matched", "_schema", "_specs")

    def __init__(self, schema: Schema | None, dialect: Dialect = COMPAT) -> None:
        self._decodes_base64 = dialect.decodes_base64
        self._is_strict = dialect.is_strict
        self._schema = schema
        entries: tuple[Column | TensorSpec, ...] = ()
        if schema is not None:
            entries = schema.columns if isinstance(schema, ColumnSchema) else schema.tensors
        self._is_named = schema is not None and schema.is_named
        self._specs: dict[Any, Spec] = {entry.name: entry for entry in entries} if self._is_named else {}
        self._first: Spec = entries[0] if entries else None
        # Inputs that must have one value for each instance: required ones, and not arrays, whose length is their own.
        self._matched = {
            entry.name
            for entry in entries
            if isinstance(entry, TensorSpec) or (entry.required and not isinstance(entry.type, ArrayType | SparkVectorType))
        }

    def read_inputs(self, data: Any) -> Any:
        """The value of `inputs`: columns or arrays by name, a list of dicts, or one array.

        Raises:
            MalformedBody: Why it cannot be converted, without quoting it.
        """
        try:
            return self._read_inputs(data)
        except PodiumError:
            raise
        except Exception as error:
            raise _unreadable(error) from error

    def read_instances(self, data: Any) -> Any:
        """The value of `instances`: like `inputs`, but a list of dicts becomes arrays by name, an item for each dict.

        Raises:
            MalformedBody: Likewise; or the names have different numbers of values.
        """
        try:
            is_rows = isinstance(data, list) and data and isinstance(data[0], dict)
            arrays = self._stack(data) if is_rows else self._read_inputs(data)
            if isinstance(arrays, dict):
                self._check_lengths(arrays)
            return arrays
        except PodiumError:
            raise
        except Exception as error:
            raise _unreadable(error) from error

    def _read_inputs(self, data: Any) -> Any:
        if self._schema is not None:
            if len(self._specs) == 1 and isinstance(data, list) and not any(isinstance(item, dict) for item in data):
                data = {next(iter(self._specs)): data}
            elif not self._is_named and not (isinstance(data, list) or np.isscalar(data)):
                raise MalformedBody(
                    "Invalid input. Failed to parse input data. This model contains an un-named  model signature which "
                    "expects a single n-dimensional array or a single value as input, however, an input of type "
                    f"{type(data)} was found."
                )
        if isinstance(data, dict):
            return {name: self._convert(value, self._specs.get(name)) for name, value in data.items()}
        if isinstance(data, list):
            if all(isinstance(item, dict) for item in data):
                return [{name: self._convert(value, self._specs.get(name)) for name, value in row.items()} for row in data]
            return self._convert(data, self._first)
        try:
            return self._convert(data, self._first)
        except MalformedBody as error:
            raise MalformedBody(
                f"Invalid input. Failed to convert data `{scalar(data)}` to type `{self._first}` defined in the model "
                "signature."
            ) from error

    def _stack(self, rows: list[Any]) -> dict[str, Any]:
        values: dict[str, list[Any]] = {}
        for row in rows:
            for name, value in row.items():
                values.setdefault(name, []).append(value)
        try:
            return {name: self._stack_values(column, self._specs.get(name)) for name, column in values.items()}
        except Exception:  # noqa: BLE001 - whatever it was, the second look says it again
            # As MLflow, value by value and row by row: the first that does not fit is the one that is told, and nested
            # ones may still fit together.
            stacked: dict[str, list[Any]] = {}
            for row in rows:
                for name, value in row.items():
                    stacked.setdefault(name, []).append(self._convert(value, self._specs.get(name)))
            return {name: np.array(column) for name, column in stacked.items()}

    def _check_lengths(self, arrays: Mapping[str, Any]) -> None:
        lengths = {
            len(value)
            for name, value in arrays.items()
            if isinstance(value, list | np.ndarray) and (not self._is_named or name in self._matched)
        }
        if len(lengths) > 1:
            raise MalformedBody("Invalid input. The length of values for each input/column name are not the same")

    def _convert(self, value: Any, spec: Spec) -> Any:
        if isinstance(spec, Column):
            if spec.type is DataType.BINARY and self._decodes_base64:
                return _from_base64(value, spec.required)
            if self._is_strict and not spec.required and spec.type in _WITHOUT_NULL and _holds_null(value):
                return _with_gaps(value, spec)
        return convert(value, spec)

    def _stack_values(self, values: list[Any], spec: Spec) -> Any:
        """One name's values of all rows as one array; converted together where that is the same."""
        is_together = (
            spec.dtype != "object" if isinstance(spec, TensorSpec) else spec is not None and isinstance(spec.type, DataType)
        )
        return self._convert(values, spec) if is_together else np.array([self._convert(value, spec) for value in values])


def convert(value: Any, spec: Spec) -> Any:
    """One input's value as an array of its declared type, or a scalar of it where a single value was given.

    Raises:
        MalformedBody: Why numpy cannot convert it.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return _convert(value, spec)
    except SchemaMismatch as error:
        raise MalformedBody(f"Invalid input. {error.message}") from error
    except PodiumError:
        raise
    except Exception as error:
        raise MalformedBody(f"Invalid input. {reason(error)}") from error


def _convert(value: Any, spec: Spec) -> Any:
    if spec is None:
        return np.array(value, dtype=object if _is_wide(value) else None)
    if isinstance(spec, TensorSpec):
        if spec.dtype == "datetime64[ns]":
            return _datetimes(value)
        if spec.dtype == "str" and _is_wide(value):
            raise SchemaMismatch("One text among many is too long for an array of texts; send it alone.")
        return np.array(value, dtype=spec.dtype)
    if isinstance(spec.type, DataType):
        if isinstance(value, list):
            return _convert_list(value, spec.type, spec.required)
        return _convert_list([value], spec.type, spec.required)[0]
    if isinstance(spec.type, AnyType):
        return value
    conformed = conform_value(value, spec.type, spec.required)
    return np.array(conformed) if isinstance(spec.type, ArrayType | SparkVectorType) else conformed


def _convert_list(values: list[Any], kind: DataType, required: bool) -> Any:
    if kind is DataType.DATETIME:
        return _datetimes(values)
    if kind in _TEXT and _is_wide(values):
        texts = [str(value) for value in values]
        return np.array(texts if kind is DataType.STRING else [text.encode("ascii") for text in texts], dtype=object)
    if kind in WHOLE and not required and None in values:
        return _whole_with_gaps(values, kind)
    return np.array(values, dtype=NUMPY_TYPES[kind])


def _whole_with_gaps(values: list[Any], kind: DataType) -> Any:
    """Whole numbers of an optional input, null among them: floats with NaN, or objects where a float is not exact."""
    known = np.array([value for value in values if value is not None], dtype=NUMPY_TYPES[kind])
    is_float = known.size == 0 or all(is_exact(int(end), DataType.DOUBLE) for end in (known.min(), known.max()))
    filled = np.empty(len(values), dtype=np.float64 if is_float else object)
    gaps = np.array([value is None for value in values])
    filled[gaps] = np.nan if is_float else None
    filled[~gaps] = known
    return filled


def _is_wide(values: Any) -> bool:
    """Whether an array of these texts would take many times the room of the texts themselves."""
    count, longest, total = _text_room(values)
    needed = 4 * longest * count
    return needed > _WIDE_TEXT_BYTES and needed > 16 * total


def _text_room(values: Any) -> tuple[int, int, int]:
    """How many values there are, the length of the longest text, and that of all together; zeros where no text is."""
    if not isinstance(values, list):
        return 0, 0, 0
    kinds = set(map(type, values))
    if str not in kinds and list not in kinds:
        return len(values), 0, 0
    lengths = [len(value) for value in values if isinstance(value, str)]
    inner = [_text_room(value) for value in values if isinstance(value, list)]
    return (
        len(values) + sum(room[0] for room in inner),
        max((*lengths, *(room[1] for room in inner)), default=0),
        sum(lengths) + sum(room[2] for room in inner),
    )


def _datetimes(values: Any) -> Any:
    """Datetimes as numpy reads them, those with a time zone as UTC.

    What nanoseconds cannot count is refused, where numpy wraps it into another century.
    """
    values = _without_zones(values)
    moments = np.array(values, dtype="datetime64[ns]")
    if moments.size and _holds_text(values):
        seconds = np.array(values, dtype="datetime64[s]")
        known = ~np.isnat(moments)
        if not np.array_equal(moments[known].astype("datetime64[s]"), seconds[known]):
            raise SchemaMismatch("A datetime is out of bounds for datetime64[ns], which holds the years 1678 to 2261.")
    return moments


def _holds_text(values: Any) -> bool:
    while isinstance(values, list) and values:
        values = values[0]
    return isinstance(values, str)


def _without_zones(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_zones(item) for item in value]
    return without_zone(value) if isinstance(value, str) else value


def _from_base64(value: Any, required: bool) -> Any:
    """Bytes for base64; a list of them as objects, for numpy's own bytes lose the zeros at their end."""
    if isinstance(value, list):
        cells = np.empty(len(value), dtype=object)
        cells[:] = [_from_base64(each, required) for each in value]
        return cells
    if value is None and not required:
        return None
    if not isinstance(value, str):
        raise MalformedBody(f"Invalid input. Expected base64 for a binary input, got {type(value).__name__}")
    try:
        return base64.decodebytes(value.encode())
    except ValueError as error:
        raise MalformedBody(f"Invalid input. {reason(error)}") from error


def _holds_null(value: Any) -> bool:
    return value is None or (isinstance(value, list) and None in value)


def _with_gaps(value: Any, spec: Column) -> Any:
    """Values of an optional input, null among them, as objects; null stays None."""
    if not isinstance(value, list):
        return None
    cells = np.empty(len(value), dtype=object)
    cells[:] = [None if each is None else convert(each, spec) for each in value]
    return cells


def _unreadable(error: Exception) -> MalformedBody:
    return MalformedBody(
        f"Invalid input. Ensure that the input is a valid JSON-formatted string.\nError: {described(error)}"
    )
