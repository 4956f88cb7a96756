"""What strangers may take of a gateway's gRPC port without asking anything."""

import socket
from contextlib import ExitStack

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # the preface, and empty SETTINGS


def connect(address: str, said: bytes) -> socket.socket:
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)), 60)
    sock.settimeout(60)
    sock.sendall(said)
    return sock


def is_greeted(sock: socket.socket) -> bool:
    """Whether the server says something, which it does at once to whoever has a place; else it closes the connection."""
    try:
        return sock.recv(1) != b""
    except ConnectionResetError:
        return False


def ends(sock: socket.socket) -> bool:
    """Whether the server closes a connection, whatever it says before."""
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def is_serving(address: str) -> bool:
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=240)
        except grpc.RpcError:
            return False
        return True


def begun(start, until, **settings):
    server = start(has_grpc=True, max_connections=4, **settings)
    server.add(1)
    server.publish()
    until(lambda: is_serving(server.grpc), "gRPC is there")
    return server


@pytest.mark.parametrize("said", [b"", _HELLO], ids=["nothing", "settings"])
def test_connections_beyond_the_bound_are_closed_at_once(start, until, said: bytes):
    """Whatever they have said; when they are gone, others are answered."""
    server = begun(start, until, head_s=600.0, idle_s=600.0)
    with ExitStack() as closing:

        def greeted() -> bool:
            return is_greeted(closing.enter_context(connect(server.grpc, said)))

        # Whoever asked before this may still have a place, for the server has not yet read that they hung up.
        held = [until(greeted, "there is a place") for _ in range(4)]

        assert ([greeted() for _ in range(4)], is_serving(server.grpc)) == ([False] * 4, False), held
    until(lambda: is_serving(server.grpc), "there is room again")


def test_connections_that_ask_nothing_end_in_time(start, until):
    """Before HTTP/2's hello and after it; nobody but their own clients notices."""
    server = begun(start, until, head_s=1.0, idle_s=1.0)
    with ExitStack() as closing:
        connections = [closing.enter_context(connect(server.grpc, said)) for said in (b"", b"", _HELLO)]

        assert all(map(ends, connections))
        until(lambda: is_serving(server.grpc), "somebody else is answered")
