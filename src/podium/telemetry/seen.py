"""What gateways hand to the exporter: requests that were answered, many to a message (`telemetry/backlog.py`)."""

import socket
from collections.abc import Callable
from typing import Any

import msgspec

from podium.telemetry.backlog import Backlog, receive_message, send_file


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request with its answer; times in microseconds, `ended` in seconds since 1970.

    Attributes:
        request, answer: Bodies; None where they are not handed on.
        request_size, answer_size: Of the bodies, handed on or not.
        is_kept: It is one of the payload log's.
        traceparent: Of whoever asked; empty where they sent none, or the request is not traced.
        is_traced: It is one of the traces'.
        replica: Whose worker ran it.
        batch: Number of its batch, which no other of that worker has; 0 where there was none.
        batch_at: When the model got the batch, seconds since 1970.
    """

    ended: float
    duration_us: int
    request_id: str
    method: str
    path: str
    status: int
    model: str
    version: str
    principal: str
    error: str
    attempts: int
    rows: int
    batch_rows: int
    queued_us: int
    predict_us: int
    request_type: str
    answer_type: str
    request_size: int
    answer_size: int
    request: bytes | None = None
    answer: bytes | None = None
    is_kept: bool = False
    is_traced: bool = False
    traceparent: str = ""
    replica: int = 0
    batch: int = 0
    batch_at: float = 0.0

    @property
    def size(self) -> int:
        """About what it takes in memory."""
        return 512 + len(self.request or b"") + len(self.answer or b"")


class ToldMetrics(msgspec.Struct, frozen=True):
    """What the supervisor tells the exporter, for whoever is sent metrics.

    Attributes:
        started_at: When the server began to count, seconds since 1970.
        series: Labels of the series in the slots, by index.
        metrics: The supervisor's own, as in `transport.messages.Tell`, of all endpoints.
    """

    started_at: float
    series: list[dict[str, str]]
    metrics: list[dict[str, Any]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Seen])
_told = msgspec.msgpack.Decoder(ToldMetrics)
_TOLD = b"told"


def seen_backlog(channel: socket.socket, count_dropped: Callable[[int], None]) -> Backlog[Seen]:
    """What a gateway has not handed on yet; as `Backlog`."""
    return Backlog(channel, _encoder.encode, count_dropped)


def tell(channel: socket.socket, told: ToldMetrics) -> bool:
    """Tell the exporter, if it takes it now. Never waits."""
    return send_file(channel, _TOLD, _encoder.encode(told))


def receive(channel: socket.socket) -> list[Seen] | ToldMetrics | None:
    """The next message, waiting up to the socket's timeout; None once nobody can write any more.

    Raises:
        TimeoutError: Nothing came.
        msgspec.MsgspecError: It was no message of ours.
    """
    message = receive_message(channel)
    if message is None:
        return None
    return _told.decode(message.content) if message.data == _TOLD else _decoder.decode(message.content)
