"""The laws of remote folders, on a web server with SHA256SUMS and on an MLflow server's proxy."""

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from hosts import Handler, Host, hosting

from podium.artifacts.remote.conformance import RemoteFolderLaws
from podium.artifacts.remote.contract import RemoteFolder
from podium.artifacts.remote.proxy import SERVICE, ProxyFolder
from podium.artifacts.remote.web import SUMS, WebFolder
from podium.artifacts.remote.wire import Access, Wire

_HOSTILE = ("../evil", "/etc/evil", "a/../../evil", "a//b", "a\\b", "a/./b", "x" * 300, "a\x01b")


class WebShelf:
    """Routes of a host; `SHA256SUMS` is what the files are."""

    hostile = _HOSTILE
    markers = ()
    secrets = ("s3cret",)

    def __init__(self, host: Host) -> None:
        self._host = host
        self._files: dict[str, dict[str, bytes]] = {}

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        self._files.setdefault(name, {}).update(files)
        lines = [f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in self._files[name].items()]
        self._host.routes[f"/{name}/{SUMS}"] = "".join(lines).encode()
        for path, content in files.items():
            self._host.routes[f"/{name}/{quote(path)}"] = content

    def remove(self, name: str, path: str) -> None:
        del self._host.routes[f"/{name}/{quote(path)}"]

    def open(self, name: str) -> RemoteFolder:
        return WebFolder(f"{self._host.url.replace('//', '//user:s3cret@')}/{name}?sig=s3cret", Wire(Access(), 60))


class ProxyShelf:
    """As MLflow's server lists: one folder at a time, paths from that folder."""

    hostile = _HOSTILE
    markers = ()
    secrets = ("s3cret",)

    def __init__(self, host: Host) -> None:
        self._host = host
        self._files: dict[str, bytes] = {}
        host.fallback = self._answer

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        self._files |= {f"{name}\0{path}": content for path, content in files.items()}

    def remove(self, name: str, path: str) -> None:
        del self._files[f"{name}\0{path}"]

    def open(self, name: str) -> RemoteFolder:
        return ProxyFolder(f"{self._host.url.replace('//', '//user:s3cret@')}{SERVICE}/{name}", Wire(Access(), 60))

    def _answer(self, handler: Handler) -> tuple[int, dict[str, str], bytes] | None:
        parts = urlsplit(handler.path)
        if parts.path != SERVICE:
            path = unquote(parts.path).removeprefix(SERVICE + "/").replace("/", "\0", 1)
            return handler.file(self._files[path]) if path in self._files else (404, {}, b"")
        name, _, folder = parse_qs(parts.query)["path"][0].partition("/")
        below = f"{name}\0" + (f"{folder}/" if folder else "")
        entries = {}
        for path, content in self._files.items():
            if path.startswith(below):
                # A hostile server does not split a name that leads elsewhere.
                rest = path.removeprefix(below)
                head = rest if {"", ".", ".."} & set(rest.split("/")) else rest.partition("/")[0]
                is_folder = head != rest
                entries[head] = {"path": head, "is_dir": is_folder, "file_size": None if is_folder else str(len(content))}
        return 200, {}, json.dumps({"files": list(entries.values())}).encode()


class TestWebFolder(RemoteFolderLaws):
    @pytest.fixture
    def shelf(self):
        with hosting({}) as host:
            yield WebShelf(host)


class TestProxyFolder(RemoteFolderLaws):
    @pytest.fixture
    def shelf(self):
        with hosting({}) as host:
            yield ProxyShelf(host)
