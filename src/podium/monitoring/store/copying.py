"""A home's history copied into the database that servers are to share: all of it or nothing, counted on both sides."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from podium.errors import AlreadyExists, MonitorStoreError, Unavailable
from podium.monitoring.store.contract import MonitorHistory, StoreConnection
from podium.monitoring.store.database import MonitorStore

COPIED = (
    "served",
    "profiles",
    "servers",
    "watched",
    "traffic",
    "windows",
    "findings",
    "standing",
    "alerts",
    "alert_book",
    "alert_events",
    "silences",
    "deliveries",
    "waiting_versions",
    "predictions",
    "parked_labels",
    "quality",
    "quality_tasks",
)
LEFT = ("readings", "leases", "server_values")
"""What belongs to servers that live: how far their counters were read, who of them tells, what they know."""

_NUMBERED = {"alert_events": "number"}
"""A key that the database gives itself; the order is kept."""
_SUMS = {
    "watched": ("watched_s",),
    "traffic": ("requests", "server_errors", "rows", "duration_us"),
    "windows": ("rows", "dropped", "late_rows"),
    "findings": ("rows",),
    "predictions": ("rows",),
}
_PORTION_BYTES = 4 << 20
_THERE_S = 90.0


def copy_history(source: MonitorStore, target: MonitorHistory, now: float) -> dict[str, int]:
    """Copy what a file holds, in one transaction. The file stays as it is.

    Args:
        source: Of no server that runs.
        target: Empty.
        now: Wall clock, seconds since 1970.

    Returns: How many rows each table has.

    Raises:
        Unavailable: A server writes to the file.
        AlreadyExists: The target holds a history.
        NotFound: The file holds none.
        MonitorStoreError: One of them cannot be used, or the target did not take what it was given.
    """
    with source.reading() as ours:
        (heard,) = ours.execute("SELECT max(at) FROM server_values").fetchone()
        if heard is not None and now - heard < _THERE_S:
            raise Unavailable(
                f"A server writes to {source.place}, or was killed a moment ago: stop it (podium stop), or wait for "
                f"{_THERE_S:g} s. What it counts from now on would be left behind."
            )
        with target.writing() as theirs:
            full = [table for table in COPIED if theirs.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()]  # noqa: S608
            if full:
                raise AlreadyExists(
                    f"{target.place} holds a history already ({', '.join(full[:3])}), and two cannot be put together. Copy "
                    "before servers keep theirs there, or into another database."
                )
            for table in COPIED:
                _copy(ours, theirs, table)
            return {table: _compared(ours, theirs, table, target.place) for table in COPIED}


def _copy(ours: StoreConnection, theirs: StoreConnection, table: str) -> None:
    key = _NUMBERED.get(table)
    names = [name for (name,) in ours.execute("SELECT name FROM pragma_table_info(?)", [table]) if name != key]
    columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    order = "" if key is None else f" ORDER BY {key}"
    rows = ours.execute(f"SELECT {columns} FROM {table}{order}")  # noqa: S608
    for portion in _portions(rows):
        theirs.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", portion)  # noqa: S608


def _portions(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """So much at once as is quickly sent: a row may be long."""
    found: list[Sequence[Any]] = []
    size = 0
    for row in rows:
        found.append(row)
        size += 64 + sum(len(value) for value in row if isinstance(value, str | bytes))
        if size >= _PORTION_BYTES:
            yield found
            found, size = [], 0
    if found:
        yield found


def _compared(ours: StoreConnection, theirs: StoreConnection, table: str, place: str) -> int:
    sums = "".join(f", coalesce(sum({column}), 0)" for column in _SUMS.get(table, ()))
    asked = f"SELECT count(*){sums} FROM {table}"  # noqa: S608
    there, here = (tuple(map(int, each.execute(asked).fetchone())) for each in (theirs, ours))
    if there != here:
        raise MonitorStoreError(f"{place} has {there} of {table} where {here} were copied; nothing was kept.")
    return here[0]
