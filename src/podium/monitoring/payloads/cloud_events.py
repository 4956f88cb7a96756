"""Rows as CloudEvents 1.0 over HTTP, in binary mode, as KServe's logger sends them: one for a request, one for its answer.

Sent in a thread of its own over one connection that is kept. What waits is bounded, of too much the oldest is dropped; an
event that is not taken is sent once more, over a new connection, and then failed. After a failure nothing is sent for a
while, longer each time, so that a receiver that is down costs next to nothing.
"""

import base64
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from podium.monitoring.kept_connection import TIMEOUT_S, KeptConnection
from podium.monitoring.payloads.rows import PayloadRow

_MOST_WAITING, _MOST_BYTES = 10_000, 64 << 20
_LONGEST_PAUSE_S = 30.0
_BASE64 = ";base64"
_NAMESPACE = "default"
_JSON = "application/json"


class CloudEvents:
    """Sends rows to one receiver.

    Args:
        url: Where they are posted; a user and password in it become Basic authentication.
        count: Told what became of rows: `written`, `dropped` or `failed`, and how many.
        timeout_s: As of `KeptConnection`.
    """

    def __init__(self, url: str, count: Callable[[str, int], None], timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._connection = KeptConnection(url, timeout_s)
        self._count = count
        self._waiting: deque[PayloadRow] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ends_at: float | None = None
        self._pause_s = 0.0
        self._thread = threading.Thread(target=self._run, name="cloud-events", daemon=True)
        self._thread.start()

    def add(self, row: PayloadRow) -> None:
        """Send a row soon. Never waits."""
        with self._changed:
            self._waiting.append(row)
            self._bytes += _size(row)
            dropped = 0
            while len(self._waiting) > _MOST_WAITING or (self._bytes > _MOST_BYTES and len(self._waiting) > 1):
                self._bytes -= _size(self._waiting.popleft())
                dropped += 1
            self._changed.notify()
        if dropped:
            self._count("dropped", dropped)

    def close(self, limit_s: float) -> None:
        """Send what waits, for so long at most; the rest is dropped."""
        with self._changed:
            self._ends_at = time.monotonic() + limit_s
            self._changed.notify()
        self._thread.join(limit_s + self._timeout_s)
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
        if left:
            self._count("dropped", left)

    # ── in the thread

    def _run(self) -> None:
        while (row := self._next()) is not None:
            if self._send(row):
                self._pause_s = 0.0
                self._count("written", 1)
                continue
            self._count("failed", 1)
            self._pause_s = min(max(2 * self._pause_s, 0.5), _LONGEST_PAUSE_S)
            with self._changed:
                self._changed.wait_for(lambda: self._ends_at is not None, self._pause_s)
        self._connection.close()

    def _next(self) -> PayloadRow | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ends_at is not None)
            if not self._waiting or (self._ends_at is not None and time.monotonic() > self._ends_at):
                return None
            row = self._waiting.popleft()
            self._bytes -= _size(row)
            return row

    def _send(self, row: PayloadRow) -> bool:
        post = self._connection.post
        return all(post(headers, body) or post(headers, body) for headers, body in events_of(row))


def events_of(row: PayloadRow) -> Iterator[tuple[dict[str, str], bytes]]:
    """The headers and bodies of a row's events: the request's, and the answer's where one is kept."""
    for kind, body, content_type in (
        ("request", row.request, row.request_content_type),
        ("response", row.response, row.response_content_type),
    ):
        if body is None and kind == "response":
            continue
        is_base64 = content_type.endswith(_BASE64)
        data = base64.b64decode(body or "") if is_base64 else (body or "").encode()
        headers = {
            "ce-specversion": "1.0",
            "ce-id": row.request_id,
            "ce-type": f"org.kubeflow.serving.inference.{kind}",
            "ce-source": "podium",
            "ce-time": row.request_time.isoformat().replace("+00:00", "Z"),
            "ce-recordedtime": row.request_time.isoformat().replace("+00:00", "Z"),
            "ce-inferenceservicename": row.model,
            "ce-namespace": _NAMESPACE,
            "ce-component": "predictor",
            "ce-endpoint": row.version,
            "ce-status": str(row.status_code),
        }
        told = {name: _safe(value) for name, value in headers.items()}
        mime = content_type.removesuffix(_BASE64)
        yield {**told, "Content-Type": mime if mime and mime.isascii() and mime.isprintable() else _JSON}, data


def _size(row: PayloadRow) -> int:
    return 1024 + len(row.request or "") + len(row.response or "")


def _safe(value: str) -> str:
    """A header's value: printable ASCII, all else percent-encoded, as CloudEvents' binding to HTTP says."""
    return "".join(each if " " <= each < "\x7f" and each not in '"%' else _percent(each) for each in value)


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "replace"))
