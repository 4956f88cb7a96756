"""The first element of a tensor, without numpy: a gateway looks at no more of it."""

import json
import struct

from podium.protocols.tensors import BYTES, CODES, Tensor

_LOOK = 1 << 12


def first_element(tensor: Tensor) -> bool | int | float | bytes | None:
    """The first element, a text as its bytes; None of a tensor without elements."""
    if tensor.form == "json":
        return _first_of_list(tensor.data)
    if 0 in tensor.shape or tensor.form:
        return None
    if tensor.datatype == BYTES:
        (length,) = struct.unpack_from("<I", tensor.data)
        return bytes(tensor.data[4 : 4 + length])
    if tensor.datatype == "BF16":
        (value,) = struct.unpack("<f", b"\0\0" + bytes(tensor.data[:2]))
        return float(value)
    (value,) = struct.unpack_from(f"<{CODES[tensor.datatype]}", tensor.data)
    assert isinstance(value, bool | int | float)
    return value


def _first_of_list(data: bytes | bytearray | memoryview) -> bool | int | float | bytes | None:
    try:
        value, _ = json.JSONDecoder().raw_decode(bytes(data[1:_LOOK]).decode("utf-8", "ignore"))
    except ValueError:
        return None  # it is longer, or there is none
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bool | int | float) else None
