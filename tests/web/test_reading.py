"""From bytes to requests: the same whatever the splits, and refused where two readers could disagree."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.web.heads import KnownHeads
from podium.web.limits import Limits
from podium.web.messages import Fault, Request
from podium.web.reading import ReadingPhase, RequestReader

LIMITS = Limits(url_bytes=200, header_bytes=500, headers=10, body_bytes=1000)


def read(*parts: bytes) -> tuple[list[Request | Fault], ReadingPhase]:
    reader = RequestReader(LIMITS, KnownHeads())
    for part in parts:
        reader.feed(part)
    return list(reader.ready), reader.phase


def shown(found: tuple[list[Request | Fault], ReadingPhase]) -> tuple[object, ...]:
    """What two readings must agree on; a bytearray is as good as bytes."""
    entries, phase = found
    return phase, [_facts(entry) for entry in entries]


def _facts(entry: Request | Fault) -> tuple[object, ...]:
    if isinstance(entry, Fault):
        return (entry.status,)
    return entry.method, entry.path, entry.query, entry.headers, bytes(entry.body), entry.is_http10, entry.keeps_alive


HOST = b"Host: x\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"
NEXT = b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE_HEADERS = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
UPGRADE = POST + UPGRADE_HEADERS + b"Content-Length: 5\r\n\r\nhello"

CONVERSATIONS = [
    b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n",
    POST + b"Content-Length: 5\r\n\r\nhello" + NEXT,
    CHUNKED + b"3\r\nabc\r\n2;e=f\r\nde\r\n0\r\nT: v\r\n\r\n" + NEXT,
    POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    b"GET /a HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
    b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + NEXT,
    UPGRADE + NEXT,
    UPGRADE.replace(b": Upgrade,", b": close, Upgrade,") + NEXT,
    b"\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\nnonsense",
    POST + b"Content-Length: 2\r\n\r\nhi" + POST + b"Content-Length: 1001\r\n\r\n",
    b"GET /%69nvocations?a=%20 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x/a?b HTTP/1.1\r\nHost: x\r\n\r\n",
    CHUNKED + b"1f4\r\n" + b"x" * 500 + b"\r\n" + b"1f5\r\n" + b"x" * 501,
]


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@given(data=st.data())
def test_any_split_of_the_bytes_gives_the_same_requests(conversation, data):
    """A reader sees what was sent, not how the network cut it."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(conversation)), max_size=12)))
    edges = [0, *cuts, len(conversation)]
    parts = [conversation[a:b] for a, b in pairwise(edges)]

    assert shown(read(*parts)) == shown(read(conversation))


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_one_byte_at_a_time_gives_the_same_requests(conversation):
    assert shown(read(*(conversation[i : i + 1] for i in range(len(conversation))))) == shown(read(conversation))


@given(data=st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(data):
    """Whatever arrives is a request, a fault, or not whole yet; a fault is the last entry."""
    entries, phase = read(data)

    assert all(isinstance(entry, Request) for entry in entries[:-1])
    assert (phase is ReadingPhase.CLOSED) >= any(isinstance(entry, Fault) for entry in entries)


@given(
    body=st.binary(max_size=200),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=8),
    method=st.sampled_from(["POST", "PUT"]),
)
def test_a_chunked_body_is_the_concatenation_of_its_chunks(body, sizes, method):
    chunks, rest = [], body
    for size in sizes:
        if rest:
            chunks.append(rest[:size])
            rest = rest[size:]
    if rest:
        chunks.append(rest)
    wire = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    head = f"{method} /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()

    [request], _ = read(head + wire)

    assert isinstance(request, Request)
    assert (request.method, bytes(request.body)) == (method, body)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
        (POST + b"Content-Length: 1, 1\r\n\r\na", 400),
        (POST + b"Content-Length: +1\r\n\r\na", 400),
        (POST + b"Content-Length: -1\r\n\r\na", 400),
        (POST + b"Content-Length: 0x1\r\n\r\na", 400),
        (POST + b"Content-Length:\r\n\r\n", 400),
        (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\nabc", 400),
        (b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 1001\r\n\r\n", 413),
        (POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\na", 417),
        (b"GET /a HTTP/1.1\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET /a HTTP/2.0\r\n" + HOST + b"\r\n", 400),
        (b"GET /a\r\n\r\n", 400),
        (b"GET /" + b"a" * 200 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /a HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 500 + b"\r\n\r\n", 431),
        (b"GET /a HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 15 + b"\r\n", 431),
        (b"GET /a HTTP/1.1\r\n" + HOST + b"".join(b"X%d:\r\n" % i for i in range(10)) + b"\r\n", 431),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n X: folded\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\nHost: x\n\n", 400),
        (b"FOO /a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\0" * 20, 400),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_or_is_too_much_is_refused(sent, status):
    """One fault, nothing after it, and the connection's last word."""
    entries, phase = read(sent)

    assert [entry.status for entry in entries if isinstance(entry, Fault)] == [status]
    assert len(entries) == 1
    assert phase is ReadingPhase.CLOSED
    assert shown(read(sent, b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")) == shown((entries, phase))


@pytest.mark.parametrize(
    "start", [b"", b"GET /a HTTP/1.1\r\nX: ", b"GET /a HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\nHost: x\r\nX"]
)
@pytest.mark.parametrize("filler", [b"a", b" ", b"\r\n"])
def test_a_head_that_never_ends_is_refused_before_it_fills_the_memory(start, filler):
    """However the bytes come, the reader gives up at a bound."""
    reader = RequestReader(LIMITS, KnownHeads())
    reader.feed(start)
    fed = 0
    while reader.phase is not ReadingPhase.CLOSED and fed < 100_000:
        reader.feed(filler * 16)
        fed += 16 * len(filler)

    assert reader.phase is ReadingPhase.CLOSED
    assert fed < 10_000


def test_many_small_requests_in_one_read_are_no_large_head():
    """The bound on a head is a bound on one head."""
    entries, _ = read(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)

    assert len(entries) == 1000
    assert all(isinstance(entry, Request) for entry in entries)


def test_a_chunked_body_beyond_the_limit_is_refused_when_it_passes_it():
    entries, _ = read(
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n" + b"x" * 100 + b"\r\n",
        *[b"64\r\n" + b"x" * 100 + b"\r\n"] * 10,
    )

    assert [entry.status for entry in entries if isinstance(entry, Fault)] == [413]


def test_trailers_are_not_headers():
    """What comes after the body cannot change what the request was."""
    [request], _ = read(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Type: text/evil\r\nHost: y\r\n\r\n")

    assert isinstance(request, Request)
    assert request.header(b"content-type") is None


def test_an_upgrade_is_declined_and_the_body_kept():
    """Java's HttpClient offers HTTP/2 with each request; the request is served as it is."""
    entries, phase = read(UPGRADE + NEXT)

    assert [(entry.path, bytes(entry.body)) for entry in entries if isinstance(entry, Request)] == [
        ("/a", b"hello"),
        ("/b", b""),
    ]
    assert phase is ReadingPhase.IDLE
