"""JSON values to the records of an input plan: one reader for each shape that rows can have in a body.

Each decodes with types, so that only what fits without any conversion comes through, and packs. A reader raises whatever
its decoder raises for anything else.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, starmap
from operator import itemgetter
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta
from msgspec.structs import astuple

from podium.domain.inputs.plan import TEXT, Field, InputPlan

# Whole numbers up to here are exact in each type of float. Beyond, forms of MLflow's round differently from each other,
# and a strict server refuses: the reference decides.
_EXACT = {"d": 2.0**53, "f": 2.0**24, "e": 2.0**11}
_WIDEST_TUPLE = 64
# The reference keeps texts in arrays of the longest one's width, unless that takes very much room (`arrays.py`).
_MOST_WIDTH = 2**22


class NotMine(Exception):
    """The body is right perhaps, but not for this reader."""


class Packed(NamedTuple):
    """A decoded request.

    Args:
        rows: At least 1.
        block: `rows` records of the plan, one after another.
        texts: The text columns' values row by row, in the signature's order.
    """

    rows: int
    block: bytes
    texts: list[str]


Read = Callable[[bytes, int, int], Packed]
"""Reads the JSON value between two positions of a body."""

# What Packed() does, at half the price.
_new = tuple.__new__


def rows_reader(plan: InputPlan, order: Sequence[str]) -> Read:
    """For lists of values, a list for each row, the columns in one order: `dataframe_split`'s data."""
    fields = {str(field.name): field for field in plan.fields}
    kinds = tuple(_row_type(plan, fields[name]) for name in order)
    decode: Any = msgspec.json.Decoder(list[tuple[kinds]]).decode  # type: ignore[valid-type]
    positions = [order.index(str(field.name)) for field in plan.fields]
    pack = struct.Struct(record_format(plan)).pack
    picked = [positions[i] for i in plan.record]
    if picked == list(range(len(order))):
        return _lists_reader(decode, pack)
    pick = _picker(picked)
    texts_of = _picker([positions[i] for i in plan.texts])

    def read(body: bytes, start: int, stop: int) -> Packed:
        return _packed(decode(body[start:stop]), pack, pick, texts_of)

    return read


def _lists_reader(decode: Any, pack: Callable[..., bytes]) -> Read:
    """For rows that are packed as they stand: the way of most requests."""

    def read(body: bytes, start: int, stop: int) -> Packed:
        rows = decode(body[start:stop])
        if len(rows) == 1:
            return _new(Packed, (1, pack(*rows[0]), []))
        if not rows:
            raise NotMine
        return _new(Packed, (len(rows), b"".join(starmap(pack, rows)), []))

    return read


def records_reader(plan: InputPlan, is_array: bool) -> Read:
    """For objects, one for each row: `dataframe_records`, `instances`.

    Args:
        plan: Of columns or tensors with names.
        is_array: The reference makes numpy arrays of it on the way.

    Raises:
        ValueError: A name that the decoder cannot hold.
    """
    record = _struct(plan, [_row_type(plan, field) for field in plan.fields])
    decode: Any = msgspec.json.Decoder(list[record]).decode  # type: ignore[valid-type]
    check = _names_check(plan)
    pack = struct.Struct(record_format(plan)).pack
    everything = list(range(len(plan.fields)))
    pick = None if list(plan.record) == everything else _picker(plan.record)
    texts_of = _picker(plan.texts)
    depths = [len(field.shape) for field in plan.fields]
    is_flat = not any(depths)

    def read(body: bytes, start: int, stop: int) -> Packed:
        data = body[start:stop]
        rows = [*map(astuple, decode(data))]
        if not is_flat:
            rows = [_flat_record(row, depths) for row in rows]
        packed = _packed(rows, pack, pick, texts_of)
        check(data, packed.rows, packed.texts)
        if is_array and packed.texts:
            _check_texts(data, packed)
        return packed

    return read


def columns_reader(plan: InputPlan) -> Read:
    """For an object of lists, one for each column: `inputs`, `instances`.

    Raises:
        ValueError: A name that the decoder cannot hold.
    """
    decode: Any = msgspec.json.Decoder(_struct(plan, [_list_of(plan, field) for field in plan.fields])).decode
    check = _names_check(plan)
    pack = struct.Struct(record_format(plan)).pack
    pick = _picker(plan.record)
    texts_of = _picker(plan.texts)

    def read(body: bytes, start: int, stop: int) -> Packed:
        data = body[start:stop]
        columns = astuple(decode(data))
        rows = _equal_lengths(columns)
        numbers, words = pick(columns), texts_of(columns)
        if rows == 1:
            packed = Packed(1, pack(*chain.from_iterable(numbers)), [*chain.from_iterable(words)])
        else:
            block = b"".join(starmap(pack, zip(*numbers, strict=True)))
            packed = Packed(rows, block, [*chain.from_iterable(zip(*words, strict=True))])
        check(data, 1, packed.texts)
        if packed.texts:
            _check_texts(data, packed)
        return packed

    return read


