"""SQLite files of podium's: opened by path without ever making one by mistake, and what went wrong in few words."""

import contextlib
import sqlite3
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from urllib.parse import quote


class DatabaseFailure(Enum):
    """Why a database could not be used."""

    BUSY = auto()
    UNREADABLE = auto()
    READ_ONLY = auto()
    FULL = auto()
    DAMAGED = auto()
    OTHER = auto()


_FAILURES = {
    sqlite3.SQLITE_BUSY: DatabaseFailure.BUSY,
    sqlite3.SQLITE_LOCKED: DatabaseFailure.BUSY,
    sqlite3.SQLITE_CANTOPEN: DatabaseFailure.UNREADABLE,
    sqlite3.SQLITE_PERM: DatabaseFailure.UNREADABLE,
    sqlite3.SQLITE_AUTH: DatabaseFailure.UNREADABLE,
    sqlite3.SQLITE_READONLY: DatabaseFailure.READ_ONLY,
    sqlite3.SQLITE_FULL: DatabaseFailure.FULL,
    sqlite3.SQLITE_CORRUPT: DatabaseFailure.DAMAGED,
    sqlite3.SQLITE_NOTADB: DatabaseFailure.DAMAGED,
}


def failure_of(error: sqlite3.Error) -> DatabaseFailure:
    """What SQLite's error means; extended codes count as the one that they extend."""
    code = getattr(error, "sqlite_errorcode", None)
    return _FAILURES.get(code & 0xFF, DatabaseFailure.OTHER) if isinstance(code, int) else DatabaseFailure.OTHER


@contextlib.contextmanager
def connected(path: Path, mode: str, timeout_s: float) -> Iterator[sqlite3.Connection]:
    """A connection that begins its transactions itself, closed in the end.

    Args:
        path: The file.
        mode: The address' parameters: `mode=rw` makes no file, `mode=ro` writes none, `mode=ro&immutable=1` makes none
            beside it either, and is right only while nobody writes.
        timeout_s: How long each statement waits for other processes.
    """
    address = f"file:{quote(str(path))}?{mode}"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=timeout_s, isolation_level=None)) as connection:
        yield connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """What is done in it is kept as a whole if nothing is raised, else undone."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # What was raised is told, also where there is nothing left to undo.
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
