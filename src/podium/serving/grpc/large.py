"""Large messages of `ModelInfer`: cut into their parts here, where everybody else waits, and read by the worker.

protobuf would read every element. Here a message's tensors are left as they lie on the wire, and protobuf reads the rest:
names, datatypes, shapes, parameters, which are few.
"""

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from podium.errors import MalformedBody
from podium.protocols.contents import DELIMITED, FIELDS, delimited, fields_of, pack_contents
from podium.protocols.tensors import LARGE_BYTES, MOST_TENSORS, Tensor

LARGE = 1 << 18
"""Bytes of a message; protobuf reads smaller ones."""

IN_FIELDS = {"form": "contents", "names": None}
"""How large outputs are wanted that go typed, as `protocols/tensors.py` says it."""

_INPUTS, _RAW, _CONTENTS = 5, 7, 5
_OUTPUTS, _RAW_OUTPUTS = 5, 6
_MOST_BYTES = 1 << 18  # of all that is no tensor's data
_MOST_FIELDS = 2 * MOST_TENSORS


class LargeMessage:
    """A `ModelInferRequest` whose tensors' data are views of it; all else is as in the message.

    Attributes:
        contents: Of each input, `InferTensorContents` on the wire; empty where it has none.
        raw_input_contents: Likewise.
    """

    __slots__ = ("_rest", "contents", "raw_input_contents")

    def __init__(self, rest: Any, contents: Sequence[memoryview], raw: Sequence[memoryview]) -> None:
        self._rest = rest
        self.contents = contents
        self.raw_input_contents = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)


def parse(kind: Any, data: bytes) -> Any:
    """The message, or None for bytes that are none: what a parser raises would reach the client, and say less."""
    try:
        if len(data) > LARGE and kind.DESCRIPTOR.name == "ModelInferRequest":
            return read_large(kind, data)
        return kind.FromString(data)
    except (DecodeError, MalformedBody):
        return None


def read_large(kind: Any, data: bytes) -> LargeMessage:
    """A message of this kind.

    Raises:
        MalformedBody: It is none, or has too many parts.
        google.protobuf.message.DecodeError: What is left of it is none.
    """
    view = memoryview(data)
    rest: list[bytes | bytearray | memoryview] = []
    contents: list[memoryview] = []
    raw: list[memoryview] = []
    begin = size = 0
    for count, (number, how, start, stop) in enumerate(fields_of(view)):
        if count >= _MOST_FIELDS:
            raise MalformedBody(f"The message has more than {_MOST_FIELDS} fields.")
        if number == _RAW and how == DELIMITED:
            raw.append(view[start:stop])
        elif number == _INPUTS and how == DELIMITED:
            kept, found = _without_contents(view[start:stop])
            contents.append(found)
            size += len(kept)
            rest += delimited(_INPUTS, kept)
        else:
            size += stop - begin
            rest.append(view[begin:stop])
        if size > _MOST_BYTES:
            raise MalformedBody(f"The message has more than {_MOST_BYTES} bytes beside its tensors' data.")
        begin = stop
    return LargeMessage(kind.FromString(b"".join(rest)), contents, raw)


def _without_contents(entry: memoryview) -> tuple[bytes, memoryview]:
    kept, found, begin = [], entry[:0], 0
    for count, (number, how, start, stop) in enumerate(fields_of(entry)):
        if count >= _MOST_FIELDS:
            raise MalformedBody(f"An input of the message has more than {_MOST_FIELDS} fields.")
        if number == _CONTENTS and how == DELIMITED:
            if found:
                raise MalformedBody("An input of the message has its contents in several parts.")
            found = entry[start:stop]
        else:
            kept.append(entry[begin:stop])
        begin = stop
    return b"".join(kept), found


def is_large(tensors: Sequence[Tensor]) -> bool:
    """Whether a message with these is better put together by `joined`."""
    return any(len(each.data) > LARGE_BYTES for each in tensors)


def _contents_of(tensor: Tensor) -> list[bytes | bytearray | memoryview]:
    if tensor.form:
        return [tensor.data]
    packed = pack_contents(tensor)
    return delimited(FIELDS[tensor.datatype][1], tensor.data) if packed is None else [packed]


def joined(message: Any, tensors: Sequence[Tensor], is_raw: bool) -> bytes:
    """A `ModelInferResponse` on the wire, its data copied once.

    Args:
        message: Of the response, what is no tensor.
        tensors: Of the form `contents`, where a typed one is not on the wire as it lies in memory.
        is_raw: Whether they go raw.
    """
    is_raw = is_raw or any(each.datatype not in FIELDS for each in tensors)
    parts: list[bytes | bytearray | memoryview] = [message.SerializeToString()]
    for each in tensors:
        output = type(message)()
        output.outputs.add(name=each.name, datatype=each.datatype, shape=each.shape)
        if is_raw:
            parts.append(output.SerializeToString())
        else:
            told = output.outputs[0].SerializeToString()
            parts += delimited(_OUTPUTS, told, *delimited(_CONTENTS, *_contents_of(each)))
    if is_raw:
        for each in tensors:
            parts += delimited(_RAW_OUTPUTS, each.data)
    return b"".join(parts)


def bytes_of(message: Any) -> bytes:
    """A message on the wire; one that is bytes already is whole."""
    made: bytes = message if type(message) is bytes else message.SerializeToString()
    return made
