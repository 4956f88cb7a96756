"""Which store an MLflow URI names, and both of them: where models are registered, and where they were logged."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from podium.artifacts.remote.wire import Access, Wire
from podium.domain.masking import masked
from podium.errors import Misconfigured
from podium.registry.mlflow.contract import ModelRegistry, Store, Tracking
from podium.registry.mlflow.files import FileStore
from podium.registry.mlflow.rest import RestStore
from podium.registry.mlflow.rows import is_database, open_database
from podium.registry.mlflow.sql import SqlStore
from podium.settings.mlflow import MlflowSettings

_DATABASE_S = 5.0


@dataclass(frozen=True, slots=True)
class Stores:
    """MLflow's two stores, most often one. `tracking` is None where only a registry is set."""

    registry: ModelRegistry
    tracking: Tracking | None

    def abort(self) -> None:
        """End what is under way, from another thread."""
        self.registry.abort()
        if self.tracking is not None:
            self.tracking.abort()


def open_stores(settings: MlflowSettings, *, timeout_s: float, retries: int) -> Stores | None:
    """The stores that MLflow's variables name; None where they name none. Nothing is asked yet.

    Raises:
        Misconfigured: A URI names no store that podium can read.
        MissingDependency: An extra is needed.
    """
    tracking = _open(settings.tracking_uri, settings, timeout_s, retries) if settings.tracking_uri else None
    if settings.registry_uri is None or settings.registry_uri == settings.tracking_uri:
        return None if tracking is None else Stores(tracking, tracking)
    return Stores(_open(settings.registry_uri, settings, timeout_s, retries), tracking)


def _open(uri: str, settings: MlflowSettings, timeout_s: float, retries: int) -> Store:
    if uri.startswith(("http://", "https://")):
        wire = Wire(Access.of(settings), timeout_s)
        return RestStore(uri, wire, retries, settings.backoff_s, settings.jitter_s)
    if is_database(uri):
        return SqlStore(open_database(uri, settings.folder, min(timeout_s, _DATABASE_S)), settings.workspace)
    parts = urlsplit(uri)
    if parts.scheme in {"", "file"}:
        path = unquote(parts.path) if parts.scheme else uri
        return FileStore(settings.folder / Path(path).expanduser())
    raise Misconfigured(
        f"{masked(uri)}: podium reads MLflow registries at http(s)://, sqlite:///, postgresql://, mysql:// and in folders."
    )
