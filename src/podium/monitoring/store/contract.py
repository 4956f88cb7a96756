"""What a history is to whoever reads and writes it: SQLite's file (`database.py`) or PostgreSQL (`postgresql.py`).

SQL is written once, as SQLite understands it, and so that `dialect.py` can say it to PostgreSQL: values stand for `?` or
for `?1`, not both in one statement; rows that replace others go through `put`; what a conflict leaves is named with its
table; of functions only those are used that both have (no `max(a, b)` of one row, no `rowid`).
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol


class ResultRows(Protocol):
    """What a statement found."""

    def fetchone(self) -> Any:
        """The next row; None where there is none."""

    def fetchall(self) -> list[Any]:
        """All that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class StoreConnection(Protocol):
    """One transaction, or one view."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> ResultRows:
        """Run one statement."""

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> object:
        """Run one for each row of values."""


class MonitorHistory(Protocol):
    """Where the monitor keeps what it counted and found. From any thread.

    Attributes:
        place: What people call it, without a secret.
        is_shared: Whether servers of several machines write it: one that cannot does not know whether another can.
    """

    @property
    def place(self) -> str: ...

    @property
    def is_shared(self) -> bool: ...

    def writing(self) -> contextlib.AbstractContextManager[StoreConnection]:
        """One transaction that is kept if nothing is raised, alone among those that write.

        Raises:
            MonitorStoreError: It cannot be written.
        """

    def size_bytes(self) -> int:
        """What it takes on disk; 0 where it is not known.

        Raises:
            MonitorStoreError: It cannot be asked.
        """

    def reading(self) -> contextlib.AbstractContextManager[StoreConnection]:
        """One consistent view.

        Raises:
            NotFound: Nothing was written yet.
            MonitorStoreError: It cannot be read.
        """


@cache
def put(table: str, keys: str, columns: str = "") -> str:
    """A statement that writes a row, in place of the one with the same keys.

    Args:
        table: Which.
        keys: Its primary key, as it stands in the table: these come first.
        columns: All others, in the table's order; names that mean something else to SQL stand in double quotes.
    """
    key, others = keys.split(), columns.split()
    marks = ", ".join("?" * (len(key) + len(others)))
    kept = ", ".join(f"{name} = excluded.{name}" for name in others)
    then = f"UPDATE SET {kept}" if kept else "NOTHING"
    names = ", ".join([*key, *others])
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({', '.join(key)}) DO {then}"  # noqa: S608
