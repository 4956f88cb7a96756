"""`InferTensorContents` of gRPC, as on the wire, and tensors: for what is so large that the worker looks at it.

    message InferTensorContents { repeated bool 1, int32 2, int64 3, uint32 4, uint64 5, float 6, double 7, bytes 8 }

Numbers are packed (one field with all of them) or not; whole ones are varints, seven bits a byte, the lowest first.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from podium.errors import MalformedBody
from podium.protocols.tensors import BYTES, SIZES, Tensor, join_bytes, split_bytes

FIELDS: Mapping[str, tuple[str, int]] = {
    "BOOL": ("bool_contents", 1), "INT8": ("int_contents", 2), "INT16": ("int_contents", 2), "INT32": ("int_contents", 2),
    "INT64": ("int64_contents", 3), "UINT8": ("uint_contents", 4), "UINT16": ("uint_contents", 4),
    "UINT32": ("uint_contents", 4), "UINT64": ("uint64_contents", 5), "FP32": ("fp32_contents", 6),
    "FP64": ("fp64_contents", 7), BYTES: ("bytes_contents", 8),
}  # fmt: skip
"""Which field of typed contents a datatype is in, and its number; FP16 and BF16 have none."""

DTYPES: Mapping[str, "np.dtype[Any]"] = {
    name: np.dtype(f"<{'u' if name[0] == 'U' else 'i'}{size}") for name, size in SIZES.items() if "INT" in name
}
"""numpy's for whole numbers."""

VARINT, FIXED_64, DELIMITED, FIXED_32 = 0, 1, 2, 5
"""How a field's data lie on the wire."""

_BYTES_KEY = 8 << 3 | DELIMITED
_MOST_SHIFT = 63
_LONGEST = 10
_Data = bytes | bytearray | memoryview


def fields_of(data: _Data) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message, one after another: number, how it lies there, where its data begin and end.

    Raises:
        MalformedBody: The bytes are no message.
    """
    position, size = 0, len(data)
    while position < size:
        key, position = varint_at(data, position)
        number, kind = key >> 3, key & 7
        start = position
        if kind == VARINT:
            _, position = varint_at(data, position)
        elif kind == DELIMITED:
            length, start = varint_at(data, position)
            position = start + length
        elif kind in (FIXED_64, FIXED_32):
            position += 8 if kind == FIXED_64 else 4
        else:
            raise _broken()
        if position > size or not number:
            raise _broken()
        yield number, kind, start, position


def varint_at(data: _Data, position: int) -> tuple[int, int]:
    """The whole number that begins there, and where the next byte is.

    Raises:
        MalformedBody: It has no end.
    """
    value = shift = 0
    while position < len(data) and shift <= _MOST_SHIFT:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _broken()


def varint(value: int) -> bytes:
    """A whole number from 0 on the wire."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def delimited(number: int, *parts: _Data) -> list[_Data]:
    """A field whose data are these parts, as parts."""
    return [varint(number << 3 | DELIMITED), varint(sum(map(len, parts))), *parts]


def unpack_contents(tensor: Tensor) -> Tensor:
    """A tensor of the form `contents`, as its elements' bytes.

    Raises:
        MalformedBody: They stand in another field than the datatype's, are too many or too few, or out of its range.
    """
    name, datatype, data = tensor.name, tensor.datatype, tensor.data
    if datatype not in FIELDS:
        raise MalformedBody(f"Input {name!r}: {datatype} has no field in contents; send it in raw_input_contents.")
    field, own = FIELDS[datatype]
    if datatype == BYTES:
        cells = _cells(name, data)
        _check_count(tensor, len(cells))
        return Tensor(name, datatype, tensor.shape, join_bytes(cells))
    pieces = []
    for number, kind, start, stop in fields_of(data):
        if number != own:
            raise MalformedBody(f"Input {name!r}: {datatype} belongs into {field}, got another field.")
        if kind in (VARINT, DELIMITED) or SIZES.get(datatype) == stop - start:
            pieces.append(data[start:stop])
        else:
            raise _broken()
    joined = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    values = _numbers(name, datatype, joined)
    _check_count(tensor, len(values))
    return Tensor(name, datatype, tensor.shape, values.tobytes())


