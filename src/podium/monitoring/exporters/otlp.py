"""What is sent to OpenTelemetry's collector: OTLP over HTTP with protobuf, in a thread of its own, bounded and counted."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from podium._version import __version__
from podium.monitoring.exporters.traces import Tracer
from podium.monitoring.kept_connection import TIMEOUT_S, KeptConnection
from podium.telemetry.seen import Seen

_MOST_WAITING, _TOGETHER = 4096, 256
_FLUSH_S = 1.0
_TRIES = 3
_PAUSE_S = 0.5
PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Traces:
    """Sends requests as traces.

    Args:
        endpoint: The collector's; traces go to `/v1/traces` below it.
        count: Told what became of spans: `written`, `dropped` or `failed`, and how many.
        environ: Has OpenTelemetry's variables: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_HEADERS.
        timeout_s: As of `KeptConnection`.
    """

    def __init__(
        self,
        endpoint: str,
        count: Callable[[str, int], None],
        environ: Mapping[str, str] = os.environ,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._connection = KeptConnection(endpoint.rstrip("/") + "/v1/traces", timeout_s)
        self._headers = {**pairs(environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")), **PROTOBUF}
        self._tracer = Tracer(resource_of(environ))
        self._count = count
        self._waiting: deque[Seen] = deque()
        self._changed = threading.Condition()
        self._ends_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="otlp-traces", daemon=True)
        self._thread.start()

    def add(self, seen: Seen) -> None:
        """Send a request's spans soon. Never waits."""
        with self._changed:
            self._waiting.append(seen)
            is_full = len(self._waiting) > _MOST_WAITING
            if is_full:
                self._waiting.popleft()
            if len(self._waiting) >= _TOGETHER:
                self._changed.notify()
        if is_full:
            self._count("dropped", 1)

    def close(self, limit_s: float) -> None:
        """Send what waits, for so long at most."""
        with self._changed:
            self._ends_at = time.monotonic() + limit_s
            self._changed.notify()
        self._thread.join(limit_s)
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
        if left:
            self._count("dropped", left)

    # ── in the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                # Requests of one batch are answered together: they wait for each other, so that the batch links them all.
                self._changed.wait_for(lambda: len(self._waiting) >= _TOGETHER or self._ends_at is not None, _FLUSH_S)
                some = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER))]
                is_over = self._ends_at is not None and (not some or time.monotonic() > self._ends_at)
            if some:
                spans = self._tracer.spans_of(some)
                is_taken = self._send(self._tracer.message(spans))
                self._count("written" if is_taken else "failed", len(spans))
            if is_over:
                self._connection.close()
                return

    def _send(self, message: bytes) -> bool:
        for turn in range(_TRIES):
            if self._connection.post(self._headers, message):
                return True
            with self._changed:
                if self._changed.wait_for(lambda: self._ends_at is not None, _PAUSE_S * 2**turn):
                    return False
        return False


def resource_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Who sends, as OpenTelemetry's variables say it."""
    said = pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    name = environ.get("OTEL_SERVICE_NAME") or said.get("service.name") or "podium"
    return {**said, "service.name": name, "service.version": said.get("service.version", __version__)}


def pairs(text: str) -> dict[str, str]:
    """`name=value,name=value`, percent-encoded, as OpenTelemetry's variables are written; what is no pair is left out."""
    found = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            found[unquote(name.strip())] = unquote(value.strip())
    return found
