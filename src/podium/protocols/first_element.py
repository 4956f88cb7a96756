"""The first element of a tensor, without numpy: a gateway looks at no more of it."""

import struct

from podium.protocols.tensors import BYTES, CODES, Tensor


def first_element(tensor: Tensor) -> bool | int | float | bytes | None:
    """The first element, a text as its bytes; None of a tensor without elements."""
    if 0 in tensor.shape:
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
