"""The artifact proxy of an MLflow server: `/api/2.0/mlflow-artifacts/artifacts/…`."""

import contextlib
import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from podium.artifacts.remote.contract import RemoteFile
from podium.artifacts.remote.names import MOST_FILES, checked, checked_list
from podium.artifacts.remote.wire import Unreachable, Wire
from podium.domain.masking import masked
from podium.errors import InvalidModel, NotFound, RegistryError

SERVICE = "/api/2.0/mlflow-artifacts/artifacts"
_MOST_FOLDERS = 2_000
_LONGEST_SIZE = 18


def proxy_url(uri: str, tracking_uri: str | None) -> str:
    """The address of a `mlflow-artifacts:` URI, which is relative to the tracking server.

    Raises:
        RegistryError: There is no tracking server to be relative to.
    """
    if tracking_uri is None or not tracking_uri.startswith(("http:", "https:")):
        raise RegistryError(
            f"{uri} lies behind the artifact proxy of an MLflow server. Set MLFLOW_TRACKING_URI to that server's address."
        )
    server, named = urlsplit(tracking_uri), urlsplit(uri)
    path = posixpath.join(server.path.rstrip("/") + SERVICE, named.path.lstrip("/")).rstrip("/")
    netloc = server.netloc
    if named.netloc and named.netloc != server.netloc.rpartition("@")[2]:
        netloc = named.netloc
    return urlunsplit((server.scheme, netloc, path, "", ""))


def is_proxy_url(url: str) -> bool:
    """Whether an http(s) address is that of an MLflow server's artifacts."""
    return SERVICE + "/" in urlsplit(url).path


class ProxyFolder:
    """A `RemoteFolder` behind an MLflow server. Its listing has sizes but neither tags nor digests."""

    def __init__(self, url: str, wire: Wire) -> None:
        parts = urlsplit(url)
        prefix, _, path = parts.path.partition(SERVICE)
        self._service = urlunsplit((parts.scheme, parts.netloc, prefix + SERVICE, "", ""))
        self._path = unquote(path).strip("/")
        self._wire = wire
        self.place = masked(url)

    def files(self) -> list[RemoteFile]:
        return checked_list(self._walk(), self.place)

    @contextlib.contextmanager
    def read(self, file: RemoteFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        url = f"{self._service}/{quote(posixpath.join(self._path, file.path))}"
        with self._wire.get(url, {"Range": f"bytes={start}-"} if start else {}) as reply:
            if reply.status == 404:
                raise NotFound(f"{self.place}: {file.path} is gone.", [self.place])
            if reply.status != (206 if start else 200):
                raise Unreachable(f"{self.place}: {file.path} was answered with HTTP {reply.status}.")
            yield reply.chunks()

    def abort(self) -> None:
        self._wire.abort()

    def _walk(self) -> Iterator[RemoteFile]:
        waiting, asked = [""], 0
        while waiting:
            folder = waiting.pop()
            asked += 1
            if asked > _MOST_FOLDERS:
                raise InvalidModel(f"{self.place} holds more than {_MOST_FOLDERS} folders; a model has a few.")
            for entry in self._entries(folder):
                path = checked(posixpath.join(folder, str(entry.get("path", ""))), self.place)
                if entry.get("is_dir"):
                    waiting.append(path)
                else:
                    yield RemoteFile(path, _size(entry.get("file_size")))

    def _entries(self, folder: str) -> list[dict[str, Any]]:
        status, answer = self._wire.ask(
            "GET", f"{self._service}?path={quote(posixpath.join(self._path, folder).rstrip('/'))}"
        )
        if status == 404:
            return []
        files = answer.get("files", []) if isinstance(answer, dict) else None
        if status != 200 or not isinstance(files, list) or not all(isinstance(entry, dict) for entry in files):
            raise Unreachable(f"{self.place} did not list its files (HTTP {status}).")
        if len(files) > MOST_FILES:
            raise InvalidModel(f"{self.place} holds more than {MOST_FILES} files; a model has some dozens.")
        return files


def _size(said: Any) -> int | None:
    """Bytes; None where the server says nothing that can be a size. MLflow writes it as text or as a number."""
    if isinstance(said, str) and len(said) <= _LONGEST_SIZE and said.isascii() and said.isdecimal():
        return int(said)
    return said if type(said) is int and said >= 0 else None
