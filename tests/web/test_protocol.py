"""Connections as clients see them, on both event loops."""

import asyncio
import socket
import struct
from dataclasses import replace

import pytest

from podium.web.messages import JSON_ANSWER, Response, encode, header_lines

GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def hurry(server, **limits) -> None:
    """From its next request on a client has less time: one that was slow to connect has not used it up before."""
    server.connections.limits = replace(server.connections.limits, **limits)


def test_a_kept_connection_serves_one_request_after_another(serve, read_answers):
    with serve().connect() as sock:
        for body in (b"one", b"", b"three"):
            sock.sendall(post("/echo", body))

            [(status, headers, answered)] = read_answers(sock)

            assert (status, answered) == (200, body)
            assert "connection" not in headers


def test_pipelined_requests_are_answered_in_order(serve, read_answers):
    """The second is not begun before the first is answered, however many are sent at once."""
    server = serve()
    with server.connect() as sock:
        sock.sendall(post("/hold", b"first") + post("/echo", b"second") + post("/echo", b"third"))
        server.release()

        answers = read_answers(sock, 3)

    assert [body for _, _, body in answers] == [b"first", b"second", b"third"]


def test_thousands_of_pipelined_requests_are_answered(serve, read_answers):
    with serve().connect() as sock:
        sock.sendall(GET * 3000)

        assert len(read_answers(sock, 3000)) == 3000


def test_thousands_of_pipelined_requests_do_not_hold_up_others(serve, read_answers):
    """What one client sends in one piece is not all answered before another's first request."""
    server = serve()
    with server.connect() as many, server.connect() as one:
        server.call(lambda: many.sendall(GET * 1500) or one.sendall(post("/echo", b"mine")))
        read_answers(one)
        read_answers(many, 1500)

        order = [bytes(request.body) for request in server.handler.seen]

    assert order.index(b"mine") < 200


def test_a_chunked_body_arrives_whole(serve, read_answers):
    with serve().connect() as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        sock.sendall(b"2\r\nde\r\n0\r\n\r\n")

        assert read_answers(sock)[0][2] == b"abcde"


def test_a_client_that_asks_is_told_to_continue(serve, read_answers):
    """100 Continue comes before the body is sent, and the answer after."""
    with serve().connect() as sock:
        sock.sendall(post("/echo", b"body", "Expect: 100-continue")[:-4])
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"

        sock.sendall(b"body")

        assert read_answers(sock)[0][2] == b"body"


def test_100_continue_waits_for_the_answer_before_it(serve, read_answers):
    """A pipelined expectation is met in its turn, or the client would take the 100 for the first answer."""
    server = serve()
    with server.connect() as sock:
        sock.sendall(post("/hold", b"first") + post("/echo", b"second", "Expect: 100-continue")[:-6])
        server.release()
        assert read_answers_until(sock, b"100 Continue\r\n\r\n").startswith(b"HTTP/1.1 200")

        sock.sendall(b"second")

        assert read_answers(sock)[0][2] == b"second"


def test_a_body_that_is_too_large_is_refused_without_continue(serve, read_answers):
    """413 comes at once and is not lost to a reset, though the client goes on sending."""
    server = serve(body_bytes=1000)
    with server.connect() as sock:
        sock.sendall(post("/echo", b"x" * 300_000, "Expect: 100-continue"))

        [(status, headers, _)] = read_answers(sock)

        assert (status, headers["connection"]) == (413, "close")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(10) == b""


def test_head_is_answered_without_a_body(serve):
    with serve().connect() as sock:
        sock.sendall(b"HEAD /big?5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

        answer = read_all(sock)

        assert b"content-length: 5\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")


def test_http10_closes_unless_asked(serve):
    """HTTP/1.0 ends the connection with the answer, and keeps it with `Connection: keep-alive`."""
    server = serve()
    with server.connect() as sock:
        sock.sendall(b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"connection: keep-alive\r\n" in sock.recv(1000)
        sock.sendall(b"GET /echo HTTP/1.0\r\n\r\n")

        assert b"connection: close\r\n" in read_all(sock)


def test_nothing_is_read_after_the_last_request(serve):
    with serve().connect() as sock:
        sock.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)

        assert read_all(sock).count(b"HTTP/1.1 ") == 1


def test_a_fault_is_answered_after_the_requests_before_it(serve):
    """Order holds for refusals too, and the refusal is the last word."""
    server = serve()
    with server.connect() as sock:
        sock.sendall(post("/hold", b"first") + b"nonsense\r\n\r\n" + GET)
        server.release()

        answer = read_all(sock)

    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400"]


