"""The monitor's history in PostgreSQL, for a team whose servers share it: the same tables, the same SQL, the same laws.

Its tables stand in a schema of their own, `podium_monitor`, so that a database may be shared with others. Who writes holds
one lock, as who writes to SQLite does: additions never overlap, and of two servers that begin at once one makes the tables.
A transaction leaves nothing set on its connection, so that a pooler may stand in between.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from podium.domain.masking import masked
from podium.errors import (
    Misconfigured,
    MissingDependency,
    MonitorStoreBusy,
    MonitorStoreDown,
    MonitorStoreError,
    NotFound,
)
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.deadlines import Late, TimedConnection
from podium.monitoring.store.dialect import translated_table
from podium.monitoring.store.migrations import MIGRATIONS

SCHEMA = "podium_monitor"
# A password that holds one of these marks unescaped could be taken for a host, and be shown in an error.
_ADDRESS = re.compile(r"postgres(?:ql)?(?:\+psycopg2)?://(?:[^/?#@]*@)?[^@]*")
_LOCK = 0x706F6469756D
_STILL_S = 60.0
_SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0) FROM pg_class "
    "JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = ? AND relkind = 'r'"
)
_BUSY = {"55P03", "57014", "40001", "40P01"}
_NO_RIGHT = {"42501", "25006"}
_FULL = {"53100"}
_DOWN = re.compile(r"08|53|57P")


class PostgresqlHistory:
    """A `contract.MonitorHistory` in a PostgreSQL database.

    Args:
        address: `postgresql://USER@HOST/DATABASE` with libpq's parameters; a password better in a passfile or PGPASSWORD.
        timeout_s: For a connection, for whoever else writes, and for each answer.
        most: Connections at a time; whoever needs another waits for one.
        clock: Seconds that only grow.

    Raises:
        Misconfigured: It is no such address.
        MissingDependency: The driver is not installed.
    """

    is_shared = True

    def __init__(
        self, address: str, timeout_s: float = 5.0, most: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.place = masked(address)
        try:
            import psycopg2
        except ImportError as error:
            raise MissingDependency("psycopg2", f"The monitor store {self.place}", "sql") from error
        self._driver = psycopg2
        self._clock = clock
        self._timeout_s = timeout_s
        self._parameters = self._read(address)
        self._free = threading.Semaphore(most)
        self._idle: list[tuple[float, TimedConnection]] = []
        self._down: tuple[float, str] | None = None

    @contextlib.contextmanager
    def writing(self) -> Iterator[StoreConnection]:
        with self._transaction("BEGIN") as connection:
            connection.send(f"SELECT pg_advisory_xact_lock({_LOCK})")
            self._migrate(connection, self._schema(connection))
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[StoreConnection]:
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as connection:
            schema = self._schema(connection)
            if schema == 0:
                raise NotFound(
                    "No server has watched a model here yet. `podium serve --monitor-store` does, with this address.",
                    [f"{self.place}: nothing was written"],
                )
            if schema < len(MIGRATIONS):
                raise MonitorStoreError(
                    f"{self.place} has schema {schema}, written by an older podium; this one reads {len(MIGRATIONS)}. "
                    "It is brought to that by the next `podium serve` that writes to it."
                )
            yield connection

    def size_bytes(self) -> int:
        with self._transaction("BEGIN READ ONLY") as connection:
            return int(connection.execute(_SIZE, [SCHEMA]).fetchone()[0])

    def close(self) -> None:
        """Let go of connections that nobody uses."""
        while (found := self._left_open()) is not None:
            found[1].close()

    # ── transactions

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[TimedConnection]:
        if not self._free.acquire(timeout=self._timeout_s):
            raise MonitorStoreBusy(f"{self.place}: this process uses all its connections. Try again.")
        try:
            with self._explaining():
                connection = self._begun(begin)
                try:
                    yield connection
                    connection.send("COMMIT")
                except BaseException:
                    self._undo(connection)
                    raise
                self._idle.append((self._clock(), connection))
        finally:
            self._free.release()

    def _begun(self, begin: str) -> TimedConnection:
        """A connection with a transaction. One that was left open is tried first; a server may have ended it meanwhile."""
        words = f"{begin}; {_limits(self._timeout_s)}"
        while (found := self._left_open()) is not None:
            used_at, known = found
            with contextlib.suppress(self._driver.Error, Late):
                if self._clock() - used_at < _STILL_S:
                    known.send(words)
                    return known
            known.close()
        now = self._clock()
        if self._down is not None and now < self._down[0]:
            # Whoever asks many times in a row does not wait each time.
            raise MonitorStoreDown(self._down[1])
        try:
            made = TimedConnection(self._parameters, self._timeout_s)
            if made.encoding != "UTF8":
                made.close()
                raise MonitorStoreError(f"{self.place} is kept in {made.encoding}; a database in UTF8 is expected.")
            made.send(words)
        except (self._driver.Error, Late) as error:
            explained = self._explained(error)
            if isinstance(explained, MonitorStoreDown):
                self._down = (self._clock() + self._timeout_s, explained.message)
            raise explained from error
        self._down = None
        return made

    def _left_open(self) -> tuple[float, TimedConnection] | None:
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        return None

    def _undo(self, connection: TimedConnection) -> None:
        try:
            connection.send("ROLLBACK")
        except (self._driver.Error, Late):
            connection.close()
        else:
            self._idle.append((self._clock(), connection))

    # ── the schema

    def _schema(self, connection: TimedConnection) -> int:
        if connection.send(f"SELECT to_regclass('{SCHEMA}.schema_version')").fetchone()[0] is None:
            return 0
        schema = int(connection.send("SELECT version FROM schema_version").fetchone()[0])
        if schema > len(MIGRATIONS):
            raise MonitorStoreError(
                f"{self.place} has schema {schema}, and this podium knows {len(MIGRATIONS)}: a newer podium wrote it. "
                "Use that one, or another database."
            )
        return schema

    def _migrate(self, connection: TimedConnection, schema: int) -> None:
        if schema == len(MIGRATIONS):
            return
        if schema == 0:
            known = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", [SCHEMA]).fetchone()
            if known is None:
                connection.send(f"CREATE SCHEMA {SCHEMA}")
            connection.send("CREATE TABLE schema_version (version BIGINT NOT NULL)")
            connection.send("INSERT INTO schema_version VALUES (0)")
        for statements in MIGRATIONS[schema:]:
            for statement in statements:
                connection.send(translated_table(statement))
        connection.execute("UPDATE schema_version SET version = ?", [len(MIGRATIONS)])

    # ── what went wrong

    def _read(self, address: str) -> dict[str, Any]:
        """Libpq's parameters, and the limits of waiting that the address does not set itself."""
        if not _ADDRESS.fullmatch(address):
            raise Misconfigured(
                f"The monitor store {self.place} cannot be used; write postgresql://USER@HOST/DATABASE, and what a "
                "password has of / ? # @ as %2F %3F %23 %40."
            )
        from psycopg2 import extensions

        try:
            said = extensions.parse_dsn(address.replace("+psycopg2:", ":", 1))
        except self._driver.Error as error:
            # Not its words: they quote what was not understood.
            raise Misconfigured(f"The monitor store {self.place} is not the address of a database.") from error
        whole_s = max(1, int(self._timeout_s))
        usual = {
            "application_name": "podium monitor",
            "keepalives_idle": whole_s,
            "keepalives_interval": 1,
            "keepalives_count": whole_s,
            "tcp_user_timeout": 1000 * whole_s,
        }
        return {**usual, **said, "client_encoding": "UTF8"}

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (self._driver.Error, Late) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> MonitorStoreError:
        if isinstance(error, Late):
            return MonitorStoreDown(f"{self.place} did not answer in time.")
        code = getattr(error, "pgcode", None)
        text = " ".join(str(error).split())[:300].rstrip(".")
        secret = self._parameters.get("password")
        if secret:
            text = text.replace(str(secret), "***")
        if code in _BUSY:
            return MonitorStoreBusy(f"{self.place} is busy: others are writing and did not finish in time. Try again.")
        if code in _NO_RIGHT:
            return MonitorStoreError(f"{self.place} cannot be used as asked, this user may not: {text}.")
        if code in _FULL:
            return MonitorStoreError(f"{self.place}: the server's disk is full; nothing was written.")
        is_broken = code is None and isinstance(error, self._driver.OperationalError | self._driver.InterfaceError)
        if is_broken or (code is not None and _DOWN.match(code)):
            return MonitorStoreDown(f"There is no connection to {self.place}: {text}.")
        return MonitorStoreError(f"{self.place}: the database failed: {text}.")


def _limits(timeout_s: float) -> str:
    """Sets where the tables are, and how long the server waits, for this transaction alone."""
    whole_ms = max(100, int(1000 * timeout_s))
    said = {
        "search_path": SCHEMA,
        # The server gives up first, and says on what.
        "lock_timeout": f"{whole_ms * 7 // 10}ms",
        "statement_timeout": f"{whole_ms * 9 // 10}ms",
        # Of a client that was stopped in the middle, nobody's lock is kept for longer.
        "idle_in_transaction_session_timeout": f"{int(1000 * _STILL_S)}ms",
    }
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in said.items())
