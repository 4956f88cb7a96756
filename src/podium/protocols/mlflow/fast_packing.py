"""JSON values to the records of an input plan: one reader for each shape that rows can have in a body.

Each decodes with types, so that only what fits without any conversion comes through, and packs. A reader raises whatever
its decoder raises for anything else.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, starmap
from operator import itemgetter
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from podium.domain.input_plan import TEXT, Field, InputPlan

Content = tuple[int, bytes, list[str]]

# Whole numbers up to here are exact in each type of float. Beyond, forms of MLflow's round differently from each other,
# and a strict server refuses: the reference decides.
_EXACT = {"d": 2.0**53, "f": 2.0**24, "e": 2.0**11}
_WIDEST_TUPLE = 64
# The reference keeps texts in arrays of the longest one's width, unless that takes very much room (`arrays.py`).
_MOST_WIDTH = 2**22


class NotMine(Exception):
    """The body is right perhaps, but not for this reader."""


class RowsReader:
    """Lists of values, a list for each row, the columns in one order: `dataframe_split`'s data."""

    __slots__ = ("_decode", "_pack", "_pick", "_texts")

    def __init__(self, plan: InputPlan, order: Sequence[str]) -> None:
        fields = {field.name: field for field in plan.fields}
        kinds = tuple(_row_type(plan, fields[name]) for name in order)
        self._decode = msgspec.json.Decoder(list[tuple[kinds]]).decode  # type: ignore[valid-type]
        positions = [order.index(str(field.name)) for field in plan.fields]
        self._pack = struct.Struct(_record_format(plan)).pack
        picked = [positions[i] for i in plan.record]
        self._pick = None if picked == list(range(len(order))) else _picker(picked)
        self._texts = _picker([positions[i] for i in plan.texts]) if plan.texts else None

    def read(self, data: bytes | bytearray) -> Content:
        """The rows, packed."""
        rows: Any = self._decode(data)
        return _packed(rows, self._pack, self._pick, self._texts)


class RecordsReader:
    """Objects, one for each row: `dataframe_records`, `instances`.

    Args:
        plan: Of columns or tensors with names.
        is_array: The reference makes numpy arrays of it on the way.

    Raises:
        ValueError: A name that the decoder cannot hold.
    """

    __slots__ = ("_colons", "_decode", "_is_array", "_pack", "_pick", "_texts", "_to_row")

    def __init__(self, plan: InputPlan, is_array: bool) -> None:
        record = _struct(plan, [_row_type(plan, field) for field in plan.fields])
        self._decode = msgspec.json.Decoder(list[record]).decode  # type: ignore[valid-type]
        self._colons = _colons(plan)
        self._is_array = is_array
        self._pack = struct.Struct(_record_format(plan)).pack
        everything = list(range(len(plan.fields)))
        self._pick = None if list(plan.record) == everything else _picker(plan.record)
        self._texts = _picker(plan.texts) if plan.texts else None
        self._to_row: Callable[[Any], Any] = msgspec.structs.astuple
        if plan.kind != "columns":
            depths = [len(field.shape) for field in plan.fields]
            self._to_row = lambda record: _flat_record(msgspec.structs.astuple(record), depths)

    def read(self, data: bytes | bytearray) -> Content:
        """The rows, packed."""
        rows = [*map(self._to_row, self._decode(data))]
        content = _packed(rows, self._pack, self._pick, self._texts)
        check_names(data, len(rows) * self._colons, content[2])
        if self._is_array and self._texts is not None:
            _check_texts(data, content)
        return content


class ColumnsReader:
    """An object of lists, one for each column: `inputs`, `instances`."""

    __slots__ = ("_colons", "_decode", "_pack", "_pick", "_texts")

    def __init__(self, plan: InputPlan) -> None:
        self._decode = msgspec.json.Decoder(_struct(plan, [_list_of(plan, field) for field in plan.fields])).decode
        self._colons = _colons(plan)
        self._pack = struct.Struct(_record_format(plan)).pack
        self._pick = _picker(plan.record)
        self._texts = _picker(plan.texts) if plan.texts else None

    def read(self, data: bytes | bytearray) -> Content:
        """The rows, packed."""
        columns: Any = msgspec.structs.astuple(self._decode(data))
        rows = _equal_lengths(columns)
        block = b"".join(starmap(self._pack, zip(*self._pick(columns), strict=True)))
        texts: list[str] = []
        if self._texts is not None:
            texts = [*chain.from_iterable(zip(*self._texts(columns), strict=True))]
        content = rows, block, texts
        check_names(data, self._colons, texts)
        if texts:
            _check_texts(data, content)
        return content


class ListReader:
    """One list: an array of rows, or the values of an only column."""

    __slots__ = ("_decode", "_is_text", "_rows")

    def __init__(self, plan: InputPlan) -> None:
        field = plan.fields[0]
        self._decode = msgspec.json.Decoder(_list_of(plan, field)).decode
        self._is_text = field.type == TEXT
        self._rows = _row_packer(plan, field)

    def read(self, data: bytes | bytearray) -> Content:
        """The rows, packed."""
        values: Any = self._decode(data)
        if not values:
            raise NotMine
        if self._is_text:
            content = len(values), b"", values
            _check_texts(data, content)
            return content
        return len(values), b"".join(self._rows(values)), []


