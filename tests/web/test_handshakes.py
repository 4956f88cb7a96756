"""TLS connections whose handshakes never end: bounded for each address and altogether, and in the way of nobody else."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
from authority import Authority

from podium.access.certificates import TlsFiles, context_of
from podium.web.handshakes import HandshakeBounds, Handshakes

LIMIT_S = 60.0


class Hello(asyncio.Protocol):
    """Says hello, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("handshakes"))


@contextlib.asynccontextmanager
async def listening(authority: Authority, bounds: HandshakeBounds, exempt: str = "") -> AsyncIterator["Clients"]:
    """Clients of a server that says hello to whoever finishes a handshake."""
    certificate, key = authority.pair("server")
    listener = socket.create_server(("127.0.0.1", 0))
    context = context_of(TlsFiles(str(certificate), str(key)))
    server = Handshakes(listener, Hello, context, bounds, lambda address: address == exempt)
    with contextlib.ExitStack() as stack:
        try:
            yield Clients(listener.getsockname()[1], authority, stack)
        finally:
            server.close()


class Clients:
    """Whoever connects, from addresses of their own."""

    def __init__(self, port: int, authority: Authority, stack: contextlib.ExitStack) -> None:
        self._address = ("127.0.0.1", port)
        self._context = ssl.create_default_context(cafile=str(authority.file))
        self._stack = stack
        self._loop = asyncio.get_running_loop()

    async def silent(self, address: str) -> socket.socket:
        """A connection that says nothing."""
        sock = self._stack.enter_context(socket.socket())
        sock.setblocking(False)
        sock.bind((address, 0))
        await self._loop.sock_connect(sock, self._address)
        return sock

    async def is_closed(self, sock: socket.socket, within_s: float = LIMIT_S) -> bool:
        """Whether the server closes a connection."""
        try:
            async with asyncio.timeout(within_s):
                return await self._loop.sock_recv(sock, 1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    async def hello(self, address: str) -> bytes:
        """What somebody hears who finishes the handshake."""
        reader, writer = await asyncio.open_connection(*self._address, ssl=self._context, local_addr=(address, 0))
        heard = await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        return heard


def test_an_address_that_finishes_no_handshake_keeps_nobody_else_out(authority):
    """Beyond its bound it is closed at once; another address is answered."""

    async def run() -> None:
        async with listening(authority, HandshakeBounds(LIMIT_S, of_one=2)) as clients:
            held = [await clients.silent("127.0.0.1") for _ in range(2)]

            assert await clients.is_closed(await clients.silent("127.0.0.1"))
            assert await clients.hello("127.0.0.2") == b"hello"
            assert not await clients.is_closed(held[0], 0.01)

    asyncio.run(run())


def test_all_together_have_a_bound_and_it_is_free_again_when_they_end(authority):
    """When their time is up."""

    async def run() -> None:
        async with listening(authority, HandshakeBounds(4.0, of_all=2)) as clients:
            held = [await clients.silent(f"127.0.0.{last}") for last in (2, 3)]

            assert await clients.is_closed(await clients.silent("127.0.0.4"))
            assert [await clients.is_closed(sock) for sock in held] == [True, True]
            assert await clients.hello("127.0.0.5") == b"hello"

    asyncio.run(run())


def test_a_proxy_has_no_bound_of_its_own(authority):
    """Everybody is behind it."""

    async def run() -> None:
        async with listening(authority, HandshakeBounds(LIMIT_S, of_one=1), exempt="127.0.0.1") as clients:
            for _ in range(3):
                await clients.silent("127.0.0.1")

            assert await clients.hello("127.0.0.1") == b"hello"

    asyncio.run(run())


@pytest.mark.parametrize("turns", range(5))
def test_nobody_is_lost_who_comes_while_it_closes(authority, turns: int):
    """In whichever turn of the event loop: he is being greeted, or stays in the backlog."""

    async def run() -> None:
        certificate, key = authority.pair("server")
        context = context_of(TlsFiles(str(certificate), str(key)))
        with socket.create_server(("127.0.0.1", 0)) as listener, listener.dup() as backlog:
            server = Handshakes(listener, Hello, context, HandshakeBounds(LIMIT_S), lambda _: False)
            await asyncio.sleep(0)
            with socket.create_connection(listener.getsockname()):
                for _ in range(turns):
                    await asyncio.sleep(0)

                server.close()

                if not server.are_unfinished:
                    backlog.accept()[0].close()

    asyncio.run(run())
