"""Tensors to what a model takes: by its signature a data frame, one array or named ones; without one, arrays.

A tensor becomes an array without a detour over Python's lists. Where its datatype is not the declared one:

    wider of the same kind, whole numbers that the type holds   converted
    numbers with a fraction to fewer bits                       rounded; what would become infinite is refused
    whole numbers to floats                                     converted where each is exact
    anything else                                               refused

BYTES are text (UTF-8) or bytes, as the signature says; datetimes are ISO 8601 text or INT64 nanoseconds; lists, objects
and maps in columns are JSON text, lists of numbers also rows of a tensor.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from podium.domain.inputs.columns import COLUMNS, pandas_for
from podium.domain.inputs.conversions import NUMPY_TYPES, REAL, WHOLE, without_zone
from podium.domain.reasons import listed
from podium.domain.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    Signature,
    SparkVectorType,
    TensorSchema,
)
from podium.domain.signature import TensorSpec as Declared
from podium.errors import MalformedBody, PodiumError, SchemaMismatch
from podium.protocols.tensors import BYTES, Tensor, decode_tensors, split_bytes

NUMPY_OF: Mapping[str, "np.dtype[Any]"] = {
    "BOOL": np.dtype("?"), "FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"),
    **{f"{sign.upper()}INT{8 * size}": np.dtype(f"<{sign or 'i'}{size}") for sign in ("", "u") for size in (1, 2, 4, 8)},
}  # fmt: skip

# Text as a numpy array takes 4 bytes a character of the longest, for every value (`protocols/mlflow/arrays.py`).
_WIDE_TEXT_BYTES = 16 * 2**20
_MOST_EMPTY = 1 << 20  # rows of nothing: each may become an object, and no byte was sent for it
_ONE_AXIS, _TWO_AXES = 1, 2


class TensorReader:
    """Reads bodies of `protocols/tensors.py` for one signature."""

    __slots__ = ("_columns", "_is_from_type_hint", "_labels", "_schema")

    def __init__(self, signature: Signature | None) -> None:
        schema = None if signature is None else signature.inputs
        self._schema = schema
        self._is_from_type_hint = signature is not None and signature.is_from_type_hint
        self._labels = schema.labels if isinstance(schema, ColumnSchema) else []
        self._columns: Mapping[str, Column] = {}
        if isinstance(schema, ColumnSchema):
            self._columns = dict(zip(schema.names, schema.columns, strict=True))

    def read(self, body: bytes | memoryview) -> tuple[Any, Any]:
        """The data for the predictor, which still enforces the signature, and the params as they were sent.

        Raises:
            MalformedBody: It is no body of tensors.
            SchemaMismatch: A name that the signature does not have, or a tensor that does not fit it.
        """
        tensors, params = decode_tensors(body)
        return self.of(tensors), params

    @property
    def only_name(self) -> str:
        """What an only input is called; empty where there are several, or none is named."""
        schema = self._schema
        if isinstance(schema, ColumnSchema):
            return schema.names[0] if len(schema.columns) == 1 else ""
        return (schema.tensors[0].name or "") if schema is not None and len(schema.tensors) == 1 else ""

    def of(self, tensors: list[Tensor]) -> Any:
        """The data for the predictor.

        Raises:
            MalformedBody, SchemaMismatch: As `read`.
        """
        try:
            return self._data(tensors)
        except PodiumError:
            raise
        except (ValueError, MemoryError) as error:
            # numpy's limits on shapes; no size that was sent is made room for before its bytes are there.
            raise MalformedBody("A tensor has a shape that no array can have.") from error

    def _data(self, tensors: list[Tensor]) -> Any:
        if not tensors:
            raise SchemaMismatch("The request has no inputs.")
        for each in tensors:
            if 0 in each.shape and math.prod(filter(None, each.shape)) > _MOST_EMPTY:
                raise MalformedBody(f"Input {each.name!r} has no elements and more than {_MOST_EMPTY} rows of them.")
        names = [each.name for each in tensors]
        if len(set(names)) != len(names):
            twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
            raise SchemaMismatch(f"The request gives the inputs [{listed(twice)}] more than once.")
        if self._is_from_type_hint:
            return _plain_values(tensors)
        if isinstance(self._schema, ColumnSchema):
            return self._frame(tensors, self._schema)
        if isinstance(self._schema, TensorSchema):
            return _declared_arrays(tensors, self._schema)
        if len(tensors) == 1:
            return _undeclared(tensors[0])
        return {each.name: _undeclared(each) for each in tensors}

    def _frame(self, tensors: list[Tensor], schema: ColumnSchema) -> Any:
        pandas = pandas_for(COLUMNS)
        columns = schema.columns
        if len(tensors) == 1 and _is_table_of(tensors[0], columns) and tensors[0].name not in self._columns:
            table = _table(tensors[0], columns)
            if table is not None:
                return pandas.DataFrame(table, columns=self._labels, copy=False)
            array = to_array(tensors[0])
            pairs = enumerate(zip(self._labels, columns, strict=True))
            data = {label: _fit_column(array[:, i], column) for i, (label, column) in pairs}
            return pandas.DataFrame(data, copy=False)
        if schema.is_named:
            return pandas.DataFrame(self._by_name(tensors))
        return pandas.DataFrame(self._by_position(tensors, columns))

    def _by_name(self, tensors: list[Tensor]) -> dict[Any, Any]:
        unknown = [each.name for each in tensors if each.name not in self._columns]
        if unknown:
            raise _unknown(unknown, self._columns)
        labels = dict(zip(self._columns, self._labels, strict=True))
        return _equally_long({labels[each.name]: _column(each, self._columns[each.name]) for each in tensors})

    def _by_position(self, tensors: list[Tensor], columns: tuple[Column, ...]) -> dict[Any, Any]:
        if len(tensors) != len(columns):
            raise SchemaMismatch(f"The model takes {len(columns)} inputs without names; the request has {len(tensors)}.")
        numbers = [each.name.rpartition("-")[2] for each in tensors]
        if sorted(numbers) == sorted(map(str, range(len(columns)))):
            tensors = [tensors[numbers.index(str(i))] for i in range(len(columns))]
        return _equally_long({i: _column(*pair) for i, pair in enumerate(zip(tensors, columns, strict=True))})


def to_array(tensor: Tensor) -> "np.ndarray[Any, Any]":
    """The tensor as an array in memory of its own, in this machine's order of bytes; BYTES as objects, each `bytes`."""
    if tensor.datatype == BYTES:
        elements = split_bytes(tensor.data, math.prod(tensor.shape))
        cells = np.empty(len(elements), dtype=object)
        cells[:] = elements
        return cells.reshape(tensor.shape)
    if tensor.datatype == "BF16":  # the upper half of FP32
        halves = np.frombuffer(tensor.data, "<u2").astype(np.uint32) << 16
        return halves.view(np.float32).reshape(tensor.shape)
    dtype = NUMPY_OF[tensor.datatype]
    if not len(tensor.data):
        return np.empty(tensor.shape, dtype.newbyteorder("="))
    if tensor.datatype == "BOOL":
        # Any other byte than 0 and 1 is a truth value that numpy counts wrongly.
        truths: np.ndarray[Any, Any] = np.frombuffer(tensor.data, np.uint8).reshape(tensor.shape) != 0
        return truths
    return np.array(np.frombuffer(tensor.data, dtype).reshape(tensor.shape), dtype.newbyteorder("="))


