"""The frames between a gateway and a worker: a fixed header, then the payload. Pure encoding and decoding.

    header   length u32 | kind u8 | flags u8 | status u16 | id u64          (little endian; length counts the payload)
    REQUEST  deadline_ns i64 (CLOCK_MONOTONIC, 0 = none) | content type length u16 | request id length u16
             | content type | request id | body             flags: SOLO means "never merge with others", STREAM that
             the answer may come in CHUNKs, of which the gateway takes WINDOW
    CANCEL   no payload: the client has left; drop the request if it has not started
    REPLY    rows u32 | batch rows u32 | queued_us u32 | predict_us u32 | started_ns u64 | content type length u16
             | content type | body
             started_ns: CLOCK_MONOTONIC when the model got the batch, which no other of this worker has; 0 without one
             status: the HTTP status; flags: FIRST_OF_BATCH on exactly one reply of each batch, FAULT where the model
             or the worker is to blame for an error, and not the request
    REFUSED  reason u8 as flags (`DRAINING`, `QUEUE_FULL`): nothing was started, so the request may go elsewhere
    ROWS     deadline_ns i64 | requests u32 | rows u32 | names length u32 | texts length u32 | names | texts | rows of each
             request, u32 each, unless every request has one row | block: many requests that a gateway decoded by the
             model's input plan; id is the first's, the others follow it; names are their request ids, line by line;
             flags: RAGGED, TENSORS where an only request is to be answered by a REPLY with tensors
    ANSWERS  requests u32 | batch rows u32 | queued_us u32 | predict_us u32 | started_ns u64 | bodies, line by line (JSON
             has no raw line feed): the answers with status 200 to a whole ROWS frame, in its order; flags as REPLY; status:
             what kind of array all of them were cut from (`protocols/tensors.py`), 0 for anything else
    CHUNK    content type length u16 | content type | body: a part of the answer to a request with STREAM; after the last
             comes a REPLY, with status 204 where all went well
    MORE     no payload; status: how many CHUNKs more the gateway takes for this request

Ids are chosen by the gateway and mean nothing across sockets. A reader trusts no length beyond its limit and no id
that is not outstanding; nothing here is ever unpickled.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from podium.errors import PodiumError

HEADER = struct.Struct("<IBBHQ")
_REQUEST = struct.Struct("<qHH")
_REPLY = struct.Struct("<IIIIQH")
_REPLY_FRAME = struct.Struct("<IBBHQIIIIQH")  # both in one
_ROWS = struct.Struct("<qIIII")
_ROWS_FRAME = struct.Struct("<IBBHQqIIII")
_ANSWERS = struct.Struct("<IIIIQ")
_CHUNK_FRAME = struct.Struct("<IBBHQH")
_CHUNK = struct.Struct("<H")
_ANSWERS_FRAME = struct.Struct("<IBBHQIIIIQ")
_MOST_U32 = 0xFFFFFFFF

REQUEST, CANCEL, REPLY, REFUSED, ROWS, ANSWERS, CHUNK, MORE = 1, 2, 3, 4, 5, 6, 7, 8

SOLO, STREAM = 1, 2  # flags of REQUEST
WINDOW = 16
"""How many CHUNKs of one request may be under way before the gateway says MORE."""
RAGGED, TENSORS = 1, 2  # flags of ROWS; the first: the rows of each request are told
FIRST_OF_BATCH, FAULT = 1, 4  # flags of REPLY
DRAINING, QUEUE_FULL = 1, 2  # the flags of REFUSED

DEFAULT_LIMIT = 512 * 1024 * 1024
LARGE_BYTES = 1 << 16
"""A longer body is not copied in one piece where that can be avoided: everybody else of a gateway would wait."""


# The values below are named tuples: made in a third of a frozen dataclass's time, once or twice for each request.


class BrokenFrame(PodiumError):
    """The other side sent what cannot be a frame; the socket is of no further use."""

    code = "BROKEN_FRAME"


class RequestFrame(NamedTuple):
    """A request as the worker sees it: raw body, undecoded."""

    id: int
    body: bytes
    content_type: str | None
    request_id: str
    deadline_ns: int
    is_solo: bool
    is_stream: bool = False


class Reply(NamedTuple):
    """A worker's answer: the bytes that the client gets, and what it cost; a large body of a 200 is a view of its frame."""

    id: int
    status: int
    content_type: str
    body: bytes | memoryview
    rows: int
    batch_rows: int
    queued_us: int
    predict_us: int
    is_first_of_batch: bool
    is_fault: bool = False
    started_ns: int = 0


class Rows(NamedTuple):
    """Requests that were decoded by the model's input plan, as the worker gets them.

    Args:
        first: The first one's id; the others count up from it.
        requests: How many.
        rows: Of all together.
        counts: Rows of each; None where each has one.
        names: Their request ids, joined by line feeds.
        texts: A JSON list of strings, or nothing where the plan has no text.
        block: Records, row by row (`domain/inputs/plan.py`).
        wants_tensors: Its only request is to be answered with tensors.
    """

    first: int
    deadline_ns: int
    requests: int
    rows: int
    counts: tuple[int, ...] | None
    names: bytes
    texts: bytes
    block: memoryview
    wants_tensors: bool = False


