"""Named tensors as one body: what gateway and worker send each other where a protocol speaks of tensors, whichever it is.

    head length u32 | head, JSON | the tensors' bytes, one after another, in the head's order

The head is `{"tensors": [{"name", "datatype", "shape", "size"}], "params": {...} | null}`, and may say in a request how
large outputs are to be written, `"reply": {"form", "names"}`, and in an answer of a tensor which `form` it is in. Datatypes
are those of the Open Inference Protocol; bytes are little endian, row by row; a BYTES element is its length as u32 and then
itself. Whoever reads trusts nothing: sizes must fit shapes and add up to the body.
"""

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.errors import MalformedBody

CONTENT_TYPE = "application/x-podium-tensors"
"""Of a request's body and of its answer, between our own processes; a client that sends it is refused."""

LARGE_TYPE = "application/x-podium-open-inference"
"""Of a large JSON request of the Open Inference Protocol (`large_inference.py`), likewise between our own processes."""

GENERATE_TYPE = "application/x-podium-generate"
"""Of a request of its generate extension and of the answer (`generate.py`), likewise."""

SIZES: Mapping[str, int] = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
    "FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8,
}  # fmt: skip
"""Bytes of an element, by datatype; one of BYTES, which alone is not here, has its own."""

CODES: Mapping[str, str] = {
    "BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h", "INT32": "i",
    "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
"""The letter of `struct` for each of these that it knows: BF16 is taken as bytes alone, and never written."""

BYTES = "BYTES"

FORMS: Sequence[tuple[str, int]] = tuple((datatype, axes) for axes in (1, 2) for datatype in (*CODES, BYTES))
"""What an answer of MLflow's protocol may have been cut from, datatype and number of axes: `form_number` counts from 1."""

_FORM_NUMBERS = {form: number for number, form in enumerate(FORMS, 1)}

FORMED = frozenset({"json", "odd", "contents"})
"""What large data may come as, so that a gateway passes on what a worker wrote: a flat list in JSON; nothing, for bytes
that JSON has no form for; `InferTensorContents` of gRPC as on the wire."""

LARGE_BYTES = 1 << 16
"""Of a tensor's data: of more a gateway makes no other form itself, for all others would wait."""

MOST_AXES = 32
"""Dimensions of a tensor: numpy's, before its second version."""

MOST_TENSORS = 4096
"""Tensors of a request: more columns than any model's, and few enough to be looked at one by one."""
_LENGTH = struct.Struct("<I")
_MOST_ELEMENTS = 1 << 40
MOST_EXACT = 2**53
"""From here on neighbouring whole numbers share a floating point number."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor.

    Args:
        name: As the model's signature has it, or as its outputs are called.
        datatype: A key of `SIZES`, or `BYTES`.
        shape: Sizes of all dimensions.
        data: Its elements' bytes, little endian, row by row.
        form: Empty for those; else a key of `FORMED`, and the data are in that form.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes | bytearray | memoryview
    form: str = ""


def encode_tensors(
    tensors: Sequence[Tensor], params: Mapping[str, Any] | None = None, reply: Mapping[str, Any] | None = None
) -> bytes:
    """The body for these tensors; `params` is any JSON, `reply` as in the head."""
    entries: list[dict[str, Any]] = [
        {"name": each.name, "datatype": each.datatype, "shape": list(each.shape), "size": len(each.data)}
        | ({"form": each.form} if each.form else {})
        for each in tensors
    ]
    told = {"tensors": entries, "params": params} | ({"reply": reply} if reply else {})
    head = json.dumps(told, separators=(",", ":")).encode()
    return b"".join((_LENGTH.pack(len(head)), head, *(each.data for each in tensors)))


def decode_tensors(body: bytes | bytearray | memoryview) -> tuple[list[Tensor], Any]:
    """The tensors and the params of a body; the tensors' data are views of it.

    Raises:
        MalformedBody: It is none, or its sizes do not fit.
    """
    tensors, head = decode_whole(body)
    return tensors, head.get("params")


def decode_whole(body: bytes | bytearray | memoryview) -> tuple[list[Tensor], Mapping[str, Any]]:
    """The tensors and the head.

    Raises:
        MalformedBody: Likewise.
    """
    view = memoryview(body)
    try:
        (length,) = _LENGTH.unpack_from(view)
        head = json.loads(bytes(view[4 : 4 + length]))
        tensors, start = [], 4 + length
        for entry in head["tensors"]:
            datatype, shape, size = entry["datatype"], tuple(entry["shape"]), entry["size"]
            form = entry.get("form", "")
            is_fit = form in FORMED if form else check_size(datatype, shape, size) is None
            if not is_fit or not isinstance(entry["name"], str):
                raise MalformedBody("A body of tensors has one whose size does not fit its shape.")
            tensors.append(Tensor(entry["name"], datatype, shape, view[start : start + size], form))
            start += size
    except (struct.error, KeyError, TypeError, ValueError, RecursionError) as error:
        raise MalformedBody("A body of tensors cannot be read.") from error
    if start != len(view):
        raise MalformedBody(f"A body of tensors has {len(view)} bytes; its head says {start}.")
    return tensors, head


def check_size(datatype: str, shape: Sequence[Any], size: int) -> str | None:
    """What is wrong with a tensor of so many bytes; None where nothing is. Elements of BYTES are not looked at."""
    if datatype not in SIZES and datatype != BYTES:
        return f"datatype is {datatype!r}; expected one of {', '.join([*SIZES, BYTES])}"
    if not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in shape):
        return f"shape is {list(shape)}; expected whole numbers from 0"
    count = math.prod(shape)
    if count > _MOST_ELEMENTS:
        return f"shape {list(shape)} has {count} elements"
    if datatype == BYTES:
        return None if size >= _LENGTH.size * count else f"{size} bytes are too few for {count} elements of BYTES"
    expected = count * SIZES[datatype]
    return None if size == expected else f"{datatype} of shape {list(shape)} takes {expected} bytes, got {size}"


def check_axes(name: str, shape: Sequence[Any]) -> None:
    """See that an input has no more dimensions than any tensor.

    Raises:
        MalformedBody: It has.
    """
    if len(shape) > MOST_AXES:
        raise MalformedBody(f"Input {name!r} has {len(shape)} dimensions; at most {MOST_AXES} are taken.")


def form_number(datatype: str, axes: int) -> int:
    """What the two sides call an array of this datatype with so many axes; 0 where they have no number for it."""
    return _FORM_NUMBERS.get((datatype, axes), 0)


def join_bytes(elements: Iterable[bytes]) -> bytes:
    """The data of a BYTES tensor with these elements."""
    return b"".join([part for element in elements for part in (_LENGTH.pack(len(element)), element)])


def split_bytes(data: bytes | bytearray | memoryview, count: int) -> list[bytes]:
    """The elements of a BYTES tensor.

    Raises:
        MalformedBody: The lengths do not add up to the data, or there are more or fewer elements.
    """
    view, start = memoryview(data), 0
    elements: list[bytes] = []
    for _ in range(count):
        if start + _LENGTH.size > len(view):
            raise MalformedBody(f"BYTES data end after {len(elements)} of {count} elements.")
        (length,) = _LENGTH.unpack_from(view, start)
        start += _LENGTH.size
        if start + length > len(view):
            raise MalformedBody(
                f"Element {len(elements)} of BYTES data says {length} bytes and {len(view) - start} follow."
            )
        elements.append(bytes(view[start : start + length]))
        start += length
    if start != len(view):
        raise MalformedBody(f"BYTES data have {len(view) - start} bytes after their {count} elements.")
    return elements


def whole_numbers(values: Sequence[int | float]) -> list[int]:
    """The same numbers as integers.

    Raises:
        ValueError: One is not whole, or so large that its neighbours have the same floating point number.
    """
    if any(type(each) is float and not (each.is_integer() and -MOST_EXACT < each < MOST_EXACT) for each in values):
        raise ValueError(f"Expected whole numbers; those with a point below {MOST_EXACT}")
    return [int(each) for each in values]
