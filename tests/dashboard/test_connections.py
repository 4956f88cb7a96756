"""Whoever begins a request and never ends it keeps nobody out of the dashboard, and fills no memory."""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from podium.dashboard.connections import MOST, BoundedConnection

WAIT_S = 60
LARGE = 64 << 20


class Hasty(BoundedConnection):
    """Whose time for a request is over soon."""

    request_s = 0.3


class Prompt(BoundedConnection):
    """Whose time for the next request is over soon: it is waited for as soon as all of an answer is written."""

    request_s = 1000.0
    looked = 0

    def on_message_complete(self) -> None:
        self.request_s = 0.1
        super().on_message_complete()

    def _late(self) -> None:
        Prompt.looked += 1
        super()._late()


class Brisk(Prompt):
    """Whose times are over soon, once a request has come whole."""

    answer_s = 0.5


async def echo(request: Request) -> PlainTextResponse:
    with contextlib.suppress(ClientDisconnect):
        return PlainTextResponse(await request.body())
    return PlainTextResponse("")


async def large(_: Request) -> PlainTextResponse:
    return PlainTextResponse(bytes(LARGE))


class Patient(BoundedConnection):
    """Who gives up for no other reason than size."""

    request_s = 1000.0


@contextlib.contextmanager
def running(kind):
    """A server whose connections are of a kind, and its port."""
    app = Starlette(routes=[Route("/", echo, methods=["GET", "POST"]), Route("/large", large)])
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", http=kind, limit_concurrency=MOST)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            yield server, sock.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            thread.join(WAIT_S)


@contextlib.contextmanager
def serving(kind):
    with running(kind) as (_, port):
        yield port


def connected(port):
    return contextlib.closing(socket.create_connection(("127.0.0.1", port), WAIT_S))


def answered(port):
    """The status of a request of its own."""
    with connected(port) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return one.recv(100).split()[1]


def ends(one):
    """Whether the other side closes before a deadline, whatever it says before."""
    with contextlib.suppress(ConnectionError):
        while one.recv(1 << 16):
            pass
    return True


def test_strangers_who_send_nothing_keep_nobody_out():
    with serving(BoundedConnection) as port, contextlib.ExitStack() as held:
        for _ in range(MOST + 20):
            held.enter_context(connected(port)).sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")

        assert answered(port) == b"200"


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n"]
)
def test_a_request_that_drips_is_given_up(begun):
    """A byte now and then is no request, before its head is whole or after."""
    with serving(Hasty) as port, connected(port) as one:
        until = time.monotonic() + WAIT_S
        with contextlib.suppress(ConnectionError):
            one.sendall(begun)
            while begun and time.monotonic() < until:
                one.sendall(b"a")
                one.settimeout(0.02)
                with contextlib.suppress(TimeoutError):
                    if not one.recv(100):
                        break
        one.settimeout(WAIT_S)

        assert ends(one)
        assert time.monotonic() < until


def test_a_head_without_an_end_is_cut():
    with serving(Patient) as port, connected(port) as one:
        with contextlib.suppress(ConnectionError):
            one.sendall(b"GET / HTTP/1.1\r\n")
            for number in range(100):
                one.sendall(b"x-%d: " % number + b"a" * 10_000 + b"\r\n")

        assert ends(one)


def test_an_answer_that_nobody_takes_is_given_up():
    with running(Brisk) as (server, port), connected(port) as one:
        one.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        # Its head, so that the connection is there.
        taken = len(one.recv(1))
        until = time.monotonic() + WAIT_S
        while server.server_state.connections and time.monotonic() < until:
            time.sleep(0.02)
        with contextlib.suppress(ConnectionError):
            while part := one.recv(1 << 20):
                taken += len(part)

        assert 0 < taken < LARGE


def test_an_answer_that_is_taken_slowly_comes_whole():
    """It has its own time, which is longer than that for the next request."""
    with serving(Prompt) as port, connected(port) as one:
        one.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        taken, before, until = len(one.recv(1)), Prompt.looked, time.monotonic() + WAIT_S
        while Prompt.looked < before + 3 and time.monotonic() < until:
            time.sleep(0.02)
        while part := one.recv(1 << 20):
            taken += len(part)

        assert taken > LARGE


def test_a_connection_that_is_kept_is_asked_again_and_again():
    """No bound of one request is left for the next, also where they come together."""
    with serving(BoundedConnection) as port, connected(port) as one:
        found = b""
        for _ in range(3):
            one.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi" * 2)
            while found.count(b"hi") < 2:
                found += one.recv(1 << 16)
            assert found.count(b"200 OK") == 2
            found = b""
