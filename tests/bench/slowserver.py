"""A small real HTTP server that answers as a test says: after a pause, with another status, or not at all."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"

# Told how many requests came before this one: seconds to wait, then what to send; None closes without an answer.
Behaviour = Callable[[int], tuple[float, bytes | None]]


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """One thread for each connection; ends with the block."""
    over, numbers = threading.Event(), itertools.count()
    threads: list[threading.Thread] = []

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(0.1)
            while _heard_request(connection, over):
                pause, reply = behaviour(next(numbers))
                if over.wait(pause) or reply is None:
                    return
                connection.sendall(reply)
                if b"close" in reply:
                    return

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=answer, args=(connection,))
            thread.start()
            threads.append(thread)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            acceptor.join()
            for thread in threads:
                thread.join()


def _heard_request(connection: socket.socket, over: threading.Event) -> bool:
    """Read until a request is whole: its body is `{}`, and the next comes only after the answer."""
    held = b""
    while not over.is_set() and not held.endswith(b"\r\n\r\n{}"):
        with contextlib.suppress(TimeoutError):
            data = connection.recv(65536)
            if not data:
                return False
            held += data
    return not over.is_set()