def test_a_client_that_leaves_is_noticed(serve, until):
    server = serve()
    sock = server.connect()
    sock.sendall(post("/hold", b"x"))
    until(lambda: server.handler.held, "the request")

    sock.close()

    until(lambda: server.handler.left == 1, "the departure")
    server.release()  # too late: nothing happens


def test_a_client_that_resets_is_noticed(serve, until):
    server = serve()
    sock = server.connect()
    sock.sendall(post("/hold", b"x"))
    until(lambda: server.handler.held, "the request")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    sock.close()

    until(lambda: server.handler.left == 1, "the departure")


def test_an_idle_connection_is_closed(serve, read_answers):
    server = serve()
    with server.connect() as sock:
        sock.sendall(GET)
        read_answers(sock)
        hurry(server, idle_s=0.1)
        sock.sendall(GET)
        read_answers(sock)

        assert sock.recv(10) == b""


def test_a_connection_that_never_speaks_is_closed(serve):
    with serve(idle_s=0.1).connect() as sock:
        assert sock.recv(10) == b""


def test_a_slow_head_gets_408(serve):
    """Bytes that trickle in do not extend the time for a head."""
    with serve(head_s=1.0).connect() as sock:
        sock.sendall(b"GET /echo HT")
        sock.sendall(b"TP/1.1\r\nHost")

        assert read_all(sock).startswith(b"HTTP/1.1 408 ")


def test_a_slow_body_gets_408(serve, until):
    """A body may take its time by its size, not for ever."""
    server = serve(body_s=0.5, bytes_per_s=1_000_000)
    with server.connect() as sock:
        sock.sendall(post("/echo", b"x" * 100)[:-50])

        assert read_all(sock).startswith(b"HTTP/1.1 408 ")
    until(lambda: not (server.connections.open or server.connections.body_size), "the connection to close")


def test_a_request_that_waits_for_its_answer_is_not_timed_out_by_the_connection(serve, read_answers, until):
    """How long an answer may take is the handler's business."""
    server = serve()
    with server.connect() as sock:
        sock.sendall(GET)
        read_answers(sock)
        hurry(server, idle_s=0.2, head_s=0.2, body_s=0.2)
        sock.sendall(post("/hold", b"x"))
        until(lambda: server.handler.held, "the request")
        with server.connect() as other:
            assert other.recv(10) == b""  # idle_s has passed for one that came later
        server.release()

        assert read_answers(sock)[0][0] == 200


def test_a_client_that_does_not_read_is_cut_off(serve, until):
    """Its answer is not kept for ever, and nothing more is begun for it."""
    server = serve(send_s=0.2, bytes_per_s=1 << 30)
    sock = server.connect(receive_buffer=4096)
    with sock:
        sock.sendall(b"GET /big?20000000 HTTP/1.1\r\nHost: a\r\n\r\n" * 3)

        until(lambda: server.handler.seen and not server.connections.open, "the connection to be cut")

    assert len(server.handler.seen) == 1


def test_a_client_that_reads_slowly_gets_everything(serve, read_answers):
    """Writing stops while the client does not read and goes on when it does."""
    server = serve()
    with server.connect(receive_buffer=4096) as sock:
        sock.sendall(b"GET /big?5000000 HTTP/1.1\r\nHost: a\r\n\r\n" * 2)

        answers = read_answers(sock, 2)

    assert [len(body) for _, _, body in answers] == [5_000_000, 5_000_000]


@pytest.mark.parametrize(
    "head", [b"GET /big?1000000 HTTP/1.1\r\nHost: a\r\nConnection: close", b"GET /big?1000000 HTTP/1.0"]
)
def test_a_client_that_takes_long_to_read_its_last_answer_gets_all_of_it(serve, until, head):
    """What the kernel still holds of it is not thrown away when nothing has come from the client for a while."""
    server = serve(linger_s=0.1)
    with server.connect(receive_buffer=4096) as sock:
        sock.sendall(head + b"\r\n\r\n")
        first = sock.recv(100)
        ends = server.call(server.loop.time) + 1.0
        until(lambda: server.call(server.loop.time) > ends, "more than its time to linger")

        assert len((first + read_all(sock)).partition(b"\r\n\r\n")[2]) == 1_000_000
    until(lambda: not server.connections.open, "the connection to close")


