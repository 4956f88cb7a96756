"""Reading the registry's tables: a `Reader` on an open SQLite connection, whoever opened it and however."""

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from podium.domain.stages import Stage
from podium.errors import RegistryError
from podium.registry.contract import Action, Change, LoggedModel, Reader, RegisteredModel, Version
from podium.registry.migrations import SCHEMA

MAX_INTEGER = 2**63 - 1
_VERSION = """SELECT m.name, v.version, v.stage, v.digest, v.source, v.description,
    v.created_ms, v.updated_ms, v.created_by,
    (SELECT json_group_object(t.tag, t.value) FROM version_tags t
        WHERE t.model_key = v.model_key AND t.version = v.version),
    (SELECT json_group_array(a.alias) FROM aliases a
        WHERE a.model_key = v.model_key AND a.version = v.version)
    FROM versions v JOIN models m ON m.key = v.model_key"""
_MODEL = """SELECT m.key, m.name, m.description, m.created_ms, m.updated_ms,
    (SELECT json_group_object(t.tag, t.value) FROM model_tags t WHERE t.model_key = m.key),
    (SELECT json_group_object(a.alias, a.version) FROM aliases a WHERE a.model_key = m.key)
    FROM models m"""
_CHANGE = "SELECT id, at_ms, actor, action, model_key, model, version, before, after FROM changes"
_LOGGED = "SELECT model_id, digest, source, created_ms, created_by FROM logged_models"


class Tables(Reader):
    """The tables of a registry whose schema is this podium's, or an older one that nobody has migrated yet."""

    def __init__(self, connection: sqlite3.Connection, schema: int) -> None:
        self.connection = connection
        self.schema = schema

    def model(self, name: str) -> RegisteredModel | None:
        found = self.connection.execute(f"{_MODEL} WHERE m.name = ?", [name]).fetchone()
        return _model(found) if found else None

    def models(self) -> list[RegisteredModel]:
        return [_model(row) for row in self.connection.execute(f"{_MODEL} ORDER BY m.name")]

    def version(self, name: str, number: int) -> Version | None:
        if number > MAX_INTEGER:
            return None
        found = self.connection.execute(f"{_VERSION} WHERE m.name = ? AND v.version = ?", [name, number]).fetchone()
        return _version(found) if found else None

    def versions(self, name: str | None = None) -> list[Version]:
        rows: Iterable[tuple[Any, ...]]
        if name is None:
            rows = self.connection.execute(f"{_VERSION} ORDER BY m.name, v.version")
        else:
            rows = self.connection.execute(f"{_VERSION} WHERE m.name = ? ORDER BY v.version", [name])
        return [_version(row) for row in rows]

    def highest(self, name: str, stage: Stage | None = None) -> Version | None:
        where = "WHERE m.name = ? AND (? IS NULL OR v.stage = ?) ORDER BY v.version DESC LIMIT 1"
        found = self.connection.execute(f"{_VERSION} {where}", [name, stage, stage]).fetchone()
        return _version(found) if found else None

    def logged(self, model_id: str) -> LoggedModel | None:
        if self.schema < 2:
            return None
        found = self.connection.execute(f"{_LOGGED} WHERE model_id = ?", [model_id]).fetchone()
        return LoggedModel(*found) if found else None

    def changes(self, name: str | None = None) -> list[Change]:
        if name is None:
            return [_change(row) for row in self.connection.execute(f"{_CHANGE} ORDER BY id")]
        present = self.model(name)
        if present:
            rows = self.connection.execute(f"{_CHANGE} WHERE model_key = ? ORDER BY id", [present.key])
        else:
            had_it = "SELECT model_key FROM changes WHERE model = ?"
            rows = self.connection.execute(f"{_CHANGE} WHERE model_key IN ({had_it}) ORDER BY id", [name])
        return [_change(row) for row in rows]

    def digests(self) -> set[str]:
        found = {digest for (digest,) in self.connection.execute("SELECT DISTINCT digest FROM versions")}
        if self.schema >= 2:
            found |= {digest for (digest,) in self.connection.execute("SELECT DISTINCT digest FROM logged_models")}
        return found


def read_meta(connection: sqlite3.Connection, place: str) -> tuple[str, int]:
    """The registry's id and the number of its schema.

    Raises:
        RegistryError: Not a registry of podium's, or one that a newer podium wrote.
    """
    # Asked first: SQLite reads an empty file as an empty database.
    known = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'changes')").fetchone()[0]
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall()) if known == 2 else {}
    if "registry_id" not in meta or not meta.get("schema", "").isdigit():
        raise RegistryError(f"{place} is not a podium registry, or no longer one: it was truncated or overwritten.")
    schema = int(meta["schema"])
    if schema > SCHEMA:
        raise RegistryError(
            f"{place} has schema {schema} and this podium knows schemas up to {SCHEMA}: a newer podium wrote it. "
            "Use that podium, or a newer one; nothing was changed."
        )
    return meta["registry_id"], schema


def _model(row: tuple[Any, ...]) -> RegisteredModel:
    key, name, description, created_ms, updated_ms, tags, aliases = row
    return RegisteredModel(key, name, description, created_ms, updated_ms, json.loads(tags), json.loads(aliases))


def _version(row: tuple[Any, ...]) -> Version:
    name, number, stage, digest, source, description, created_ms, updated_ms, created_by, tags, aliases = row
    return Version(
        name=name,
        version=number,
        stage=Stage(stage),
        digest=digest,
        source=source,
        description=description,
        created_ms=created_ms,
        updated_ms=updated_ms,
        created_by=created_by,
        tags=json.loads(tags),
        aliases=tuple(sorted(json.loads(aliases))),
    )


def _change(row: tuple[Any, ...]) -> Change:
    number, at_ms, actor, action, key, model, version, before, after = row
    return Change(number, at_ms, actor, Action(action), key, model, version, _loaded(before), _loaded(after))


def _loaded(text: str | None) -> dict[str, Any] | None:
    return None if text is None else dict(json.loads(text))
