"""The payload log as Parquet; needs pyarrow."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from podium.monitoring.payloads.rows import PayloadRow

_ROWS = 10_000
_TYPES = {
    "request_time": pa.timestamp("us", tz="UTC"),
    "status_code": pa.int32(),
    "sampling_fraction": pa.float64(),
    "execution_duration_ms": pa.float64(),
    "rows": pa.int64(),
    "batch_rows": pa.int64(),
    "queue_ms": pa.float64(),
    "predict_ms": pa.float64(),
    "attempts": pa.int32(),
    "subjects": pa.list_(pa.string()),
    "logging_error_codes": pa.list_(pa.string()),
}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in PayloadRow.__struct_fields__])
_decoder = msgspec.json.Decoder(PayloadRow)


def to_parquet(path: Path) -> Path:
    """Make a file of JSON lines one of Parquet beside it, whole or not at all, and remove the lines.

    Raises:
        OSError: The disk takes nothing; the lines stay.
    """
    target = path.with_suffix(".parquet")
    partial = path.with_name(f".{target.name}.partial")
    try:
        with path.open("rb") as lines, pq.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
            some: list[dict[str, Any]] = []
            for line in lines:
                some.append(_as_cells(_decoder.decode(line)))
                if len(some) >= _ROWS:
                    writer.write_table(pa.Table.from_pylist(some, SCHEMA))
                    some = []
            writer.write_table(pa.Table.from_pylist(some, SCHEMA))
        os.chmod(partial, 0o600)
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    path.unlink()
    return target


def rows_in(path: Path, request_id: str | None = None) -> list[PayloadRow]:
    """The rows of a Parquet file; those of one request where one is named."""
    filters = None if request_id is None else [("request_id", "=", request_id)]
    return [msgspec.convert(each, PayloadRow) for each in pq.read_table(path, filters=filters).to_pylist()]


def rewrite(path: Path, rows: list[PayloadRow]) -> None:
    """Put other rows in a file's place, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        pq.write_table(pa.Table.from_pylist([_as_cells(row) for row in rows], SCHEMA), partial, compression="zstd")
        os.chmod(partial, 0o600)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _as_cells(row: PayloadRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in PayloadRow.__struct_fields__}
