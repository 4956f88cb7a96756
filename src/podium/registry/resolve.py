"""From what a person wrote to the folder that is loaded: podium's own registry answers first, then MLflow's stores.

What is in none of them is explained from what is there: each place that was searched, and what stands there instead.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from podium.artifacts.digest import digest_folder
from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.fetch import Remotes
from podium.domain.references import FolderRef, ModelRef, RemoteRef, RunRef
from podium.errors import DigestMismatch, NotFound, RegistryError
from podium.registry.embedded import Resolved, label_of, model_folder, resolve_folder, resolve_in
from podium.registry.mlflow.answer import resolved
from podium.registry.mlflow.chase import Fetcher
from podium.registry.mlflow.look import Found, look
from podium.registry.mlflow.stores import Stores, open_stores
from podium.registry.snapshot import read_snapshot
from podium.settings.home import Home
from podium.settings.mlflow import MlflowSettings, read_mlflow_settings

_TIMEOUT_S = 5.0

__all__ = ["Places", "Resolved", "absent_here", "check_digest", "model_folder", "resolve", "wanted_label"]


def resolve(reference: ModelRef, home: Home, settings: MlflowSettings | None = None) -> Resolved:
    """Find what a reference stands for, and fetch its files if they are elsewhere. Reads only.

    Nothing is written but the cache of fetched files under the home folder.

    Args:
        reference: What was asked for.
        home: PODIUM_HOME.
        settings: MLflow's; None reads its variables now.

    Raises:
        NotFound: Lists each place that was searched.
        RegistryError: A registry, a server or an artifact that it records cannot be read.
        InvalidModel: What is there is not a model.
        InvalidReference: Nothing here fetches from such an address.
        MissingDependency: An extra is needed for this kind of address.
    """
    if isinstance(reference, FolderRef):
        return resolve_folder(reference, home)
    places = Places(home, settings if settings is not None else read_mlflow_settings())
    if isinstance(reference, RemoteRef):
        return places.fetch_address(reference)
    found = places.find(reference)
    return found if isinstance(found, Resolved) else resolved(reference, found, places.fetch(found))


def wanted_label(reference: ModelRef, home: Home) -> str:
    """The label of the version that a reference which may move stands for now. Nothing is fetched.

    Raises: As `resolve`.
    """
    found = Places(home, read_mlflow_settings()).find(reference)
    if isinstance(found, Resolved):
        return found.label
    return str(found.version.number) if found.version is not None else resolve(reference, home).label


@dataclass(frozen=True, slots=True)
class Places:
    """The places that are searched, in their order."""

    home: Home
    settings: MlflowSettings

    def find(self, reference: ModelRef) -> Resolved | Found:
        """Ask podium's registry, then MLflow's."""
        missing: NotFound | None = None
        if not isinstance(reference, RunRef):
            try:
                return self._here(reference)
            except NotFound as error:
                missing = error
        stores = self.stores(self.settings.timeout_s, self.settings.retries)
        if stores is None:
            raise not_found(reference, missing, None, self.settings)
        try:
            return look(stores, reference)
        except NotFound as error:
            raise not_found(reference, missing, error, self.settings) from error
        except RegistryError as error:
            if missing is None:
                raise
            raise RegistryError(
                f"{reference} is not in {self.home.registry}, and MLflow's registry is no help: {error.message}"
                " Is MLFLOW_TRACKING_URI right?"
            ) from error

    def stores(self, timeout_s: float, retries: int) -> Stores | None:
        """MLflow's stores, if its variables name any."""
        return open_stores(self.settings, timeout_s=timeout_s, retries=retries)

    def remotes(self) -> Remotes:
        """What fetches into the home's cache."""
        return Remotes(Cache(self.home.cache), self.settings)

    def fetch(self, found: Found) -> Path:
        """The files of what was found."""
        stores = self.stores(self.settings.timeout_s, self.settings.retries)
        assert stores is not None
        return Fetcher(stores, self.remotes(), self.settings.folder).fetch(found)

    def fetch_address(self, reference: RemoteRef) -> Resolved:
        """The files at an address, which stands still like a folder."""
        folder = self.remotes().fetch(reference.uri, hashlib.sha256(reference.uri.encode()).hexdigest())
        return Resolved(reference, None, None, label_of(digest_folder(folder)), None, None, folder, str(reference))

    def _here(self, reference: ModelRef) -> Resolved:
        if not self.home.registry.exists():
            raise absent_here(reference, self.home)
        return read_snapshot(self.home.registry, lambda reader: resolve_in(reader, reference, self.home), _TIMEOUT_S).value


def absent_here(reference: ModelRef, home: Home) -> NotFound:
    """Podium's own registry was never made."""
    return NotFound(
        f"{reference}: nothing is registered here yet. Run: podium models register DIR NAME",
        [f"{home.registry}: there is no registry (PODIUM_HOME={home.root})"],
    )


def not_found(reference: ModelRef, here: NotFound | None, there: NotFound | None, settings: MlflowSettings) -> NotFound:
    """One error of two: the sentence of the place that knows more, and every place that was searched."""
    if there is None:
        searched = [*(here.searched if here else ()), f"MLflow: not asked; {settings.why}"]
        head = _head(here) if here else f"{reference}: only MLflow knows runs. Set MLFLOW_TRACKING_URI."
        return NotFound(head, searched)
    is_named_here = (
        here is not None and "no registered model is named" not in _head(here) and "nothing is" not in _head(here)
    )
    is_named_there = "no registered model is named" not in _head(there)
    chosen = here if here is not None and is_named_here and not is_named_there else there
    return NotFound(_head(chosen), [*(here.searched if here else ()), *there.searched])


def _head(error: NotFound) -> str:
    return error.message.partition("\n  searched ")[0]


def check_digest(found: Resolved) -> None:
    """A registered model's folder is what was registered.

    Raises:
        DigestMismatch: It is not.
    """
    if found.digest is not None and (got := digest_folder(found.folder)) != found.digest:
        raise DigestMismatch(
            f"{found.folder} is not what was registered.\n  expected {found.digest}\n  got      {got}\n"
            "Somebody changed the folder after it was recorded; nothing of it was loaded. Register it again."
        )
