"""The frames between a gateway and a worker: a fixed header, then the payload. Pure encoding and decoding.

    header   length u32 | kind u8 | flags u8 | status u16 | id u64          (little endian; length counts the payload)
    REQUEST  deadline_ns i64 (CLOCK_MONOTONIC, 0 = none) | content type length u16 | request id length u16
             | content type | request id | body             status: SOLO set means "never merge with others"
    CANCEL   no payload: the client has left; drop the request if it has not started
    REPLY    rows u32 | batch rows u32 | queued_us u32 | predict_us u32 | content type length u16 | content type | body
             status: the HTTP status; flags: FIRST_OF_BATCH on exactly one reply of each batch
    REFUSED  reason u8 as flags (`DRAINING`, `QUEUE_FULL`): nothing was started, so the request may go elsewhere

Ids are chosen by the gateway and mean nothing across sockets. A reader trusts no length beyond its limit and no id
that is not outstanding; nothing here is ever unpickled.
"""

import struct
from dataclasses import dataclass

from podium.errors import PodiumError

HEADER = struct.Struct("<IBBHQ")
_REQUEST = struct.Struct("<qHH")
_REPLY = struct.Struct("<IIIIH")

REQUEST, CANCEL, REPLY, REFUSED = 1, 2, 3, 4

SOLO = 1  # a flag of REQUEST
FIRST_OF_BATCH = 1  # a flag of REPLY
DRAINING, QUEUE_FULL = 1, 2  # the flags of REFUSED

DEFAULT_LIMIT = 512 * 1024 * 1024


class BrokenFrame(PodiumError):
    """The other side sent what cannot be a frame; the socket is of no further use."""

    code = "BROKEN_FRAME"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the worker sees it: raw body, undecoded."""

    id: int
    body: bytes
    content_type: str | None
    request_id: str
    deadline_ns: int
    is_solo: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """A worker's answer: the bytes that the client gets, and what it cost."""

    id: int
    status: int
    content_type: str
    body: bytes
    rows: int
    batch_rows: int
    queued_us: int
    predict_us: int
    is_first_of_batch: bool


def encode_request(request: Request) -> bytes:
    """One REQUEST frame. A content type of None travels as an empty one with length 65535."""
    kind = b"" if request.content_type is None else request.content_type.encode("latin-1", "replace")[:65534]
    name = request.request_id.encode("latin-1", "replace")[:65535]
    size = _REQUEST.size + len(kind) + len(name) + len(request.body)
    kind_length = 0xFFFF if request.content_type is None else len(kind)
    return b"".join(
        (
            HEADER.pack(size, REQUEST, SOLO if request.is_solo else 0, 0, request.id),
            _REQUEST.pack(request.deadline_ns, kind_length, len(name)),
            kind,
            name,
            request.body,
        )
    )


def decode_request(flags: int, identity: int, payload: bytes | memoryview) -> Request:
    """Read a REQUEST's payload.

    Raises:
        BrokenFrame: The lengths inside do not fit the payload.
    """
    view = memoryview(payload)
    if len(view) < _REQUEST.size:
        raise BrokenFrame(f"a REQUEST frame of {len(view)} bytes is shorter than its header")
    deadline_ns, kind_length, name_length = _REQUEST.unpack_from(view)
    has_kind = kind_length != 0xFFFF
    start = _REQUEST.size + (kind_length if has_kind else 0)
    if start + name_length > len(view):
        raise BrokenFrame("a REQUEST frame's inner lengths pass its end")
    return Request(
        id=identity,
        body=bytes(view[start + name_length :]),
        content_type=str(view[_REQUEST.size : start], "latin-1") if has_kind else None,
        request_id=str(view[start : start + name_length], "latin-1"),
        deadline_ns=deadline_ns,
        is_solo=bool(flags & SOLO),
    )


def encode_reply(reply: Reply) -> bytes:
    """One REPLY frame."""
    kind = reply.content_type.encode("latin-1")
    return b"".join(
        (
            HEADER.pack(
                _REPLY.size + len(kind) + len(reply.body),
                REPLY,
                FIRST_OF_BATCH if reply.is_first_of_batch else 0,
                reply.status,
                reply.id,
            ),
            _REPLY.pack(
                reply.rows,
                reply.batch_rows,
                min(reply.queued_us, 0xFFFFFFFF),
                min(reply.predict_us, 0xFFFFFFFF),
                len(kind),
            ),
            kind,
            reply.body,
        )
    )


def decode_reply(flags: int, status: int, identity: int, payload: bytes | memoryview) -> Reply:
    """Read a REPLY's payload.

    Raises:
        BrokenFrame: The lengths inside do not fit the payload.
    """
    view = memoryview(payload)
    if len(view) < _REPLY.size:
        raise BrokenFrame(f"a REPLY frame of {len(view)} bytes is shorter than its header")
    rows, batch_rows, queued_us, predict_us, kind_length = _REPLY.unpack_from(view)
    start = _REPLY.size + kind_length
    if start > len(view):
        raise BrokenFrame("a REPLY frame's content type passes its end")
    return Reply(
        id=identity,
        status=status,
        content_type=str(view[_REPLY.size : start], "latin-1"),
        body=bytes(view[start:]),
        rows=rows,
        batch_rows=batch_rows,
        queued_us=queued_us,
        predict_us=predict_us,
        is_first_of_batch=bool(flags & FIRST_OF_BATCH),
    )


def encode_cancel(identity: int) -> bytes:
    """One CANCEL frame."""
    return HEADER.pack(0, CANCEL, 0, 0, identity)


def encode_refused(identity: int, reason: int) -> bytes:
    """One REFUSED frame; reason is `DRAINING` or `QUEUE_FULL`."""
    return HEADER.pack(0, REFUSED, reason, 0, identity)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, its payload not yet read."""

    kind: int
    flags: int
    status: int
    id: int
    payload: memoryview


class FrameReader:
    """Cuts a byte stream into frames, in time linear in the bytes however they arrive.

    Args:
        limit: Bytes; a longer payload is a broken frame, found from its header alone.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take what arrived and return the frames that are now whole.

        Raises:
            BrokenFrame: A length beyond the limit.
        """
        self._buffer += data
        if len(self._buffer) < HEADER.size:
            return []
        frames: list[Frame] = []
        position = 0
        # Cut from one immutable copy: a bytearray with live views of it cannot grow.
        whole = self._whole_bytes()
        if not whole:
            return []
        cut = memoryview(bytes(memoryview(self._buffer)[:whole]))
        del self._buffer[:whole]
        while position < whole:
            length, kind, flags, status, identity = HEADER.unpack_from(cut, position)
            start = position + HEADER.size
            position = start + length
            frames.append(Frame(kind, flags, status, identity, cut[start:position]))
        return frames

    def _whole_bytes(self) -> int:
        position, size = 0, len(self._buffer)
        while size - position >= HEADER.size:
            length = HEADER.unpack_from(self._buffer, position)[0]
            if length > self._limit:
                raise BrokenFrame(f"a frame announces {length} bytes; the limit is {self._limit}")
            if size - position - HEADER.size < length:
                break
            position += HEADER.size + length
        return position
