"""Writing the registry's tables: the one place where state changes, by patches that are recorded as they are applied."""

import json
import sqlite3
from typing import Any

from podium.registry.contract import Action, Change, LoggedModel, Patch, Writer
from podium.registry.migrations import SCHEMA
from podium.registry.tables import Tables

_FIELDS = ("stage", "digest", "source", "description")
_SELECT_VERSION = "SELECT stage, digest, source, description FROM versions WHERE model_key = ? AND version = ?"
_SELECT_TAGS = "SELECT tag, value FROM version_tags WHERE model_key = ? AND version = ?"
_UPDATE_VERSION = """UPDATE versions SET stage = ?, digest = ?, source = ?, description = ?, updated_ms = ?
    WHERE model_key = ? AND version = ?"""


class TableWriter(Tables, Writer):
    """A `Writer` in a transaction that somebody else opened and will commit.

    Every change in it has the same actor and time. A version's `updated_ms` is the time of the last change that touched
    it, a model's that of the last change of anything in it.
    """

    def __init__(self, connection: sqlite3.Connection, actor: str, now_ms: int) -> None:
        super().__init__(connection, SCHEMA)
        self._actor = actor
        self._now_ms = now_ms

    def next_number(self, name: str) -> int:
        found = self._one("SELECT last FROM numbers WHERE name = ?", name)
        return 1 if found is None else int(found) + 1

    def apply(self, action: Action, name: str, patch: Patch | None, version: int | None = None) -> Change:
        found = self._one("SELECT key FROM models WHERE name = ?", name)
        if patch is None:
            assert found is not None, "only a model that is there is deleted"
            return self._record(action, found, name, version, self._delete(found, name), None)
        key = self._create(name) if found is None else int(found)
        before = self._change(key, name, patch)
        self._run("UPDATE models SET updated_ms = ? WHERE key = ?", self._now_ms, key)
        now_named = patch.get("name", name)
        return self._record(action, key, now_named, version, None if found is None else before, patch)

    def log(self, model_id: str, digest: str, source: str) -> LoggedModel:
        row = (model_id, digest, source, self._now_ms, self._actor)
        self._run("INSERT INTO logged_models VALUES (?, ?, ?, ?, ?)", *row)
        self._record(Action.LOG, None, None, None, None, {"model_id": model_id, "digest": digest, "source": source})
        return LoggedModel(*row)

    def _change(self, key: int, name: str, patch: Patch) -> dict[str, Any]:
        """Apply a patch to a model; the old values of what it sets, in the same shape."""
        before: dict[str, Any] = {}
        if "name" in patch:
            before["name"] = self._rename(key, name, patch["name"])
        if "description" in patch:
            before["description"] = self._one("SELECT description FROM models WHERE key = ?", key)
            self._run("UPDATE models SET description = ? WHERE key = ?", patch["description"], key)
        if "tags" in patch:
            before["tags"] = {tag: self._tag(key, tag, value) for tag, value in patch["tags"].items()}
        # Aliases may be set to a version of the same patch and removed with theirs: the foreign key waits for the commit.
        if "aliases" in patch:
            before["aliases"] = {alias: self._alias(key, alias, target) for alias, target in patch["aliases"].items()}
        if "versions" in patch:
            parts = patch["versions"].items()
            before["versions"] = {number: self._version(key, name, int(number), part) for number, part in parts}
        return before

    def _create(self, name: str) -> int:
        cursor = self.connection.execute(
            "INSERT INTO models (name, description, created_ms, updated_ms) VALUES (?, '', ?, ?)",
            [name, self._now_ms, self._now_ms],
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _delete(self, key: int, name: str) -> dict[str, Any]:
        model = self.model(name)
        assert model is not None
        before = {"name": name, "description": model.description, "tags": dict(model.tags), "aliases": dict(model.aliases)}
        versions = {str(version.version): self._part(key, version.version) for version in self.versions(name)}
        # Versions, tags and aliases go with it.
        self._run("DELETE FROM aliases WHERE model_key = ?", key)
        self._run("DELETE FROM models WHERE key = ?", key)
        return {**before, "versions": versions}

    def _rename(self, key: int, name: str, new_name: str) -> str:
        self._run("UPDATE models SET name = ? WHERE key = ?", new_name, key)
        # The versions take their numbers along, so the new name must count on from them.
        self._count(new_name, self.next_number(name) - 1)
        return name

    def _count(self, name: str, number: int) -> None:
        self._run(
            "INSERT INTO numbers VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last = max(last, excluded.last)",
            name,
            number,
        )

    def _version(self, key: int, name: str, number: int, part: Patch | None) -> dict[str, Any] | None:
        """Insert, change or delete one version; its old values, or None when there was none."""
        old = self._part(key, number)
        if part is None:
            self._run("DELETE FROM versions WHERE model_key = ? AND version = ?", key, number)
            return old
        if old is None:
            values = [part[field] for field in _FIELDS]
            times = (self._now_ms, self._now_ms, self._actor)
            self._run("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", key, number, *values, *times)
            self._count(name, number)
        for tag, value in part.get("tags", {}).items():
            self._version_tag(key, number, tag, value)
        if old is None:
            return None
        values = [{**old, **part}[field] for field in _FIELDS]
        self._run(_UPDATE_VERSION, *values, self._now_ms, key, number)
        return _same_shape(part, old)

    def _part(self, key: int, number: int) -> dict[str, Any] | None:
        """A version as it stands in the document."""
        found = self.connection.execute(_SELECT_VERSION, [key, number]).fetchone()
        if found is None:
            return None
        tags = dict(self.connection.execute(_SELECT_TAGS, [key, number]).fetchall())
        return {**dict(zip(_FIELDS, found, strict=True)), "tags": tags}

    def _alias(self, key: int, alias: str, target: int | None) -> int | None:
        old: int | None = self._one("SELECT version FROM aliases WHERE model_key = ? AND alias = ?", key, alias)
        if target is None:
            self._run("DELETE FROM aliases WHERE model_key = ? AND alias = ?", key, alias)
        else:
            self._run("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", key, alias, target)
        return old

    def _tag(self, key: int, tag: str, value: str | None) -> str | None:
        old: str | None = self._one("SELECT value FROM model_tags WHERE model_key = ? AND tag = ?", key, tag)
        if value is None:
            self._run("DELETE FROM model_tags WHERE model_key = ? AND tag = ?", key, tag)
        else:
            self._run("INSERT OR REPLACE INTO model_tags VALUES (?, ?, ?)", key, tag, value)
        return old

    def _version_tag(self, key: int, number: int, tag: str, value: str | None) -> None:
        if value is None:
            self._run("DELETE FROM version_tags WHERE model_key = ? AND version = ? AND tag = ?", key, number, tag)
        else:
            self._run("INSERT OR REPLACE INTO version_tags VALUES (?, ?, ?, ?)", key, number, tag, value)

    def _record(
        self,
        action: Action,
        key: int | None,
        name: str | None,
        version: int | None,
        before: Patch | None,
        after: Patch | None,
    ) -> Change:
        row = (self._now_ms, self._actor, action, key, name, version, _dumped(before), _dumped(after))
        cursor = self.connection.execute(
            "INSERT INTO changes (at_ms, actor, action, model_key, model, version, before, after)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        assert cursor.lastrowid is not None
        return Change(cursor.lastrowid, self._now_ms, self._actor, action, key, name, version, before, after)

    def _one(self, statement: str, *values: object) -> Any:
        found = self.connection.execute(statement, values).fetchone()
        return None if found is None else found[0]

    def _run(self, statement: str, *values: object) -> None:
        self.connection.execute(statement, values)


def _same_shape(part: Patch, old: Patch) -> dict[str, Any]:
    """Of the old values those that a part sets; a tag that was not there is None."""
    before = {field: old[field] for field in _FIELDS if field in part}
    if "tags" in part:
        before["tags"] = {tag: old["tags"].get(tag) for tag in part["tags"]}
    return before


def _dumped(patch: Patch | None) -> str | None:
    return None if patch is None else json.dumps(patch, ensure_ascii=False)