class Answers(NamedTuple):
    """The answers to a whole ROWS frame; `form` is the number of what they were cut from, 0 for what has none."""

    first: int
    bodies: list[bytes]
    batch_rows: int
    queued_us: int
    predict_us: int
    is_first_of_batch: bool
    form: int = 0
    started_ns: int = 0


def request_parts(request: RequestFrame) -> tuple[bytes, ...]:
    """One REQUEST frame, a large body apart, as it is. A content type of None travels as an empty one with length 65535."""
    kind = b"" if request.content_type is None else request.content_type.encode("latin-1", "replace")[:65534]
    name = request.request_id.encode("latin-1", "replace")[:65535]
    size = _REQUEST.size + len(kind) + len(name) + len(request.body)
    kind_length = 0xFFFF if request.content_type is None else len(kind)
    is_apart = len(request.body) > LARGE_BYTES
    head = b"".join(
        (
            HEADER.pack(size, REQUEST, request.is_solo | request.is_stream << 1, 0, request.id),
            _REQUEST.pack(request.deadline_ns, kind_length, len(name)),
            kind,
            name,
            b"" if is_apart else request.body,
        )
    )
    return (head, request.body) if is_apart else (head,)


def decode_request(flags: int, identity: int, payload: bytes | memoryview) -> RequestFrame:
    """Read a REQUEST's payload.

    Raises:
        BrokenFrame: The lengths inside do not fit the payload.
    """
    size = len(payload)
    if size < _REQUEST.size:
        raise BrokenFrame(f"a REQUEST frame of {size} bytes is shorter than its header")
    deadline_ns, kind_length, name_length = _REQUEST.unpack_from(payload)
    has_kind = kind_length != 0xFFFF
    start = _REQUEST.size + (kind_length if has_kind else 0)
    end = start + name_length
    if end > size:
        raise BrokenFrame("a REQUEST frame's inner lengths pass its end")
    return RequestFrame(
        identity,
        bytes(payload[end:]),
        str(payload[_REQUEST.size : start], "latin-1") if has_kind else None,
        str(payload[start:end], "latin-1"),
        deadline_ns,
        bool(flags & SOLO),
        bool(flags & STREAM),
    )


def encode_reply(reply: Reply) -> bytes:
    """One REPLY frame."""
    kind = reply.content_type.encode("latin-1", "replace")[:65535]
    queued_us, predict_us = reply.queued_us, reply.predict_us
    head = _REPLY_FRAME.pack(
        _REPLY.size + len(kind) + len(reply.body),
        REPLY,
        (FIRST_OF_BATCH if reply.is_first_of_batch else 0) | (FAULT if reply.is_fault else 0),
        reply.status,
        reply.id,
        min(reply.rows, _MOST_U32),
        min(reply.batch_rows, _MOST_U32),
        queued_us if 0 <= queued_us <= _MOST_U32 else max(0, min(queued_us, _MOST_U32)),
        predict_us if 0 <= predict_us <= _MOST_U32 else max(0, min(predict_us, _MOST_U32)),
        reply.started_ns,
        len(kind),
    )
    return b"".join((head, kind, reply.body))


def decode_reply(flags: int, status: int, identity: int, payload: bytes | memoryview) -> Reply:
    """Read a REPLY's payload.

    Raises:
        BrokenFrame: The lengths inside do not fit the payload.
    """
    view = memoryview(payload)
    if len(view) < _REPLY.size:
        raise BrokenFrame(f"a REPLY frame of {len(view)} bytes is shorter than its header")
    rows, batch_rows, queued_us, predict_us, started_ns, kind_length = _REPLY.unpack_from(view)
    start = _REPLY.size + kind_length
    if start > len(view):
        raise BrokenFrame("a REPLY frame's content type passes its end")
    return Reply(
        id=identity,
        status=status,
        content_type=str(view[_REPLY.size : start], "latin-1"),
        body=view[start:] if status == 200 and len(view) - start > LARGE_BYTES else bytes(view[start:]),
        rows=rows,
        batch_rows=batch_rows,
        queued_us=queued_us,
        predict_us=predict_us,
        is_first_of_batch=bool(flags & FIRST_OF_BATCH),
        is_fault=bool(flags & FAULT),
        started_ns=started_ns,
    )


