"""`ModelInferResponse` of gRPC with one small tensor, put together from pieces that answers before it had, too.

It gives the bytes that protobuf gives, which spends on an object for each field what the answer itself takes.
"""

import struct
from collections.abc import Sequence

from podium.protocols.contents import FIELDS, delimited, varint
from podium.protocols.tensors import BYTES, CODES, Tensor, split_bytes

_MOST_PIECES = 1024
_MOST_ELEMENTS, _MOST_BYTES = 64, 1 << 12
_AS_IN_MEMORY = frozenset({"BOOL", "FP32", "FP64"})
_NAME, _VERSION, _ID, _OUTPUT, _RAW = 1, 2, 3, 5, 6
_CONTENTS = b"\x2a"  # the key of an output's contents
_ALL_BITS = (1 << 64) - 1
_SMALL = 1 << 7

_Key = tuple[str, str, str, str, tuple[int, ...]]


class KnownAnswers:
    """Writes answers; bounded, and forgets."""

    def __init__(self) -> None:
        self._pieces: dict[_Key, tuple[bytes, bytes]] = {}

    def write(self, model: str, version: str, identity: str, tensor: Tensor, is_raw: bool) -> bytes | None:
        """The message; None for what protobuf is to write: large ones, and those of other forms."""
        key = (model, version, tensor.name, tensor.datatype, tensor.shape)
        pieces = self._pieces.get(key)
        if pieces is None:
            if len(self._pieces) >= _MOST_PIECES:
                self._pieces.clear()
            pieces = self._pieces[key] = _head(model, version), _entry(tensor)
        head, entry = pieces
        if not 0 < len(tensor.data) <= _MOST_BYTES:
            return None
        if identity:
            said = identity.encode()
            head = b"%s\x1a%s%s" % (head, _length(len(said)), said)
        if is_raw or tensor.datatype not in FIELDS:
            data = tensor.data
            return b"%s\x2a%s%s\x32%s%s" % (head, _length(len(entry)), entry, _length(len(data)), data)
        packed = _contents(tensor)
        if packed is None:
            return None
        size = len(entry) + 1 + len(_length(len(packed))) + len(packed)
        return b"%s\x2a%s%s%s%s%s" % (head, _length(size), entry, _CONTENTS, _length(len(packed)), packed)


def _head(model: str, version: str) -> bytes:
    texts = ((_NAME, model), (_VERSION, version))
    return b"".join([part for number, text in texts if text for part in delimited(number, text.encode())])


def _entry(tensor: Tensor) -> bytes:
    """An output without its contents."""
    texts = ((1, tensor.name), (2, tensor.datatype))
    parts = [part for number, text in texts if text for part in delimited(number, text.encode())]
    if tensor.shape:
        parts += delimited(3, b"".join(map(varint, tensor.shape)))
    return b"".join(parts)


def _contents(tensor: Tensor) -> bytes | None:
    """A tensor's `InferTensorContents`."""
    datatype, data = tensor.datatype, tensor.data
    _, number = FIELDS[datatype]
    key = number << 3 | 2
    if datatype in _AS_IN_MEMORY:
        return b"%c%s%s" % (key, _length(len(data)), data)
    if datatype == BYTES:
        cells = split_bytes(data, _count(tensor.shape))
        return b"".join([b"%c%s%s" % (key, _length(len(cell)), cell) for cell in cells])
    code = CODES.get(datatype)
    count = len(data) // struct.calcsize(f"<{code}")
    if count > _MOST_ELEMENTS:
        return None
    values: Sequence[int] = struct.unpack(f"<{count}{code}", data)
    packed = b"".join([_length(value & _ALL_BITS) for value in values])
    return b"%c%s%s" % (key, _length(len(packed)), packed)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _length(value: int) -> bytes:
    return b"%c" % value if value < _SMALL else varint(value)
