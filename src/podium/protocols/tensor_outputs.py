"""What a model returned as named tensors, whatever it returned.

    an array            one tensor, of its own datatype and shape; a single value has shape [1]
    a frame, a series   a tensor of shape [rows, 1] for each column
    a dict              a tensor for each value, by its key
    a list              as numpy makes an array of it; objects with the same keys as a frame of them
    anything else       BYTES: text as it is, other values as JSON text

What the signature declares as columns has the shape [rows, 1], or [rows] where it is one without a name, whatever it came
in. Text is UTF-8; what is missing is the empty text, and NaN among numbers. Dates and times are ISO 8601 text. An output is
called as the signature calls it, `output` where it gives no name.
"""

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from podium.domain.dialect import Dialect
from podium.domain.frames import is_frame, is_table
from podium.domain.inputs.conversions import MOST_EXACT
from podium.domain.signature import ColumnSchema, Signature
from podium.errors import UnencodableOutput
from podium.protocols.contents import FIELDS, pack_contents
from podium.protocols.mlflow.encoding import encode
from podium.protocols.tensor_inputs import NUMPY_OF
from podium.protocols.tensors import (
    BYTES,
    CONTENT_TYPE,
    LARGE_BYTES,
    Tensor,
    encode_tensors,
    form_number,
    join_bytes,
    split_bytes,
)

UNNAMED = "output"
"""What an only output without a name is called, and columns without one begin with."""

_DATATYPES: Mapping[str, str] = {dtype.str.lstrip("<|"): name for name, dtype in NUMPY_OF.items()}
_FORMS = {(dtype, axes): form_number(name, axes) for name, dtype in NUMPY_OF.items() for axes in (1, 2)}
_AS_NULL = Dialect(nan="null")
_TWO_AXES = 2
_MISSING = ("NaTType", "NAType")


