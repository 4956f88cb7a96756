"""An MLflow server that wants harm: nothing leaves the cache, no secret this machine, and nothing hangs."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from podium.artifacts.remote.cache import Cache, FetchLimits
from podium.artifacts.remote.fetch import Remotes
from podium.errors import DigestMismatch, InvalidModel, NotFound, PodiumError, RegistryError
from podium.settings.mlflow import MlflowSettings

KEY = "0" * 64
BYTES = b"12345"
MODEL = {"path": "MLmodel", "is_dir": False, "file_size": len(BYTES)}
Answer = Callable[[BaseHTTPRequestHandler], bytes]


def listing(*files: Any) -> bytes:
    body = json.dumps({"files": files}).encode()
    return b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def plain(body: bytes) -> bytes:
    return b"HTTP/1.0 200 OK\r\n\r\n" + body


class Server:
    """Answers with these bytes, and keeps what it was asked and shown."""

    def __init__(self, on_list: bytes, on_file: bytes) -> None:
        seen: list[tuple[str, str | None]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append((self.path, self.headers.get("Authorization")))
                self.wfile.write(on_list if "?path=" in self.path else on_file)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.seen = seen
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(on_list: bytes = listing(MODEL), on_file: bytes = plain(BYTES)) -> Server:
        servers.append(Server(on_list, on_file))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def fetch(server: Server, folder: Path) -> Path:
    settings = MlflowSettings(server.url, None, "said so", username="u", password="hush", timeout_s=60.0)
    cache = Cache(folder / "cache", FetchLimits(most_bytes=1 << 20, limit_s=60))
    return Remotes(cache, settings).fetch("mlflow-artifacts:/m", KEY)


def test_a_model_is_fetched(serving: Callable[..., Server], tmp_path: Path) -> None:
    assert (fetch(serving(), tmp_path) / "MLmodel").read_bytes() == BYTES


NAMES = ["../x", "/etc/x", "a/../../x", "a\\b", "a\0b", "", "MLmodel", "MLmodel/x", "x" * 300, "\ud800", "./x", "a//b"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_fetched(
    name: str, serving: Callable[..., Server], tmp_path: Path
) -> None:
    server = serving(listing(MODEL, {"path": name, "is_dir": False, "file_size": 5}))

    with pytest.raises(InvalidModel):
        fetch(server, tmp_path)

    assert not list(tmp_path.rglob("x"))
    assert len(server.seen) == 1


LISTS = [
    (listing({"path": "a", "is_dir": True}), InvalidModel),
    (listing(*({"path": f"f{i}"} for i in range(20_001))), InvalidModel),
    (listing(MODEL | {"file_size": 1 << 40}), InvalidModel),
    (listing(MODEL | {"file_size": 10**400}), InvalidModel),
    (listing({"path": {"a": 1}}), NotFound),
    (plain(b"null"), RegistryError),
    (plain(b"[" * 100_000), RegistryError),
    (plain(b'{"files": [1]}'), RegistryError),
    (plain(b" " * (33 << 20)), RegistryError),
    (b"nonsense\r\n\r\n", RegistryError),
]


@pytest.mark.parametrize(("on_list", "expected"), LISTS, ids=[f"{row[0][:60]!r}" for row in LISTS])
def test_a_list_that_is_none_is_refused(
    on_list: bytes, expected: type[PodiumError], serving: Callable[..., Server], tmp_path: Path
) -> None:
    with pytest.raises(expected):
        fetch(serving(on_list), tmp_path)


@pytest.mark.parametrize("size", ["9" * 5000, "\u00b2", -1, 1.5, True, None, [5]], ids=lambda size: ascii(size)[:9])
def test_a_size_that_is_none_is_as_if_nothing_was_said(size: Any, serving: Callable[..., Server], tmp_path: Path) -> None:
    assert (fetch(serving(listing(MODEL | {"file_size": size})), tmp_path) / "MLmodel").read_bytes() == BYTES


TARGETS = [
    "file:///etc/passwd",
    "http://169.254.169.254/latest/",
    "http://2852039166/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://[zz/",
    "http://127.0.0.1:99999/",
    f"http://{'a' * 300}.example/",
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_redirect_to_where_nobody_should_go_is_not_followed(
    target: str, serving: Callable[..., Server], tmp_path: Path
) -> None:
    on_file = f"HTTP/1.0 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()

    with pytest.raises(RegistryError):
        fetch(serving(on_file=on_file), tmp_path)


def test_a_redirect_to_another_host_is_followed_without_the_credentials(
    serving: Callable[..., Server], tmp_path: Path
) -> None:
    other = serving()
    server = serving(on_file=f"HTTP/1.0 302 Found\r\nLocation: {other.url}/there\r\nContent-Length: 0\r\n\r\n".encode())

    fetch(server, tmp_path)

    assert all(shown is not None for _, shown in server.seen)
    assert other.seen == [("/there", None)]


FILES = [
    (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n123", RegistryError),
    (plain(BYTES * 2), DigestMismatch),
    (plain(BYTES[:3]), DigestMismatch),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n12345", RegistryError),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n", RegistryError),
    (b"HTTP/1.1 99999 OK\r\n\r\n", RegistryError),
]


@pytest.mark.parametrize(("on_file", "expected"), FILES, ids=[f"{row[0][:40]!r}" for row in FILES])
def test_a_file_that_is_not_what_was_announced_is_not_taken(
    on_file: bytes, expected: type[PodiumError], serving: Callable[..., Server], tmp_path: Path
) -> None:
    with pytest.raises(expected):
        fetch(serving(on_file=on_file), tmp_path)

    assert not (tmp_path / "cache" / KEY / "model").exists()


ENDLESS = b"9" * 5000
HEADS = [
    b"HTTP/1.0 206 Partial Content\r\nContent-Range: bytes 0-0/%s\r\n\r\n1" % ENDLESS,
    b"HTTP/1.0 206 Partial Content\r\nContent-Range: bytes %s-0/5\r\n\r\n1" % ENDLESS,
    b"HTTP/1.0 200 OK\r\nContent-Length: %s\r\n\r\n1" % ENDLESS,
]


@pytest.mark.parametrize("on_file", HEADS, ids=["size", "start", "length"])
def test_an_archive_of_an_endless_size_is_refused(on_file: bytes, serving: Callable[..., Server], tmp_path: Path) -> None:
    server = serving(on_file=on_file)
    remotes = Remotes(Cache(tmp_path / "cache"), MlflowSettings(None, None, "said so", timeout_s=60.0))

    with pytest.raises(PodiumError):
        remotes.fetch(f"{server.url}/model.tar.gz", KEY)
