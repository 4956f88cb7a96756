"""JSON lines: each line's text travels as it is, so that no number is rounded on its way."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.client.files.rows import MOST_BYTES, Row, RowBatch, RowMark, read_line
from podium.errors import InvalidInput


class JsonRows:
    """Rows of a file of JSON lines: objects are records, lists and scalars are instances. Blank lines are no rows.

    Args:
        path: The file.
        keep: Names that will be asked for.
        params: Go with each request.

    Raises:
        InvalidInput: Columns are to be kept of what are no objects.
    """

    content_type = "application/json"

    def __init__(self, path: Path, keep: Sequence[str] = (), params: Mapping[str, Any] | None = None) -> None:
        self._path = path
        self._params = params
        self.size = path.stat().st_size
        self._is_of_records = True
        first = next(self.batches(RowMark(), 1), None)
        while first is not None and first.rows[0].fault is not None:
            first = next(self.batches(first.end, 1), None)
        self._is_of_records = first is None or first.rows[0].value[1] is not None
        if keep and not self._is_of_records:
            raise InvalidInput(f"{path} holds no objects, so that it has no columns to keep.")

    def batches(self, start: RowMark, most_rows: int) -> Iterator[RowBatch]:
        """All rows from a mark on."""
        with self._path.open("rb") as file:
            file.seek(start.offset)
            rows: list[Row] = []
            number, size, offset = start.row, 0, start.offset
            while line := read_line(file):
                offset += len(line)
                text = line.removeprefix(b"\xef\xbb\xbf").strip()
                if not text:
                    continue
                number += 1
                rows.append(_row(number, text))
                size += len(text)
                if len(rows) >= most_rows or size >= MOST_BYTES:
                    yield RowBatch(rows, RowMark(number, offset))
                    rows, size = [], 0
            if rows:
                yield RowBatch(rows, RowMark(number, offset))

    def alike(self, rows: Sequence[Row]) -> list[list[Row]]:
        """By their names: where one record of a request lacks a name, the server takes it for a missing value."""
        groups: dict[frozenset[str] | None, list[Row]] = {}
        for row in rows:
            groups.setdefault(row.value[1], []).append(row)
        return list(groups.values())

    def body(self, rows: Sequence[Row]) -> bytes:
        form = b"instances" if rows[0].value[1] is None else b"dataframe_records"
        tail = b', "params": ' + json.dumps(self._params).encode() if self._params else b""
        return b'{"' + form + b'": [' + b", ".join(row.value[0] for row in rows) + b"]" + tail + b"}"

    def shown(self, row: Row) -> Any:
        try:
            return json.loads(row.value[0])
        except ValueError:
            return row.value[0].decode("utf-8", "replace")

    def kept(self, row: Row, names: Sequence[str]) -> dict[str, Any]:
        shown = self.shown(row) if names else {}
        return {name: shown.get(name) for name in names} if isinstance(shown, dict) else {}


def _row(number: int, text: bytes) -> Row:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Row(number, (text, None), f"not JSON: {error}")
    return Row(number, (text, frozenset(content) if isinstance(content, dict) else None))
