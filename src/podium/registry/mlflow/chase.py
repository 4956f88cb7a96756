"""From what a registry calls a version's source to a folder on this machine, through whatever it points at."""

from dataclasses import dataclass
from pathlib import Path

from podium.artifacts.remote.fetch import Remotes
from podium.domain.masking import masked
from podium.domain.references import FolderRef, ModelRef, RemoteRef, RunRef, parse_reference
from podium.errors import InvalidReference, NotFound, RegistryError
from podium.registry.mlflow.look import Found, look, run_sources
from podium.registry.mlflow.stores import Stores

_MOST_HOPS = 8


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches what was found. `folder` is where relative paths start from."""

    stores: Stores
    remotes: Remotes
    folder: Path

    def fetch(self, found: Found) -> Path:
        """The model's folder: a copy in the cache, or the folder itself where it is one of this machine's.

        Raises:
            RegistryError: A source is gone, cannot be fetched now, or points in a circle.
            InvalidModel, DigestMismatch: What is there may not be fetched, or is no model.
        """
        sources = found.sources
        if found.version is not None:
            # The registry may keep a version's files elsewhere than where they came from.
            sources = (self.stores.registry.location(found.version),)
        try:
            return self._first(sources, found.identity, _MOST_HOPS)
        except NotFound as error:
            raise RegistryError(f"{found.place} names a model whose files are not there. {error.message}") from error

    def _first(self, sources: tuple[str, ...], key: str, hops: int) -> Path:
        last = NotFound("It names no files.")
        for source in sources:
            try:
                return self._one(source, key, hops)
            except NotFound as error:
                last = error
        raise last

    def _one(self, source: str, key: str, hops: int) -> Path:
        if hops == 0:
            raise RegistryError(f"{masked(source)}: one source names the next, more than {_MOST_HOPS} times over.")
        reference = _parsed(source)
        match reference:
            case FolderRef(path):
                return self._folder(path)
            case RemoteRef(uri):
                return self.remotes.fetch(uri, key)
            case RunRef(run_id, path):
                if self.stores.tracking is None:
                    raise RegistryError(f"{source}: set MLFLOW_TRACKING_URI to the server that knows this run.")
                return self._first(run_sources(self.stores.tracking, run_id, path), key, hops - 1)
            case _:
                found = look(self.stores, reference)
                sources = found.sources
                if found.version is not None:
                    sources = (self.stores.registry.location(found.version),)
                return self._first(sources, key, hops - 1)

    def _folder(self, path: str) -> Path:
        folder = self.folder / Path(path).expanduser()
        if not (folder / "MLmodel").is_file():
            raise NotFound(f"{folder} is not a model's folder on this machine.", [str(folder)])
        return folder


def _parsed(source: str) -> ModelRef:
    try:
        return parse_reference(source)
    except InvalidReference as error:
        raise RegistryError(f"A registry names a source that podium cannot read. {error.message}") from error
