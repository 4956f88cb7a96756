"""One HTTP/1.1 connection on asyncio: requests in, answers out, in order, one at a time; no coroutine on the way.

A connection answers its requests one after another, so that pipelined answers cannot change places and a request never
starts before the one it was sent behind is done. While a request waits for its turn nothing more is read.

A client that closes its side has left: a request of its that still waits for its answer is given up.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from ssl import cert_time_to_seconds
from typing import TYPE_CHECKING, Any

from podium.domain.clients.access import Peer, names_of
from podium.web.handling import NO_TERMS, RequestTerms
from podium.web.messages import CONTINUE, Fault, Request, Response, Unread, encode, server_is_full
from podium.web.parts import PIECE_BYTES, PartsWriter, has_untaken
from podium.web.reading import ReadingPhase, RequestReader
from podium.web.unpacking import Unpacking, is_packed

if TYPE_CHECKING:
    from podium.web.connections import Connections

_NEVER = float("inf")
_UNKNOWN = Peer("")
_IDLE = ReadingPhase.IDLE
_SENDING = (ReadingPhase.HEAD, ReadingPhase.BODY)
_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"
_NO_LINGER = struct.pack("ii", 1, 0)
_ANSWERS_AT_ONCE = 8  # of one connection, before all others have their turn


class Connection(PartsWriter):
    """One connection.

    Attributes:
        client, on_leave, terms, peer: As in `web.handling.Arrival`.
        vouched_until: Unix seconds: when the certificate that its client has shown ends.
        expires_at: Loop time when the client has used up what it may take for what it does now.
    """

    __slots__ = (
        "_body_size", "_ends", "_era", "_is_deferred", "_is_dispatching", "_is_lingering", "_is_paused", "_reader",
        "client", "has_asked", "peer", "vouched_until",
    )  # fmt: skip

    def __init__(self, shared: "Connections") -> None:
        self._shared = shared
        self._reader = RequestReader(shared.limits, shared.heads)
        self._active: Request | Fault | None = None
        self._is_dispatching = False
        self._is_deferred = False  # its next request is taken up when all others had their turn
        self._is_paused = False  # we do not read
        self._is_stalled = False  # the client does not read
        self._is_chunked = self.on_room = self._rest = None
        self._is_lingering = False  # the last answer is out
        self._ends = _NEVER  # when the time for head or body ends; moves with the bytes received
        self._era = shared.era
        self.has_asked = self._is_retired = False
        self._body_size = 0
        self._transport: Any = None
        self.client = ""
        self.peer = _UNKNOWN
        self.vouched_until = _NEVER
        self.terms: RequestTerms = NO_TERMS
        self.on_leave: Callable[[], None] | None = None
        self.expires_at = _NEVER

    # ── asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop and asyncio both set TCP_NODELAY on what a server accepts.
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else ""
        certificate = transport.get_extra_info("peercert")
        self.peer = Peer(self.client, names_of(certificate), transport.get_extra_info("sslcontext") is not None)
        shared = self._shared
        shared.open.add(self)
        if certificate:
            shared.certified.add(self)
            self.vouched_until = cert_time_to_seconds(certificate["notAfter"])
            if self._era != shared.era:
                self.retire()
        now = shared.loop.time()
        self.expires_at = now + shared.limits.idle_s
        if len(shared.open) > shared.limits.connections and not shared.room.make(shared.open, now):
            self._reader.refuse(Fault(503, "The server has as many connections as it takes."))
            self._next()

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            if not self._is_stalled:  # it still sends: cut now, it would lose the answer that it has not looked for yet
                self.expires_at = min(self._shared.loop.time() + self._shared.limits.linger_s, self._ends)
            return
        self.has_asked = True
        reader = self._reader
        if reader.phase is _IDLE and self._active is None and not (reader.ready or self._is_stalled):
            request = reader.recall(data)
            if request is not None:
                self._active = request
                self.expires_at = _NEVER
                self._shared.handler.handle(request, self)
                return
        before = reader.phase
        reader.feed(data)
        if reader.phase is ReadingPhase.BODY or self._body_size:
            if not reader.is_judged and reader.phase is ReadingPhase.BODY:
                self._judge()
            self._count_body()
        if self._active is None:
            if reader.ready:
                self._next()
            if self._active is None and reader.phase in _SENDING and not self._is_lingering:
                self._watch(before, len(data))
        elif reader.ready and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        elif reader.phase is not before:
            self._ends = _NEVER

    def eof_received(self) -> None:
        """Give up what waits and close: a client that will not send has left, as far as HTTP servers can tell."""
        rest, self._rest = self._rest, None
        if rest is not None:
            self._transport.write(rest)  # the answer that it is getting it gets
        self._forsake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._shared.open.discard(self)
        self._shared.certified.discard(self)
        self._shared.body_size -= self._body_size
        self._body_size = 0
        self._forsake()

    def pause_writing(self) -> None:
        limits = self._shared.limits
        self._is_stalled = True
        if self._rest is not None:
            self.expires_at = self._pour_ends
            return
        allowed = limits.send_s + self._transport.get_write_buffer_size() / limits.bytes_per_s
        self.expires_at = self._shared.loop.time() + allowed

    def resume_writing(self) -> None:
        self._is_stalled = False
        if self._rest is not None:
            self.expires_at = _NEVER
            self.pour_on()
            return
        if self.take_room():
            return
        limits = self._shared.limits
        self.expires_at = self._shared.loop.time() + (limits.linger_s if self._is_lingering else limits.idle_s)
        if not self._is_lingering:
            self._next()

    # ── the handler calls this

    def answer(self, response: Response) -> None:
        """Answer the request that `handle` was called with; in one write."""
        request = self._active
        if request is None:
            return  # the client has left
        self._active = None
        self.on_leave = None
        shared = self._shared
        if isinstance(request, Request):
            is_head = request.method == "HEAD"
            is_last = shared.is_closing or self._is_retired or not request.keeps_alive
            connection = _CLOSE if is_last else _KEEP if request.is_http10 else b""
        else:
            is_head, is_last, connection = request.method == "HEAD", True, _CLOSE
        self.expires_at = shared.loop.time() + shared.limits.idle_s
        lines, self.terms = self.terms.lines, NO_TERMS
        is_large = len(response.body) > PIECE_BYTES and not is_head and response.status == 200
        self._transport.write(encode(response, shared.date + lines, is_head or is_large, connection))
        if is_large:
            self._active = request  # nothing else is begun before its answer has left
            self.pour(memoryview(response.body), is_last)
        else:
            self.conclude(is_last)

    def conclude(self, is_last: bool) -> None:
        """Go on after an answer: with the next request, or to the connection's end."""
        if is_last:
            self._linger()
        elif not self._is_dispatching and (
            self._reader.ready or self._is_paused or self._reader.phase is not ReadingPhase.IDLE
        ):
            self._next()

    def answer_raw(self, data: bytes) -> bool:
        """As `Exchange`; cheaper than `answer`."""
        request = self._active
        shared = self._shared
        if type(request) is not Request or not request.head.is_plain or shared.is_closing or self._is_retired:
            return False
        self._active = None
        self.on_leave = None
        self.expires_at = shared.idle_ends
        self.terms = NO_TERMS
        self._transport.write(data)
        reader = self._reader
        if not self._is_dispatching and (reader.phase is not _IDLE or reader.ready or self._is_paused):
            self._next()
        return True

    @property
    def lines(self) -> bytes:
        """As `Exchange`."""
        terms = self.terms
        return self._shared.date if terms is NO_TERMS else self._shared.date + terms.lines

    # ── the sweep and the drain call these

    def expire(self, now: float) -> None:
        """The client took too long for what it was doing."""
        self.expires_at = now + self._shared.limits.linger_s
        if self._is_lingering or self._is_stalled:
            if self._is_stalled or not now < self._ends < _NEVER or not has_untaken(self._transport):
                self._reset()
        elif self._active is None and self._reader.phase in _SENDING:
            self._reader.refuse(Fault(408, "The request did not arrive in time.", *self._reader.target))
            self._next()
        elif self._transport.get_write_buffer_size():
            self._reset()
        else:
            self.close_if_idle()

    def close_if_idle(self) -> None:
        # Once: a drain asks again and again, and each time would begin the client's grace anew.
        if (
            self._active is None
            and self._reader.phase is ReadingPhase.IDLE
            and not (self._reader.ready or self._is_lingering)
        ):
            self._linger()

    def retire(self) -> None:
        """Have this connection end with its next answer; at once where it has no request."""
        self._is_retired = True
        self.close_if_idle()

    def abort(self) -> None:
        self._transport.abort()

    def _reset(self) -> None:
        """Cut, and throw away what the client did not read: else the kernel would keep that for minutes, for nobody."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    # ── steps

    def _forsake(self) -> None:
        self._active = self._rest = None
        self._is_lingering = True
        self._reader.ready.clear()
        on_leave, self.on_leave = self.on_leave, None
        if on_leave is not None:
            on_leave()

    def _next(self) -> None:
        """Take up what waits, until one needs time, the client does not read its answers, or it is others' turn.

        A client may send thousands of requests in one piece. Those that need no time would all be answered before anybody
        else's first.
        """
        if self._is_deferred:
            return
        turns = _ANSWERS_AT_ONCE
        ready = self._reader.ready
        self._is_dispatching = True
        while ready and self._active is None and not self._is_stalled and not self._is_lingering:
            if not turns:
                self._defer()
                break
            turns -= 1
            item = ready.popleft()
            self.expires_at = _NEVER
            self._begin(item)
        self._is_dispatching = False
        if self._active is not None or self._is_stalled or self._is_lingering or self._is_deferred:
            return
        if self._reader.wants_continue:
            self._reader.wants_continue = False
            self._transport.write(CONTINUE)
        if self._reader.phase in _SENDING:
            self._watch(ReadingPhase.IDLE, 0)
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _begin(self, item: Request | Unread | Fault) -> None:
        handler = self._shared.handler
        if type(item) is Request:
            self._active = item
            if not is_packed(item.head, item.body):
                handler.handle(item, self)
            elif handler.turns_away(item.head, self.peer):
                handler.turn_away(item, self)
            else:
                self._unpack(item, Unpacking(item, self._shared.limits))
        elif type(item) is Unread:
            self._active = item.request
            handler.turn_away(item.request, self)
        elif type(item) is Fault:
            self._active = item
            handler.handle_fault(item, self)

    def _judge(self) -> None:
        """Have nothing kept of a body whose sender is refused for what its head says."""
        reader = self._reader
        reader.is_judged = True
        if self._shared.handler.turns_away(reader.head, self.peer):
            reader.dismiss()

    def _unpack(self, item: Request, unpacking: Unpacking) -> None:
        """Undo a body's compression, with a turn for all others between its parts."""
        shared = self._shared
        before = unpacking.size
        found = unpacking.advance() if self._active is item else None
        shared.body_size += unpacking.size - before
        if found is None and shared.body_size > shared.limits.buffered_bytes:
            found = server_is_full(item.method, item.path)
        if found is None and self._active is item:
            shared.loop.call_soon(self._unpack, item, unpacking)
            return
        shared.body_size -= unpacking.size
        if self._active is not item or found is None:
            return  # the client has left
        self._active = found
        if isinstance(found, Request):
            shared.handler.handle(found, self)
        else:
            shared.handler.handle_fault(found, self)

    def _defer(self) -> None:
        self._is_deferred = True
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._shared.loop.call_soon(self._resume)

    def _resume(self) -> None:
        self._is_deferred = False
        self._next()

    def _watch(self, before: ReadingPhase, received: int) -> None:
        """Give the client its time for the head or the body that it is sending."""
        limits = self._shared.limits
        phase = self._reader.phase
        if phase is not before or self._ends == _NEVER:
            self._ends = self._shared.loop.time() + (limits.head_s if phase is ReadingPhase.HEAD else limits.body_s)
        if phase is ReadingPhase.BODY:
            self._ends += received / limits.bytes_per_s
            if self._reader.wants_continue:
                self._reader.wants_continue = False
                self._transport.write(CONTINUE)
        self.expires_at = self._ends

    def _count_body(self) -> None:
        shared = self._shared
        grown = self._reader.body_size - self._body_size
        self._body_size += grown
        shared.body_size += grown
        if grown > 0 and shared.body_size > shared.limits.buffered_bytes:
            self._reader.refuse(server_is_full(*self._reader.target))
            self._count_body()

    def _linger(self) -> None:
        """Say that nothing more comes, and drop what still arrives until the client closes or its time is up."""
        self._is_lingering = True
        self._reader.ready.clear()
        shared = self._shared
        now = shared.loop.time()
        self._ends = now + max(shared.limits.body_s, shared.limits.linger_s)
        if not self._is_stalled:
            self.expires_at = now + shared.limits.linger_s
        transport = self._transport
        if transport.is_closing():
            return
        if self._is_paused:
            self._is_paused = False
            transport.resume_reading()
        if transport.can_write_eof():
            with contextlib.suppress(OSError):  # the client has left with a reset
                transport.write_eof()
        else:
            transport.close()
