"""Both clients as one kind of thing to tests, and a server that misbehaves as it is told to."""

import asyncio
import contextlib
import re
import socket
import threading

from podium.client import AsyncClient


class Awaited:
    """AsyncClient's calls, each run to its end on a loop of the test's own."""

    def __init__(self, url, **options):
        self._client = AsyncClient(url, **options)
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name):
        return lambda *args, **named: self._loop.run_until_complete(getattr(self._client, name)(*args, **named))

    def stream(self, *args, **named):
        parts = self._client.stream(*args, **named)
        try:
            while True:
                try:
                    yield self._loop.run_until_complete(anext(parts))
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run_until_complete(parts.aclose())

    def __repr__(self):
        return repr(self._client)

    def close(self):
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()


class Breaking(threading.Thread):
    """Accepts connections and does to each what it is told to next: closes, says something, breaks off."""

    def __init__(self, *deeds):
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._deeds, self.heads = deeds, []
        self.start()

    def run(self):
        with self._listener:
            for deed in self._deeds:
                # A client may leave before its deed is done.
                with self._listener.accept()[0] as connection, contextlib.suppress(OSError):
                    self.heads.append(self._asked(connection))
                    connection.sendall(deed)

    @staticmethod
    def _asked(connection):
        """The head of a request that was read to its end: what is left unread would be a reset to whoever wrote it."""
        said = b""
        while part := connection.recv(1 << 16):
            head, ended, body = (said := said + part).partition(b"\r\n\r\n")
            length = re.search(rb"content-length: *([0-9]+)", head.lower())
            if ended and len(body) >= int(length[1] if length else 0):
                break
        return said.partition(b"\r\n\r\n")[0].decode().lower()