def encode_rows(
    first: int,
    deadline_ns: int,
    counts: Sequence[int],
    rows: int,
    names: bytes,
    texts: bytes,
    blocks: Sequence[bytes],
    wants_tensors: bool = False,
) -> bytes:
    """One ROWS frame.

    Args:
        first: The first request's id; the others count up from it.
        deadline_ns: As in `RequestFrame`, of all.
        names: As in `Rows`, like `texts`.
        texts: A JSON list of strings, or nothing.
        counts: Rows of each request.
        rows: Their sum.
        blocks: The records of each request.
        wants_tensors: As in `Rows`.
    """
    requests = len(counts)
    ragged = b"" if rows == requests and 0 not in counts else struct.pack(f"<{requests}I", *counts)
    block = b"".join(blocks)
    size = _ROWS.size + len(names) + len(texts) + len(ragged) + len(block)
    head = _ROWS_FRAME.pack(
        size,
        ROWS,
        (RAGGED if ragged else 0) | wants_tensors << 1,
        0,
        first,
        deadline_ns,
        requests,
        rows,
        len(names),
        len(texts),
    )
    return b"".join((head, names, texts, ragged, block))


def decode_rows(flags: int, first: int, payload: memoryview) -> Rows:
    """Read a ROWS frame's payload.

    Raises:
        BrokenFrame: The lengths inside do not fit the payload, or the rows of each request not their sum.
    """
    size = len(payload)
    if size < _ROWS.size:
        raise BrokenFrame(f"a ROWS frame of {size} bytes is shorter than its header")
    deadline_ns, requests, rows, names_length, texts_length = _ROWS.unpack_from(payload)
    texts_start = _ROWS.size + names_length
    counts_start = texts_start + texts_length
    start = counts_start + (4 * requests if flags & RAGGED else 0)
    if start > size or not requests:
        raise BrokenFrame("a ROWS frame's inner lengths pass its end")
    counts: tuple[int, ...] | None = None
    if flags & RAGGED:
        counts = struct.unpack_from(f"<{requests}I", payload, counts_start)
    if (requests if counts is None else sum(counts)) != rows:
        raise BrokenFrame("a ROWS frame's requests have other rows than it says")
    if flags & TENSORS and requests > 1:
        raise BrokenFrame("a ROWS frame of several requests asks for tensors")
    return Rows(
        first,
        deadline_ns,
        requests,
        rows,
        counts,
        bytes(payload[_ROWS.size : texts_start]),
        bytes(payload[texts_start:counts_start]),
        payload[start:],
        bool(flags & TENSORS),
    )


def encode_answers(answers: Answers) -> bytes:
    """One ANSWERS frame."""
    joined = b"\n".join(answers.bodies)
    head = _ANSWERS_FRAME.pack(
        _ANSWERS.size + len(joined),
        ANSWERS,
        FIRST_OF_BATCH if answers.is_first_of_batch else 0,
        answers.form,
        answers.first,
        len(answers.bodies),
        answers.batch_rows,
        max(0, min(answers.queued_us, _MOST_U32)),
        max(0, min(answers.predict_us, _MOST_U32)),
        answers.started_ns,
    )
    return head + joined


def decode_answers(flags: int, first: int, payload: memoryview, form: int = 0) -> Answers:
    """Read an ANSWERS frame's payload.

    Raises:
        BrokenFrame: It is too short, or holds another number of bodies than it says.
    """
    if len(payload) < _ANSWERS.size:
        raise BrokenFrame(f"an ANSWERS frame of {len(payload)} bytes is shorter than its header")
    requests, batch_rows, queued_us, predict_us, started_ns = _ANSWERS.unpack_from(payload)
    bodies = bytes(payload[_ANSWERS.size :]).split(b"\n")
    if len(bodies) != requests:
        raise BrokenFrame(f"an ANSWERS frame announces {requests} bodies and holds {len(bodies)}")
    return Answers(first, bodies, batch_rows, queued_us, predict_us, bool(flags & FIRST_OF_BATCH), form, started_ns)


def encode_chunk(identity: int, content_type: str, body: bytes) -> bytes:
    """One CHUNK frame."""
    kind = content_type.encode("latin-1", "replace")[:65535]
    return b"".join((_CHUNK_FRAME.pack(_CHUNK.size + len(kind) + len(body), CHUNK, 0, 0, identity, len(kind)), kind, body))


def decode_chunk(payload: memoryview) -> tuple[str, bytes]:
    """Read a CHUNK's payload: its content type and its body.

    Raises:
        BrokenFrame: The lengths inside do not fit the payload.
    """
    if len(payload) < _CHUNK.size:
        raise BrokenFrame(f"a CHUNK frame of {len(payload)} bytes is shorter than its header")
    start = _CHUNK.size + _CHUNK.unpack_from(payload)[0]
    if start > len(payload):
        raise BrokenFrame("a CHUNK frame's content type passes its end")
    return str(payload[_CHUNK.size : start], "latin-1"), bytes(payload[start:])


def encode_more(identity: int, count: int) -> bytes:
    """One MORE frame; at most 65535."""
    return HEADER.pack(0, MORE, 0, count, identity)


def encode_cancel(identity: int) -> bytes:
    """One CANCEL frame."""
    return HEADER.pack(0, CANCEL, 0, 0, identity)


def encode_refused(identity: int, reason: int) -> bytes:
    """One REFUSED frame; reason is `DRAINING` or `QUEUE_FULL`."""
    return HEADER.pack(0, REFUSED, reason, 0, identity)
