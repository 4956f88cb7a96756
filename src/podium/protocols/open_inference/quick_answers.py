"""Answers of the Open Inference Protocol made of MLflow's text.

The worker says of each such text which kind of array it was cut from (`protocols/tensors.py`): text alone does not tell
FP32 from FP64, nor a date from a label. What an output is called, the first answer of the long way has shown.
"""

import json
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec

from podium.protocols.tensors import BYTES, CODES, Tensor, form_number, join_bytes

_BEFORE = b'{"predictions": ['
_HALF = b"\\ud"  # of a surrogate pair, perhaps without the other half
_TWO_AXES = 2
_MOST_BYTES = 1 << 18  # of more the worker makes the client's answer: here everybody else would wait
_REALS = frozenset({"FP16", "FP32", "FP64"})
_KINDS = {"BOOL": bool, BYTES: str, **dict.fromkeys(_REALS, float)}
_encode = msgspec.json.encode


class OutputForm:
    """What a model's only output looks like, as an answer of the long way showed.

    Args:
        model: As clients know it.
        version: Of what answers.
        output: That it answered once: its name, datatype, and all sizes but the first are what an answer must have.
        number: What the worker says that this one was cut from.

    Attributes:
        name: Of the output.
        misses: How many answers of late were otherwise.
    """

    __slots__ = (
        "_axes", "_begin", "_between", "_datatype", "_decode", "_decode_rows", "_end", "_is_real", "_is_text", "_lone",
        "_number", "_one", "_width", "misses", "name",
    )  # fmt: skip

    def __init__(self, model: str, version: str, output: Tensor, number: int) -> None:
        self._begin = b'{"model_name":%s,"model_version":%s' % (_encode(model), _encode(version))
        self._between = b',"outputs":[{"name":%s,"datatype":"%s","shape":[' % (
            _encode(output.name),
            output.datatype.encode(),
        )
        tail = output.shape[1:]
        self._end = b"".join(b",%d" % size for size in tail) + b'],"data":['
        self._one = b"%s1%s" % (self._between, self._end)
        self._lone = self._begin + self._one
        self._width = tail[0] if tail else 1
        self.name, self._datatype, self._axes = output.name, output.datatype, len(output.shape)
        self._number = number
        self._is_real, self._is_text = output.datatype in _REALS, output.datatype == BYTES
        kind: Any = _KINDS.get(output.datatype, int)
        self._decode = msgspec.json.Decoder(list[kind]).decode
        self._decode_rows = msgspec.json.Decoder(list[list[kind]]).decode
        self.misses = 0

    @classmethod
    def of(cls, model: str, version: str, rows: int, outputs: Sequence[Tensor], number: int) -> "OutputForm | None":
        """The form of such answers; None where MLflow's text cannot be made into them."""
        if len(outputs) != 1 or not rows or outputs[0].shape[:1] != (rows,):
            return None
        if not number or form_number(outputs[0].datatype, len(outputs[0].shape)) != number:
            return None
        return cls(model, version, outputs[0], number)

    def spliced(self, body: bytes, rows: int, identity: bytes, number: int) -> bytes | None:
        """An answer of MLflow's protocol in this one's form; None where it is not what it was said to be.

        Args:
            body: MLflow's.
            rows: Of the request.
            identity: To be echoed, as JSON; empty for none.
            number: What the worker says that it was cut from.
        """
        if number != self._number or not body.startswith(_BEFORE) or len(body) > _MOST_BYTES:
            return None
        data = body[17:-2]  # what stands before and after it is always so long
        if self._is_text:
            if _HALF in data or self._axes != 1 or data.startswith(b"["):
                values = self._values(body, rows)
                if values is None:
                    return None
                data = _encode(values)[1:-1]
        elif data.count(b",") + 1 != rows * self._width:
            return None
        else:
            if self._is_real and (b"N" in data or b"I" in data):
                data = data.replace(b"-Infinity", b"null").replace(b"Infinity", b"null").replace(b"NaN", b"null")
            if data.startswith(b"["):
                data = data.translate(None, b"[]")
        if rows == 1:  # by sums, at half the price of a format
            lone = self._begin + b',"id":' + identity + self._one if identity else self._lone
            return lone + data + b"]}]}"
        named = self._begin if not identity else b'%s,"id":%s' % (self._begin, identity)
        return b"%s%s%d%s%s]}]}" % (named, self._between, rows, self._end, data)

    def output(self, body: bytes, rows: int, number: int) -> Tensor | None:
        """An answer of MLflow's protocol as the tensor that it was; None likewise."""
        if number != self._number or not body.startswith(_BEFORE) or len(body) > _MOST_BYTES:
            return None
        values = self._values(body, rows)
        if values is None:
            return None
        shape = (rows,) if self._axes == 1 else (rows, self._width)
        if self._is_text:
            return Tensor(self.name, BYTES, shape, join_bytes([text.encode() for text in values]))
        try:
            data = struct.pack(f"<{len(values)}{CODES[self._datatype]}", *values)
        except (struct.error, OverflowError):
            return None
        return Tensor(self.name, self._datatype, shape, data)

    def _values(self, body: bytes, rows: int) -> Sequence[Any] | None:
        """The elements, flat. A declared column may be a list or a list of lists, whatever its shape is."""
        text = body[len(_BEFORE) - 1 : -1]
        is_nested = text.startswith(b"[[")
        try:
            values = self._decode_rows(text) if is_nested else self._decode(text)
        except msgspec.DecodeError:
            if not self._is_real or not (b"N" in text or b"I" in text):
                return None
            values = json.loads(text)
        if len(values) != rows:
            return None
        if not is_nested:
            return values if self._width == 1 else None
        if any(len(row) != self._width for row in values):
            return None
        return [*chain.from_iterable(values)]
