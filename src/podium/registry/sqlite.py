"""The embedded registry: one SQLite file, shared by any number of processes on one machine.

One connection for each transaction: nothing is held in between, so that the file can be moved, threads and forks need no
care, and SQLite's `-wal` file is folded in as soon as nobody is at work.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from podium.errors import NotFound, RegistryBusy, RegistryError
from podium.registry.contract import Reader, RegistryStore, Writer
from podium.registry.migrations import MIGRATIONS, SCHEMA
from podium.registry.snapshot import damaged, explain
from podium.registry.tables import Tables, read_meta
from podium.registry.writer import TableWriter
from podium.settings.databases import connected, transaction

_CREATE_TIMEOUT_S = 10.0


def system_clock_ms() -> int:
    """Milliseconds of the Unix epoch."""
    return time.time_ns() // 1_000_000


class SqliteStore(RegistryStore):
    """A `RegistryStore` in one file (0600), which the first write makes.

    Args:
        path: The file.
        actor: Who makes the changes, for the record.
        clock_ms: Milliseconds of the Unix epoch.
        busy_timeout_s: How long a transaction waits for other processes before it is `RegistryBusy`.
    """

    def __init__(
        self, path: Path, actor: str, clock_ms: Callable[[], int] = system_clock_ms, busy_timeout_s: float = 10.0
    ) -> None:
        self.path = path
        self._actor = actor
        self._clock_ms = clock_ms
        self._busy_timeout_s = busy_timeout_s

    @property
    def place(self) -> str:
        return str(self.path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        if not self.path.exists():
            with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
                _migrate(empty, 0)
                yield Tables(empty, SCHEMA)
            return
        with self._explaining(), self._connected() as connection:
            connection.execute("BEGIN")
            _, schema = read_meta(connection, str(self.path))
            yield Tables(connection, schema)

    @contextlib.contextmanager
    def writing(self, *, may_create: bool = False) -> Iterator[Writer]:
        with self._explaining():
            if not self.path.exists():
                if not may_create:
                    raise NotFound(
                        "Nothing is registered here yet. Run: podium models register DIR NAME",
                        [f"{self.path}: there is no registry (set PODIUM_HOME to look elsewhere)"],
                    )
                create(self.path)
            with self._connected() as connection, transaction(connection):
                _, schema = read_meta(connection, str(self.path))
                _migrate(connection, schema)
                yield TableWriter(connection, self._actor, self._clock_ms())

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        # mode=rw: a file that was moved away meanwhile is an error, not a new empty database.
        with connected(self.path, "mode=rw", self._busy_timeout_s) as connection:
            # What was answered as done survives a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            yield connection

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise damaged(self.path, error) from error


def create(path: Path) -> None:
    """Make an empty registry, whole or not at all; one that is there already is left alone.

    It is made under another name and renamed, so that no process ever sees a half-made one. Meanwhile the folder is
    locked: two that create it at once agree on one, and drafts that are there were left by somebody who was killed.
    """
    try:
        with _locked(path.parent):
            if path.exists():
                return
            for draft in path.parent.glob(f".{path.name}.draft*"):
                draft.unlink()
            draft = path.with_name(f".{path.name}.draft")
            os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                with transaction(connection):
                    _migrate(connection, 0)
            draft.rename(path)
    except OSError as error:
        raise RegistryError(f"{path} cannot be made: {error.strerror}.") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    deadline = time.monotonic() + _CREATE_TIMEOUT_S
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RegistryBusy(f"{folder} is locked by another process that makes a registry there.") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _migrate(connection: sqlite3.Connection, schema: int) -> None:
    """Take the steps from a schema to the newest, in the transaction that is open."""
    for statements in MIGRATIONS[schema:]:
        for statement in statements:
            connection.execute(statement)
    if schema == 0:
        connection.execute("INSERT INTO meta VALUES ('registry_id', ?)", [uuid.uuid4().hex])
    if schema < SCHEMA:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", [str(SCHEMA)])
