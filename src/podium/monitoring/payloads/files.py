"""The payload log's files: JSON lines, one folder for each endpoint, one file a day or a size; Parquet once it is full.

    PODIUM_HOME/payloads/MODEL/2026-03-01.jsonl            what is written now
    PODIUM_HOME/payloads/MODEL/2026-03-01-0001.jsonl       what was full before, or .parquet
    PODIUM_HOME/payloads/.lock                             held by whoever writes, removes or erases

Rows are written with the next flush, so that what a killed exporter loses is what it had in hand. What is older than it
may be, or more, goes, the oldest first.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from podium.monitoring.payloads.rows import PayloadRow

_FILE_BYTES = 64 << 20
_TIDY_S = 60.0
_LOCKED_S, _LOOK_S = 10.0, 0.01
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:-(\d{4,}))?\.(jsonl|parquet)")
_UNSAFE = re.compile(r"[^\w.\-]")
UNROUTED = "_none"
_log = logging.getLogger("podium.exporter")
_encoder = msgspec.json.Encoder()


class PayloadFiles:
    """Writes rows. One thread of one process writes a folder at a time.

    Args:
        folder: Where the endpoints' folders are.
        is_parquet: Whether a file that is full becomes Parquet.
        keep_days: Days after which a file goes.
        most_bytes: Of all files.
        file_bytes: A file that has grown to this is full.
    """

    def __init__(
        self, folder: Path, is_parquet: bool, keep_days: int, most_bytes: int, file_bytes: int = _FILE_BYTES
    ) -> None:
        self._folder = folder
        self._is_parquet = is_parquet
        self._keep_days = keep_days
        self._most_bytes = most_bytes
        self._file_bytes = file_bytes
        self._tidied = 0.0

    def write(self, rows: Sequence[PayloadRow]) -> None:
        """Append rows to the files of their endpoints and days.

        Raises:
            OSError: The disk takes nothing, or somebody else holds the folder for too long.
        """
        lines: dict[tuple[str, str], list[PayloadRow]] = {}
        for row in rows:
            lines.setdefault((safe_folder(row.model), row.date), []).append(row)
        with locked(self._folder):
            for (model, date), some in lines.items():
                path = self._folder / model / f"{date}.jsonl"
                _append(path, _encoder.encode_lines(some))
                if path.stat().st_size >= self._file_bytes:
                    self._put_aside(path)

    def tidy(self, now: datetime) -> None:
        """Put aside what is of yesterday, and remove what is too old or too much. Once a minute; else nothing happens.

        Raises:
            OSError: As `write`.
        """
        if time.monotonic() - self._tidied < _TIDY_S and self._tidied:
            return
        self._tidied = time.monotonic()
        with locked(self._folder):
            sweep(self._folder)
            today = now.astimezone(UTC).date()
            for path in files_of(self._folder):
                found = _DAY.fullmatch(path.name)
                if found and found[2] is None and found[3] == "jsonl" and found[1] < today.isoformat():
                    self._put_aside(path)
            first = (today - timedelta(days=self._keep_days)).isoformat()
            kept = []
            for path in files_of(self._folder):
                if path.name[:10] < first:
                    path.unlink(missing_ok=True)
                else:
                    kept.append((path.name[:10], path.stat().st_mtime, path.stat().st_size, path))
            over = sum(size for _, _, size, _ in kept) - self._most_bytes
            for _, _, size, path in sorted(kept):
                if over <= 0:
                    return
                path.unlink(missing_ok=True)
                over -= size

    def _put_aside(self, path: Path) -> None:
        """Give a file that is full another name, and another form where that is wanted."""
        stem = path.name.removesuffix(".jsonl")
        others = filter(None, (_DAY.fullmatch(each.name) for each in path.parent.iterdir()))
        taken = [int(found[2]) for found in others if found[1] == stem and found[2]]
        full = path.with_name(f"{stem}-{max(taken, default=0) + 1:04d}.jsonl")
        path.rename(full)
        if self._is_parquet:
            from podium.monitoring.payloads.tables import to_parquet  # noqa: PLC0415 - nobody else needs the library

            try:
                to_parquet(full)
            except ValueError as error:
                # Half a line of an exporter that was killed: the lines stay what they are.
                _log.warning("%s stays JSON lines: %s", full, error)


def safe_folder(model: str) -> str:
    """An endpoint's folder; requests for none have one, too."""
    return _UNSAFE.sub("_", model).lstrip(".")[:100] or UNROUTED


def files_of(folder: Path) -> list[Path]:
    """All files of the log, oldest first."""
    found = []
    for path in folder.glob("*/*"):
        if _DAY.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):  # put aside or removed meanwhile
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    found.append((path.name[:10], status.st_mtime, path.name, path))
    return [path for *_, path in sorted(found)]


def sweep(folder: Path) -> None:
    """Remove what somebody who was killed had begun to write; whoever holds the folder is the only one who writes."""
    for path in folder.glob("*/.*"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep others from writing, removing and erasing meanwhile.

    Raises:
        OSError: The folder cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        ends = time.monotonic() + _LOCKED_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > ends:
                    raise TimeoutError(errno.ETIMEDOUT, f"somebody else has held it for {_LOCKED_S:g} s") from None
                time.sleep(_LOOK_S)
        yield
    finally:
        os.close(lock)


def _append(path: Path, content: bytes) -> None:
    """All of it or, where the disk is full, nothing; half a line of one who was killed is a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            content = b"\n" + content
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(file, view) :]
        except OSError:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)
