"""An HTTP server that takes what is posted to it, and answers with the statuses that it was told."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any


class Receiver:
    """What arrived is in `events`: headers by lower-case name, with `:path`, and bodies."""

    def __init__(self) -> None:
        self.events: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.connections: set[Any] = set()
        self._may_answer = threading.Event()
        self._may_answer.set()
        received = threading.Condition()
        self._received = received
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with received:
                    outer.connections.add(self.client_address)
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    outer.events.append((headers | {":path": self.path}, body))
                    status = outer.statuses.pop(0) if outer.statuses else 202
                    received.notify_all()
                outer._may_answer.wait(60)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.base}/events?token=x"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """It takes what comes, and answers afterwards."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    def wait_for(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        with self._received:
            assert self._received.wait_for(lambda: len(self.events) >= count, 60)
            return list(self.events)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