class TensorsReader:
    """An object of arrays that have equally many rows: `inputs`, `instances`."""

    __slots__ = ("_colons", "_decode", "_rows")

    def __init__(self, plan: InputPlan) -> None:
        self._decode = msgspec.json.Decoder(_struct(plan, [_list_of(plan, field) for field in plan.fields])).decode
        self._colons = _colons(plan)
        self._rows = [_row_packer(plan, field) for field in plan.fields]

    def read(self, data: bytes | bytearray) -> Content:
        """The rows, packed."""
        tensors: Any = msgspec.structs.astuple(self._decode(data))
        rows = _equal_lengths(tensors)
        check_names(data, self._colons, [])
        parts = [pack(tensor) for pack, tensor in zip(self._rows, tensors, strict=True)]
        if len(parts) == 1:
            return rows, b"".join(parts[0]), []
        return rows, b"".join(chain.from_iterable(zip(*parts, strict=True))), []


def check_names(data: bytes | bytearray, colons: int, texts: Iterable[str]) -> None:
    """See that no name is given twice, of which decoders keep the last: then there are more colons than names.

    Args:
        data: JSON that was decoded.
        colons: After and in the names.
        texts: All other strings in it.

    Raises:
        NotMine: Names may be given twice, which a strict server refuses.
    """
    if b"u003" in data:
        raise NotMine  # a colon may be written as an escape, and then colons count for nothing
    if data.count(b":") != colons + sum([text.count(":") for text in texts]):
        raise NotMine


def _packed(rows: Any, pack: Callable[..., bytes], pick: Any, texts: Any) -> Content:
    if len(rows) == 1:
        row = rows[0]
        block = pack(*(row if pick is None else pick(row)))
        return 1, block, [] if texts is None else [*texts(row)]
    if not rows:
        raise NotMine
    block = b"".join(starmap(pack, rows if pick is None else map(pick, rows)))
    return len(rows), block, [] if texts is None else [*chain.from_iterable(map(texts, rows))]


def _equal_lengths(values: Sequence[Sequence[Any]]) -> int:
    rows = len(values[0])
    if not rows or any(len(each) != rows for each in values):
        raise NotMine
    return rows


def _check_texts(data: bytes | bytearray, content: Content) -> None:
    """See that these texts are the same after they were a numpy array.

    Raises:
        NotMine: A text ends with NUL, which numpy cuts off; or they are too wide for an array.
    """
    rows, _, texts = content
    if b"u0000" in data and any(text.endswith("\0") for text in texts):
        raise NotMine
    if len(data) > 4096 and max(map(len, texts)) * rows > _MOST_WIDTH:
        raise NotMine


def _record_format(plan: InputPlan) -> str:
    fields = [plan.fields[i] for i in plan.record]
    return "<" + "".join(f"{field.size}{plan.codes[field.type][0]}" for field in fields)


def _element_type(plan: InputPlan, field: Field) -> Any:
    if plan.kind == "columns" and field.type == TEXT:
        return str
    code = plan.codes[field.type][0]
    if code in _EXACT:
        return Annotated[float, Meta(gt=-_EXACT[code], lt=_EXACT[code])]
    return bool if code == "?" else int


def _row_type(plan: InputPlan, field: Field) -> Any:
    """The type of one row's value: a scalar, or nested lists of the tensor's shape."""
    kind = _element_type(plan, field)
    for size in reversed(field.shape):
        if size <= _WIDEST_TUPLE:
            kind = tuple[(kind,) * size]  # type: ignore[misc]
        else:
            kind = Annotated[list[kind], Meta(min_length=size, max_length=size)]  # type: ignore[valid-type]
    return kind


def _list_of(plan: InputPlan, field: Field) -> Any:
    return list[_row_type(plan, field)]  # type: ignore[misc]


def _row_packer(plan: InputPlan, field: Field) -> Callable[[Any], Iterable[bytes]]:
    """What makes records of the values of one field's rows."""
    if field.type == TEXT and plan.kind == "columns":
        return lambda values: values
    pack = struct.Struct(f"<{field.size}{plan.codes[field.type][0]}").pack
    depth = len(field.shape)
    if depth == 0:
        return lambda values: map(pack, values)
    if depth == 1:
        return lambda values: starmap(pack, values)
    return lambda values: starmap(pack, (_flat(value, depth) for value in values))


def _flat(value: Any, depth: int) -> Iterable[Any]:
    for _ in range(depth - 1):
        value = chain.from_iterable(value)
    return tuple(value)


def _flat_record(values: Sequence[Any], depths: Sequence[int]) -> Any:
    return tuple(
        chain.from_iterable(_flat(value, depth) if depth else (value,) for value, depth in zip(values, depths, strict=True))
    )


def _picker(positions: Sequence[int]) -> Callable[[Any], Any]:
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda row: tuple([row[i] for i in positions])


def _struct(plan: InputPlan, kinds: Sequence[Any]) -> type[msgspec.Struct]:
    names = {f"field_{i}": str(field.name) for i, field in enumerate(plan.fields)}
    fields = list(zip(names, kinds, strict=True))
    return msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=True, gc=False)


def _colons(plan: InputPlan) -> int:
    """Of an object with all fields."""
    return len(plan.fields) + sum(str(field.name).count(":") for field in plan.fields)
