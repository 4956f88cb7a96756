"""The end of a gateway: nothing that was begun is lost."""

import json
import os
import signal
import socket
import ssl
import subprocess

import pytest
from authority import Authority

from podium.transport.frames import DRAINING
from podium.transport.messages import Drained

REQUEST = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def _end_by_message(server):
    server.drain()


def _end_by_signal(server):
    server.gateway.popen.send_signal(signal.SIGTERM)


def _end_by_orphaning(server):
    server.gateway.sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("end", [_end_by_message, _end_by_signal, _end_by_orphaning])
def test_what_is_in_flight_is_finished_and_the_exit_is_clean(server, end):
    """However a drain begins, the request that runs is answered, with Connection: close, and the process exits 0."""
    soon = server.score_soon()
    request = server.workers[0].take()
    end(server)
    server.wait_until_draining()
    server.workers[0].reply(request, b"late")

    answer = soon.result()

    assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"late", "close")
    assert server.gateway.wait() == 0


def test_a_drained_gateway_says_so(server):
    server.drain()

    server.gateway.expect(Drained)


def test_sigint_is_left_to_the_supervisor(server):
    """Ctrl-C reaches the whole process group; the gateway goes on until it is told."""
    server.gateway.popen.send_signal(signal.SIGINT)
    server.workers[0].serve()

    assert server.score().status == 200


def test_readiness_is_false_at_once(start):
    """Who is asked on a connection that is still open says not ready while it drains."""
    server = start(drain_linger_s=60)
    server.add(1)
    server.publish()
    with server.connect() as sock:
        sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in sock.recv(1000)
        server.drain()
        server.wait_until_draining()

        sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")

        answer = sock.recv(1000)
        assert b"503 Service Unavailable" in answer
        assert b"connection: close" in answer


def test_a_request_on_its_way_on_an_idle_connection_is_answered(start):
    """A kept connection stays open for a moment after the drain began."""
    server = start(drain_linger_s=60)
    server.add(1).serve()
    server.publish()
    with server.connect() as sock:
        sock.sendall(REQUEST)
        assert b"200 OK" in sock.recv(1000)
        server.drain()
        server.wait_until_draining()

        sock.sendall(REQUEST)

        assert b"200 OK" in sock.recv(1000)
    assert server.gateway.wait() == 0


def test_idle_connections_are_closed(server):
    """Nobody has to wait for a client that keeps its connection and says nothing."""
    with server.connect() as sock:
        sock.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
        sock.recv(1000)
        server.drain()

        assert sock.recv(1000) == b""
    assert server.gateway.wait() == 0


def test_what_the_backlog_holds_is_answered(server):
    """Connections that the kernel had accepted before the listening socket closed get their answer."""
    server.workers[0].serve()
    os.kill(server.gateway.popen.pid, signal.SIGSTOP)
    socks = [server.connect() for _ in range(20)]
    for sock in socks:
        sock.sendall(REQUEST)
    server.drain()
    os.kill(server.gateway.popen.pid, signal.SIGCONT)

    answers = [sock.recv(2000) for sock in socks]

    for sock in socks:
        sock.close()
    assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 20
    assert server.gateway.wait() == 0


def test_who_connects_while_the_drain_begins_is_answered(server):
    """Both are seen in the same turn of the event loop, the drain first; nothing else keeps the gateway."""
    os.kill(server.gateway.popen.pid, signal.SIGSTOP)
    server.drain()
    with server.connect() as sock:
        sock.sendall(REQUEST)
        os.kill(server.gateway.popen.pid, signal.SIGCONT)
        request = server.workers[0].take()
        with pytest.raises(subprocess.TimeoutExpired):
            server.gateway.popen.wait(0.5)
        server.workers[0].reply(request)

        assert b"200 OK" in sock.recv(1000)
    assert server.gateway.wait() == 0


def test_a_tls_handshake_that_has_begun_is_finished_and_its_request_answered(start, tmp_path):
    """Which no connection is yet; nothing else keeps the gateway."""
    authority = Authority(tmp_path)
    certificate, key = authority.pair("server")
    server = start(drain_linger_s=60, access={"tls_cert": str(certificate), "tls_key": str(key)})
    server.add(1).serve()
    server.publish()
    context = ssl.create_default_context(cafile=str(authority.file))
    with server.connect() as sock:
        server.drain()
        server.wait_until_draining()

        with context.wrap_socket(sock, server_hostname="127.0.0.1") as tls:
            tls.sendall(REQUEST)
            assert b"200 OK" in tls.recv(1000)
    assert server.gateway.wait() == 0


def test_at_the_limit_what_is_left_gets_503(server):
    """The limit is kept, and nobody is left without an answer."""
    soon = server.score_soon()
    server.workers[0].take()
    server.drain(0.2)

    assert soon.result().status == 503
    assert server.gateway.wait() == 0


def test_a_gateway_that_is_killed_is_replaced_without_losing_who_waits(start):
    """The listening socket outlives its gateway: who connects meanwhile is answered by the next."""
    server = start()
    server.gateway.popen.kill()
    server.gateway.popen.wait()
    soon = server.score_soon()
    server.gateways.append(server.start(0))
    server.add(1, gateway=1).serve()
    server.publish(gateway=1)

    assert soon.result().status == 200


def test_settings_that_make_no_sense_are_named(start, tmp_path):
    from podium.errors import Misconfigured
    from podium.serving.settings import GatewaySettings

    settings = GatewaySettings(timeout_s=5, access_log="/var/log/access.log")

    assert GatewaySettings.from_json(settings.to_json()) == settings
    for wrong, named in (({"timeout_s": 0}, "timeout_s"), ({"colour": 1}, "colour"), ({"timeout_s": "x"}, "timeout_s")):
        with pytest.raises(Misconfigured, match=named):
            GatewaySettings.from_json(json.dumps(wrong))


@pytest.mark.parametrize("end", [_end_by_message, _end_by_orphaning])
def test_who_waits_for_a_replica_that_will_not_come_is_refused_at_once(start, end):
    """The server ends: there will be no other worker, so nobody is held up to the limit."""
    server = start(drain_limit_s=60)
    worker = server.add(1)
    server.publish()
    soon = server.score_soon()
    request = worker.take()
    end(server) if end is _end_by_orphaning else server.drain(60)
    worker.refuse(request, DRAINING)

    assert soon.result().status == 503
    assert server.gateway.wait() == 0
