"""The access log: one JSON line for each scoring request, in a file that rotates. No payload, no header but the request id.

Lines are gathered in memory and written by a thread a few times a second, each time with one O_APPEND write, so several
gateways share one file. Whoever finds it full takes a lock and renames it; the others notice the new file by its inode.
When the disk does not keep up, lines are dropped and counted: the log never holds a request up. A gateway that is killed
loses its last half second.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import msgspec

_PENDING_LINES = 100_000
_encoder = msgspec.json.Encoder()


class AccessEntry(msgspec.Struct, frozen=True, gc=False):
    """One request. Durations in milliseconds; what is unknown is None and left to the reader as null."""

    time: datetime
    request_id: str
    client: str
    method: str
    path: str
    status: int
    bytes_in: int
    bytes_out: int
    duration_ms: float
    queue_ms: float | None = None
    predict_ms: float | None = None
    rows: int | None = None
    batch_rows: int | None = None
    model: str | None = None
    version: str | None = None
    attempts: int = 0
    error: str | None = None
    principal: str | None = None


class AccessLog:
    """Takes entries on the event loop and writes them in a thread of its own.

    Args:
        path: The file; `path.1` is the newest of the older ones.
        max_bytes: A file that has grown to this is put aside.
        keep: How many older ones stay.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._pending: list[AccessEntry] = []
        self._thread = ThreadPoolExecutor(1, "podium-access-log")
        self._writing: Future[None] | None = None
        self._file = -1
        self._problem: str | None = None
        self.dropped = 0
        self.add: Callable[[AccessEntry], None] = self._add

    @property
    def problem(self) -> str | None:
        """Why the last write failed; None when it did not."""
        return self._problem

    def flush(self) -> None:
        """Hand what was gathered to the thread, unless it is still busy. Never waits."""
        if self._pending and (self._writing is None or self._writing.done()):
            entries, self._pending = self._pending, []
            self._writing = self._thread.submit(self._write, entries)

    def close(self, limit_s: float = 2.0) -> None:
        """Write the rest and stop the thread, waiting at most `limit_s`."""
        with contextlib.suppress(TimeoutError):
            if self._writing is not None:
                self._writing.result(limit_s)
            self.flush()
            if self._writing is not None:
                self._writing.result(limit_s)
        self._thread.shutdown(wait=False)
        if self._file >= 0 and (self._writing is None or self._writing.done()):
            os.close(self._file)
            self._file = -1

    def _add(self, entry: AccessEntry) -> None:
        if len(self._pending) >= _PENDING_LINES:
            self.dropped += 1
        else:
            self._pending.append(entry)

    # ── in the thread

    def _write(self, entries: list[AccessEntry]) -> None:
        data = memoryview(_encoder.encode_lines(entries))
        try:
            self._open()
            while data:
                data = data[os.write(self._file, data) :]
            self._rotate()
        except OSError as error:
            self.dropped += len(entries)
            self._problem = f"{self._path}: {error.strerror}"
        else:
            self._problem = None

    def _open(self) -> None:
        """Open the file that has the name now: another gateway may have put ours aside."""
        if self._file >= 0:
            if self._is_ours():
                return
            os.close(self._file)
            self._file = -1
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _is_ours(self) -> bool:
        """Whether our file still has the name; there may be none while another gateway puts it aside."""
        with contextlib.suppress(FileNotFoundError):
            return os.stat(self._path).st_ino == os.fstat(self._file).st_ino
        return False

    def _rotate(self) -> None:
        if os.fstat(self._file).st_size < self._max_bytes:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another gateway is at it
        try:
            if self._is_ours():
                for number in range(self._keep - 1, 0, -1):
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
                if self._keep:
                    os.replace(self._path, f"{self._path}.1")
                else:
                    os.unlink(self._path)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