def _check_count(tensor: Tensor, found: int) -> None:
    field, _ = FIELDS[tensor.datatype]
    count = math.prod(tensor.shape)
    if found != count:
        raise MalformedBody(
            f"Input {tensor.name!r}: shape {list(tensor.shape)} takes {count} elements, {field} has {found}."
        )


def _cells(name: str, data: _Data) -> list[bytes]:
    """The elements of `bytes_contents`; there may be millions of them."""
    octets, position = bytes(data), 0
    size, cells = len(octets), list[bytes]()
    try:
        while position < size:
            if octets[position] != _BYTES_KEY:
                raise MalformedBody(f"Input {name!r}: BYTES belongs into bytes_contents, got another field.")
            length = octets[position + 1]
            position += 2
            if length >= 0x80:
                length, position = varint_at(octets, position - 1)
            stop = position + length
            cells.append(octets[position:stop])
            position = stop
    except IndexError:
        raise _broken() from None
    if position != size:
        raise _broken()
    return cells


def pack_contents(tensor: Tensor) -> bytes | None:
    """A tensor as contents on the wire; None for one that has no field in them, or lies there as it is anyway."""
    found = FIELDS.get(tensor.datatype)
    if found is None or (tensor.datatype not in DTYPES and tensor.datatype != BYTES):
        return None
    _, number = found
    if tensor.datatype == BYTES:
        heads = [bytes((_BYTES_KEY, length)) for length in range(0x80)]
        cells = split_bytes(tensor.data, math.prod(tensor.shape))
        long = bytes((_BYTES_KEY,))
        return b"".join(
            [
                part
                for cell in cells
                for part in (heads[len(cell)] if len(cell) < len(heads) else long + varint(len(cell)), cell)
            ]
        )
    values = np.frombuffer(tensor.data, DTYPES[tensor.datatype])
    return b"".join(delimited(number, _varints(values)))


def _numbers(name: str, datatype: str, data: _Data) -> "np.ndarray[Any, Any]":
    if datatype in ("FP32", "FP64"):
        size = SIZES[datatype]
        if len(data) % size:
            raise _broken()
        reals: np.ndarray[Any, Any] = np.frombuffer(data, f"<f{size}")
        return reals
    wide = _decoded(data)
    if datatype == "BOOL":
        truths: np.ndarray[Any, Any] = wide != 0
        return truths
    dtype = DTYPES[datatype]
    if dtype.kind == "i":
        wide = wide.view(np.int64)
    bounds = np.iinfo(dtype)
    if wide.size and (int(wide.min()) < bounds.min or int(wide.max()) > bounds.max):
        raise MalformedBody(f"Input {name!r}: expected {datatype}, {bounds.min} to {bounds.max}; a value is outside.")
    return wide.astype(dtype)


def _decoded(data: _Data) -> "np.ndarray[Any, Any]":
    """Varints as whole numbers of 64 bits."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    if len(octets) and (not len(ends) or ends[-1] != len(octets) - 1):
        raise _broken()
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    lengths = ends - starts + 1
    longest = int(lengths.max(initial=0))
    if longest > _LONGEST:
        raise _broken()
    values = np.zeros(len(ends), np.uint64)
    for place in range(longest):
        has_more = lengths > place
        part = octets[starts[has_more] + place] & 0x7F
        values[has_more] |= part.astype(np.uint64) << np.uint64(7 * place)
    return values


def _varints(values: "np.ndarray[Any, Any]") -> bytes:
    """Whole numbers as varints; negative ones as their 64 bits, which takes ten bytes."""
    rest = values.astype(np.int64).view(np.uint64) if values.dtype.kind == "i" else values.astype(np.uint64)
    octets = np.zeros((len(rest), _LONGEST), np.uint8)
    lengths = np.ones(len(rest), np.intp)
    for place in range(_LONGEST):
        octets[:, place] = (rest & np.uint64(0x7F)).astype(np.uint8)
        rest = rest >> np.uint64(7)
        more = rest != 0
        octets[more, place] |= 0x80
        lengths += more
        if not more.any():
            break
    return octets[np.arange(_LONGEST) < lengths[:, None]].tobytes()


def _broken() -> MalformedBody:
    return MalformedBody("The message cannot be read as the one that this method takes.")
