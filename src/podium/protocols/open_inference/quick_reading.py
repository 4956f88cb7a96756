"""JSON requests of inference that fit a model's input plan exactly, as its records.

As `protocols/mlflow/fast_reading.py` it takes a part of what the long way takes, and there says the same: whatever it
does not take goes the long way, as tensors. A body is cut at a head that was seen before, everything up to the data; one
that begins like the last one is known by a comparison, which is what most of them are.
"""

import re
import struct
from collections.abc import Sequence
from itertools import chain, starmap
from typing import Any

import msgspec

from podium.domain.inputs.plan import InputPlan
from podium.errors import MalformedBody
from podium.protocols.mlflow.fast_packing import Packed, record_format
from podium.protocols.open_inference.elements import pack, values_of
from podium.protocols.open_inference.records import datatypes_of
from podium.protocols.open_inference.requests import Body, JsonInput, decode_body
from podium.protocols.tensors import BYTES, CODES

_DATA = b'"data":'
# An id that stands first, as clients write it, and holds no escape: what follows it begins like a request without one.
_ID = re.compile(rb'\{"id": ?("[ !#-\[\]-~]*"), ?(?=")')
_new = tuple.__new__
_END = b"}]}"
_LIST, _SPACE = ord("["), ord(" ")
_LONGEST_HEAD = 1024
_MOST_HEADS = 64
_MOST_ROWS = 1 << 16
_TWO_AXES = 2


Quick = tuple[Packed, bytes]
"""A request's records, and its id to be echoed, as JSON; empty where the client gave none."""


class _Known:
    """How the data behind one head are read.

    Args:
        head: Everything between the opening brace, or the id, and the data.
        kind: Of the data's values.
        pack: Makes a block of them. It refuses another number of values, and what a datatype cannot hold.
        rows, width: How many there are.
        is_nested: They may be a list for each row, too.
    """

    __slots__ = ("_decode_nested", "decode", "head", "head_size", "is_nested", "pack", "rows", "size", "whole", "width")

    def __init__(self, head: bytes, kind: type, pack: Any, rows: int, width: int, is_nested: bool) -> None:
        self.head = head
        self.whole = b"{" + head
        self.head_size, self.size = len(head), len(self.whole)
        self.decode: Any = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]
        self._decode_nested: Any = msgspec.json.Decoder(list[list[kind]]).decode  # type: ignore[valid-type]
        self.is_nested = is_nested
        self.pack = pack
        self.rows, self.width = rows, width

    def values_of(self, rows: bytes) -> list[Any]:
        """The values of a list of rows.

        Raises:
            MalformedBody: They are not of the shape that the head says.
        """
        found: list[list[Any]] = self._decode_nested(rows)
        if len(found) != self.rows or any(len(row) != self.width for row in found):
            raise MalformedBody("The lists are not of the shape that the head says.")
        return found[0] if self.rows == 1 else [*chain.from_iterable(found)]


_NONE = _Known(b"\0", int, None, 1, 1, is_nested=False)  # no JSON holds this byte as it is


