"""A connection to PostgreSQL of which every wait has an end, whatever the server and the network in between do.

libpq's own timeouts bound neither a server that was stopped nor a network that swallows answers, so that its connection is
driven without blocking, and waited for here. One thread at a time uses it.
"""

import select
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from podium.monitoring.store.dialect import batches, translated, values_for

_NUMERIC, _BYTEA = 1700, 17
_AT_ONCE = 200


class Late(Exception):
    """The server did not answer in time; the connection is of no use any more."""


class TimedConnection:
    """Speaks SQLite's SQL to PostgreSQL.

    Args:
        parameters: libpq's, as `psycopg2.connect` takes them.
        timeout_s: For connecting; for each answer twice that, as the server gives up by itself before, and says on what.

    Raises:
        Late: Also from each method.
        psycopg2.Error: As the driver raises it; also from each method.
    """

    def __init__(self, parameters: dict[str, Any], timeout_s: float) -> None:
        import psycopg2
        from psycopg2 import extensions

        self._extensions = extensions
        self._timeout_s = timeout_s
        self._ends = time.monotonic() + timeout_s
        self._raw = psycopg2.connect(**parameters, async_=1)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise
        # Sums of whole numbers are whole numbers, and bytes are bytes, as from SQLite.
        for made in (
            extensions.new_type((_NUMERIC,), "podium number", _number),
            extensions.new_type((_BYTEA,), "podium bytes", _bytes),
        ):
            extensions.register_type(made, self._raw)

    @property
    def encoding(self) -> str:
        """What the database's texts are written in."""
        return str(self._raw.get_parameter_status("server_encoding"))

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> "FoundRows":
        """As `StoreConnection.execute`."""
        if not values:
            return self.send(statement)
        text = translated(statement)
        return self.send(text, values_for(text, values))

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> None:
        """As `StoreConnection.executemany`; many of them travel in one message."""
        text = translated(statement)
        for bundle in batches(rows, _AT_ONCE):
            with self._raw.cursor() as cursor:
                texts = [cursor.mogrify(text, values_for(text, row)) for row in bundle]
            self.send(b";".join(texts))

    def send(self, text: str | bytes, values: dict[str, Any] | list[Any] | None = None) -> "FoundRows":
        """Run one message in PostgreSQL's own words."""
        self._ends = time.monotonic() + 2 * self._timeout_s
        with self._raw.cursor() as cursor:
            cursor.execute(text, values)
            self._wait()
            return FoundRows(cursor.fetchall() if cursor.description is not None else [])

    def close(self) -> None:
        """Let go of it; a transaction that was begun is undone by the server."""
        self._raw.close()

    def _wait(self) -> None:
        states = self._extensions
        while (state := self._raw.poll()) != states.POLL_OK:
            left_s = self._ends - time.monotonic()
            poll = select.poll()
            poll.register(self._raw.fileno(), select.POLLIN if state == states.POLL_READ else select.POLLOUT)
            if left_s <= 0 or not poll.poll(1000 * left_s):
                self.close()
                raise Late


class FoundRows:
    """What a statement found; all of it is here."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


def _number(text: str | None, _cursor: Any) -> int | float | None:
    if text is None:
        return None
    return float(text) if set(text) & set(".eEnN") else int(text)


def _bytes(text: str | None, cursor: Any) -> bytes | None:
    import psycopg2

    return None if text is None else bytes(psycopg2.BINARY(text, cursor))