class Pipe(asyncio.Transport):
    """Takes what is written; full until the test says otherwise."""

    def __init__(self, certificate=None):
        super().__init__({"peercert": certificate})
        self.written, self.protocol, self.is_full = [], None, True

    def write(self, data):
        self.written.append(bytes(data))
        if self.is_full:
            self.protocol.pause_writing()

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return False

    def abort(self):
        self.written.append(b"CUT")

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.written.append(b"EOF")


def test_a_large_answer_leaves_in_pieces_as_the_client_takes_it(serve, until):
    """A turn of the loop for each, so that others are answered between; nothing is handed on to a client that stalls."""
    server, pipe = serve(), Pipe()
    pipe.protocol = connection = server.connections.accept()

    def resume():
        pipe.is_full = False
        connection.resume_writing()

    server.call(connection.connection_made, pipe)
    server.call(connection.data_received, b"GET /big?3000000 HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    server.call(lambda: None)
    [head] = pipe.written
    assert b"content-length: 3000000\r\n" in head

    server.call(resume)
    until(lambda: not server.call(lambda: connection.is_pouring), "the whole answer")
    *pieces, _ = pipe.written[1:]
    assert max(map(len, pieces)) <= 1 << 18
    everything = b"".join(pipe.written[1:])
    assert everything[:3_000_000] == b"x" * 3_000_000
    assert everything[3_000_000:].startswith(b"HTTP/1.1 200 OK\r\n")
    server.call(connection.connection_lost, None)


@pytest.mark.parametrize(("body_s", "is_longer"), [(600.0, True), (60.0, False)])
def test_whoever_still_sends_after_his_answer_is_not_cut_off_before_he_has_read_it(serve, until, body_s, is_longer):
    """The time in which nothing comes counts; all together he has the time of a body."""
    server, pipe = serve(linger_s=60.0, body_s=body_s), Pipe()
    pipe.protocol, pipe.is_full = server.connections.accept(), False
    server.call(pipe.protocol.connection_made, pipe)
    server.call(pipe.protocol.data_received, post("/echo", b"", "Content-Length: 5"))
    assert pipe.written[0].startswith(b"HTTP/1.1 400 ")
    ends, now = pipe.protocol.expires_at, server.call(server.loop.time)

    until(lambda: server.call(server.loop.time) > now, "the clock to move")
    server.call(pipe.protocol.data_received, b"more")

    assert (pipe.protocol.expires_at > ends) is is_longer
    server.call(pipe.protocol.connection_lost, None)


def test_a_connection_does_not_outlive_the_certificate_that_opened_it(serve):
    """One with a request ends with its answer, others at once. All do when nobody knows who is vouched for any more."""
    server = serve()
    ended, valid = ({"notAfter": f"Jan  1 00:00:00 {year} GMT"} for year in (2020, 2120))
    idle, busy, other = pipes = [Pipe(ended), Pipe(ended), Pipe(valid)]
    for pipe in pipes:
        pipe.protocol, pipe.is_full = server.connections.accept(), False
        server.call(pipe.protocol.connection_made, pipe)
    server.call(busy.protocol.data_received, b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
    server.call(server.connections.set_date, 0.0)
    server.call(server.connections.sweep)

    assert (idle.written, busy.written, other.written) == ([b"EOF"], [], [])
    late = Pipe(valid)
    late.protocol = server.connections.accept()
    server.call(server.connections.retire_certified)
    server.call(late.protocol.connection_made, late)
    assert (late.written, other.written) == ([b"EOF"], [b"EOF"])
    server.release()
    answer, *end = busy.written
    assert (b"\r\nconnection: close\r\n" in answer, end) == (True, [b"EOF"])
    for pipe in (*pipes, late):
        server.call(pipe.protocol.connection_lost, None)


def test_a_client_that_closes_its_side_still_gets_the_large_answer_that_has_begun(serve, read_answers):
    """As it would get a small one."""
    server = serve()
    with server.connect(receive_buffer=4096) as sock:
        sock.sendall(b"GET /big?3000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        first = sock.recv(1000)
        sock.shutdown(socket.SHUT_WR)
        rest = b"".join(iter(lambda: sock.recv(1 << 16), b""))

    assert len((first + rest).partition(b"\r\n\r\n")[2]) == 3_000_000


def test_unfinished_bodies_are_bounded_together(serve, until):
    """All connections share one bound on what is half received; what was refused is given back."""
    server = serve(buffered_bytes=100_000)
    with server.connect() as first, server.connect() as second:
        first.sendall(post("/echo", b"x" * 90_000)[:-10])
        until(lambda: server.connections.body_size > 80_000, "the first body")
        second.sendall(post("/echo", b"x" * 90_000)[:-10])

        assert read_all(second).startswith(b"HTTP/1.1 503 ")
        first.sendall(b"x" * 10)
        assert first.recv(100).startswith(b"HTTP/1.1 200 ")
    until(lambda: not (server.connections.open or server.connections.body_size), "the connections to close")


def test_connections_are_bounded(serve, read_answers):
    server = serve(connections=1)
    with server.connect() as first:
        first.sendall(GET)
        read_answers(first)
        with server.connect() as second:
            assert read_all(second).startswith(b"HTTP/1.1 503 ")


def test_connections_that_say_nothing_give_way_to_those_that_ask(serve, read_answers, until):
    """Whoever opens all of them and sends nothing keeps nobody out; who has asked before stays."""
    server = serve(connections=3)
    with server.connect() as kept, server.connect() as silent, server.connect():
        kept.sendall(GET)
        read_answers(kept)

        def is_answered() -> bool:
            with server.connect() as late:
                late.sendall(GET)
                return bool(late.recv(100).startswith(b"HTTP/1.1 200 "))

        until(is_answered, "room for somebody who asks")
        assert read_all(silent) == b""
        kept.sendall(GET)
        read_answers(kept)


def test_each_answer_says_close_while_the_server_ends(serve, until):
    """A drain closes idle connections and lets the last answers out."""
    server = serve()
    with server.connect() as idle, server.connect() as busy:
        idle.sendall(GET)
        idle.recv(1000)
        busy.sendall(post("/hold", b"x"))
        until(lambda: server.handler.held, "the request")
        server.connections.is_closing = True
        server.call(server.connections.close_idle)
        assert idle.recv(10) == b""

        server.release()

        assert b"connection: close\r\n" in read_all(busy)


def test_a_large_body_takes_time_in_proportion_to_its_size(serve, read_answers):
    """Thirty megabytes in many small parts come through; copying it for each part would take hours."""
    body = bytes(30_000_000)
    with serve().connect() as sock:
        sock.sendall(post("/echo", body))

        assert len(read_answers(sock)[0][2]) == len(body)


def test_answers_leave_without_delay(serve, until):
    """TCP_NODELAY is set: a small answer is not held back for more."""
    server = serve()
    with server.connect():
        connection = until(lambda: next(iter(server.connections.open), None), "the connection")
        sock = connection._transport.get_extra_info("socket")

        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server closes."""
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def read_answers_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        part = sock.recv(1 << 16)
        assert part
        data += part
    return data


def test_a_whole_answer_is_written_as_it_is(serve, read_answers):
    """Request by request, and in its turn among pipelined ones."""
    server = serve()
    with server.connect() as sock:
        for _ in range(4):
            sock.sendall(post("/raw", b"x"))
            assert read_answers(sock)[0][2] == b"raw"
        sock.sendall(post("/raw", b"1") + post("/hold", b"held") + post("/raw", b"3"))
        server.release()

        assert [body for _, _, body in read_answers(sock, 3)] == [b"raw", b"held", b"raw"]


def test_an_answer_that_depends_on_its_request_is_not_written_raw(serve, read_answers):
    """HEAD, HTTP/1.0, a client that wants to close, a server that ends."""
    server = serve()
    for line in (b"GET /raw HTTP/1.1\r\nHost: a\r\nConnection: close", b"GET /raw HTTP/1.0\r\nConnection: keep-alive"):
        with server.connect() as sock:
            sock.sendall(line + b"\r\n\r\n")
            assert read_answers(sock)[0][2] == b"slow"
    with server.connect() as sock:
        sock.sendall(b"HEAD /raw HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"content-length: 4\r\n" in sock.recv(1000)
    server.connections.is_closing = True
    with server.connect() as sock:
        sock.sendall(post("/raw", b"x"))

        [(_, headers, body)] = read_answers(sock)

    assert (body, headers["connection"]) == (b"slow", "close")


def test_the_answer_that_is_made_at_once_is_the_one_that_is_encoded():
    """Byte for byte, so that nobody can tell which way a request went."""
    lines, date, body = header_lines(("x-podium-model", "iris")), b"date: now\r\n", b'{"predictions": [1]}'

    at_once = JSON_ANSWER % (len(body), b"r1", lines, date, body)

    assert at_once == encode(Response(200, body, headers=b"x-request-id: r1\r\n" + lines), date, is_head=False)
