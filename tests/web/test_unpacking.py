"""Compressed bodies: undone whole or refused, in bounded pieces, and no bomb goes off."""

import gzip
import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.web.limits import Limits
from podium.web.messages import Fault, Head, Request
from podium.web.unpacking import PIECE_BYTES, Unpacking, readable, zstd_library

LIMITS = Limits(body_bytes=3_000_000)
PACK = {"gzip": gzip.compress, "zstd": zstd_library().compress}


def unpack(packed: bytes, coding: str, limits: Limits = LIMITS) -> tuple[Request | Fault, int]:
    """What comes out, and in how many turns."""
    unpacking = Unpacking(Request(Head("POST", "/a", coding=coding), packed), limits)
    turns = 1
    while (found := unpacking.advance()) is None:
        turns += 1
        assert unpacking.size <= turns * 8 * PIECE_BYTES
        assert turns < 10_000
    return found, turns


def post(coding: str, body: bytes) -> bytes:
    head = f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("coding", PACK)
@given(bodies=st.lists(st.binary(max_size=500), min_size=1, max_size=3), times=st.sampled_from([1, 300]))
def test_what_was_packed_comes_out(coding, bodies, times):
    """One compressed file, or several one behind the other, which is one too."""
    found, _ = unpack(b"".join(PACK[coding](body * times) for body in bodies), coding)

    assert isinstance(found, Request)
    assert found.body == b"".join(body * times for body in bodies)


@pytest.mark.parametrize("coding", PACK)
@given(body=st.binary(min_size=1, max_size=300), data=st.data())
def test_what_is_cut_or_has_more_behind_it_is_refused(coding, body, data):
    packed = PACK[coding](body)
    cut = data.draw(st.integers(1, len(packed) - 1))

    for wrong in (packed[:cut], packed + b"\0", packed + packed[:cut]):
        found, _ = unpack(wrong, coding)
        assert isinstance(found, Fault)
        assert found.status == 400


@pytest.mark.parametrize("coding", PACK)
@given(body=st.binary(max_size=200))
def test_no_bytes_make_unpacking_fail(coding, body):
    found, _ = unpack(body, coding) if body else (None, 0)

    assert found is None or isinstance(found, (Request, Fault))


@pytest.mark.parametrize("coding", PACK)
def test_a_bomb_is_refused_at_the_limit(coding):
    """A few kilobytes that would unpack to a hundred megabytes cost what the limit allows, in several turns."""
    bomb = PACK[coding](bytes(100_000_000))
    assert len(bomb) < 100_000

    found, turns = unpack(bomb, coding)

    assert isinstance(found, Fault)
    assert found.status == 413
    assert turns == 6


def test_thousands_of_empty_files_are_refused():
    """They unpack to nothing and would cost a decompressor each."""
    found, _ = unpack(gzip.compress(b"") * 2000, "gzip")

    assert isinstance(found, Fault)
    assert found.status == 400


def test_a_zstd_frame_that_needs_a_huge_window_is_refused():
    """The window is memory that is taken before the first byte comes out."""
    zstd = zstd_library()
    parameter = zstd.CompressionParameter
    compressor = zstd.ZstdCompressor(options={parameter.window_log: 27, parameter.content_size_flag: 0})
    packed = compressor.compress(b"x" * 100_000) + compressor.flush()

    found, _ = unpack(packed, "zstd")

    assert isinstance(found, Fault)
    assert found.status == 400


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZip", "zstd", "identity", ""])
def test_a_packed_body_reaches_the_handler_unpacked(serve, read_answers, coding):
    pack = PACK.get(coding.lower().removeprefix("x-"), bytes)
    with serve().connect() as sock:
        for body in (b"small", b"large" * 400_000, b""):
            sock.sendall(post(coding, pack(body)))
            sock.sendall(post("identity", b"next"))

            assert [answered for _, _, answered in read_answers(sock, 2)] == [body, b"next"]


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "gzip, identity", "compress", "none"])
def test_an_unknown_coding_is_refused_with_those_that_are_known(serve, read_answers, coding):
    """415 with Accept-Encoding, RFC 9110 §12.5.3, and before the body is asked for."""
    with serve().connect() as sock:
        sock.sendall(post(coding, b"x" * 10).replace(b"Host", b"Expect: 100-continue\r\nHost")[:-10])

        [(status, headers, _)] = read_answers(sock)

        assert (status, headers["accept-encoding"], headers["connection"]) == (415, "gzip, zstd", "close")


@pytest.mark.parametrize(
    ("packed", "status"),
    [(b"not gzip", 400), (gzip.compress(bytes(50_000)), 413), (zlib.compress(b"x"), 400)],
    ids=["no gzip", "too large", "zlib without gzip's header"],
)
def test_a_body_that_cannot_be_unpacked_is_refused(serve, read_answers, packed, status):
    with serve(body_bytes=10_000).connect() as sock:
        sock.sendall(post("gzip", packed))

        assert read_answers(sock)[0][0] == status


def test_a_client_that_leaves_while_its_body_is_unpacked_leaves_nothing_behind(serve, read_answers, until):
    """Nobody answers it, and its bytes are no longer counted."""
    server = serve()
    packed = gzip.compress(bytes(90_000_000))

    def leave(sock) -> None:
        # In the loop's own thread, between two parts: who looks from outside may see it too late.
        if server.connections.body_size > len(packed):
            sock.close()
        else:
            server.loop.call_soon(leave, sock)

    for _ in range(3):
        with server.connect() as sock:
            server.loop.call_soon_threadsafe(leave, sock)
            sock.sendall(post("gzip", packed))
            until(lambda sock=sock: sock.fileno() < 0, "unpacking to begin")
        until(lambda: not server.connections.body_size, "the bytes to be given back")

    with server.connect() as sock:
        sock.sendall(post("gzip", gzip.compress(b"next")))
        assert read_answers(sock)[0][2] == b"next"
    assert len(server.handler.seen) == 1


def test_what_is_unpacked_counts_with_the_bodies_that_are_held(serve, read_answers):
    with serve(buffered_bytes=1_000_000).connect() as sock:
        sock.sendall(post("gzip", gzip.compress(bytes(5_000_000))))

        assert read_answers(sock)[0][0] == 503


def test_without_its_library_zstd_is_refused_with_the_way_out():
    script = (
        "import sys; sys.modules['backports.zstd'] = sys.modules['compression.zstd'] = None\n"
        "from podium.web.unpacking import find_coding, readable\n"
        "assert readable() == ['gzip']\n"
        "try: find_coding({b'content-encoding': b'zstd'})\n"
        "except LookupError as error: print(error.args[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)

    assert "podium[zstd]" in done.stdout
    assert readable() == ["gzip", "zstd"]
