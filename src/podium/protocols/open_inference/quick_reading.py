"""JSON requests of inference that fit a model's input plan exactly, as its records.

As `protocols/mlflow/fast_reading.py` it takes a part of what the long way takes, and there says the same: whatever it
does not take goes the long way, as tensors. A body is cut at a head that was seen before, everything up to `"data":`.
"""

import re
import struct
from collections.abc import Sequence
from itertools import chain, starmap
from typing import Any, NamedTuple

import msgspec

from podium.domain.inputs.plan import InputPlan
from podium.errors import MalformedBody
from podium.protocols.mlflow.fast_packing import Packed, record_format
from podium.protocols.open_inference.elements import pack, values_of
from podium.protocols.open_inference.records import datatypes_of
from podium.protocols.open_inference.requests import Body, Input, decode_body
from podium.protocols.tensors import BYTES, CODES

_DATA = b'"data":'
# An id that stands first, as clients write it, and holds no escape: what follows it begins like a request without one.
_ID = re.compile(rb'\{"id": ?("[ !#-\[\]-~]*"), ?(?=")')
_new = tuple.__new__
_END = b"}]}"
_LONGEST_HEAD = 1024
_MOST_HEADS = 64
_MOST_ROWS = 1 << 16
_TWO_AXES = 2


class Quick(NamedTuple):
    """A request that was read.

    Args:
        packed: Its records.
        id: To be echoed, as JSON; empty where the client gave none.
    """

    packed: Packed
    id: bytes


class _Known(NamedTuple):
    decode: Any
    decode_nested: Any
    pack: Any
    values: int
    width: int
    rows: int


class QuickReader:
    """Reads bodies for one plan. Keeps what it learns of their heads, in bounds; not for several threads."""

    __slots__ = ("_datatypes", "_heads", "_only", "_pack", "_plan", "_tail")

    def __init__(self, plan: InputPlan) -> None:
        self._plan = plan
        self._datatypes = datatypes_of(plan)
        kinds = set(self._datatypes.values())
        # What one tensor may hold by itself: all columns of one type, or the only tensor there is.
        self._only = kinds.pop() if len(kinds) == 1 and (plan.kind == "columns" or len(plan.fields) == 1) else BYTES
        self._tail = (len(plan.fields),) if plan.kind == "columns" else plan.fields[0].shape
        self._pack = struct.Struct(record_format(plan)).pack
        self._heads: dict[bytes, _Known] = {}

    def read(self, body: bytes | bytearray) -> Quick | None:
        """The request in the plan's form; None for one that is not for this reader, whatever its bytes are."""
        try:
            if type(body) is not bytes:
                body = bytes(body)
            end = body.find(_DATA, 0, _LONGEST_HEAD)
            named = _ID.match(body) if body.startswith(b'{"id"') else None
            start = 1 if named is None else named.end()
            known = self._heads.get(body[start:end])
            if known is not None and body.endswith(_END):
                packed = _cut(known, body[end + len(_DATA) : -len(_END)])
                if packed is not None:
                    return _new(Quick, (packed, b"" if named is None else named[1]))
            return self._read(body, start, end)
        except Exception:  # noqa: BLE001 - whatever it was, the long way says what is wrong with the body
            return None

    def _read(self, body: bytes, start: int, end: int) -> Quick | None:
        if b"null" in body:
            return None  # a missing value perhaps, which no record holds
        asked = decode_body(body)
        if asked.parameters or asked.outputs or not all(each.data and not each.parameters for each in asked.inputs):
            return None
        packed = self._one(asked.inputs[0]) if len(asked.inputs) == 1 else None
        if packed is not None:
            self._learn(body, start, end, asked)
        elif self._plan.kind == "columns":
            packed = self._columns(asked.inputs)
        if packed is None or not 0 < packed.rows <= _MOST_ROWS:
            return None
        return Quick(packed, b"" if asked.id is None else msgspec.json.encode(asked.id))

    def _fits_one(self, entry: Input) -> bool:
        if self._only == BYTES or entry.datatype != self._only or tuple(entry.shape[1:]) != self._tail:
            return False
        if self._plan.kind == "columns":
            return len(self._plan.fields) > 1 and entry.name not in self._datatypes
        return self._plan.kind == "tensor" or entry.name in self._datatypes

    def _one(self, entry: Input) -> Packed | None:
        """All of a row's values in one tensor."""
        if not entry.shape or not self._fits_one(entry):
            return None
        return Packed(entry.shape[0], pack(entry.name, entry.datatype, entry.shape, _json_of(entry)), [])

    def _columns(self, inputs: Sequence[Input]) -> Packed | None:
        """A tensor for each column."""
        given = {each.name: each for each in inputs}
        if given.keys() != self._datatypes.keys() or len(inputs) != len(given):
            return None
        rows = inputs[0].shape[0]
        values = []
        for field in self._plan.fields:
            entry = given[str(field.name)]
            if entry.datatype != self._datatypes[entry.name] or tuple(entry.shape) not in ((rows,), (rows, 1)):
                return None
            values.append(values_of(entry.name, entry.datatype, entry.shape, _json_of(entry)))
        numbers, texts = [values[i] for i in self._plan.record], [values[i] for i in self._plan.texts]
        block = b"".join(starmap(self._pack, zip(*numbers, strict=True)))
        return Packed(rows, block, [*chain.from_iterable(zip(*texts, strict=True))])

    def _learn(self, body: bytes, start: int, end: int, asked: Body) -> None:
        """Know what stands before the data from now on, where nothing stands behind them."""
        entry, head = asked.inputs[0], body[start:end]
        if end < 0 or b'"id"' in head or not body.endswith(_END) or b'"' in body[end + len(_DATA) :]:
            return
        rows, width = entry.shape[0], int(struct.calcsize(record_format(self._plan)) / struct.calcsize(CODES[self._only]))
        kind = {"?": bool, "e": float, "f": float, "d": float}.get(CODES[self._only], int)
        if len(self._heads) >= _MOST_HEADS:
            del self._heads[next(iter(self._heads))]
        nested = None if len(entry.shape) != _TWO_AXES else msgspec.json.Decoder(list[list[kind]]).decode  # type: ignore[valid-type]
        self._heads[head] = _Known(
            msgspec.json.Decoder(list[kind]).decode,  # type: ignore[valid-type]
            nested,
            struct.Struct(f"<{rows * width}{CODES[self._only]}").pack,
            rows * width,
            width,
            rows,
        )


def _json_of(entry: Input) -> bytes:
    return b"" if entry.data is msgspec.UNSET else bytes(entry.data)


def _cut(known: _Known, data: bytes) -> Packed | None:
    if b"[[" in data[:4]:
        if known.decode_nested is None:
            return None
        rows = known.decode_nested(data)
        if len(rows) != known.rows or any(len(row) != known.width for row in rows):
            raise MalformedBody("The lists are not of the shape that the head says.")
        values = rows[0] if known.rows == 1 else [*chain.from_iterable(rows)]
    else:
        values = known.decode(data)
    # struct refuses another number of values, and what a datatype cannot hold.
    return _new(Packed, (known.rows, known.pack(*values), []))
