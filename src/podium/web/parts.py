"""An answer in parts on a connection of ours: its head, then each part as it is made, chunked, then its end."""

import asyncio
import contextlib
import fcntl
import struct
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from podium.web.handling import NO_TERMS, RequestTerms
from podium.web.messages import Fault, Request, Response, encode_head

if TYPE_CHECKING:
    from podium.web.connections import Connections

_NEVER = float("inf")
PIECE_BYTES = 1 << 18
"""Of an answer as much as is written at once: to encrypt or to copy more holds up everybody else."""
_CHUNKED = b"transfer-encoding: chunked\r\n"
_CLOSE = b"connection: close\r\n"
_LAST = b"0\r\n\r\n"


def has_untaken(transport: asyncio.Transport) -> bool:
    """Whether the kernel holds something that was written and that the client has not taken."""
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return bool(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    return False


class PartsWriter(asyncio.Protocol):
    """The half of a connection that answers in parts: the second half of `web.handling.Arrival`.

    HTTP/1.0 knows no chunks: there the end of the connection is the end of the answer.
    """

    __slots__ = (
        "_active", "_is_chunked", "_is_last", "_is_retired", "_is_stalled", "_pour_ends", "_rest", "_shared", "_transport",
        "expires_at", "on_leave", "on_room", "terms",
    )  # fmt: skip

    _shared: "Connections"
    _transport: Any
    _active: Request | Fault | None
    _is_stalled: bool
    _is_retired: bool
    _is_chunked: bool | None
    _is_last: bool
    _rest: memoryview | None  # of a large answer, what was not handed to the transport yet
    _pour_ends: float
    expires_at: float
    on_leave: Callable[[], None] | None
    on_room: Callable[[], None] | None
    terms: RequestTerms

    def begin(self, response: Response) -> None:
        """Say the head of an answer whose parts come by `send`; its body is the first of them, if there is one."""
        request = self._active
        if not isinstance(request, Request):
            return  # the client has left
        self._is_chunked = not request.is_http10
        self._is_last = self._shared.is_closing or self._is_retired or not request.keeps_alive or request.is_http10
        lines, self.terms = self.terms.lines, NO_TERMS
        framing = lines + (_CHUNKED if self._is_chunked else b"") + (_CLOSE if self._is_last else b"")
        self._transport.write(encode_head(response, self._shared.date, framing))
        if response.body:
            self.send(bytes(response.body))

    def send(self, data: bytes) -> bool:
        """Say one part, not empty; False when the client does not keep up: then `on_room` is called once it does."""
        if self._active is None:
            return True  # the client has left: nobody is waited for
        self._transport.write(b"%x\r\n%s\r\n" % (len(data), data) if self._is_chunked else data)
        return not self._is_stalled

    def end(self) -> None:
        """Say that the answer is over."""
        if self._active is None:
            return
        self._active = None
        self.on_leave = self.on_room = None
        is_chunked, self._is_chunked = self._is_chunked, None
        if not self._is_stalled:
            self.expires_at = self._shared.loop.time() + self._shared.limits.idle_s
        if is_chunked:
            self._transport.write(_LAST)
        self.conclude(self._is_last)

    def take_room(self) -> bool:
        """The client reads again; whether an answer in parts waited for that."""
        if self._is_chunked is None:
            return False
        self.expires_at = _NEVER
        on_room = self.on_room
        if on_room is not None:
            on_room()
        return True

    def pour(self, body: memoryview, is_last: bool) -> None:
        """Write a large body whose head was written: a piece in each turn of the loop, as fast as the client takes it."""
        limits = self._shared.limits
        self._rest, self._is_last = body, is_last
        self._pour_ends = self._shared.loop.time() + limits.send_s + len(body) / limits.bytes_per_s
        self.expires_at = _NEVER
        if self._is_stalled:
            self.expires_at = self._pour_ends
        else:
            self.pour_on()

    def pour_on(self) -> None:
        """Write the next piece, if there is one; after the last one go on."""
        rest = self._rest
        if rest is None or self._is_stalled:
            return  # the client has left, or does not keep up: then it is called again
        self._rest = rest[PIECE_BYTES:]
        if len(rest) > PIECE_BYTES:
            self._transport.write(rest[:PIECE_BYTES])
            if not self._is_stalled:
                self._shared.loop.call_soon(self.pour_on)
            return
        self._rest = self._active = None
        self.expires_at = self._shared.loop.time() + self._shared.limits.idle_s
        self._transport.write(rest)
        self.conclude(self._is_last)

    @property
    def is_pouring(self) -> bool:
        """Whether a large answer has not been written whole."""
        return self._rest is not None

    def conclude(self, is_last: bool) -> None:
        """Go on after an answer: with the next request, or to the connection's end."""
        raise NotImplementedError
