"""Frames survive any cutting of the stream, and no bytes from the other side do worse than break the socket."""

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.transport import frames
from podium.transport.frame_reader import FrameReader
from podium.transport.frames import (
    CHUNK,
    HEADER,
    MORE,
    ROWS,
    Answers,
    BrokenFrame,
    Reply,
    RequestFrame,
    decode_answers,
    decode_chunk,
    decode_reply,
    decode_request,
    decode_rows,
    encode_answers,
    encode_cancel,
    encode_chunk,
    encode_more,
    encode_refused,
    encode_reply,
    encode_rows,
    request_parts,
)

LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
U32 = st.integers(0, 2**32 - 1)
REQUESTS = st.builds(
    RequestFrame,
    id=st.integers(0, 2**64 - 1),
    body=st.binary(max_size=200),
    content_type=st.one_of(st.none(), LATIN),
    request_id=LATIN,
    deadline_ns=st.integers(-(2**63), 2**63 - 1),
    is_solo=st.booleans(),
)
REPLIES = st.builds(
    Reply,
    id=st.integers(0, 2**64 - 1),
    status=st.integers(0, 2**16 - 1),
    content_type=LATIN,
    body=st.binary(max_size=200),
    rows=U32,
    batch_rows=U32,
    queued_us=U32,
    predict_us=U32,
    is_first_of_batch=st.booleans(),
    started_ns=st.integers(0, 2**64 - 1),
)


REPLY = Reply(1, 200, "a/b", b"", 1, 1, 20, 100, is_first_of_batch=True)
GROUPS = st.lists(st.tuples(st.integers(0, 5), LATIN.filter(lambda name: "\n" not in name)), min_size=1, max_size=9)
LINES = st.binary(max_size=40).map(lambda body: body.replace(b"\n", b" "))


def encode_request(request):
    return b"".join(request_parts(request))


def cut(data: bytes, points: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(point % (len(data) + 1) for point in points)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(REQUESTS, max_size=8), st.lists(st.integers(0, 5000), max_size=30))
def test_requests_come_back_as_sent_however_the_stream_is_cut(requests: list[RequestFrame], points: list[int]) -> None:
    reader = FrameReader()

    seen = [frame for piece in cut(b"".join(map(encode_request, requests)), points) for frame in reader.feed(piece)]

    assert requests == [decode_request(frame.flags, frame.id, frame.payload) for frame in seen]
    assert all(frame.kind == frames.REQUEST for frame in seen)


@given(st.lists(REPLIES, max_size=8), st.lists(st.integers(0, 5000), max_size=30))
def test_replies_come_back_as_sent_however_the_stream_is_cut(replies: list[Reply], points: list[int]) -> None:
    reader = FrameReader()

    seen = [frame for piece in cut(b"".join(map(encode_reply, replies)), points) for frame in reader.feed(piece)]

    assert replies == [decode_reply(frame.flags, frame.status, frame.id, frame.payload) for frame in seen]


@given(st.lists(st.integers(0, 700_000), max_size=3), st.lists(st.integers(0, 2_000_000), max_size=12), st.booleans())
@settings(max_examples=40, deadline=None)
def test_large_frames_come_back_as_sent_however_they_are_received(sizes, points, is_placed):
    """Fed like any other, or written straight to their place by whoever receives."""
    replies = [REPLY._replace(id=size, body=bytes([size % 251]) * size) for size in sizes]
    pieces = [memoryview(piece) for piece in cut(b"".join(map(encode_reply, replies)), points)]
    reader, seen = FrameReader(), []

    for piece in pieces:
        rest = piece
        while rest:
            room = reader.room if is_placed else None
            count = len(rest) if room is None else min(len(rest), len(room))
            if room is None:
                seen += reader.feed(bytes(rest))
            else:
                room[:count] = rest[:count]
                seen += reader.take(count)
            rest = rest[count:]

    assert replies == [decode_reply(frame.flags, frame.status, frame.id, frame.payload) for frame in seen]


