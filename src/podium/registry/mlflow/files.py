"""MLflow's folder of YAML files (`./mlruns`), as a store.

<root>/models/<name>/meta.yaml, version-<n>/meta.yaml, aliases/<alias>
<root>/<experiment>/<run id>/meta.yaml
<root>/<experiment>/models/<m-id>/meta.yaml
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.domain.rollouts.clocks import Reading
from podium.domain.stages import Stage
from podium.errors import InvalidModel, RegistryError
from podium.models.mlmodel import load_yaml, text_of
from podium.registry.clock import shown, ticks
from podium.registry.mlflow.contract import ListedModel, MlflowVersion, NotWritable

_META = "meta.yaml"
_MOST = 10_000


class FileStore:
    """A `Store` in a folder."""

    def __init__(self, root: Path) -> None:
        self.place = str(root)
        self._root = root
        self._models = root / "models"

    def version(self, name: str, number: int) -> MlflowVersion | None:
        folder = self._model(name)
        meta = folder and self._read(folder / f"version-{number}" / _META)
        return self._version(meta) if meta else None

    def highest(self, name: str, stage: Stage | None) -> MlflowVersion | None:
        fitting = [version for version in self.versions(name) or () if stage is None or version.stage is stage]
        return fitting[-1] if fitting else None

    def aliased(self, name: str, alias: str) -> MlflowVersion | None:
        number = self.aliases(name).get(alias)
        return None if number is None else self.version(name, number)

    def location(self, version: MlflowVersion) -> str:
        return version.source

    def names(self) -> Sequence[str] | None:
        return [folder.name for folder in self._folders(self._models) if (folder / _META).is_file()]

    def listed(self) -> tuple[Sequence[ListedModel], Reading]:
        asked_at, models = ticks(), []
        if not self._root.is_dir():
            raise RegistryError(f"There is no folder {self.place}.")
        for name in self.names() or ():
            meta = self._read(self._models / name / _META) or {}
            latest = {version.stage: version for version in self.versions(name) or ()}
            created_ms = int(meta.get("creation_timestamp") or 0)
            tags = self.tags(name)[0] or {}
            models.append(ListedModel(name, created_ms, tuple(latest.values()), self.aliases(name), tags))
        return models, shown(time.time(), asked_at)

    def versions(self, name: str) -> Sequence[MlflowVersion] | None:
        folder = self._model(name)
        if folder is None or not (folder / _META).is_file():
            return None
        metas = [self._read(entry / _META) for entry in self._folders(folder) if entry.name.startswith("version-")]
        live = [meta for meta in metas if meta and meta.get("current_stage") != "Deleted_Internal"]
        return sorted((self._version(meta) for meta in live), key=lambda version: version.number)

    def aliases(self, name: str) -> dict[str, int]:
        folder = self._model(name)
        try:
            files = sorted((folder / "aliases").iterdir())[:_MOST] if folder else []
            pairs = [(file.name, file.read_text()[:100].strip()) for file in files]
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"{self.place}: the aliases of {name!r} cannot be read: {error}") from error
        return {alias: int(number) for alias, number in pairs if number.isdecimal()}

    def tags(self, name: str) -> tuple[dict[str, str] | None, Reading]:
        folder, asked_at = self._model(name), ticks()
        if folder is None or not (folder / _META).is_file():
            return None, shown(time.time(), asked_at)
        try:
            files = sorted((folder / "tags").iterdir())[:_MOST] if (folder / "tags").is_dir() else []
            found = {file.name: file.read_text() for file in files if file.is_file()}
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"{self.place}: the tags of {name!r} cannot be read: {error}") from error
        return found, shown(time.time(), asked_at)

    def set_tag(self, name: str, key: str, value: str | None) -> None:  # noqa: ARG002 - the contract's
        raise NotWritable(self.place, "podium reads MLflow's folder and never writes it.")

    def logged(self, model_id: str) -> str | None:
        for experiment in self._folders(self._root):
            meta = self._read(experiment / "models" / model_id / _META)
            if meta:
                return str(meta.get("artifact_location") or "") or None
        return None

    def run(self, run_id: str) -> str | None:
        for experiment in self._folders(self._root):
            meta = self._read(experiment / run_id / _META)
            if meta:
                return str(meta.get("artifact_uri") or "") or None
        return None

    def logged_in(self, run_id: str, name: str) -> str | None:
        found: list[tuple[int, str]] = []
        for experiment in self._folders(self._root):
            for folder in self._folders(experiment / "models"):
                meta = self._read(folder / _META) or {}
                if meta.get("source_run_id") == run_id and meta.get("name") == name:
                    found.append((int(meta.get("creation_timestamp") or 0), str(meta.get("artifact_location"))))
        return max(found)[1] if found else None

    def abort(self) -> None:
        """Files are read at once."""

    def _model(self, name: str) -> Path | None:
        """A name comes from a URI and may hold neither `/` nor `..`."""
        if not self._root.is_dir():
            raise RegistryError(f"There is no folder {self.place}.")
        return None if name in {"", ".", ".."} or "/" in name or "\0" in name else self._models / name

    def _folders(self, parent: Path) -> list[Path]:
        try:
            return sorted(entry for entry in parent.iterdir() if entry.is_dir())[:_MOST]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise RegistryError(f"{parent} cannot be read: {error.strerror}.") from error

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            meta = load_yaml(text_of(path), path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError, InvalidModel) as error:
            raise RegistryError(f"{path} cannot be read: {error}") from error
        if not isinstance(meta, dict):
            raise RegistryError(f"{path} is not what MLflow writes there.")
        return meta

    def _version(self, meta: Mapping[str, Any]) -> MlflowVersion:
        stage = next((each for each in Stage if each.value == str(meta.get("current_stage"))), None)
        number = str(meta.get("version"))
        if not number.isdecimal():
            raise RegistryError(f"{self.place}: version {number!r} of {meta.get('name')!r} is not a number.")
        return MlflowVersion(
            name=str(meta.get("name")),
            number=int(number),
            stage=stage,
            created_ms=int(meta.get("creation_timestamp") or 0),
            source=str(meta.get("storage_location") or meta.get("source") or ""),
            run_id=str(meta.get("run_id") or "") or None,
        )
