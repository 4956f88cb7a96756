"""Which requests are handed on to the exporter, once their answers have left: those of the payload log, and of traces.

Where nobody asked for either there is no such object. What one request costs here is a look at a random number or two, and
at its `traceparent`; a record is made only of those that are handed on, and is encoded many at a time.
"""

import random
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from podium.domain.trace_context import read_traceparent
from podium.settings.exports import GatewayExports
from podium.telemetry.seen import Seen, seen_backlog
from podium.transport.frames import Answers, Reply

if TYPE_CHECKING:
    from podium.serving.walks.walk import Walk

_JSON = "application/json"
_TRACEPARENT = b"traceparent"


class Exporting:
    """Hands on requests with their answers. Event loop's thread only.

    Args:
        settings: Which.
        channel: Where the exporter reads; as `telemetry.backlog.open_channel` makes it.
        count_dropped: Told how many could not be handed on.
    """

    def __init__(self, settings: GatewayExports, channel: socket.socket, count_dropped: Callable[[int], None]) -> None:
        self._sample = settings.payload_sample
        self._most = settings.payload_max_bytes
        self._traced = settings.trace_sample
        self._channel = channel
        self._backlog = seen_backlog(channel, count_dropped)

    def see(
        self,
        walk: "Walk",
        status: int,
        duration_us: int,
        answer: bytes | memoryview,
        label: tuple[str, str] | None,
        reply: Reply | None,
        error: str | None,
    ) -> None:
        """A request was answered by itself; as in `Recorder.record`."""
        is_kept, parent = self._is_kept(), self._parent_of(walk)
        if not is_kept and parent is None:
            return
        kind, batch = _JSON, _NO_BATCH
        if reply is not None:
            kind = reply.content_type
            batch = _Batch(reply.rows, reply.batch_rows, reply.queued_us, reply.predict_us, reply.started_ns)
        answered = _Answered(time.time(), status, duration_us, answer, kind, label or ("", ""), error or "")
        self._hand_on(walk, answered, batch, is_kept, parent)

    def see_all(
        self,
        answered: "Sequence[tuple[Walk, bytes]]",
        durations: Sequence[int],
        label: tuple[str, str],
        answers: Answers,
    ) -> None:
        """The requests of a group were answered; as in `Recorder.record_answers`."""
        now = time.time()
        for (walk, answer), duration_us in zip(answered, durations, strict=True):
            is_kept, parent = self._is_kept(), self._parent_of(walk)
            if is_kept or parent is not None:
                batch = _Batch(walk.rows, answers.batch_rows, answers.queued_us, answers.predict_us, answers.started_ns)
                self._hand_on(walk, _Answered(now, 200, duration_us, answer, _JSON, label, ""), batch, is_kept, parent)

    def flush(self) -> None:
        """Hand on what waits. Call it several times a second."""
        self._backlog.flush()

    def close(self) -> None:
        """The gateway ends: hand on what the exporter takes at once."""
        self._backlog.close()
        self._channel.close()

    def _is_kept(self) -> bool:
        return self._sample >= 1 or random.random() < self._sample

    def _parent_of(self, walk: "Walk") -> str | None:
        """The `traceparent` of a request that becomes a trace, empty where it begins one; None where it becomes none.

        Whoever asks decides, if they say so: one trace is kept by all it passes, or by nobody.
        """
        if self._traced is None:
            return None
        said = walk.request.head.headers.get(_TRACEPARENT)
        if said is not None:
            header = said.decode("latin-1")
            context = read_traceparent(header)
            if context is not None:
                return header if context.is_sampled else None
        return "" if random.random() < self._traced else None

    def _hand_on(self, walk: "Walk", answered: "_Answered", batch: "_Batch", is_kept: bool, parent: str | None) -> None:
        request, most, last = walk.request, self._most if is_kept else -1, walk.last
        label, answer = answered.label, answered.answer
        since = time.monotonic_ns() - batch.started_ns
        self._backlog.add(
            Seen(
                answered.at,
                answered.duration_us,
                walk.request_id,
                request.method,
                request.path,
                answered.status,
                label[0] or walk.endpoint or "",
                label[1],
                walk.principal,
                answered.error,
                walk.attempts,
                batch.rows,
                batch.batch_rows,
                batch.queued_us,
                batch.predict_us,
                request.header(b"content-type") or "",
                answered.content_type,
                len(request.body),
                len(answer) + walk.sent,
                bytes(request.body) if len(request.body) <= most else None,
                # Of an answer in parts nothing is kept here.
                bytes(answer) if len(answer) <= most and not walk.parts else None,
                is_kept,
                parent is not None,
                parent or "",
                0 if last is None else last.id,
                batch.started_ns,
                answered.at - since / 1e9 if batch.started_ns else 0.0,
            )
        )


class _Answered(NamedTuple):
    """An answer as its client got it; `at` is in seconds since 1970."""

    at: float
    status: int
    duration_us: int
    answer: bytes | memoryview
    content_type: str
    label: tuple[str, str]
    error: str


class _Batch(NamedTuple):
    """What a worker says of a request's batch; as in `transport.frames.Reply`."""

    rows: int
    batch_rows: int
    queued_us: int
    predict_us: int
    started_ns: int


_NO_BATCH = _Batch(0, 0, 0, 0, 0)