class TensorWriter:
    """Writes bodies of `protocols/tensors.py` for one signature."""

    __slots__ = ("_column_axes", "_names")

    content_type = CONTENT_TYPE

    def __init__(self, signature: Signature | None) -> None:
        schema = None if signature is None else signature.outputs
        self._column_axes = 0
        if isinstance(schema, ColumnSchema):
            self._column_axes = 1 if len(schema.columns) == 1 and schema.columns[0].name is None else _TWO_AXES
        if schema is None:
            self._names = [UNNAMED]
        elif isinstance(schema, ColumnSchema):
            self._names = [
                f"{UNNAMED}-{i}" if each.name is None else str(each.name) for i, each in enumerate(schema.columns)
            ]
        else:
            self._names = [each.name or UNNAMED for each in schema.tensors]

    def form_of(self, output: Any) -> int:
        """The number of what is written of an array, 0 where its text in JSON would not say the same."""
        if type(output) is not np.ndarray:
            return 0
        axes = len(self._declared(output.shape))
        found = _FORMS.get((output.dtype, axes))
        if found is None:
            kind = output.dtype.kind
            if kind == "U" or (kind == "O" and set(map(type, output.ravel().tolist())) == {str}):
                return form_number(BYTES, axes)
            return 0
        return found

    def write(self, output: Any, params: Mapping[str, Any] | None = None, reply: Mapping[str, Any] | None = None) -> bytes:
        """The body for a prediction; `params` go with it as they are, and as `form` what `form_of` says.

        `reply` says in which form large outputs are to be (`protocols/tensors.py`).

        Raises:
            UnencodableOutput: A part of it has no form in JSON either, or two parts have one name.
        """
        tensors = self._tensors(output)
        if self._column_axes:
            tensors = [Tensor(each.name, each.datatype, self._declared(each.shape), each.data) for each in tensors]
        names = [each.name for each in tensors]
        if len(set(names)) != len(names):
            raise UnencodableOutput("The model returned several outputs of one name.")
        if reply is not None and (reply["form"] == "json" or all(each.datatype in FIELDS for each in tensors)):
            tensors = [_formed(each, reply) for each in tensors]
        form = self.form_of(output)
        return encode_tensors(tensors, {**(params or {}), "form": form} if form else params)

    def _declared(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of an output, as it is declared."""
        if self._column_axes == _TWO_AXES and len(shape) == 1:
            return (*shape, 1)
        return shape[:1] if self._column_axes == 1 and shape[1:] == (1,) else shape

    def _tensors(self, output: Any) -> list[Tensor]:
        if is_table(output):
            return self._of_frame(output)
        if isinstance(output, Mapping):
            return [_of_values(str(name), value) for name, value in output.items()]
        if isinstance(output, list | tuple) and (records := _records(output)) is not None:
            return [_of_values(name, values, is_column=True) for name, values in records.items()]
        array = _as_array(output)
        if len(self._names) > 1 and array.ndim == _TWO_AXES and array.shape[1] == len(self._names):
            return [tensor_of(name, array[:, i : i + 1]) for i, name in enumerate(self._names)]
        return [tensor_of(self._names[0] if len(self._names) == 1 else UNNAMED, array)]

    def _of_frame(self, output: Any) -> list[Tensor]:
        if not is_frame(output):
            name = self._names[0] if output.name is None or len(self._names) == 1 else str(output.name)
            return [_of_column(name, output)]
        names = [str(label) for label in output.columns]
        if len(names) == len(self._names) and not _has_names(output.columns):
            names = self._names
        elif not _has_names(output.columns):
            names = [f"{UNNAMED}-{name}" for name in names]
        return [_of_column(name, output.iloc[:, i]) for i, name in enumerate(names)]


class FormedWriter:
    """Writes an answer's tensors in the form that its request asks for.

    Args:
        writer: The model's.
        reply: As in `TensorWriter.write`.
    """

    content_type = CONTENT_TYPE

    def __init__(self, writer: TensorWriter, reply: Mapping[str, Any]) -> None:
        self._writer = writer
        self._reply = reply

    def write(self, output: Any) -> bytes:
        """The body.

        Raises:
            UnencodableOutput: As `TensorWriter.write`.
        """
        return self._writer.write(output, reply=self._reply)


def _formed(tensor: Tensor, reply: Mapping[str, Any]) -> Tensor:
    names = reply.get("names")
    if len(tensor.data) <= LARGE_BYTES or (names is not None and tensor.name not in names):
        return tensor
    form, data = reply["form"], b""
    if form == "contents":
        found = pack_contents(tensor)
        return tensor if found is None else replace(tensor, data=found, form=form)
    if tensor.datatype == BYTES:
        try:
            texts = [cell.decode() for cell in split_bytes(tensor.data, math.prod(tensor.shape))]
            data = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeDecodeError:
            form = "odd"
    else:
        values = np.frombuffer(tensor.data, NUMPY_OF[tensor.datatype]).tolist()
        data = json.dumps(values, separators=(",", ":")).encode()
        if tensor.datatype.startswith("FP") and (b"N" in data or b"I" in data):
            data = data.replace(b"-Infinity", b"null").replace(b"Infinity", b"null").replace(b"NaN", b"null")
    return replace(tensor, data=data, form=form)


def _has_names(columns: Any) -> bool:
    return any(isinstance(label, str) for label in columns)


def _records(rows: Sequence[Any]) -> dict[str, list[Any]] | None:
    """Rows that are objects with the same keys, as columns."""
    first = rows[0] if rows else None
    if not isinstance(first, dict) or not first:
        return None
    keys = list(first)
    if not all(isinstance(row, dict) and list(row) == keys for row in rows):
        return None
    return {str(key): [row[key] for row in rows] for key in keys}


def _of_values(name: str, value: Any, is_column: bool = False) -> Tensor:
    if is_frame(value):
        value = value.to_numpy()
    elif is_table(value):
        return _of_column(name, value)
    array = _as_array(value)
    return tensor_of(name, array.reshape(-1, 1) if is_column and array.ndim == 1 else array)


def _of_column(name: str, column: Any) -> Tensor:
    """A column of a frame; pandas' own types as numpy's, a missing number as NaN."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        values = _as_array(column.to_numpy())
    elif getattr(dtype, "kind", "O") in "biuf":
        plain = np.dtype(getattr(dtype, "numpy_dtype", "f8"))
        values = column.to_numpy(dtype=plain) if not column.hasnans else column.to_numpy(dtype="f8", na_value=np.nan)
    else:
        values = _as_array(column.tolist())
    return tensor_of(name, values.reshape(-1, 1) if values.ndim == 1 else values)


def _as_array(value: Any) -> "np.ndarray[Any, Any]":
    """Numbers and truth values as an array of them; all else as objects, one for each value along the first axis."""
    if isinstance(value, np.ndarray):
        array = value if value.ndim else value.reshape(1)
        if array.dtype != object:
            return array
        plain = _as_array(array.ravel().tolist())
        return plain.reshape(array.shape) if plain.size == array.size and plain.dtype.kind in "biuf" else array
    if is_table(value):
        return _as_array(value.to_numpy())
    if not isinstance(value, list | tuple):
        return _as_array([value])
    kinds = _kinds(value)
    if kinds == {str}:
        return np.array(value, dtype=object)
    is_gappy = len(kinds) > 1 and type(None) in kinds and kinds <= {float, int, type(None)}
    if is_gappy and all(each is None or _is_double(each) for each in value):
        return np.array(value, dtype=np.float64)  # numpy's NaN for None
    if bool not in kinds or kinds == {bool}:
        with contextlib.suppress(ValueError, OverflowError, TypeError):
            array = np.array(value)
            if array.dtype.kind in "biuf":
                return array
    cells = np.empty(len(value), dtype=object)
    for position, each in enumerate(value):
        cells[position] = each
    return cells


def _is_double(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= MOST_EXACT)


def _kinds(value: Any) -> set[type]:
    """The types of what stands in nested lists; all kinds of text are one."""
    kinds: set[type] = set()
    for each in value:
        if isinstance(each, list | tuple):
            kinds |= _kinds(each)
        else:
            kinds.add(str if isinstance(each, str) else type(each))
    return kinds


def tensor_of(name: str, array: "np.ndarray[Any, Any]") -> Tensor:
    """An array as a tensor."""
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    elif array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    datatype = _DATATYPES.get(array.dtype.newbyteorder("<").str.lstrip("<|"))
    if datatype is not None:
        flat = np.ascontiguousarray(array, NUMPY_OF[datatype]).reshape(-1)
        return Tensor(name, datatype, array.shape, flat.view(np.uint8).data)
    kind = array.dtype.kind
    if kind == "M":
        cells: list[Any] = [_moment(text) for text in np.datetime_as_string(array).ravel().tolist()]
    elif kind == "m":
        cells = array.astype("timedelta64[us]").ravel().tolist()
    else:
        cells = array.ravel().tolist()
    return Tensor(name, BYTES, array.shape, join_bytes(map(_cell, cells)))


def _moment(text: str) -> str:
    if text == "NaT":
        return ""
    return text.rstrip("0").removesuffix(".") if "." in text else text


def _cell(value: Any) -> bytes:
    """One value as an element of BYTES."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)) or type(value).__name__ in _MISSING:
        return b""
    text = encode(value, is_enveloped=False, dialect=_AS_NULL)
    if text[:1] == b'"':
        return str(json.loads(text)).encode("utf-8", "replace")
    return text