class QuickReader:
    """Reads bodies for one plan. Keeps what it learns of their heads, in bounds; not for several threads."""

    __slots__ = ("_datatypes", "_heads", "_last", "_only", "_pack", "_plan", "_tail")

    def __init__(self, plan: InputPlan) -> None:
        self._plan = plan
        self._datatypes = datatypes_of(plan)
        kinds = set(self._datatypes.values())
        # What one tensor may hold by itself: all columns of one type, or the only tensor there is.
        self._only = kinds.pop() if len(kinds) == 1 and (plan.kind == "columns" or len(plan.fields) == 1) else BYTES
        self._tail = (len(plan.fields),) if plan.kind == "columns" else plan.fields[0].shape
        self._pack = struct.Struct(record_format(plan)).pack
        self._heads: dict[bytes, _Known] = {}
        self._last = _NONE

    def read(self, body: bytes | bytearray) -> Quick | None:
        """The request in the plan's form; None for one that is not for this reader, whatever its bytes are."""
        try:
            if type(body) is not bytes:
                body = bytes(body)
            known: _Known | None
            last = self._last
            if body.startswith(last.whole):
                known, identity, start = last, b"", last.size
            elif (named := _ID.match(body)) is not None and body.startswith(last.head, named.end()):
                known, identity, start = last, named[1], named.end() + last.head_size
            else:
                known, identity, start = self._find(body)
            if known is None or body[-3:] != _END:
                return self._read(body)
            data = body[start:-3]
            if data[1] != _LIST:
                values = known.decode(data)
            elif known.is_nested:
                values = known.values_of(data)
            else:
                return self._read(body)
            return _new(Packed, (known.rows, known.pack(*values), [])), identity
        except Exception:  # noqa: BLE001 - whatever it was, the long way says what is wrong with the body
            return None

    def _find(self, body: bytes) -> tuple[_Known | None, bytes, int]:
        """What is known of a body's head, the id before it, and where its data begin."""
        identity, start = _opened(body)
        end = _end_of_head(body, start)
        found = self._heads.get(body[start:end]) if 0 < start < end else None
        if found is not None:
            self._last = found
        return found, identity, end

    def _read(self, body: bytes) -> Quick | None:
        if b"null" in body:
            return None  # a missing value perhaps, which no record holds
        asked = decode_body(body)
        if asked.parameters or asked.outputs or not all(each.data and not each.parameters for each in asked.inputs):
            return None
        packed = self._one(asked.inputs[0]) if len(asked.inputs) == 1 else None
        if packed is not None:
            self._learn(body, asked)
        elif self._plan.kind == "columns":
            packed = self._columns(asked.inputs)
        if packed is None or not 0 < packed.rows <= _MOST_ROWS:
            return None
        return packed, b"" if asked.id is None else msgspec.json.encode(asked.id)

    def _fits_one(self, entry: JsonInput) -> bool:
        if self._only == BYTES or entry.datatype != self._only or tuple(entry.shape[1:]) != self._tail:
            return False
        if self._plan.kind == "columns":
            return len(self._plan.fields) > 1 and entry.name not in self._datatypes
        return self._plan.kind == "tensor" or entry.name in self._datatypes

    def _one(self, entry: JsonInput) -> Packed | None:
        """All of a row's values in one tensor."""
        if not entry.shape or not self._fits_one(entry):
            return None
        return Packed(entry.shape[0], pack(entry.name, entry.datatype, entry.shape, _json_of(entry)), [])

    def _columns(self, inputs: Sequence[JsonInput]) -> Packed | None:
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

    def _learn(self, body: bytes, asked: Body) -> None:
        """Know what stands before the data from now on, where nothing stands behind them."""
        _, start = _opened(body)
        end = _end_of_head(body, start)
        entry, head = asked.inputs[0], body[start:end]
        if not 0 < start < end or b'"id"' in head or not body.endswith(_END) or b'"' in body[end:]:
            return
        rows, width = entry.shape[0], int(struct.calcsize(record_format(self._plan)) / struct.calcsize(CODES[self._only]))
        kind = {"?": bool, "e": float, "f": float, "d": float}.get(CODES[self._only], int)
        if len(self._heads) >= _MOST_HEADS:
            del self._heads[next(iter(self._heads))]
        pack = struct.Struct(f"<{rows * width}{CODES[self._only]}").pack
        self._last = self._heads[head] = _Known(head, kind, pack, rows, width, len(entry.shape) == _TWO_AXES)


def _opened(body: bytes) -> tuple[bytes, int]:
    """The id that a body begins with, and where it goes on; 0 where it begins like no object."""
    named = _ID.match(body)
    if named is not None:
        return named[1], named.end()
    return b"", int(body.startswith(b"{"))


def _end_of_head(body: bytes, start: int) -> int:
    """Where the data begin; 0 where none are found."""
    end = body.find(_DATA, start, _LONGEST_HEAD)
    if end < 0:
        return 0
    end += len(_DATA)
    return end + (body[end] == _SPACE)


def _json_of(entry: JsonInput) -> bytes:
    return b"" if entry.data is msgspec.UNSET else bytes(entry.data)