def fit(name: str, array: "np.ndarray[Any, Any]", target: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    """Numbers or truth values as another numpy type, by the table of this module.

    Raises:
        SchemaMismatch: A value does not fit, or no value of the one type is one of the other.
    """
    have, want = array.dtype, target
    if have == want:
        return array
    fits = False
    if have.kind in "iu" and want.kind in "iu":
        bounds = np.iinfo(want)
        fits = not array.size or (int(array.min()) >= bounds.min and int(array.max()) <= bounds.max)
    elif have.kind in "iu" and want.kind == "f":
        most = 2 ** (np.finfo(want).nmant + 1)
        fits = not array.size or (int(array.min()) >= -most and int(array.max()) <= most)
    elif have.kind == want.kind == "f":
        with np.errstate(over="ignore"):
            rounded = array.astype(want)
        fits = want.itemsize > have.itemsize or bool(np.isfinite(rounded).sum() == np.isfinite(array).sum())
        if fits:
            return rounded
    if not fits:
        raise SchemaMismatch(f"Input {name!r}: expected {want.name}, got {have.name} with values that it cannot hold.")
    return array.astype(want)


def to_texts(name: str, cells: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Elements of BYTES as text, in an array of objects.

    Raises:
        SchemaMismatch: One is not UTF-8.
    """
    texts = np.empty(cells.size, dtype=object)
    for position, cell in enumerate(cells.ravel()):
        try:
            texts[position] = cell.decode()
        except UnicodeDecodeError:
            raise SchemaMismatch(f"Input {name!r}: element {position} is not UTF-8.") from None
    return texts.reshape(cells.shape)


def _undeclared(tensor: Tensor) -> Any:
    """An array for a model that declares nothing: text where all elements are text."""
    array = to_array(tensor)
    if tensor.datatype != BYTES:
        return array
    try:
        return _as_numpy_text(tensor.name, array)
    except SchemaMismatch:
        return array


def _as_numpy_text(name: str, cells: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Text as numpy's own type, as JSON becomes; as objects where that takes very much room or loses NUL at the end."""
    texts = to_texts(name, cells)
    longest = max(map(len, texts.ravel()), default=0)
    is_cut = any(text.endswith("\0") for text in texts.ravel())
    if is_cut or 4 * longest * texts.size > _WIDE_TEXT_BYTES:
        return texts
    return texts.astype(str)


def _plain_values(tensors: list[Tensor]) -> list[Any]:
    """A list of values, or of objects by name, for a model whose predict() has a type hint."""
    lists = {}
    for each in tensors:
        array = _undeclared(each)
        if array.ndim == _TWO_AXES and array.shape[1] == 1 and each.datatype == BYTES:
            array = array[:, 0]
        lists[each.name] = array.tolist() if array.ndim else [array.item()]
    if len(lists) == 1:
        (values,) = lists.values()
        return list(values)
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) != 1:
        raise _uneven(lengths)
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


# ── tensors that are declared


def _declared_arrays(tensors: list[Tensor], schema: TensorSchema) -> Any:
    if not schema.is_named:
        if len(tensors) > 1:
            raise SchemaMismatch(f"The model takes one input; the request has {len(tensors)}.")
        return _declared_array(tensors[0], schema.tensors[0])
    declared = {str(each.name): each for each in schema.tensors}
    unknown = [each.name for each in tensors if each.name not in declared]
    if unknown:
        raise _unknown(unknown, declared)
    return {each.name: _declared_array(each, declared[each.name]) for each in tensors}


def _declared_array(tensor: Tensor, declared: Declared) -> Any:
    wanted, given = declared.shape, tensor.shape
    if len(wanted) != len(given) or any(want not in (-1, got) for want, got in zip(wanted, given, strict=True)):
        raise SchemaMismatch(f"Input {tensor.name!r}: expected shape {list(wanted)}, got {list(given)}.")
    dtype = np.dtype(declared.dtype)
    array = to_array(tensor)
    if dtype.kind == "M":
        return _moments(tensor.name, array)
    if dtype.kind in "biuf":
        if tensor.datatype == BYTES or (dtype.kind == "b") != (tensor.datatype == "BOOL"):
            raise SchemaMismatch(f"Input {tensor.name!r}: expected {dtype.name}, got {tensor.datatype}.")
        return fit(tensor.name, array, dtype)
    if dtype.kind in "US":
        if tensor.datatype != BYTES:
            raise SchemaMismatch(f"Input {tensor.name!r}: expected BYTES, got {tensor.datatype}.")
        texts = array if dtype.kind == "S" else to_texts(tensor.name, array)
        longest = max(map(len, texts.ravel()), default=0)
        if 4 * longest * texts.size > _WIDE_TEXT_BYTES:
            raise SchemaMismatch(f"Input {tensor.name!r}: one text among many is too long for an array; send it alone.")
        return texts.astype(str if dtype.kind == "U" else bytes)
    if dtype.kind == "O":
        return _undeclared(tensor).astype(object)
    raise SchemaMismatch(f"Input {tensor.name!r}: no datatype stands for the declared type {dtype.name}.")


# ── columns that are declared


def _is_table_of(tensor: Tensor, columns: tuple[Column, ...]) -> bool:
    """Whether it holds all columns side by side."""
    is_wide = len(tensor.shape) == _TWO_AXES and len(columns) > 1 and tensor.shape[1] == len(columns)
    return is_wide and all(isinstance(each.type, DataType) for each in columns)


def _table(tensor: Tensor, columns: tuple[Column, ...]) -> Any:
    """The tensor as a table of one type, each column contiguous as in any data frame; None for several types."""
    kinds = {each.type for each in columns}
    (kind, *others) = kinds
    if others or kind not in REAL or tensor.datatype not in ("FP16", "BF16", "FP32", "FP64"):
        return None
    array = fit(tensor.name, to_array(tensor), NUMPY_TYPES[kind])
    return np.ascontiguousarray(array.T).T


def _column(tensor: Tensor, column: Column) -> Any:
    name, shape = tensor.name, tensor.shape
    array = to_array(tensor)
    if isinstance(column.type, ArrayType | SparkVectorType) and tensor.datatype != BYTES and len(shape) > 1:
        rows = np.empty(len(array), dtype=object)
        rows[:] = list(array) if array.ndim == _TWO_AXES else [row.tolist() for row in array]
        return rows
    if len(shape) == _TWO_AXES and shape[1] == 1:
        array = array[:, 0]
    if array.ndim != _ONE_AXIS:
        raise SchemaMismatch(f"Input {name!r}: expected shape [-1, 1] or [-1], got {list(shape)}.")
    if not isinstance(column.type, DataType):
        return _nested(name, array, tensor.datatype, column)
    return _fit_column(array, column, name)


def _fit_column(array: "np.ndarray[Any, Any]", column: Column, name: str = "") -> Any:
    kind = column.type
    name = name or str(column.name)
    assert isinstance(kind, DataType)
    is_bytes = array.dtype.kind == "O"
    if kind is DataType.STRING and is_bytes:
        return to_texts(name, array)
    if kind is DataType.BINARY and is_bytes:
        return array
    if kind is DataType.DATETIME:
        return _moments(name, array)
    if is_bytes or kind in (DataType.STRING, DataType.BINARY) or (kind is DataType.BOOLEAN) != (array.dtype.kind == "b"):
        got = "BYTES" if is_bytes else array.dtype.name
        raise SchemaMismatch(f"Input {name!r}: expected {kind.value}, got {got}.")
    if kind in WHOLE and array.dtype.kind == "f":
        return array  # the enforcement of columns says what a missing value is, and refuses fractions
    return fit(name, array, NUMPY_TYPES[kind])


def _nested(name: str, array: "np.ndarray[Any, Any]", datatype: str, column: Column) -> Any:
    """Cells that are lists, objects, maps or anything: JSON text; for a column of anything also what is none."""
    is_any = isinstance(column.type, AnyType)
    if datatype != BYTES:
        if is_any:
            return array
        raise SchemaMismatch(f"Input {name!r}: expected BYTES with JSON text of {column.type}, got {datatype}.")
    cells = np.empty(array.size, dtype=object)
    for position, text in enumerate(to_texts(name, array)):
        try:
            cells[position] = json.loads(text)
        except (ValueError, RecursionError):
            if not is_any:
                raise SchemaMismatch(f"Input {name!r}: element {position} is not JSON.") from None
            cells[position] = text
    return cells


def _moments(name: str, array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Datetimes: ISO 8601 text, or nanoseconds since 1970."""
    if array.dtype == np.int64:
        return array.astype("datetime64[ns]")
    if array.dtype.kind != "O":
        raise SchemaMismatch(
            f"Input {name!r}: expected BYTES with text of a date and time, or INT64, got {array.dtype.name}."
        )
    texts = to_texts(name, array)
    try:
        plain = np.array([without_zone(text) for text in texts.ravel()], dtype=str)
        moments, seconds = plain.astype("datetime64[ns]"), plain.astype("datetime64[s]")
    except (ValueError, OverflowError):
        raise SchemaMismatch(f"Input {name!r}: a text is no date and time (ISO 8601).") from None
    known = ~np.isnat(moments)
    if not np.array_equal(moments[known].astype("datetime64[s]"), seconds[known]):
        raise SchemaMismatch(f"Input {name!r}: a datetime is out of bounds, which are the years 1678 to 2261.")
    return moments.reshape(texts.shape)


def _equally_long(columns: dict[Any, Any]) -> dict[Any, Any]:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise _uneven(lengths)
    return columns


def _uneven(lengths: Mapping[Any, int]) -> SchemaMismatch:
    return SchemaMismatch(f"The inputs have different numbers of rows: {dict(lengths)}.")


def _unknown(names: Sequence[str], known: Mapping[str, Any]) -> SchemaMismatch:
    return SchemaMismatch(f"The model has no inputs [{listed(names)}]; it has [{listed(list(known))}].")
