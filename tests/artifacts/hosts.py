"""A small HTTP server of the standard library for tests: it answers what it is told to, as badly as it is told to."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Any

# What a handler gives back: a status, headers and a body.
Answer = tuple[int, dict[str, str], bytes]
Route = bytes | Answer | Callable[["Handler"], Answer | None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Looks a path up in the host's routes. A route that gives None has answered, or not, by itself."""

    host: "Host"
    # A client that hung up on us must not leave a thread behind.
    timeout = 60

    def do_GET(self) -> None:
        self.host.asked.append((self.path, self.headers))
        route = self.host.routes.get(self.path.partition("?")[0], self.host.fallback)
        answer: Answer | None = (
            self.file(route) if isinstance(route, bytes) else route if isinstance(route, tuple) else route(self)
        )
        if answer is not None:
            self.send(*answer)

    do_POST = do_GET

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def raw(self, *pieces: bytes) -> None:
        """Bytes as they are, and then the end of the connection."""
        for piece in pieces:
            self.wfile.write(piece)
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def file(self, content: bytes) -> Answer:
        """As a file server answers: with a tag, and with the range that was asked for."""
        tag = f'"{hash(content) & 0xFFFFFFFF:x}"'
        span = self.headers.get("Range", "")
        if span and self.headers.get("If-Range", tag) == tag:
            first, _, last = span.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1 if last else len(content), len(content))
            where = {"ETag": tag, "Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
            return 206, where, content[start:end]
        return 200, {"ETag": tag}, content


class Host(http.server.ThreadingHTTPServer):
    """Routes by path, and what was asked: paths and headers, in order."""

    daemon_threads = True
    scheme = "http"
    routes: dict[str, Route]
    asked: list[tuple[str, Message]]
    fallback: Route = (404, {}, b"not here")

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is what many of these tests are about."""


@contextmanager
def hosting(routes: dict[str, Route], tls: ssl.SSLContext | None = None) -> Iterator[Host]:
    """A host on a port of its own, for as long as the block runs."""
    handler = type("Handling", (Handler,), {})
    with Host(("127.0.0.1", 0), handler) as host:
        handler.host = host  # type: ignore[attr-defined]
        host.routes, host.asked = routes, []
        if tls is not None:
            host.scheme = "https"
            host.socket = tls.wrap_socket(host.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield host
        finally:
            host.shutdown()
            thread.join(60)
