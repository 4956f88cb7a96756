"""Records from gateways to one other process, in messages over one socket that all of them write to.

The socket keeps messages whole (SOCK_SEQPACKET), so several processes may write to it, and nobody ever waits for it: what
does not fit stays in a gateway's bounded backlog, of which the oldest are dropped and counted. The supervisor holds both
ends, so that a reader that is started again reads on. A message that is too long for the socket travels as a memfd.
"""

import array
import contextlib
import fcntl
import mmap
import os
import socket
import struct
import termios
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

BUFFER_BYTES = 512 << 10
_INLINE_BYTES = 48 << 10
_TOGETHER = 64
_MOST_WAITING, _MOST_WAITING_BYTES = 20_000, 32 << 20
_LARGEST_BYTES = 256 << 20
_DESCRIPTORS = 1
_FILLING = bytes(_INLINE_BYTES)


class Record(Protocol):
    """What is handed on."""

    @property
    def size(self) -> int:
        """About what it takes in memory."""


RecordT = TypeVar("RecordT", bound=Record)


class Message(NamedTuple):
    """What was received: the bytes beside the descriptor of what travelled as one, and the content."""

    data: bytes
    content: bytes


def open_channel(buffer_bytes: int = BUFFER_BYTES) -> tuple[socket.socket, socket.socket]:
    """The end that gateways write to, which never makes them wait, and the reader's. The kernel may give less buffer."""
    writing, reading = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    writing.setblocking(False)
    return writing, reading


class Backlog(Generic[RecordT]):
    """What a gateway has not handed on yet. One thread.

    Args:
        channel: From `open_channel`; stays the caller's.
        encode: Makes a message of records.
        count_dropped: Told how many were dropped.
        share: Which part of the socket's buffer may be full for it to add to that; above it, what comes is kept here.
    """

    def __init__(
        self,
        channel: socket.socket,
        encode: Callable[[Sequence[RecordT]], bytes],
        count_dropped: Callable[[int], None],
        share: float = 1.0,
    ) -> None:
        self._channel = channel
        self._encode = encode
        self._count_dropped = count_dropped
        room = channel.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        self._most_queued = None if share >= 1 else int(share * room)
        self._waiting: deque[RecordT] = deque()
        self._bytes = 0

    def add(self, record: RecordT) -> None:
        """Keep a record until it is handed on; of too many the oldest are dropped."""
        waiting = self._waiting
        waiting.append(record)
        self._bytes += record.size
        dropped = 0
        while len(waiting) > _MOST_WAITING or (self._bytes > _MOST_WAITING_BYTES and len(waiting) > 1):
            self._bytes -= waiting.popleft().size
            dropped += 1
        if dropped:
            self._count_dropped(dropped)
        if len(waiting) % _TOGETHER == 0:
            self.flush()

    def flush(self) -> None:
        """Hand on what the reader takes now. Never waits."""
        waiting = self._waiting
        while waiting:
            if self._most_queued is not None and _queued(self._channel) > self._most_queued:
                return
            first = [waiting[place] for place in range(min(_TOGETHER, len(waiting)))]
            while len(first) > 1 and sum(each.size for each in first) > _INLINE_BYTES:
                first = first[: len(first) // 2]
            if not send(self._channel, self._encode(first)):
                return  # full, or nobody is there to read: the backlog's bound says what is lost
            for each in first:
                waiting.popleft()
                self._bytes -= each.size

    def close(self) -> None:
        """Hand on what can be, and drop the rest."""
        self.flush()
        if self._waiting:
            self._count_dropped(len(self._waiting))
            self._waiting.clear()


def send(channel: socket.socket, message: bytes) -> bool:
    """Hand on a message whole, if it is taken now. Never waits."""
    if len(message) > _INLINE_BYTES:
        # Filled up, so that the socket's bound is one for what lies in files, too.
        return send_file(channel, _FILLING, message)
    try:
        channel.send(message)
    except OSError:
        return False
    return True


def send_file(channel: socket.socket, data: bytes, content: bytes) -> bool:
    """Hand on a content as a memfd beside some bytes, if it is taken now. Never waits."""
    try:
        with _as_file(content) as file:
            socket.send_fds(channel, [data], [file])
    except OSError:
        return False
    return True


def receive_message(channel: socket.socket, *, is_left: bool = False) -> Message | None:
    """The next message, waiting up to the socket's timeout; None once nobody can write any more.

    Args:
        channel: The reader's end.
        is_left: Look at it only: it is the next one the next time, too.

    Raises:
        TimeoutError, BlockingIOError: Nothing came.
    """
    flags = socket.MSG_PEEK if is_left else 0
    data, ancillary, _, _ = channel.recvmsg(2 * _INLINE_BYTES, socket.CMSG_SPACE(_DESCRIPTORS * 4), flags)
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    try:
        if not data:
            return None
        return Message(data, _content(descriptors[0]) if descriptors else data)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _queued(channel: socket.socket) -> int:
    """Bytes in the socket that were not read yet, with what the kernel needs beside them."""
    with contextlib.suppress(OSError):
        return int(struct.unpack("i", fcntl.ioctl(channel, termios.TIOCOUTQ, bytes(4)))[0])
    return 0


@contextlib.contextmanager
def _as_file(message: bytes) -> Iterator[int]:
    descriptor = os.memfd_create("podium-records", os.MFD_CLOEXEC)
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
