"""Parquet: rows travel as Parquet, types and all; nothing is converted."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from podium.client.files.rows import Row, RowBatch, RowMark, check_names
from podium.errors import InvalidInput, MissingDependency


def parquet_library() -> Any:
    """pyarrow.parquet, imported when it is needed.

    Raises:
        MissingDependency: It is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependency("pyarrow", "A Parquet file", "parquet") from error
    return pyarrow.parquet


class ParquetRows:
    """Rows of a Parquet file; a mark's offset counts rows.

    Args:
        path: The file.
        keep: Columns that will be asked for.

    Raises:
        InvalidInput: It is not Parquet, or has no such column.
        MissingDependency: pyarrow is not installed.
    """

    content_type = "application/vnd.apache.parquet"

    def __init__(self, path: Path, keep: Sequence[str] = ()) -> None:
        import pyarrow

        self._library = parquet_library()
        self._path = path
        try:
            with self._library.ParquetFile(path) as file:
                self.size = file.metadata.num_rows
                check_names(keep, file.schema_arrow.names)
        except pyarrow.ArrowException as error:
            raise InvalidInput(f"{path} cannot be read as Parquet: {error}") from error

    def batches(self, start: RowMark, most_rows: int) -> Iterator[RowBatch]:
        """All rows from a mark on; row groups before it are not read."""
        import pyarrow

        with self._library.ParquetFile(self._path) as file:
            groups, before = [], 0
            for number in range(file.metadata.num_row_groups):
                count = file.metadata.row_group(number).num_rows
                if before + count > start.row:
                    groups.append(number)
                elif not groups:
                    before += count
                    continue
            skipped, at = start.row - before, start.row
            for piece in file.iter_batches(most_rows, row_groups=groups):
                table = pyarrow.Table.from_batches([piece]).slice(min(skipped, piece.num_rows))
                skipped -= piece.num_rows - table.num_rows
                if table.num_rows:
                    rows = [Row(at + i + 1, (table, i)) for i in range(table.num_rows)]
                    at += table.num_rows
                    yield RowBatch(rows, RowMark(at, at))

    def alike(self, rows: Sequence[Row]) -> list[list[Row]]:
        return [list(rows)]

    def body(self, rows: Sequence[Row]) -> bytes:
        table, first = rows[0].value
        indices = [row.value[1] for row in rows]
        is_run = indices[-1] - first + 1 == len(indices)
        out = io.BytesIO()
        self._library.write_table(table.slice(first, len(indices)) if is_run else table.take(indices), out)
        return out.getvalue()

    def shown(self, row: Row) -> Any:
        table, at = row.value
        shown: dict[str, Any] = table.slice(at, 1).to_pylist()[0]
        return shown

    def kept(self, row: Row, names: Sequence[str]) -> dict[str, Any]:
        table, at = row.value
        return {name: table[name][at].as_py() for name in names}
