"""The gateway's codec: JSON bodies that fit a model's input plan exactly, as records and texts.

It answers a subset of what the reference codec (`codec.py`) answers, and there the same, in either mode of the server;
whatever it does not take goes to the worker as it came. Nothing here may raise, whatever the bytes are.

A body is cut at a head whose bytes were seen before (`{"inputs": `, or everything up to the rows of a
`dataframe_split`), so that only the rows themselves are parsed. Head, a JSON value and the closing brackets are
together the JSON that the reference reads.
"""

import json
from functools import partial
from typing import Any

import msgspec

from podium.domain.inputs.plan import InputPlan
from podium.protocols.mlflow.fast_packing import (
    NotMine,
    Packed,
    Read,
    check_names,
    columns_reader,
    list_reader,
    records_reader,
    rows_reader,
    tensors_reader,
)

__all__ = ["FastReader", "Packed"]

# Reading holds up everybody else of the gateway: so long at most, by what a row and a number cost at worst.
_MOST_US, _ROW_US, _NUMBER_US = 20_000, 0.3, 0.04
_LONG = 4096
_MOST_HEADS = 64
_LONGEST_HEAD = 2**16
_MOST_ORDERS = 16
_DATA = b'"data":'
_SPACE = b" \t\r\n"
_SPLIT = "dataframe_split"
_CLOSING, _ARRAY = ord("}"), ord("[")


class FastReader:
    """Reads bodies for one plan. Keeps what it learns of their heads, in bounds; not for several threads.

    Attributes:
        plan: What it reads for.
        most_bytes: Larger bodies are better not read here: however many rows they hold, up to this it takes about 20 ms.
    """

    __slots__ = ("_forms", "_heads", "_names", "_orders", "_split_body", "_split_heads", "most_bytes", "plan")

    def __init__(self, plan: InputPlan) -> None:
        self.plan = plan
        values = sum(field.size for field in plan.fields)
        # The shortest row has a digit and a comma for each value, and two brackets.
        self.most_bytes = int((2 * values + 2) * _MOST_US / (_ROW_US + _NUMBER_US * values))
        self._names = sorted(str(field.name) for field in plan.fields)
        self._forms = _forms(plan)
        if plan.kind == "columns":
            self._forms[_SPLIT] = self._read_split
        self._heads: dict[bytes, Read] = {}
        self._split_heads: dict[bytes, tuple[Read, int | None]] = {}
        self._orders: dict[tuple[str, ...], Read] = {}
        self._split_body = msgspec.json.Decoder(_SplitBody)

    def read(self, body: bytes | bytearray) -> Packed | None:
        """The request in the plan's form; None for one that is not for this reader, whatever its bytes are."""
        try:
            if len(body) > _LONG and b"null" in body:
                return None  # in a text perhaps, but then the worker reads it as well; else this would be found late
            if type(body) is not bytes:
                body = bytes(body)
            start = body.find(b":") + 1
            head = body[:start]
            read = self._heads.get(head)
            if read is None:
                read = self._learn(head)
            if body[-1] != _CLOSING:
                body = body.rstrip(_SPACE)
                if body[-1] != _CLOSING:
                    return None
            return read(body, start, -1)
        except Exception:  # noqa: BLE001 - whatever it was, the reference says what is wrong with the body
            return None

    def _learn(self, head: bytes) -> Read:
        """What reads the rest of a body with this head, which ends with the first colon.

        Raises:
            ValueError, KeyError: It is no JSON, or not the head of a form.
        """
        if len(head) > _LONGEST_HEAD:
            raise NotMine
        form = next(iter(json.loads(head + b"0}")))
        read = self._forms[form]
        _keep(self._heads, head, read, _MOST_HEADS)
        return read

    def _read_split(self, body: bytes, start: int, stop: int) -> Packed:
        del stop
        end = body.find(_DATA, start, _LONGEST_HEAD)
        if end > 0 and body[-2] == _CLOSING:
            head = body[:end]
            known = self._split_heads.get(head)
            if known is None:
                known = self._learn_split(head)
            if known is not None:
                read, rows = known
                packed = read(body, end + len(_DATA), -2)
                if rows is None or packed.rows == rows:
                    return packed
                raise NotMine
        return self._read_any_split(body)

    def _learn_split(self, head: bytes) -> tuple[Read, int | None] | None:
        """The reader of the rows after this head, and how many there must be; None where it does not name the columns.

        Raises:
            NotMine, ValueError: Whatever follows, the body is none for this reader.
        """
        parsed = json.loads(head + b'"data":0}}', object_pairs_hook=_unique)
        split = parsed[_SPLIT]
        if len(parsed) != 1 or not split.keys() <= {"columns", "data", "index"}:
            raise NotMine
        if "columns" not in split:
            return None
        known = self._reader_of(split["columns"]), _counted(split["index"]) if "index" in split else None
        _keep(self._split_heads, head, known, _MOST_HEADS)
        return known

    def _read_any_split(self, body: bytes) -> Packed:
        """A split whose names stand behind its rows, or with spaces where others have none."""
        split = self._split_body.decode(body).dataframe_split
        data = bytes(split.data)
        packed = self._reader_of(split.columns)(data, 0, len(data))
        has_index = split.index is not msgspec.UNSET
        if has_index and _counted(split.index) != packed.rows:
            raise NotMine
        check_names(body, 3 + has_index, [*split.columns, *packed.texts])
        return packed

    def _reader_of(self, columns: Any) -> Read:
        order = tuple(columns)
        reader = self._orders.get(order)
        if reader is None:
            if not all(isinstance(name, str) for name in order) or sorted(order) != self._names:
                raise NotMine
            reader = rows_reader(self.plan, order)
            _keep(self._orders, order, reader, _MOST_ORDERS)
        return reader


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: msgspec.Raw
    index: list[int] | msgspec.UnsetType = msgspec.UNSET


