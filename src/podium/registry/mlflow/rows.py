"""Reading MLflow's database: SQLite with the standard library, PostgreSQL and MySQL through SQLAlchemy; never writing.

No connection is held between questions.
"""

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from podium.domain.masking import masked
from podium.errors import MissingDependency, RegistryBusy, RegistryError

_MOST_ROWS = 50_000
_NOW = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp()) AS now",
    "mysql": "SELECT unix_timestamp(now(6)) AS now",
}
_DATABASES = ("sqlite", "postgresql", "postgres", "mysql", "mssql", "oracle")
Row = dict[str, Any]


class Session(Protocol):
    """One consistent look at a database."""

    def rows(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """Rows of a query with `:name` placeholders; at most 50,000."""


class SqlPlace(Protocol):
    """Where sessions come from."""

    place: str

    def session(self) -> contextlib.AbstractContextManager[Session]:
        """Raises RegistryError when the database does not answer, or is not MLflow's."""

    def now(self) -> float:
        """The database's clock, in seconds of the Unix epoch; raises as `session`."""


def is_database(uri: str) -> bool:
    """Whether a tracking URI names a database."""
    return uri.partition(":")[0].partition("+")[0].lower() in _DATABASES


def open_database(uri: str, folder: Path, timeout_s: float) -> SqlPlace:
    """The database of a URI such as `sqlite:///mlflow.db`; relative paths start from `folder`.

    Raises:
        MissingDependency: SQLAlchemy is needed and not there.
    """
    if uri.partition(":")[0].lower() in {"sqlite", "sqlite+pysqlite"}:
        return SqliteFile(folder / unquote(urlsplit(uri).path.removeprefix("/")), timeout_s)
    return SqlServer(uri, timeout_s)


def alchemy_address(uri: str) -> str:
    """A database's URI as SQLAlchemy reads it, with the driver of `podium[sql]` where it names none.

    Of PostgreSQL's drivers SQLAlchemy 2.0 takes psycopg2 by itself, and 2.1 another.
    """
    address = re.sub(r"^postgres(?=[:+])", "postgresql", uri)
    has_driver = find_spec("psycopg2") is not None
    return re.sub(r"^postgresql:", "postgresql+psycopg2:", address) if has_driver else address


class SqliteFile:
    """A database file of MLflow's, opened `mode=ro`: it is neither made nor changed."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.place = str(path)
        self._path = path
        self._timeout_s = timeout_s

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        # In WAL mode SQLite would make files beside one that nobody has open; alone, the file is complete by itself.
        is_alone = not any(self._path.with_name(self._path.name + end).exists() for end in ("-wal", "-journal"))
        mode = "mode=ro&immutable=1" if is_alone and _is_in_wal_mode(self._path) else "mode=ro"
        uri = f"file:{quote(str(self._path))}?{mode}"
        try:
            with contextlib.closing(
                sqlite3.connect(uri, uri=True, timeout=self._timeout_s, isolation_level=None)
            ) as connection:
                connection.row_factory = sqlite3.Row
                connection.execute("BEGIN")
                yield _SqliteSession(connection)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise RegistryBusy(f"{self.place} is locked by another process. Try again.") from error
            raise self._failed(error) from error
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def now(self) -> float:
        return time.time()

    def _failed(self, error: sqlite3.Error) -> RegistryError:
        if not self._path.exists():
            return RegistryError(f"There is no MLflow database at {self.place}.")
        return RegistryError(f"{self.place} cannot be read as MLflow's database: {error}.")


class _SqliteSession:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        return [dict(row) for row in self._connection.execute(query, values).fetchmany(_MOST_ROWS)]


class SqlServer:
    """A database server, through SQLAlchemy (`podium[sql]`) and the driver that the URI names."""

    def __init__(self, uri: str, timeout_s: float) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise MissingDependency("sqlalchemy", f"Reading {masked(uri)}", "sql") from error
        self.place = masked(uri)
        self._alchemy = sqlalchemy
        address = alchemy_address(uri)
        try:
            waits = _waits(sqlalchemy.make_url(address).get_driver_name(), timeout_s)
            self._engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool, connect_args=waits)
        except ImportError as error:
            raise MissingDependency(error.name or "its driver", f"Reading {self.place}", "sql") from error
        except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
            raise RegistryError(f"{self.place} is not the address of a database.") from error
        self._secret = self._engine.url.password
        self._kind = self._engine.url.get_backend_name()

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        try:
            with self._engine.connect() as connection:
                if self._kind == "postgresql":
                    connection.execute(self._alchemy.text("SET TRANSACTION READ ONLY"))
                yield _AlchemySession(connection, self._alchemy)
        except self._alchemy.exc.SQLAlchemyError as error:
            origin = getattr(error, "orig", None)
            text = " ".join(str(origin if origin is not None else type(error).__name__).split())[:300]
            if self._secret:
                text = text.replace(str(self._secret), "***")
            raise RegistryError(f"{self.place} cannot be read as MLflow's database: {text}") from error

    def now(self) -> float:
        query = _NOW.get(self._kind)
        if query is None:
            return time.time()
        with self.session() as session:
            return float(session.rows(query, {})[0]["now"])


class _AlchemySession:
    def __init__(self, connection: Any, alchemy: Any) -> None:
        self._connection = connection
        self._alchemy = alchemy

    def rows(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        result = self._connection.execute(self._alchemy.text(query), dict(values))
        return [dict(row) for row in result.mappings().fetchmany(_MOST_ROWS)]


def _waits(driver: str, timeout_s: float) -> dict[str, Any]:
    """What makes a driver give up in time, on connecting and on each answer."""
    whole_s = max(1, int(timeout_s))
    match driver:
        case "psycopg2" | "psycopg":
            return {"connect_timeout": whole_s, "options": f"-c statement_timeout={whole_s * 1000}"}
        case "pymysql":
            return {"connect_timeout": whole_s, "read_timeout": whole_s}
        case "mysqldb" | "mysqlconnector":
            return {"connect_timeout": whole_s}
        case _:
            return {}


def _is_in_wal_mode(path: Path) -> bool:
    """Byte 18 of the header says how the file is written (https://sqlite.org/fileformat.html)."""
    try:
        with path.open("rb") as file:
            return file.read(19)[18:] == b"\2"
    except OSError:
        return False
