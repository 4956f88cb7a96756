"""MLflow's own database as a store: its tables, of any version since 1.0 that has them.

Queries select whole rows and look at what columns came: older schemas lack some, newer ones have more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from podium.domain.rollouts.clocks import Reading
from podium.domain.stages import Stage
from podium.errors import RegistryError
from podium.registry.clock import shown, ticks
from podium.registry.mlflow.contract import ListedModel, MlflowVersion, NotWritable
from podium.registry.mlflow.rows import Row, SqlPlace

_WORKSPACE = "default"


class SqlStore:
    """A `Store` in MLflow's database. `workspace` is None for the default one."""

    def __init__(self, database: SqlPlace, workspace: str | None = None) -> None:
        self.place = database.place
        self._database = database
        self._workspace = workspace or _WORKSPACE

    def version(self, name: str, number: int) -> MlflowVersion | None:
        return next((version for version in self._of(name) if version.number == number), None)

    def highest(self, name: str, stage: Stage | None) -> MlflowVersion | None:
        fitting = [version for version in self._of(name) if stage is None or version.stage is stage]
        return max(fitting, key=lambda version: version.number, default=None)

    def aliased(self, name: str, alias: str) -> MlflowVersion | None:
        number = self.aliases(name).get(alias)
        return None if number is None else self.version(name, number)

    def location(self, version: MlflowVersion) -> str:
        return version.source

    def names(self) -> Sequence[str] | None:
        return sorted(str(row["name"]) for row in self._rows("SELECT * FROM registered_models", {}))

    def listed(self) -> tuple[Sequence[ListedModel], Reading]:
        asked_at = ticks()
        latest: dict[str, dict[Stage | None, MlflowVersion]] = {}
        for row in self._rows("SELECT * FROM model_versions", {}):
            if row.get("current_stage") != "Deleted_Internal":
                version = self._version(row)
                of_stage = latest.setdefault(version.name, {})
                if version.stage not in of_stage or of_stage[version.stage].number < version.number:
                    of_stage[version.stage] = version
        aliases: dict[str, dict[str, int]] = {}
        for row in self._rows("SELECT * FROM registered_model_aliases", {}):
            aliases.setdefault(str(row["name"]), {})[str(row["alias"])] = int(row["version"])
        tags: dict[str, dict[str, str]] = {}
        for row in self._rows("SELECT * FROM registered_model_tags", {}):
            tags.setdefault(str(row["name"]), {})[str(row["key"])] = str(row.get("value") or "")
        models = []
        for row in self._rows("SELECT * FROM registered_models", {}):
            name, created_ms = str(row["name"]), int(row.get("creation_time") or 0)
            versions = tuple(latest.get(name, {}).values())
            models.append(ListedModel(name, created_ms, versions, aliases.get(name, {}), tags.get(name, {})))
        return models, shown(self._database.now(), asked_at)

    def versions(self, name: str) -> Sequence[MlflowVersion] | None:
        if not self._rows("SELECT * FROM registered_models WHERE name = :name", {"name": name}):
            return None
        return sorted(self._of(name), key=lambda version: version.number)

    def aliases(self, name: str) -> dict[str, int]:
        rows = self._rows("SELECT * FROM registered_model_aliases WHERE name = :name", {"name": name})
        return {str(row["alias"]): int(row["version"]) for row in rows}

    def tags(self, name: str) -> tuple[dict[str, str] | None, Reading]:
        asked_at = ticks()
        rows = self._rows("SELECT * FROM registered_model_tags WHERE name = :name", {"name": name})
        if not rows and not self._rows("SELECT * FROM registered_models WHERE name = :name", {"name": name}):
            return None, shown(self._database.now(), asked_at)
        return {str(row["key"]): str(row.get("value") or "") for row in rows}, shown(self._database.now(), asked_at)

    def set_tag(self, name: str, key: str, value: str | None) -> None:  # noqa: ARG002 - the contract's
        raise NotWritable(self.place, "podium reads MLflow's database and never writes it.")

    def logged(self, model_id: str) -> str | None:
        rows = self._rows("SELECT * FROM logged_models WHERE model_id = :id", {"id": model_id})
        return next((str(row["artifact_location"]) for row in rows if row.get("lifecycle_stage") != "deleted"), None)

    def run(self, run_id: str) -> str | None:
        rows = self._rows("SELECT * FROM runs WHERE run_uuid = :id", {"id": run_id})
        return next((str(row["artifact_uri"]) for row in rows if row.get("artifact_uri")), None)

    def logged_in(self, run_id: str, name: str) -> str | None:
        query = "SELECT * FROM logged_models WHERE source_run_id = :id AND name = :name"
        try:
            rows = self._rows(query, {"id": run_id, "name": name})
        except RegistryError:
            if self.run(run_id) is None:
                raise
            # MLflow 2 has no logged models: what its runs logged lies among their artifacts.
            return None
        live = [row for row in rows if row.get("lifecycle_stage") != "deleted"]
        newest = max(live, key=lambda row: int(row.get("creation_timestamp_ms") or 0), default=None)
        return None if newest is None else str(newest["artifact_location"])

    def abort(self) -> None:
        """Questions to a database end by their own timeouts."""

    def _of(self, name: str) -> list[MlflowVersion]:
        rows = self._rows("SELECT * FROM model_versions WHERE name = :name", {"name": name})
        # MySQL compares without regard to case.
        live = [row for row in rows if row["name"] == name and row.get("current_stage") != "Deleted_Internal"]
        return [self._version(row) for row in live]

    def _version(self, row: Row) -> MlflowVersion:
        try:
            return _version(row)
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryError(f"{self.place} is not MLflow's database as podium knows it ({error}).") from error

    def _rows(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        with self._database.session() as session:
            rows = session.rows(query, values)
        return [row for row in rows if row.get("workspace", self._workspace) == self._workspace]


def _version(row: Row) -> MlflowVersion:
    stage = next((each for each in Stage if each.value == row.get("current_stage")), None)
    source = row.get("storage_location") or row.get("source")
    return MlflowVersion(
        name=str(row["name"]),
        number=int(row["version"]),
        stage=stage,
        created_ms=int(row.get("creation_time") or 0),
        source=str(source or ""),
        run_id=str(row.get("run_id") or "") or None,
    )