def list_reader(plan: InputPlan) -> Read:
    """For one list: an array of rows, or the values of an only column."""
    field = plan.fields[0]
    decode: Any = msgspec.json.Decoder(_list_of(plan, field)).decode
    if field.type == TEXT:

        def read_texts(body: bytes, start: int, stop: int) -> Packed:
            data = body[start:stop]
            texts = decode(data)
            packed = Packed(len(texts), b"", texts)
            _check_texts(data, packed)
            return packed

        return read_texts
    if len(field.shape) == 1:
        return _lists_reader(decode, struct.Struct(record_format(plan)).pack)
    to_records = _row_packer(plan, field)

    def read(body: bytes, start: int, stop: int) -> Packed:
        values = decode(body[start:stop])
        if not values:
            raise NotMine
        return Packed(len(values), b"".join(to_records(values)), [])

    return read


def tensors_reader(plan: InputPlan) -> Read:
    """For an object of arrays that have equally many rows: `inputs`, `instances`.

    Raises:
        ValueError: A name that the decoder cannot hold.
    """
    decode: Any = msgspec.json.Decoder(_struct(plan, [_list_of(plan, field) for field in plan.fields])).decode
    check = _names_check(plan)
    packers = [_row_packer(plan, field) for field in plan.fields]

    def read(body: bytes, start: int, stop: int) -> Packed:
        data = body[start:stop]
        tensors = astuple(decode(data))
        rows = _equal_lengths(tensors)
        check(data, 1, [])
        parts = [to_records(tensor) for to_records, tensor in zip(packers, tensors, strict=True)]
        records = parts[0] if len(parts) == 1 else chain.from_iterable(zip(*parts, strict=True))
        return Packed(rows, b"".join(records), [])

    return read


def check_names(data: bytes, colons: int, texts: Iterable[str]) -> None:
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


def _names_check(plan: InputPlan) -> Callable[[bytes, int, list[str]], None]:
    """`check_names` for so many objects with all fields."""
    in_names = sum(str(field.name).count(":") for field in plan.fields)
    colons = len(plan.fields) + in_names
    if in_names or plan.texts:
        return lambda data, objects, texts: check_names(data, objects * colons, texts)

    def check(data: bytes, objects: int, texts: list[str]) -> None:
        del texts
        if data.count(b":") != objects * colons:
            raise NotMine

    return check


def _packed(rows: Any, pack: Callable[..., bytes], pick: Any, texts_of: Callable[[Any], Any]) -> Packed:
    if len(rows) == 1:
        row = rows[0]
        return _new(Packed, (1, pack(*(row if pick is None else pick(row))), [*texts_of(row)]))
    if not rows:
        raise NotMine
    block = b"".join(starmap(pack, rows if pick is None else map(pick, rows)))
    return _new(Packed, (len(rows), block, [*chain.from_iterable(map(texts_of, rows))]))


def _equal_lengths(values: Sequence[Sequence[Any]]) -> int:
    lengths = set(map(len, values))
    if len(lengths) != 1 or 0 in lengths:
        raise NotMine
    return lengths.pop()


def _check_texts(data: bytes, packed: Packed) -> None:
    """See that these texts are the same after they were a numpy array.

    Raises:
        NotMine: There is none; one ends with NUL, which numpy cuts off; or they are too wide for an array.
    """
    texts = packed.texts
    if not texts or (b"u0000" in data and any(text.endswith("\0") for text in texts)):
        raise NotMine
    if len(data) > 4096 and max(map(len, texts)) * packed.rows > _MOST_WIDTH:
        raise NotMine


def record_format(plan: InputPlan) -> str:
    """A record in the words of `struct`."""
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


def _picker(positions: Sequence[int]) -> Callable[[Any], tuple[Any, ...]]:
    if len(positions) > 1:
        return itemgetter(*positions)
    # A slice keeps its one value, or none, in a tuple; both rows and columns come as tuples.
    start = positions[0] if positions else 0
    return itemgetter(slice(start, start + len(positions)))


def _struct(plan: InputPlan, kinds: Sequence[Any]) -> type[msgspec.Struct]:
    names = {f"field_{i}": str(field.name) for i, field in enumerate(plan.fields)}
    fields = list(zip(names, kinds, strict=True))
    return msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=True, gc=False)
