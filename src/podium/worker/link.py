"""One gateway's data socket, seen from the worker: frames in, replies out, never blocking."""

import socket
from collections import deque

from podium.transport.frame_reader import Frame, FrameReader
from podium.worker.inbox import Item

_READ_BYTES = 256 * 1024
_READS_AT_ONCE = 16
_JOIN_BYTES = 256 * 1024
_PARTS_AT_ONCE = 256
HIGH_WATER_BYTES = 8 * 1024 * 1024


class Link:
    """A data socket and the replies that it did not take yet.

    Back-pressure: while more than `HIGH_WATER_BYTES` of replies wait for the gateway to read, nothing is read from it, so
    that what it can make us keep is bounded by that and by the queue.

    Args:
        sock: A connected stream socket; made non-blocking.
        serial: What the board names it by (`Attach.socket`).
    """

    def __init__(self, sock: socket.socket, serial: int) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._frames = FrameReader()
        self._incoming = memoryview(bytearray(_READ_BYTES))  # kept: to map a new one for each read costs three calls
        self._out: deque[bytes | memoryview] = deque()
        self._out_bytes = 0
        self.serial = serial
        self.descriptor = sock.fileno()
        self.waiting: dict[int, Item] = {}  # a group under its first id
        self.is_open = True
        self.interest = 0

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    @property
    def is_reading(self) -> bool:
        """Whether the gateway keeps up with our replies."""
        return self._out_bytes <= HIGH_WATER_BYTES

    def receive(self) -> tuple[list[Frame], bool]:
        """Everything that is readable now, up to 4 MiB so that no gateway starves another; and whether it goes on.

        Raises:
            BrokenFrame: The gateway sent what is not a frame.
        """
        frames: list[Frame] = []
        for _ in range(_READS_AT_ONCE):
            try:
                room = self._frames.room
                size = self._sock.recv_into(self._incoming if room is None else room)
            except BlockingIOError:
                return frames, True
            except OSError:
                return frames, False
            if not size:
                return frames, False
            frames += self._frames.feed(self._incoming[:size].tobytes()) if room is None else self._frames.take(size)
            if size < len(self._incoming if room is None else room):
                # A short read emptied the socket; what came since makes it readable again.
                return frames, True
        return frames, True

    def send(self, frame: bytes) -> None:
        """Keep a frame for the next `flush`."""
        if self.is_open:
            self._out.append(frame)
            self._out_bytes += len(frame)

    def flush(self) -> bool:
        """Write as much as the socket takes, in as few calls as there can be; False when the gateway is gone."""
        while self._out:
            try:
                sent = self._write()
            except BlockingIOError:
                return True
            except OSError:
                return False
            self._drop_sent(sent)
        return True

    def close(self) -> None:
        self.is_open = False
        self._out.clear()
        self._out_bytes = 0
        self._sock.close()

    def _write(self) -> int:
        if len(self._out) == 1:
            return self._sock.send(self._out[0])
        if self._out_bytes <= _JOIN_BYTES:
            joined = b"".join(self._out)
            self._out.clear()
            self._out.append(joined)
            return self._sock.send(joined)
        return self._sock.sendmsg([part for part, _ in zip(self._out, range(_PARTS_AT_ONCE), strict=False)])

    def _drop_sent(self, sent: int) -> None:
        self._out_bytes -= sent
        while sent:
            first = self._out[0]
            if sent < len(first):
                self._out[0] = memoryview(first)[sent:]
                return
            sent -= len(first)
            self._out.popleft()
