"""Files of rows in chunks: CSV, Parquet, JSON lines; as data frames, read by pandas."""

import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from podium.errors import InvalidInput, MissingDependency, NotFound

_CSV = (".csv", ".tsv")
_JSON = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
SUFFIXES = (*_CSV, *_PARQUET, *_JSON)


def chunks_of_file(path: Path, rows: int) -> Iterator[Any]:
    """A file's rows as data frames.

    Args:
        path: The file; its ending says what it is. `.gz` may follow that of CSV and JSON lines.
        rows: At most, of each frame.

    Raises:
        NotFound: It is not there.
        InvalidInput: It is none of these, or damaged; says where.
        MissingDependency: pandas, or for Parquet pyarrow, is not installed.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    kind = next((each for each in path.suffixes[::-1] if each.lower() in SUFFIXES), "").lower()
    if not kind:
        raise InvalidInput(f"{path} ends in {path.suffix!r}; expected one of {', '.join(SUFFIXES)}.")
    try:
        if kind in _PARQUET:
            yield from _parquet(path, rows)
            return
        pandas = _pandas()
        if kind in _JSON:
            yield from (pandas.DataFrame.from_records(records) for records in _records(path, rows))
        else:
            yield from pandas.read_csv(path, chunksize=rows, low_memory=False, sep="\t" if kind == ".tsv" else ",")
    except (ValueError, OSError, EOFError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error


def _records(path: Path, rows: int) -> Iterator[list[Any]]:
    """The objects of JSON lines."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        lines = (line for line in file if line.strip())
        while part := list(islice(lines, rows)):
            records = [json.loads(line) for line in part]
            if not all(isinstance(record, dict) for record in records):
                raise InvalidInput(
                    f"{path} holds lines that are no JSON objects; expected one of columns and values in each."
                )
            yield records


def _parquet(path: Path, rows: int) -> Iterator[Any]:
    _pandas()
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependency("pyarrow", "A Parquet file", "parquet") from error
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(rows):
            yield batch.to_pandas()


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingDependency("pandas", "A file of rows", "pandas") from error
    return pandas