def test_a_large_body_is_sent_and_taken_without_a_copy():
    """A copy of a large one in one piece holds up everybody else of a gateway."""
    large = b"x" * (frames.LARGE_BYTES + 1)
    reply = encode_reply(REPLY._replace(body=large))

    assert request_parts(RequestFrame(1, large, None, "r", 0, False))[1] is large
    assert decode_reply(0, 200, 1, reply[HEADER.size :]).body.obj is not None
    assert isinstance(decode_reply(0, 500, 1, reply[HEADER.size :]).body, bytes)
    reader = FrameReader()
    reader.feed(encode_reply(REPLY._replace(body=large * 5))[:1000])
    assert reader.room is not None


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_any_bytes_give_frames_or_a_broken_frame(pieces: list[bytes]) -> None:
    reader = FrameReader(limit=64)
    stream, seen = b"".join(pieces), 0
    try:
        for piece in pieces:
            seen += sum(HEADER.size + len(frame.payload) for frame in reader.feed(piece))
    except BrokenFrame:
        with pytest.raises(BrokenFrame):
            reader.feed(b"x")

    assert seen <= len(stream)


@given(st.binary(max_size=60), st.integers(0, 255))
def test_any_payload_is_a_request_or_broken(payload: bytes, flags: int) -> None:
    try:
        request = decode_request(flags, 1, memoryview(payload))
    except BrokenFrame:
        return

    assert len(request.body) <= len(payload)


@given(st.binary(max_size=60), st.integers(0, 255))
def test_any_payload_is_a_reply_or_broken(payload: bytes, flags: int) -> None:
    try:
        reply = decode_reply(flags, 200, 1, memoryview(payload))
    except BrokenFrame:
        return

    assert len(reply.body) <= len(payload)


def test_a_length_beyond_the_limit_breaks_before_the_payload_arrives() -> None:
    reader = FrameReader(limit=1000)

    with pytest.raises(BrokenFrame, match="announces 1001 bytes; the limit is 1000"):
        reader.feed(HEADER.pack(1001, frames.REQUEST, 0, 0, 7))


def test_a_length_in_pieces_breaks_as_soon_as_it_is_known() -> None:
    reader = FrameReader(limit=1000)
    header = HEADER.pack(2**32 - 1, frames.REQUEST, 0, 0, 7)

    assert reader.feed(header[:15]) == []
    with pytest.raises(BrokenFrame):
        reader.feed(header[15:])


def test_whole_frames_are_cut_without_a_copy() -> None:
    data = encode_request(RequestFrame(1, b"x" * 1000, None, "", 0, False))

    (frame,) = FrameReader().feed(data)

    assert data is frame.payload.obj


def test_a_frame_in_many_pieces_is_put_together_once() -> None:
    """Linear time: each byte is moved a bounded number of times, whatever the size of the pieces."""
    data = encode_request(RequestFrame(1, b"x" * 3_000_000, None, "", 0, False))
    reader = FrameReader()
    buffers = set()

    for start in range(0, len(data) - 10, 10_000):
        assert reader.feed(data[start : min(start + 10_000, len(data) - 10)]) == []
        buffers.add(id(reader._rest))
    (frame,) = reader.feed(data[-10:])

    assert len(data) - HEADER.size == len(frame.payload)
    assert len(buffers) == 1


def test_frames_keep_their_bytes_while_the_reader_goes_on() -> None:
    reader = FrameReader()
    data = encode_request(RequestFrame(1, b"first", None, "", 0, False))
    reader.feed(data[:20])
    (first,) = reader.feed(data[20:])
    reader.feed(encode_request(RequestFrame(2, b"second", None, "", 0, False)))

    assert decode_request(0, 1, first.payload).body == b"first"


def test_no_content_type_is_not_an_empty_one() -> None:
    for kind in (None, ""):
        data = encode_request(RequestFrame(1, b"", kind, "", 0, False))
        (frame,) = FrameReader().feed(data)
        assert kind == decode_request(frame.flags, frame.id, frame.payload).content_type


def test_long_names_are_cut_not_refused() -> None:
    data = encode_request(RequestFrame(1, b"body", "t" * 70_000, "r" * 70_000, 0, False))

    (frame,) = FrameReader().feed(data)

    request = decode_request(frame.flags, frame.id, frame.payload)
    assert (request.body, len(request.content_type or ""), len(request.request_id)) == (b"body", 65534, 65535)


