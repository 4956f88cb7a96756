"""Rollouts beside a registry that may not be written: in a file of our own, or in a PostgreSQL database.

Both keep tags as a registry would, by model and key. What is followed is asked of the registry and never moved here.
"""

import contextlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from podium.domain.masking import masked
from podium.domain.rollouts.clocks import Reading
from podium.domain.rollouts.records import read_notices
from podium.domain.rollouts.schedule import RolloutNotices
from podium.errors import Misconfigured, MissingDependency, RegistryBusy, RegistryError
from podium.registry.clock import shown, ticks
from podium.registry.mlflow.contract import NotWritable
from podium.registry.mlflow.rows import alchemy_address
from podium.registry.rollouts import Decide, RolloutPage
from podium.registry.snapshot import explain
from podium.settings.databases import transaction

_POSTGRESQL = re.compile(r"^postgres(?:ql)?(?=[:+])")
_MAKE_TABLE = """
CREATE TABLE IF NOT EXISTS podium_rollouts (model TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (model, key))
"""
_TRIES = 5
_CONNECTIONS = 4
_AT_ONCE = {"40001", "40P01"}  # a serialization failure, a deadlock
_NO_RIGHT = {"42501", "25006"}  # no privilege, a read-only transaction

Stands = Callable[[str, str], str | None]
"""What a stage or an alias of a model stands for in the registry."""


class Side(Protocol):
    """Where rollouts are kept. From any thread.

    Attributes:
        place: What people call it, without a secret.
    """

    @property
    def place(self) -> str: ...

    def read(self, name: str) -> tuple[dict[str, str], Reading]:
        """The tags of a model, and the place's clock. Raises RegistryError."""

    def read_all(self) -> tuple[dict[str, RolloutNotices], Reading]:
        """What is written of every model, by name; nothing of those that it does not know. Raises RegistryError."""

    def change(self, name: str, decide: Decide, stands: Stands) -> None:
        """As `registry.rollouts.Book.change`."""


class SideBook:
    """A `registry.rollouts.Book` of what is kept beside.

    Args:
        side: Where.
        stands: What a stage or an alias of a model stands for in the registry.
    """

    may_move = False

    def __init__(self, side: Side, stands: Stands) -> None:
        self._side = side
        self._stands = stands

    @property
    def place(self) -> str:
        return self._side.place

    def read(self, name: str) -> tuple[RolloutNotices, Reading]:
        tags, reading = self._side.read(name)
        return read_notices(tags), reading

    def change(self, name: str, decide: Decide) -> None:
        self._side.change(name, decide, self._stands)


class SideFile:
    """A SQLite file; made by the first write. Its clock is this machine's."""

    def __init__(self, path: Path, busy_s: float = 5.0) -> None:
        self._path = path
        self._busy_s = busy_s

    @property
    def place(self) -> str:
        return str(self._path)

    def read(self, name: str) -> tuple[dict[str, str], Reading]:
        asked_at = ticks()
        if not self._path.exists():
            # Nothing was rolled out yet: the first `rollout start` makes it.
            return {}, shown(time.time(), asked_at)
        with self._opened("BEGIN") as connection:
            tags = self._tags(connection, name)
        return tags, shown(time.time(), asked_at)

    def read_all(self) -> tuple[dict[str, RolloutNotices], Reading]:
        asked_at = ticks()
        if not self._path.exists():
            return {}, shown(time.time(), asked_at)
        with self._opened("BEGIN") as connection:
            notices_of = _all_notices(connection.execute("SELECT model, key, value FROM tags"))
        return notices_of, shown(time.time(), asked_at)

    def change(self, name: str, decide: Decide, stands: Stands) -> None:
        with self._opened("BEGIN IMMEDIATE") as connection:
            tags = self._tags(connection, name)
            edit = decide(RolloutPage(read_notices(tags), tags, time.time(), lambda follows: stands(name, follows)))
            for key, value in edit.tags.items():
                if value is None:
                    connection.execute("DELETE FROM tags WHERE model = ? AND key = ?", [name, key])
                else:
                    connection.execute("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", [name, key, value])

    def _tags(self, connection: sqlite3.Connection, name: str) -> dict[str, str]:
        return dict(connection.execute("SELECT key, value FROM tags WHERE model = ?", [name]).fetchall())

    @contextlib.contextmanager
    def _opened(self, begin: str) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None)) as connection:
                if begin != "BEGIN":
                    connection.execute(
                        "CREATE TABLE IF NOT EXISTS tags"
                        " (model TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (model, key)) STRICT"
                    )
                with transaction(connection, begin):
                    yield connection
        except sqlite3.Error as error:
            raise explain(error, self._path) from error


