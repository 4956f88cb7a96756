"""Heads that are remembered: the same requests as from the parser, none that it would refuse, and a bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.web.heads import KnownHeads
from podium.web.limits import Limits
from podium.web.messages import Fault, Request
from podium.web.reading import ReadingPhase, RequestReader

LIMITS = Limits(body_bytes=1000)
LINE = b"POST /a?q=1 HTTP/1.1\r\nHost: x\r\n"
KNOWN = LINE + b"Content-Length: 2\r\n\r\n"


def heads_of(*requests: bytes) -> KnownHeads:
    """Heads of a server that has seen each of these requests three times."""
    heads = KnownHeads()
    for request in requests:
        reader = RequestReader(LIMITS, heads)
        for _ in range(3):
            reader.feed(request)
            reader.ready.clear()
    return heads


def read(heads: KnownHeads, *parts: bytes) -> tuple[list[object], ReadingPhase]:
    """What a connection gets, which looks among the known heads first wherever it may."""
    reader = RequestReader(LIMITS, heads)
    entries: list[Request | Fault] = []
    for part in parts:
        request = reader.recall(part) if reader.phase is ReadingPhase.IDLE else None
        if request is None:
            reader.feed(part)
        entries += [*reader.ready] if request is None else [request]
        reader.ready.clear()
    return [_facts(entry) for entry in entries], reader.phase


def _facts(entry: Request | Fault) -> object:
    if isinstance(entry, Fault):
        return entry.status
    return entry.method, entry.path, entry.query, entry.headers, bytes(entry.body), entry.keeps_alive, entry.is_http10


def test_a_head_that_came_twice_is_read_without_the_parser():
    heads = heads_of(KNOWN + b"ab")

    request = RequestReader(LIMITS, heads).recall(KNOWN + b"cd")

    assert request is not None
    assert (request.method, request.path, request.query, request.body) == ("POST", "/a", "q=1", b"cd")
    assert request.headers == {b"host": b"x", b"content-length": b"2"}


def test_what_only_begins_like_the_last_request_is_looked_at_again():
    """Two requests in one piece, one whose body is not all there, another head: each as from the parser."""
    other = LINE + b"Content-Length: 3\r\n\r\n"
    heads = heads_of(KNOWN + b"ab", other + b"abc")
    reader = RequestReader(LIMITS, heads)
    assert reader.recall(KNOWN + b"ab") is not None

    assert reader.recall(KNOWN + b"ab" + KNOWN + b"cd") is None
    assert reader.recall(KNOWN + b"a") is None
    assert reader.recall(b"") is None
    assert [reader.recall(data).body for data in (other + b"xyz", KNOWN + b"cd", KNOWN + b"ef")] == [b"xyz", b"cd", b"ef"]


def test_requests_with_one_head_share_what_the_handler_keeps_with_it():
    reader = RequestReader(LIMITS, heads_of(KNOWN + b"ab"))
    first, second = reader.recall(KNOWN + b"cd"), reader.recall(KNOWN + b"ef")
    assert first is not None
    assert second is not None

    first.head.memo = "kept"

    assert second.head.memo == "kept"


@pytest.mark.parametrize("body", [b"", b"a", b"abc", b"abGET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_body_of_another_length_is_left_to_the_parser(body):
    """What is short of the length waits for more, what is beyond it is the next request."""
    heads = heads_of(KNOWN + b"ab")

    assert RequestReader(LIMITS, heads).recall(KNOWN + body) is None
    assert read(heads, KNOWN + body) == read(KnownHeads(), KNOWN + body)


@pytest.mark.parametrize(
    "request_",
    [
        LINE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        LINE + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
        LINE + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
        LINE + b"X-Request-ID: 1\r\nContent-Length: 2\r\n\r\nab",
        LINE + b"traceparent: 1\r\n\r\n",
        LINE + b"X: " + b"y" * 4096 + b"\r\n\r\n",
        b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"\r\n\r\n" + KNOWN + b"ab",
    ],
)
def test_what_is_more_than_a_head_and_a_length_is_not_remembered(request_):
    assert not heads_of(request_).known


@pytest.mark.parametrize(
    "refused",
    [
        b"POST /a HTTP/1.1\r\n\r\n",
        LINE + b"Content-Length: +2\r\n\r\nab",
        LINE + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        LINE + b"Content-Length: 1001\r\n\r\n",
        LINE + b"Connection: close\r\n\r\n",
    ],
)
def test_what_ends_a_connection_is_not_remembered(refused):
    heads = KnownHeads()
    for _ in range(3):
        RequestReader(LIMITS, heads).feed(refused)

    assert not heads.known


HEADS = [
    KNOWN,
    b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n",
    LINE + b"Content-Length: 0\r\n\r\n",
    LINE + b"Transfer-Encoding: chunked\r\n\r\n",
    b"GET /c HTTP/1.0\r\n\r\n",
]
BODIES = [b"", b"\r", b"\n", b"ab", b"2\r\nab\r\n0\r\n\r\n", b"\r\n", b"\r\n\r\n", b"GET /d HTTP/1.1\r\nHost: y\r\n\r\n"]


@given(parts=st.lists(st.one_of(st.sampled_from(HEADS), st.sampled_from(BODIES), st.binary(max_size=6)), max_size=8))
def test_knowing_heads_changes_nothing_about_what_is_read(parts):
    """Whole heads, bodies and rubbish in any order: the same requests, the same fault, the same end."""
    pieces = [*parts, *(a + b for a in parts[:3] for b in parts[:3])]

    assert read(heads_of(*(head + b"ab" * (b"2" in head) for head in HEADS)), *pieces) == read(KnownHeads(), *pieces)


def test_heads_that_are_all_different_push_no_other_out():
    heads = heads_of(KNOWN + b"ab")
    reader = RequestReader(LIMITS, heads)

    for number in range(20_000):
        reader.feed(LINE + b"X-Nonce: %d\r\n\r\n" % number)
        reader.ready.clear()

    assert list(heads.known) == [KNOWN]


def test_the_memory_is_bounded_in_number_and_size():
    """However many heads come twice, and however long they are."""
    heads = KnownHeads()
    reader = RequestReader(LIMITS, heads)
    for number in range(3000):
        for _ in range(2):
            reader.feed(LINE + b"X-Nonce: %d%s\r\n\r\n" % (number, b"y" * (number if number > 2000 else 0)))
            reader.ready.clear()

        assert len(heads.known) <= 1024
        assert sum(map(len, heads.known)) <= 1024 * 1024
