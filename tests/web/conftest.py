"""A real server on a real socket: the protocol, with a handler that does what the path says."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from podium.domain.clients.access import Peer
from podium.web.connections import Connections
from podium.web.limits import Limits
from podium.web.messages import Fault, Head, Request, Response
from podium.web.protocol import Connection

LIMIT_S = 60.0
RAW = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nraw"


class Handler:
    """`/echo` answers the body, `/raw` RAW where it may, `/big?n` n bytes, `/hold` when told, `/closed` nobody."""

    def __init__(self) -> None:
        self.held: list[tuple[Request, Connection]] = []
        self.seen: list[Request] = []
        self.turned_away: list[Request] = []
        self.judged = 0
        self.left = 0

    def handle(self, request: Request, connection: Connection) -> None:
        self.seen.append(request)
        if request.path == "/hold":
            connection.on_leave = self._left
            self.held.append((request, connection))
        elif request.path == "/raw":
            if not connection.answer_raw(RAW):
                connection.answer(Response(200, b"slow", "text/plain"))
        elif request.path == "/big":
            connection.answer(Response(200, b"x" * int(request.query), "text/plain"))
        else:
            connection.answer(Response(200, bytes(request.body), "text/plain"))

    def turns_away(self, head: Head, peer: Peer) -> bool:
        self.judged += 1
        return head.path == "/closed"

    def turn_away(self, request: Request, connection: Connection) -> None:
        self.turned_away.append(request)
        connection.answer(Response(401, b"closed", "text/plain"))

    def handle_fault(self, fault: Fault, connection: Connection) -> None:
        connection.answer(Response(fault.status, fault.detail.encode(), "text/plain", fault.headers))

    def _left(self) -> None:
        self.left += 1


class WebServer:
    """Runs in a thread of its own with a loop of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.loop = loop
        self.handler = Handler()
        self.connections = Connections(loop, self.handler, limits)
        self._server = loop.run_until_complete(loop.create_server(self.connections.accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.loop.call_soon(self._sweep)
        self.loop.run_forever()

    def _sweep(self) -> None:
        self.connections.sweep()
        self.loop.call_later(0.02, self._sweep)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function on the loop and return what it returns."""

        async def run() -> Any:
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(LIMIT_S)

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(LIMIT_S)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def release(self, index: int = 0) -> None:
        """Answer a held request with its body."""
        until(lambda: len(self.handler.held) > index, "a held request")
        request, connection = self.handler.held[index]
        self.call(connection.answer, Response(200, bytes(request.body), "text/plain"))

    def close(self) -> None:
        self.call(self.connections.abort)
        self.call(self._server.close)
        until(lambda: not self.connections.open, "the connections to close")
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(LIMIT_S)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


def until(condition: Callable[[], Any], what: str) -> Any:
    ends = time.monotonic() + LIMIT_S
    while not (value := condition()):
        assert time.monotonic() < ends, f"waited {LIMIT_S} s for {what}"
        time.sleep(0.005)
    return value


def read_answers(sock: socket.socket, count: int = 1) -> list[tuple[int, dict[str, str], bytes]]:
    """Read so many whole answers (never of HEAD)."""
    data, answers = b"", []
    while len(answers) < count:
        head, found, rest = data.partition(b"\r\n\r\n")
        headers = _headers(head) if found else {}
        if found and len(rest) >= int(headers.get("content-length", "0")):
            size = int(headers.get("content-length", "0"))
            answers.append((int(head.split(b" ", 2)[1]), headers, rest[:size]))
            data = rest[size:]
            continue
        received = sock.recv(1 << 16)
        assert received, f"closed after {data!r}"
        data += received
    assert not data
    return answers


def _headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.decode().lower(): value.strip().decode() for name, _, value in pairs}


@pytest.fixture(name="until")
def _until() -> Callable[[Callable[[], Any], str], Any]:
    return until


@pytest.fixture(name="read_answers")
def _read_answers() -> Callable[..., Any]:
    return read_answers


@pytest.fixture(params=["uvloop", "asyncio"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Both loops that the gateway runs on."""
    if request.param == "asyncio":
        return asyncio.new_event_loop
    uvloop = pytest.importorskip("uvloop")
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


@pytest.fixture
def serve(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Callable[..., WebServer]]:
    """Start servers with the given limits; all are stopped after the test."""
    servers: list[WebServer] = []

    def begin(**limits: Any) -> WebServer:
        servers.append(WebServer(new_loop(), Limits(**limits)))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def serve_module() -> Iterator[Callable[..., WebServer]]:
    """Start servers that all tests of a file share."""
    servers: list[WebServer] = []

    def begin(**limits: Any) -> WebServer:
        servers.append(WebServer(asyncio.new_event_loop(), Limits(**limits)))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()
