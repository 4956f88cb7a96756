"""The gateway's codec: JSON bodies that fit a model's input plan exactly, as records and texts.

It answers a subset of what the reference codec (`codec.py`) answers, and there the same, in either mode of the server;
whatever it does not take goes to the worker as it came. Nothing here may raise, whatever the bytes are.

A body is cut at a head whose bytes were seen before (`{"inputs": `, or everything up to the rows of a
`dataframe_split`), so that only the rows themselves are parsed. Head, a JSON value and the closing brackets are
together the JSON that the reference reads.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from podium.domain.input_plan import InputPlan
from podium.protocols.mlflow.fast_packing import (
    ColumnsReader,
    Content,
    ListReader,
    NotMine,
    RecordsReader,
    RowsReader,
    TensorsReader,
    check_names,
)

_MOST_HEADS = 64
_LONGEST_HEAD = 2**16
_MOST_ORDERS = 16
_DATA = b'"data":'
_SPACE = b" \t\r\n"
_SPLIT = "dataframe_split"
_CLOSING = ord("}")

Read = Callable[[bytes | bytearray], Content]


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


class FastReader:
    """Reads bodies for one plan. Keeps what it learns of their heads, in bounds; not for several threads."""

    __slots__ = ("_forms", "_heads", "_names", "_orders", "_plan", "_split_body", "_split_heads")

    def __init__(self, plan: InputPlan) -> None:
        self._plan = plan
        self._names = sorted(str(field.name) for field in plan.fields)
        self._forms = _forms(plan)
        self._heads: dict[bytes, str] = {}
        self._split_heads: dict[bytes, RowsReader] = {}
        self._orders: dict[tuple[str, ...], RowsReader] = {}
        self._split_body = msgspec.json.Decoder(_SplitBody)

    def read(self, body: bytes | bytearray) -> Packed | None:
        """The request in the plan's form; None for one that is not for this reader, whatever its bytes are."""
        try:
            end = body.find(b":") + 1
            head = bytes(body[:end])
            form = self._heads.get(head)
            if form is None and (form := self._learn(head)) is None:
                return None
            if body[-1] != _CLOSING:
                body = body.rstrip(_SPACE)
                if body[-1] != _CLOSING:
                    return None
            if form == _SPLIT:
                return Packed(*self._read_split(body, end))
            readers = self._forms[form]
            rest = body[end:-1]
            if len(readers) == 1:
                return Packed(*readers[0](rest))
            return _first_of(readers, rest)
        except Exception:  # noqa: BLE001 - whatever it was, the reference says what is wrong with the body
            return None

    def _learn(self, head: bytes) -> str | None:
        """Which form a body with this head has; the head ends with the first colon.

        Raises:
            ValueError: It is no JSON.
        """
        if not head or len(head) > _LONGEST_HEAD:
            return None
        parsed = json.loads(head + b"0}")
        form = next(iter(parsed))
        if not (form in self._forms or (form == _SPLIT and self._plan.kind == "columns")):
            return None
        _keep(self._heads, head, form, _MOST_HEADS)
        return str(form)

    def _read_split(self, body: bytes | bytearray, end: int) -> Content:
        start = body.find(_DATA, end, _LONGEST_HEAD)
        if start > 0 and body[-2] == _CLOSING:
            head = bytes(body[:start])
            reader = self._split_heads.get(head)
            if reader is None:
                reader = self._learn_split(head)
            if reader is not None:
                return reader.read(body[start + len(_DATA) : -2])
        return self._read_any_split(body)

    def _learn_split(self, head: bytes) -> RowsReader | None:
        """The reader of the rows after this head; None where the head does not name the columns.

        Raises:
            NotMine, ValueError: Whatever follows, the body is none for this reader.
        """
        parsed = json.loads(head + b'"data":0}}', object_pairs_hook=_unique)
        split = parsed[_SPLIT]
        if len(parsed) != 1 or not split.keys() <= {"columns", "data"}:
            raise NotMine
        if "columns" not in split:
            return None
        reader = self._reader_of(split["columns"])
        _keep(self._split_heads, head, reader, _MOST_HEADS)
        return reader

    def _read_any_split(self, body: bytes | bytearray) -> Content:
        """A split whose names stand behind its rows, or with spaces where others have none."""
        split = self._split_body.decode(body).dataframe_split
        content = self._reader_of(split.columns).read(bytes(split.data))
        check_names(body, 3, [*split.columns, *content[2]])
        return content

    def _reader_of(self, columns: Any) -> RowsReader:
        order = tuple(columns)
        reader = self._orders.get(order)
        if reader is None:
            if not all(isinstance(name, str) for name in order) or sorted(order) != self._names:
                raise NotMine
            reader = RowsReader(self._plan, order)
            _keep(self._orders, order, reader, _MOST_ORDERS)
        return reader


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: msgspec.Raw


class _SplitBody(msgspec.Struct, forbid_unknown_fields=True):
    dataframe_split: _Split


def _forms(plan: InputPlan) -> dict[str, list[Read]]:
    """What reads the value of each form but `dataframe_split`; several readers where it may have several shapes."""
    if plan.kind == "tensor":
        return {"inputs": [ListReader(plan).read], "instances": [ListReader(plan).read]}
    forms: dict[str, list[Read]] = {"inputs": [], "instances": [], "dataframe_records": []}
    if len(plan.fields) == 1:
        one = ListReader(plan).read
        forms["inputs"].append(one)
        forms["instances"].append(one)
    try:
        by_name = ColumnsReader(plan).read if plan.kind == "columns" else TensorsReader(plan).read
        forms["inputs"].append(by_name)
        forms["instances"] += [RecordsReader(plan, is_array=True).read, by_name]
        if plan.kind == "columns":
            forms["dataframe_records"].append(RecordsReader(plan, is_array=False).read)
    except ValueError:
        # Names with quotes, backslashes or control characters; as objects, such rows are the worker's.
        pass
    return {form: readers for form, readers in forms.items() if readers}


def _first_of(readers: list[Read], rest: bytes | bytearray) -> Packed | None:
    for read in readers:
        try:
            return Packed(*read(rest))
        except Exception:  # noqa: BLE001, S112 - not this shape; the next one, or the reference
            continue
    return None


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
