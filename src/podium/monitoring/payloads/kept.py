"""What the payload log holds: found by request id, and erased by it or by whose data it is."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from podium.errors import MissingDependency, PodiumError
from podium.monitoring.payloads.files import files_of, locked, sweep
from podium.monitoring.payloads.rows import PayloadRow
from podium.settings.whole_files import write_whole

T = TypeVar("T")

_decoder = msgspec.json.Decoder(PayloadRow)
_BEGINNING = b'{"request_id":"'


class DamagedLog(PodiumError):
    """A file of the payload log cannot be read."""

    code = "DAMAGED_LOG"


def find(folder: Path, request_id: str) -> list[PayloadRow]:
    """The rows of a request, newest first: a client may have used an id more than once.

    Raises:
        DamagedLog: A file cannot be read.
        MissingDependency: There are Parquet files, and nothing reads them.
    """
    found = _read(folder, lambda path: _rows_of(path, request_id))
    found.reverse()
    return sorted(found, key=lambda row: row.request_time, reverse=True)


def requests_about(folder: Path, subject: str) -> set[str]:
    """Ids of the requests of which a row is about somebody, by the digest of who that is.

    Raises:
        DamagedLog, MissingDependency: As `find`.
    """

    def of_whom(path: Path) -> list[str]:
        return [row.request_id for row in _rows_of(path, None, []) if subject in row.subjects]

    return set(_read(folder, of_whom))


def erase(folder: Path, is_meant: Callable[[PayloadRow], bool]) -> int:
    """Remove rows for good; how many. The files are rewritten whole, and a server may go on writing.

    Half a line that somebody who was killed had written goes, too: nobody can say any more whose data is in it.

    Raises:
        DamagedLog: A file cannot be read or written; what was erased before stays erased.
        MissingDependency: As `find`.
    """
    if not folder.is_dir():
        return 0
    erased = 0
    with locked(folder):
        sweep(folder)
        for path in files_of(folder):
            torn: list[bytes] = []
            rows = _rows_of(path, None, torn)
            kept = [row for row in rows if not is_meant(row)]
            if len(kept) == len(rows) and not torn:
                continue
            try:
                _rewrite(path, kept)
            except OSError as error:
                raise DamagedLog(f"{path}: it cannot be rewritten: {error.strerror}. Nothing of it was erased.") from error
            erased += len(rows) - len(kept)
    return erased


def _read(folder: Path, what_in: Callable[[Path], list[T]]) -> list[T]:
    """What is found in each file, the oldest first.

    Where an exporter puts one aside meanwhile, its rows may be met in neither place, or in both: nobody else writes then
    while it is looked at again.
    """
    if not folder.is_dir():
        return []
    files = files_of(folder)
    found = _in_all(files, what_in)
    if files != files_of(folder):
        with suppress(OSError), locked(folder):  # else this user may only read, or somebody holds it for very long
            found = _in_all(files_of(folder), what_in)
    return found


def _in_all(files: Sequence[Path], what_in: Callable[[Path], list[T]]) -> list[T]:
    found: list[T] = []
    for path in files:
        if path.suffix != ".parquet" and path.with_suffix(".parquet") in files:
            continue  # the lines that became that file, and go
        with suppress(FileNotFoundError):
            found += what_in(path)
    return found


def _rewrite(path: Path, rows: list[PayloadRow]) -> None:
    if not rows:
        path.unlink()
    elif path.suffix == ".parquet":
        from podium.monitoring.payloads.tables import rewrite  # noqa: PLC0415 - as in _rows_of

        rewrite(path, rows)
    else:
        write_whole(path, msgspec.json.Encoder().encode_lines(rows), 0o600)


def _rows_of(path: Path, request_id: str | None, torn: list[bytes] | None = None) -> list[PayloadRow]:
    """The rows of a file; the beginnings of lines that never came whole are put into `torn`, and without it refused."""
    try:
        if path.suffix == ".parquet":
            try:
                from podium.monitoring.payloads.tables import rows_in  # noqa: PLC0415 - needed where there are such files
            except ImportError as error:
                raise MissingDependency("pyarrow", f"{path} is Parquet", "parquet") from error
            return rows_in(path, request_id)
        return _lines(path, request_id, torn)
    except (msgspec.MsgspecError, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DamagedLog(f"{path}: it is no file of the payload log any more: {error}") from error


def _lines(path: Path, request_id: str | None, torn: list[bytes] | None) -> list[PayloadRow]:
    mark = None if request_id is None else msgspec.json.encode(request_id)
    found = []
    with path.open("rb") as lines:
        for line in lines:
            if mark is None or mark in line:
                try:
                    row = _decoder.decode(line)
                except msgspec.DecodeError as error:
                    # A line that is whole, and of columns that are not known here, is not ours to drop.
                    is_whole = isinstance(error, msgspec.ValidationError)
                    if torn is None or is_whole or not line.startswith(_BEGINNING):
                        raise
                    torn.append(line)
                    continue
                if request_id is None or row.request_id == request_id:
                    found.append(row)
    return found
