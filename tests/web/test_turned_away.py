"""Bodies of those who are refused for what their head says: nobody reads them."""

import socket

import pytest

HEAD = b"POST /closed HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"


def until_closed(sock) -> bytes:
    data = b""
    while received := sock.recv(1 << 16):
        data += received
    return data


@pytest.mark.parametrize(
    "lines",
    [b"Content-Length: 16000000\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nExpect: 100-continue\r\n"],
    ids=["large", "of unknown size", "announced"],
)
def test_a_stranger_is_answered_before_a_body_byte_was_sent(serve, lines):
    """The answer ends the connection, as what follows may be the body or not; nobody is told to go on."""
    server = serve()
    with server.connect() as sock:
        sock.sendall(HEAD + lines + b"\r\n")

        answer = until_closed(sock)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"closed")
    assert [request.body for request in server.handler.turned_away] == [b""]


def test_what_a_stranger_sends_all_the_same_is_dropped(serve, until):
    """He gets his answer with all of his body on its way, and none of it is held or taken for a request."""
    server = serve(linger_s=60.0)
    with server.connect() as sock:
        sock.sendall(HEAD + b"Content-Length: 3000000\r\n\r\n")
        sock.sendall(GET * 20_000)
        sock.shutdown(socket.SHUT_WR)

        assert until_closed(sock).startswith(b"HTTP/1.1 401 ")
    assert server.handler.seen == []
    assert server.connections.body_size == 0


def test_a_short_body_is_dropped_and_the_connection_kept(serve, read_answers, until):
    """A client that is refused does not have to connect again for its next request."""
    server = serve()
    with server.connect() as sock:
        sock.sendall(HEAD + b"Content-Length: 60000\r\n\r\n" + b"x" * 30_000)
        until(lambda: server.handler.judged, "the head to be judged: a request that comes whole is handled as any")
        sock.sendall(b"x" * 30_000 + GET)

        refused, answered = read_answers(sock, 2)

    assert (refused[0], answered[0]) == (401, 200)
    assert "connection" not in refused[1]
    assert [request.body for request in server.handler.turned_away] == [b""]
    assert server.connections.body_size == 0


def test_a_stranger_behind_others_is_refused_in_his_turn(serve, read_answers):
    """What waits before his request is answered first."""
    server = serve()
    with server.connect() as sock:
        sock.sendall(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n" + HEAD + b"Content-Length: 16000000\r\n\r\nabc")
        server.release()

        assert [status for status, _, _ in read_answers(sock, 2)] == [200, 401]


def test_a_whole_packed_body_of_a_stranger_is_not_unpacked(serve, read_answers):
    """Not even its first bytes, which are none of gzip's."""
    server = serve()
    with server.connect() as sock:
        sock.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")

        assert read_answers(sock)[0][0] == 401
    assert len(server.handler.turned_away) == 1
