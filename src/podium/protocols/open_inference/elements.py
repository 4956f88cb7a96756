"""The elements of a tensor as JSON and as bytes, without numpy: a gateway needs none.

    BOOL        true, false; 0 and 1 are refused
    INT, UINT   whole numbers in the datatype's range, below 2**53 also written as 1.0; nothing is rounded or wraps around
    FP          numbers, rounded to the datatype; null, and a bare NaN, are NaN; what would become infinite is refused
    BYTES       text, as UTF-8; or base64 where the input's parameter content_type says so

Data may be flat or nested as the shape is. In answers NaN and the infinities are null: JSON has no number for them.
"""

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from podium.errors import MalformedBody
from podium.protocols.tensors import BYTES, CODES, MOST_AXES, Tensor, check_axes, join_bytes, split_bytes, whole_numbers

_LOOK = 2 * MOST_AXES
_SPACES = b" \t\r\n"
_NUMBERS = "numbers"
_KINDS: Mapping[str, Any] = {"?": bool, "e": float, "f": float, "d": float, "": str, _NUMBERS: int | float}


def pack(name: str, datatype: str, shape: Sequence[int], data: bytes, is_base64: bool = False) -> bytes:
    """The bytes of a tensor whose elements are this JSON.

    Raises:
        MalformedBody: Names the input, and says what is expected; never quotes an element.
    """
    if datatype == "BF16":
        raise MalformedBody(f"Input {name!r}: BF16 has no form in JSON; send it as bytes, with binary_data_size.")
    values = values_of(name, datatype, shape, data)
    if datatype == BYTES:
        return join_bytes([_from_base64(name, text) if is_base64 else _utf8(name, text) for text in values])
    try:
        return struct.pack(f"<{len(values)}{CODES[datatype]}", *values)
    except (struct.error, OverflowError):
        raise MalformedBody(f"Input {name!r}: a value is out of the range of {datatype}.") from None


def values_of(name: str, datatype: str, shape: Sequence[int], data: bytes) -> Sequence[Any]:
    """The elements as Python's values, flat, as many as the shape takes; not yet checked for the datatype's range.

    Raises:
        MalformedBody: Likewise.
    """
    check_axes(name, shape)
    depth = _depth(data)
    if depth not in (1, len(shape)):
        raise MalformedBody(
            f"Input {name!r}: data of shape {list(shape)} are a flat list, or {len(shape)} lists deep; got {depth}."
        )
    values: Sequence[Any] = _flat(name, _decode(name, datatype, CODES.get(datatype, ""), depth, data), shape, depth)
    if len(values) != math.prod(shape):
        raise MalformedBody(f"Input {name!r}: shape {list(shape)} takes {math.prod(shape)} values; data has {len(values)}.")
    return values


def unpack(tensor: Tensor) -> list[Any]:
    """A tensor's elements as JSON has them, flat.

    Raises:
        MalformedBody: Elements of BYTES are no text.
    """
    count = math.prod(tensor.shape)
    if tensor.datatype == BYTES:
        try:
            return [element.decode() for element in split_bytes(tensor.data, count)]
        except UnicodeDecodeError:
            raise no_text(tensor.name) from None
    code = CODES[tensor.datatype]
    if code == "e":
        return list(struct.unpack(f"<{count}e", tensor.data))
    values: memoryview[Any] = memoryview(tensor.data).cast("B").cast(code)  # type: ignore[call-overload]
    return values.tolist() if count else []


def no_text(name: str) -> MalformedBody:
    """Why an output cannot be JSON."""
    return MalformedBody(
        f"Output {name!r} holds bytes that are not UTF-8, which JSON has no form for. Ask for it with binary_data."
    )


def _depth(data: bytes) -> int:
    """How many lists stand round the first element."""
    start = data[:_LOOK].translate(None, _SPACES)
    depth = len(start) - len(start.lstrip(b"["))
    if depth > MOST_AXES or (depth == len(start) and len(data) > _LOOK):
        start = data.translate(None, _SPACES)
        depth = len(start) - len(start.lstrip(b"["))
    return depth


@lru_cache(maxsize=256)
def _decoder(code: str, depth: int, has_null: bool) -> "msgspec.json.Decoder[Any]":
    kind = _KINDS.get(code, int)
    if has_null:
        kind = kind | None
    for _ in range(depth):
        kind = list[kind]  # type: ignore[valid-type]
    return msgspec.json.Decoder(kind)


def _decode(name: str, datatype: str, code: str, depth: int, data: bytes) -> Any:
    try:
        return _decoder(code, depth, False).decode(data)
    except msgspec.ValidationError as error:
        if code in ("e", "f", "d") and b"null" in data:
            return _with_nan(name, datatype, code, depth, data)
        if _KINDS.get(code, int) is int:
            return _with_points(name, datatype, depth, data)
        raise _unfit(name, datatype, error) from None
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
        raise MalformedBody(f"Input {name!r}: data cannot be read as JSON of {datatype}.") from None


def _with_nan(name: str, datatype: str, code: str, depth: int, data: bytes) -> Any:
    try:
        return _filled(_decoder(code, depth, True).decode(data), depth)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unfit(name, datatype, error) from None


def _with_points(name: str, datatype: str, depth: int, data: bytes) -> Any:
    """Whole numbers of which some are written with a point or an exponent."""
    try:
        return _whole(_decoder(_NUMBERS, depth, False).decode(data), depth)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise _unfit(name, datatype, error) from None


def _whole(values: Any, depth: int) -> Any:
    if depth > 1:
        return [_whole(each, depth - 1) for each in values]
    return whole_numbers(values)


def _filled(values: Any, depth: int) -> Any:
    if depth > 1:
        return [_filled(each, depth - 1) for each in values]
    return [math.nan if each is None else each for each in values]


def _unfit(name: str, datatype: str, error: Exception) -> MalformedBody:
    # msgspec names types and places, no values.
    return MalformedBody(f"Input {name!r}: data does not fit {datatype} in its shape. {error}")


def _flat(name: str, values: Any, shape: Sequence[int], depth: int) -> Any:
    for axis in range(depth - 1):
        size = shape[axis + 1]
        if len(values) != math.prod(shape[: axis + 1]) or any(len(each) != size for each in values):
            raise MalformedBody(f"Input {name!r}: the lists of data are not of shape {list(shape)}.")
        values = list(chain.from_iterable(values))
    return values


def _utf8(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise MalformedBody(f"Input {name!r}: a text has half of a surrogate pair, which is no character.") from None


def _from_base64(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedBody(f"Input {name!r}: content_type is base64, and an element is none.") from None