def test_times_that_do_not_fit_are_clipped() -> None:
    data = encode_reply(Reply(1, 200, "a/b", b"", 1, 1, -5, 2**40, False))

    (frame,) = FrameReader().feed(data)

    reply = decode_reply(frame.flags, frame.status, frame.id, frame.payload)
    assert (reply.queued_us, reply.predict_us) == (0, 2**32 - 1)


def test_short_frames_say_what_they_are() -> None:
    data = encode_cancel(3) + encode_refused(4, frames.DRAINING) + encode_refused(5, frames.QUEUE_FULL)

    seen = [(frame.kind, frame.flags, frame.id) for frame in FrameReader().feed(data)]

    assert seen == [
        (frames.CANCEL, 0, 3),
        (frames.REFUSED, frames.DRAINING, 4),
        (frames.REFUSED, frames.QUEUE_FULL, 5),
    ]


@given(
    GROUPS, st.integers(0, 2**62), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=30), st.lists(st.integers(0, 5000))
)
def test_groups_come_back_as_sent_however_the_stream_is_cut(
    requests: list[tuple[int, str]], first: int, deadline_ns: int, texts: bytes, points: list[int]
) -> None:
    counts = [rows for rows, _ in requests]
    names = "\n".join(name for _, name in requests).encode("latin-1")
    blocks = [bytes([number % 256]) * 8 * rows for number, rows in enumerate(counts)]
    data = encode_rows(first, deadline_ns, counts, sum(counts), names, texts, blocks)
    reader = FrameReader()

    (frame,) = [frame for piece in cut(data, points) for frame in reader.feed(piece)]
    seen = decode_rows(frame.flags, frame.id, frame.payload)

    assert (first, deadline_ns, len(counts), sum(counts)) == (seen.first, seen.deadline_ns, seen.requests, seen.rows)
    assert counts == list(seen.counts or [1] * seen.requests)
    assert (names, texts, b"".join(blocks)) == (seen.names, seen.texts, bytes(seen.block))


@given(st.integers(1, 2**62), st.lists(LINES, min_size=1, max_size=9), U32, U32, U32, st.booleans())
def test_answers_come_back_as_sent(
    first: int, bodies: list[bytes], rows: int, queued_us: int, predict_us: int, is_first: bool
) -> None:
    answers = Answers(first, bodies, rows, queued_us, predict_us, is_first)
    (frame,) = FrameReader().feed(encode_answers(answers))

    assert answers == decode_answers(frame.flags, frame.id, frame.payload)


@given(st.integers(0, 255), st.binary(max_size=80))
def test_no_payload_makes_a_group_or_answers_of_nonsense(flags: int, payload: bytes) -> None:
    for decode in (decode_rows, decode_answers):
        with contextlib.suppress(BrokenFrame):
            decode(flags, 1, memoryview(payload))


def test_a_group_whose_rows_do_not_add_up_is_broken() -> None:
    data = bytearray(encode_rows(1, 0, [2, 3], 5, b"a\nb", b"", [b"x" * 16, b"y" * 24]))
    data[HEADER.size + 12] = 6
    (frame,) = FrameReader().feed(bytes(data))

    assert frame.kind == ROWS
    with pytest.raises(BrokenFrame, match="other rows than it says"):
        decode_rows(frame.flags, frame.id, frame.payload)


def test_answers_that_are_fewer_than_announced_are_broken() -> None:
    data = bytearray(encode_answers(Answers(1, [b"a", b"b"], 2, 0, 0, True)))
    data[HEADER.size] = 3
    (frame,) = FrameReader().feed(bytes(data))

    with pytest.raises(BrokenFrame, match="announces 3 bodies and holds 2"):
        decode_answers(frame.flags, frame.id, frame.payload)


def test_a_part_of_an_answer_survives_the_way():
    """With its type, its id and every byte; so does the word that more are taken."""
    chunk, more = FrameReader().feed(encode_chunk(7, "a/b", b"\0part") + encode_more(7, 65535))

    assert (chunk.kind, chunk.id) == (CHUNK, 7)
    assert decode_chunk(chunk.payload) == ("a/b", b"\0part")
    assert (more.kind, more.id, more.status) == (MORE, 7, 65535)


def test_a_part_that_lies_about_its_type_is_broken():
    """Its length passes the end of the frame, or there is none."""
    for payload in (b"", b"\1", b"\5\0abc"):
        with pytest.raises(BrokenFrame):
            decode_chunk(memoryview(payload))
