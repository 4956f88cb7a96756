"""The answers of a whole file as CSV, JSON lines or Parquet, made from its lines of JSON; whole or not at all.

Each line is an object: a record's own names, `prediction` for what has none, nothing for a row that could not be scored.
It is read twice, so that the columns are those of all rows, and no more than a piece of it is in memory at once.
"""

import csv
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from podium.errors import UnencodableOutput

PREDICTION = "prediction"
_PIECE = 10_000
_MOST_COLUMNS = 10_000
_TEXT_OF = {math.inf: "Infinity", -math.inf: "-Infinity"}


@dataclass(frozen=True, slots=True)
class _Column:
    """One name of the answers: how many values its lists have, or None where it has others, or lists of several lengths."""

    width: int | None


def write_output(part: Path, output: Path, form: str) -> None:
    """Make the output.

    Args:
        part: Lines of JSON.
        output: Appears when it is whole, in place of what was there.
        form: `csv`, `jsonl` or `parquet`.

    Raises:
        UnencodableOutput: More names than a table has room for.
    """
    draft = output.with_name(f".{output.name}.{secrets.token_hex(4)}.part")
    try:
        _WRITERS[form](part, draft)
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)


def _write_lines(part: Path, draft: Path) -> None:
    with draft.open("w", encoding="utf-8") as out, part.open(encoding="utf-8") as lines:
        for line in lines:
            is_plain = "NaN" not in line and "Infinity" not in line
            out.write(line if is_plain else json.dumps(_finite(json.loads(line)), ensure_ascii=False) + "\n")


def _write_csv(part: Path, draft: Path) -> None:
    columns = _columns(part)
    header: list[str] = []
    for name, column in columns.items():
        header += [name] if column.width is None else [f"{name}_{i}" for i in range(column.width)]
    with draft.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header or [PREDICTION])
        for row in _rows(part):
            cells: list[str] = []
            for name, column in columns.items():
                value = row.get(name)
                if column.width is None:
                    cells.append(_cell(value))
                else:
                    cells += [_cell(each) for each in value] if value is not None else [""] * column.width
            writer.writerow(cells or [""])


def _write_parquet(part: Path, draft: Path) -> None:
    import pyarrow

    from podium.client.files.parquet_rows import parquet_library

    library = parquet_library()
    schema: Any = None
    for piece in _pieces(part):
        found = _table(pyarrow, piece, None).schema
        schema = found if schema is None else _both(pyarrow, schema, found)
    if schema is None or not schema.names:
        schema = pyarrow.schema([(PREDICTION, pyarrow.null())])
    with library.ParquetWriter(draft, schema) as writer:
        for piece in _pieces(part):
            writer.write_table(_table(pyarrow, piece, schema))


_WRITERS: Mapping[str, Callable[[Path, Path], None]] = {
    "csv": _write_csv, "jsonl": _write_lines, "parquet": _write_parquet,
}  # fmt: skip


def _table(pyarrow: Any, rows: list[dict[str, Any]], schema: Any) -> Any:
    """Columns as pyarrow sees them; those of several types as text of JSON."""
    names = list(dict.fromkeys(name for row in rows for name in row)) if schema is None else schema.names
    arrays = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kind = None if schema is None else schema.field(name).type
        if kind is not None and pyarrow.types.is_string(kind):
            arrays[name] = pyarrow.array([_text(value) for value in values], kind)
            continue
        try:
            arrays[name] = pyarrow.array(values, kind)
        except (pyarrow.ArrowException, OverflowError, TypeError):
            arrays[name] = pyarrow.array([_text(value) for value in values])
    return pyarrow.table(arrays)


def _both(pyarrow: Any, before: Any, now: Any) -> Any:
    """The schema that takes both: wider numbers where one is wider, text where nothing else takes both."""
    fields = {field.name: field for field in before}
    for field in now:
        known = fields.get(field.name)
        if known is None or pyarrow.types.is_null(known.type):
            fields[field.name] = field
        elif known.type != field.type and not pyarrow.types.is_null(field.type):
            fields[field.name] = pyarrow.field(field.name, _wider(pyarrow, known.type, field.type))
    return pyarrow.schema(list(fields.values()))


def _wider(pyarrow: Any, before: Any, now: Any) -> Any:
    pair = [pyarrow.schema([pyarrow.field("x", kind)]) for kind in (before, now)]
    try:
        return pyarrow.unify_schemas(pair, promote_options="permissive").field("x").type
    except (pyarrow.ArrowException, TypeError):
        return pyarrow.string()


def _columns(part: Path) -> dict[str, _Column]:
    columns: dict[str, _Column] = {}
    for row in _rows(part):
        for name, value in row.items():
            known = columns.get(name)
            if value is None and known is not None:
                continue
            width = len(value) if isinstance(value, list) and not any(isinstance(e, list | dict) for e in value) else None
            if known is None and value is not None:
                columns[name] = _Column(width)
            elif known is not None and known.width != width:
                columns[name] = _Column(None)
        if len(columns) > _MOST_COLUMNS:
            raise UnencodableOutput(f"The answers have more than {_MOST_COLUMNS} names; write them as JSON lines.")
    return columns


def _rows(part: Path) -> Iterator[dict[str, Any]]:
    with part.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _pieces(part: Path) -> Iterator[list[dict[str, Any]]]:
    rows = _rows(part)
    while piece := list(islice(rows, _PIECE)):
        yield piece


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(_finite(value), ensure_ascii=False)
    return value if isinstance(value, str) else repr(value)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(_finite(value), ensure_ascii=False)


def _finite(value: Any) -> Any:
    """What JSON has a form for: null for NaN, text for what is infinite."""
    if isinstance(value, float):
        return None if value != value else _TEXT_OF.get(value, value)
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
