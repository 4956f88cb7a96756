"""What gateways hand to the exporter: requests that were answered, in messages over one socket that all of them write to.

The socket keeps messages whole (SOCK_SEQPACKET), so several processes may write to it, and nobody ever waits for it: what
does not fit stays in a gateway's bounded backlog, of which the oldest are dropped and counted. The supervisor holds both
ends, so that an exporter that is started again reads on. A message is a list of records, in MessagePack; one that is too
long for the socket travels as a memfd.
"""

import array
import contextlib
import mmap
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

_BUFFER_BYTES = 512 << 10
_INLINE_BYTES = 48 << 10
_TOGETHER = 64
_MOST_WAITING, _MOST_WAITING_BYTES = 20_000, 32 << 20
_LARGEST_BYTES = 256 << 20
_DESCRIPTORS = 1
_FILLING = bytes(_INLINE_BYTES)


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


def open_channel() -> tuple[socket.socket, socket.socket]:
    """The end that gateways write to, which never makes them wait, and the exporter's."""
    writing, reading = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    writing.setblocking(False)
    return writing, reading


class Backlog:
    """What a gateway has not handed on yet. One thread.

    Args:
        channel: From `open_channel`; stays the caller's.
        count_dropped: ToldMetrics how many were dropped.
    """

    def __init__(self, channel: socket.socket, count_dropped: Callable[[int], None]) -> None:
        self._channel = channel
        self._count_dropped = count_dropped
        self._waiting: deque[Seen] = deque()
        self._bytes = 0

    def add(self, seen: Seen) -> None:
        """Keep a record until it is handed on; of too many the oldest are dropped."""
        waiting = self._waiting
        waiting.append(seen)
        self._bytes += seen.size
        dropped = 0
        while len(waiting) > _MOST_WAITING or (self._bytes > _MOST_WAITING_BYTES and len(waiting) > 1):
            self._bytes -= waiting.popleft().size
            dropped += 1
        if dropped:
            self._count_dropped(dropped)
        if len(waiting) % _TOGETHER == 0:
            self.flush()

    def flush(self) -> None:
        """Hand on what the exporter takes now. Never waits."""
        waiting = self._waiting
        while waiting:
            first = [waiting[place] for place in range(min(_TOGETHER, len(waiting)))]
            while len(first) > 1 and sum(each.size for each in first) > _INLINE_BYTES:
                first = first[: len(first) // 2]
            if not self._send(first):
                return
            for each in first:
                waiting.popleft()
                self._bytes -= each.size

    def close(self) -> None:
        """Hand on what can be, and drop the rest."""
        self.flush()
        if self._waiting:
            self._count_dropped(len(self._waiting))
            self._waiting.clear()

    def _send(self, records: Sequence[Seen]) -> bool:
        message = _encoder.encode(records)
        try:
            if len(message) <= _INLINE_BYTES:
                self._channel.send(message)
            else:
                with _as_file(message) as file:
                    # Filled up, so that the socket's bound is one for what lies in files, too.
                    socket.send_fds(self._channel, [_FILLING], [file])
        except OSError:
            return False  # full, or nobody is there to read: the backlog's bound says what is lost
        return True


def tell(channel: socket.socket, told: ToldMetrics) -> bool:
    """Tell the exporter, if it takes it now. Never waits."""
    try:
        with _as_file(_encoder.encode(told)) as file:
            socket.send_fds(channel, [_TOLD], [file])
    except OSError:
        return False
    return True


def receive(channel: socket.socket) -> list[Seen] | ToldMetrics | None:
    """The next message, waiting up to the socket's timeout; None once nobody can write any more.

    Raises:
        TimeoutError: Nothing came.
        msgspec.MsgspecError: It was no message of ours.
    """
    data, ancillary, _, _ = channel.recvmsg(2 * _INLINE_BYTES, socket.CMSG_SPACE(_DESCRIPTORS * 4))
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    try:
        if not data:
            return None
        content = _content(descriptors[0]) if descriptors else data
        return _told.decode(content) if data == _TOLD else _decoder.decode(content)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@contextlib.contextmanager
def _as_file(message: bytes) -> Iterator[int]:
    descriptor = os.memfd_create("podium-seen", os.MFD_CLOEXEC)
    try:
        view = memoryview(message)
        while view:
            view = view[os.write(descriptor, view) :]
        yield descriptor
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    if not 0 < size <= _LARGEST_BYTES:
        return b""
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as content:
        return bytes(content)
