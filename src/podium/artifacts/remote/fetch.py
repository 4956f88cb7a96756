"""From an address to a folder in the cache: which kind of store it names, and what is done with what comes."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from podium.artifacts.remote.azure import AzureFolder
from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.contract import RemoteFolder
from podium.artifacts.remote.gcs import GoogleFolder
from podium.artifacts.remote.objects import Patience
from podium.artifacts.remote.proxy import ProxyFolder, is_proxy_url, proxy_url
from podium.artifacts.remote.s3 import S3Folder
from podium.artifacts.remote.web import WebArchive, WebFolder
from podium.artifacts.remote.wire import Access, Wire
from podium.domain.masking import masked
from podium.domain.model_files.archives import archive_stem
from podium.errors import InvalidReference
from podium.settings.mlflow import MlflowSettings


class Remotes:
    """Fetches model folders from wherever an address points. For one thread; `abort` is for any.

    Args:
        cache: Where they go.
        settings: Whose credentials, and which server `mlflow-artifacts:` is relative to.
    """

    def __init__(self, cache: Cache, settings: MlflowSettings) -> None:
        self._cache = cache
        self._settings = settings
        self._wire = Wire(Access.of(settings), settings.timeout_s)
        self._lock = threading.Lock()
        self._under_way: list[RemoteFolder] = []
        self._is_over = False

    def fetch(self, uri: str, key: str) -> Path:
        """The model's folder in the cache, under a key of 64 hex digits.

        Raises:
            NotFound: There is no model.
            InvalidReference: Nothing here fetches from such an address.
            InvalidModel, DigestMismatch, RegistryError: As `Cache.fetch`.
            MissingDependency: The library for this kind of store is not installed.
        """
        with self._known(self._open(uri)) as folder:
            return self._cache.fetch(key, folder, is_packed=_is_archive(uri))

    def abort(self) -> None:
        """End what is under way; what is asked later fails."""
        self._wire.abort()
        with self._lock:
            self._is_over = True
            for folder in self._under_way:
                folder.abort()

    @contextlib.contextmanager
    def _known(self, folder: RemoteFolder) -> Iterator[RemoteFolder]:
        """To `abort`, for as long as it is read."""
        with self._lock:
            self._under_way.append(folder)
            if self._is_over:
                folder.abort()
        try:
            yield folder
        finally:
            with self._lock:
                self._under_way.remove(folder)

    def _open(self, uri: str) -> RemoteFolder:
        scheme = uri.partition(":")[0]
        if scheme == "mlflow-artifacts":
            return ProxyFolder(proxy_url(uri, self._settings.tracking_uri), self._wire)
        if scheme in {"http", "https"} and is_proxy_url(uri):
            return ProxyFolder(uri, self._wire)
        if scheme in {"http", "https"}:
            return WebArchive(uri, self._wire) if _is_archive(uri) else WebFolder(uri, self._wire)
        patience = Patience(self._settings.timeout_s, self._settings.retries, self._settings.backoff_s)
        if scheme == "s3":
            return S3Folder(uri, self._settings.objects, patience)
        if scheme == "gs":
            return GoogleFolder(uri, self._settings.objects, patience)
        if scheme in {"abfs", "abfss", "wasb", "wasbs"}:
            return AzureFolder(uri, self._settings.objects, patience)
        raise InvalidReference(f"{masked(uri)}: podium does not fetch from {scheme}: addresses.")


def _is_archive(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme in {"http", "https"} and not is_proxy_url(uri) and archive_stem(parts.path) is not None
