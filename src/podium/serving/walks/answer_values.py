"""The values of an answer's body, to be compared with another's: of JSON, or of podium's own tensors."""

import json
import struct
from typing import Any

import msgspec

from podium.protocols.tensors import BYTES, CODES, Tensor, decode_tensors, split_bytes
from podium.protocols.tensors import CONTENT_TYPE as TENSORS


def values_of(body: bytes | memoryview, content_type: str) -> Any:
    """Lists, dicts, numbers and texts; of tensors a dict of datatypes' shapes and elements.

    Raises:
        MalformedBody, ValueError, RecursionError: It cannot be read.
    """
    if content_type == TENSORS:
        tensors, _ = decode_tensors(body)
        return {tensor.name: [list(tensor.shape), _elements(tensor)] for tensor in tensors}
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return json.loads(bytes(body))  # with NaN and the like


def _elements(tensor: Tensor) -> list[Any]:
    count = 1
    for size in tensor.shape:
        count *= size
    if tensor.form:
        return msgspec.json.decode(tensor.data) if tensor.form == "json" else [bytes(tensor.data)]
    if tensor.datatype == BYTES:
        return split_bytes(tensor.data, count)
    return list(struct.unpack(f"<{count}{CODES[tensor.datatype]}", tensor.data))