class _SplitBody(msgspec.Struct, forbid_unknown_fields=True):
    dataframe_split: _Split


def _forms(plan: InputPlan) -> dict[str, Read]:
    """What reads the value of each form but `dataframe_split`."""
    if plan.kind == "tensor":
        one = list_reader(plan)
        return {"inputs": one, "instances": one}
    ones = [list_reader(plan)] if len(plan.fields) == 1 else []
    try:
        by_name = columns_reader(plan) if plan.kind == "columns" else tensors_reader(plan)
        forms = {
            "inputs": _by_shape(ones, by_name),
            "instances": _by_shape([*ones, records_reader(plan, is_array=True)], by_name),
        }
        if plan.kind == "columns":
            forms["dataframe_records"] = records_reader(plan, is_array=False)
        return forms
    except ValueError:
        # Names with quotes, backslashes or control characters: as objects, such rows are the worker's.
        return dict.fromkeys(("inputs", "instances"), ones[0]) if ones else {}


def _by_shape(of_arrays: list[Read], of_object: Read) -> Read:
    """For forms that may have several shapes: which ones are tried says the first character of the value."""
    if not of_arrays:
        return of_object
    of_array = of_arrays[0] if len(of_arrays) == 1 else partial(_try, of_arrays)

    def read(body: bytes, start: int, stop: int) -> Packed:
        lead = body[start]
        if lead in _SPACE:
            lead = body[start:].lstrip(_SPACE)[0]
        return (of_array if lead == _ARRAY else of_object)(body, start, stop)

    return read


def _try(readers: list[Read], body: bytes, start: int, stop: int) -> Packed:
    for read in readers:
        try:
            return read(body, start, stop)
        except Exception:  # noqa: BLE001, S112 - not this shape; the next one, or the reference
            continue
    raise NotMine


def _counted(index: Any) -> int:
    """How many rows an index counts from 0.

    Raises:
        NotMine: It holds other labels.
    """
    if not isinstance(index, list) or set(map(type, index)) != {int} or index != list(range(len(index))):
        raise NotMine
    return len(index)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise NotMine
    return names


def _keep(cache: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Remember; of too many the oldest is forgotten, for it is clients who choose the keys."""
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[key] = value
