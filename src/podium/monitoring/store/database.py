"""The monitor's database file: opened for each transaction, made by the first write, read without leaving a trace.

Nothing is held between transactions, so that the file can be moved, copied or removed at any time; what is missing then is
a gap and no error. One process writes (the monitor; commands for a moment), anyone reads.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from podium.errors import MonitorStoreBusy, MonitorStoreError, NotFound
from podium.monitoring.store.migrations import MIGRATIONS
from podium.settings.databases import DatabaseFailure, connected, failure_of, transaction

_LEAST_BYTES = 64 * 1024


class MonitorStore:
    """A `contract.MonitorHistory` in one SQLite file (0600).

    Args:
        path: The file; its folder must be there.
        busy_timeout_s: How long a transaction waits for other processes before it is `MonitorStoreBusy`.
    """

    is_shared = False

    def __init__(self, path: Path, busy_timeout_s: float = 2.0) -> None:
        self.path = path
        self.place = str(path)
        self._busy_timeout_s = busy_timeout_s

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that is kept if nothing is raised. The file is made, and brought to the newest schema.

        Raises:
            MonitorStoreError: It cannot be written: locked, damaged, the disk is full, or a newer podium wrote it.
        """
        with self._explaining():
            self._make()
            with connected(self.path, "mode=rw", self._busy_timeout_s) as connection:
                # What the last transactions wrote may be lost in a power cut, never the rest: counters are read again.
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA journal_mode = WAL")
                with transaction(connection):
                    _migrate(connection, self._schema(connection))
                    yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view; nothing is written, and nothing stays beside the file that was not there.

        Raises:
            NotFound: Nothing was written yet.
            MonitorStoreError: It cannot be read.
        """
        with self._explaining():
            if not self.path.exists():
                raise self._nothing()
            with self._viewed() as connection:
                schema = self._schema(connection)
                if schema == 0:
                    raise self._nothing()
                if schema < len(MIGRATIONS):
                    raise MonitorStoreError(
                        f"{self.path} has schema {schema}, written by an older podium; this one reads {len(MIGRATIONS)}. "
                        "It is brought to that by the next `podium serve` in this home."
                    )
                yield connection

    def size_bytes(self) -> int:
        size = 0
        for part in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            # It goes with whoever closes last, at any moment.
            with contextlib.suppress(FileNotFoundError):
                size += part.stat().st_size
        return size

    @contextlib.contextmanager
    def _viewed(self) -> Iterator[sqlite3.Connection]:
        """Whoever may write takes part in SQLite's locks: a writer that comes later leaves the view as it is.

        Files beside are made for that, and go with whoever closes last. Who can make none, or not take away what it made,
        has nothing but that the file is complete by itself while no writer is there.
        """
        with contextlib.ExitStack() as stack:
            yield self._locked_view(stack) or self._bare_view(stack)

    def _locked_view(self, stack: contextlib.ExitStack) -> sqlite3.Connection | None:
        may_write = all(os.access(each, os.W_OK, effective_ids=True) for each in (self.path, self.path.parent))
        if not may_write or self._is_disk_full():
            return None
        connection = stack.enter_context(connected(self.path, "mode=rw", self._busy_timeout_s))
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            if failure_of(error) in {DatabaseFailure.BUSY, DatabaseFailure.DAMAGED}:
                raise
            stack.close()  # no room for files beside it
            return None
        return connection

    def _bare_view(self, stack: contextlib.ExitStack) -> sqlite3.Connection:
        is_alone = not self.path.with_name(self.path.name + "-wal").exists()
        mode = "mode=ro&immutable=1" if is_alone else "mode=ro"
        connection = stack.enter_context(connected(self.path, mode, self._busy_timeout_s))
        connection.execute("BEGIN")
        return connection

    def _nothing(self) -> NotFound:
        return NotFound(
            "No server has watched a model here yet. `podium serve` does, unless it is told not to.",
            [f"{self.path}: nothing was written (set PODIUM_HOME to look elsewhere)"],
        )

    def _make(self) -> None:
        if not self.path.exists():
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def _schema(self, connection: sqlite3.Connection) -> int:
        schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if schema > len(MIGRATIONS):
            raise MonitorStoreError(
                f"{self.path} has schema {schema}, and this podium knows {len(MIGRATIONS)}: a newer podium wrote it. "
                "Use that one, or move the file away; a new one is made then."
            )
        return schema

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explained(error) from error
        except OSError as error:
            raise MonitorStoreError(f"{self.path} cannot be made: {error.strerror}.") from error

    def _explained(self, error: sqlite3.Error) -> MonitorStoreError:
        match failure_of(error):
            case DatabaseFailure.BUSY:
                return MonitorStoreBusy(
                    f"{self.path} is locked: another process is writing and did not finish within "
                    f"{self._busy_timeout_s:g} s. Try again."
                )
            case DatabaseFailure.UNREADABLE:
                return MonitorStoreError(f"{self.path} cannot be opened: it is gone, or this user may not read it.")
            case DatabaseFailure.READ_ONLY:
                return MonitorStoreError(f"{self.path} cannot be written: this user may only read it.")
            case DatabaseFailure.FULL:
                return MonitorStoreError(f"{self.path}: the disk is full; nothing was written.")
            case DatabaseFailure.DAMAGED:
                return MonitorStoreError(
                    f"{self.path} is damaged or no database ({error}). Move it away; a new one is made, and its history "
                    "begins anew."
                )
            case DatabaseFailure.OTHER if self._is_disk_full():
                # Where SQLite finds no room for a file beside, it says no more than that writing failed.
                return MonitorStoreError(f"{self.path}: the disk is full; nothing was written.")
            case DatabaseFailure.OTHER:
                return MonitorStoreError(f"{self.path}: the database failed: {error}.")

    def _is_disk_full(self) -> bool:
        with contextlib.suppress(OSError):
            disk = os.statvfs(self.path.parent)
            return disk.f_bavail * disk.f_frsize < _LEAST_BYTES
        return False


def _migrate(connection: sqlite3.Connection, schema: int) -> None:
    for statements in MIGRATIONS[schema:]:
        for statement in statements:
            connection.execute(statement)
    if schema < len(MIGRATIONS):
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
