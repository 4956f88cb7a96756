"""CSV: cells travel as the text that they are, so that the model's signature alone decides what they mean."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from podium.client.files.rows import LONGEST_ROW_BYTES, MOST_BYTES, Row, RowBatch, RowMark, check_names, read_line
from podium.errors import InvalidInput, MalformedBody

_BOM = b"\xef\xbb\xbf"


class CsvRows:
    """Rows of a CSV file with a header line, in UTF-8. Blank lines are no rows, as for pandas.

    Args:
        path: The file.
        keep: Columns that will be asked for.

    Raises:
        InvalidInput: No header, two columns of one name, or a column to keep that is not there.
    """

    content_type = "text/csv"

    def __init__(self, path: Path, keep: Sequence[str] = ()) -> None:
        self._path = path
        self.size = path.stat().st_size
        with path.open("rb") as file:
            lines = _Lines(file)
            self._header: list[str] = next(_records(lines, 0), [])
            self._first = RowMark(0, lines.offset)
        if not self._header:
            raise InvalidInput(f"{path} is empty; expected CSV with a header line.")
        if any(_is_broken(name) for name in self._header):
            raise InvalidInput(f"{path}: the header line is not UTF-8.")
        twice = sorted({name for name in self._header if self._header.count(name) > 1})
        if twice:
            raise InvalidInput(f"{path} has more than one column named {', '.join(map(repr, twice))}.")
        check_names(keep, self._header)

    def batches(self, start: RowMark, most_rows: int) -> Iterator[RowBatch]:
        """All rows from a mark on.

        Raises:
            MalformedBody: A quote that never ends; names the row.
        """
        start = max(start, self._first, key=lambda mark: mark.offset)
        with self._path.open("rb") as file:
            file.seek(start.offset)
            lines = _Lines(file, start.offset)
            rows: list[Row] = []
            number, size = start.row, 0
            for cells in _records(lines, start.row):
                if not cells:
                    continue
                number += 1
                rows.append(Row(number, cells, self._fault(cells)))
                size += sum(map(len, cells)) + len(cells)
                if len(rows) >= most_rows or size >= MOST_BYTES:
                    yield RowBatch(rows, RowMark(number, lines.offset))
                    rows, size = [], 0
            if rows:
                yield RowBatch(rows, RowMark(number, lines.offset))

    def alike(self, rows: Sequence[Row]) -> list[list[Row]]:
        return [list(rows)]

    def body(self, rows: Sequence[Row]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self._header)
        writer.writerows(row.value for row in rows)
        return out.getvalue().encode()

    def shown(self, row: Row) -> Any:
        cells = [cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for cell in row.value]
        return dict(zip(self._header, cells, strict=True)) if len(cells) == len(self._header) else cells

    def kept(self, row: Row, names: Sequence[str]) -> dict[str, Any]:
        shown = self.shown(row)
        return {name: shown[name] for name in names} if isinstance(shown, dict) else {}

    def _fault(self, cells: Sequence[str]) -> str | None:
        if len(cells) != len(self._header):
            return f"{len(cells)} cells, and the header has {len(self._header)}"
        return "not UTF-8" if any(map(_is_broken, cells)) else None


class _Lines:
    """A file's lines as text, and how far it was read; bytes that are not UTF-8 become what `_is_broken` finds."""

    def __init__(self, file: IO[bytes], offset: int = 0) -> None:
        self._file = file
        self.offset = offset

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = read_line(self._file)
        if not line:
            raise StopIteration
        if self.offset == 0 and line.startswith(_BOM):
            self.offset, line = len(_BOM), line[len(_BOM) :]
        self.offset += len(line)
        return line.decode("utf-8", "surrogateescape")


def _records(lines: _Lines, before: int) -> Iterator[list[str]]:
    # Of the module, and not of a reader: put back for whoever else reads CSV in this process.
    limit = csv.field_size_limit(LONGEST_ROW_BYTES)
    number = before
    try:
        for cells in csv.reader(lines):
            yield cells
            number += 1
    except csv.Error as error:
        raise MalformedBody(
            f"Row {number + 1} cannot be read as CSV ({error}); is there a quote that never ends?"
        ) from None
    finally:
        csv.field_size_limit(limit)


def _is_broken(text: str) -> bool:
    """Whether bytes that are not UTF-8 are in it."""
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)