class SidePostgresql:
    """A table in a PostgreSQL database, made by the first write; its clock is the database's.

    Each change is one serializable transaction: of two that decide on the same at once, one decides again.

    Args:
        uri: `postgresql://user@host/database`, as SQLAlchemy reads it; a password is better in PGPASSWORD or a passfile.
        timeout_s: For a connection, and for each answer.
    """

    def __init__(self, uri: str, timeout_s: float = 5.0) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise MissingDependency("sqlalchemy", f"The rollout store {masked(uri)}", "sql") from error
        self._place = masked(uri)
        self._alchemy = sqlalchemy
        whole_s = max(1, int(timeout_s))
        waits = {"connect_timeout": whole_s, "options": f"-c statement_timeout={whole_s * 1000}"}
        try:
            self._engine = sqlalchemy.create_engine(
                alchemy_address(uri),
                isolation_level="SERIALIZABLE",
                pool_size=1,
                max_overflow=_CONNECTIONS,
                pool_timeout=timeout_s,
                pool_pre_ping=True,
                connect_args=waits,
                hide_parameters=True,
            )
        except ImportError as error:
            raise MissingDependency(error.name or "its driver", f"The rollout store {self._place}", "sql") from error
        except sqlalchemy.exc.ArgumentError as error:
            raise Misconfigured(f"The rollout store {self._place} is not the address of a database.") from error
        self._secret = self._engine.url.password

    @property
    def place(self) -> str:
        return self._place

    def read(self, name: str) -> tuple[dict[str, str], Reading]:
        asked_at = ticks()
        with self._session() as session:
            now = _now(session)
            # A table that is not there yet is none that cannot be read: nothing was rolled out.
            tags = _tags(session, name) if _has_table(session) else {}
        return tags, shown(now, asked_at)

    def read_all(self) -> tuple[dict[str, RolloutNotices], Reading]:
        asked_at = ticks()
        with self._session() as session:
            now = _now(session)
            notices_of = (
                _all_notices(session.rows("SELECT model, key, value FROM podium_rollouts")) if _has_table(session) else {}
            )
        return notices_of, shown(now, asked_at)

    def change(self, name: str, decide: Decide, stands: Stands) -> None:
        for left in reversed(range(_TRIES)):
            try:
                with self._session() as session:
                    self._decide(session, name, decide, stands)
            except RegistryBusy:
                if not left:
                    raise
            else:
                return

    def _decide(self, session: "_Session", name: str, decide: Decide, stands: Stands) -> None:
        if not _has_table(session):
            session.rows(_MAKE_TABLE)
        tags, now = _tags(session, name), _now(session)
        edit = decide(RolloutPage(read_notices(tags), tags, now, lambda follows: stands(name, follows)))
        for key, value in edit.tags.items():
            session.rows("DELETE FROM podium_rollouts WHERE model = :model AND key = :key", model=name, key=key)
            if value is not None:
                session.rows("INSERT INTO podium_rollouts VALUES (:model, :key, :value)", model=name, key=key, value=value)

    @contextlib.contextmanager
    def _session(self) -> Iterator["_Session"]:
        errors = self._alchemy.exc
        try:
            with self._engine.begin() as connection:
                yield _Session(connection, self._alchemy.text)
        except errors.IntegrityError as error:
            raise RegistryBusy(f"{self._place} is written by somebody else at the same moment. Try again.") from error
        except errors.SQLAlchemyError as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> RegistryError:
        origin = getattr(error, "orig", None)
        code = getattr(origin, "pgcode", None) or getattr(origin, "sqlstate", None)
        text = " ".join(str(origin if origin is not None else type(error).__name__).split())[:300]
        if self._secret:
            text = text.replace(str(self._secret), "***")
        if code in _AT_ONCE:
            return RegistryBusy(f"{self._place} is written by somebody else at the same moment. Try again.")
        if code in _NO_RIGHT:
            return NotWritable(self._place, f"{text}.")
        return RegistryError(f"The rollout store {self._place} failed: {text}")


class _Session:
    """One transaction."""

    def __init__(self, connection: Any, text: Callable[[str], Any]) -> None:
        self._connection = connection
        self._text = text

    def rows(self, query: str, **values: str) -> list[tuple[Any, ...]]:
        result = self._connection.execute(self._text(query), values)
        return [tuple(row) for row in result] if result.returns_rows else []


def side_of(said: Path | str, timeout_s: float = 5.0) -> Side:
    """Where rollouts are kept, as `--rollout-store` names it: a path, sqlite:///PATH, or postgresql://...

    Raises:
        Misconfigured: It names something else.
        MissingDependency: It needs SQLAlchemy.
    """
    text = str(said)
    parts = urlsplit(text)
    if _POSTGRESQL.match(text) and "://" in text:
        return SidePostgresql(text, timeout_s)
    if parts.scheme == "sqlite":
        text = unquote(parts.path.removeprefix("/"))
    elif "://" in text:
        raise Misconfigured(
            f"The rollout store {parts.scheme}://… cannot be used; write a file's path, sqlite:///PATH or "
            "postgresql://USER@HOST/DATABASE."
        )
    path = Path(text).expanduser().absolute()
    if not path.parent.is_dir():
        raise Misconfigured(f"The rollout store {path} cannot be made: there is no folder {path.parent}.")
    return SideFile(path, timeout_s)


def _has_table(session: _Session) -> bool:
    return session.rows("SELECT to_regclass('podium_rollouts')")[0][0] is not None


def _tags(session: _Session, name: str) -> dict[str, str]:
    rows = session.rows("SELECT key, value FROM podium_rollouts WHERE model = :model", model=name)
    return {str(key): str(value) for key, value in rows}


def _now(session: _Session) -> float:
    return float(session.rows("SELECT extract(epoch FROM clock_timestamp())")[0][0])


def _all_notices(rows: Any) -> dict[str, RolloutNotices]:
    tags: dict[str, dict[str, str]] = {}
    for name, key, value in rows:
        tags.setdefault(name, {})[key] = value
    return {name: read_notices(each) for name, each in tags.items()}
