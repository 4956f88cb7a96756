"""The listening sockets of gateways that died: their connections are accepted here until those are there again.

The kernel spreads connections over the sockets of all gateways, and goes on doing so while one of them is dead: whoever
came to that one would wait until it has been started again.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

_log = logging.getLogger("podium.gateway")


class Closes(Protocol):
    """Accepts connections until it is closed."""

    def close(self) -> None: ...


class Doors:
    """Opened and closed as the supervisor says. Event loop's thread only.

    Args:
        loop: The event loop.
        listen: Accepts a socket's connections until what it gives is closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, listen: Callable[[socket.socket], Awaitable[Closes]]) -> None:
        self._loop = loop
        self._listen = listen
        self._open: dict[int, asyncio.Task[None]] = {}

    def open(self, slot: int, listener: socket.socket) -> None:
        """Accept a gateway's connections; the socket is this object's from now on."""
        self.close(slot)
        self._open[slot] = self._loop.create_task(self._keep(listener))

    def close(self, slot: int) -> None:
        """Accept them no more; those that were accepted stay."""
        task = self._open.pop(slot, None)
        if task is not None:
            task.cancel()

    async def close_all(self) -> None:
        """The gateway ends."""
        tasks = list(self._open.values())
        for slot in list(self._open):
            self.close(slot)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, listener: socket.socket) -> None:
        with contextlib.closing(listener):
            try:
                server = await self._listen(listener)
            except OSError as error:
                _log.warning("connections of another gateway cannot be accepted: %s", error)
                return
            try:
                await self._loop.create_future()
            finally:
                server.close()
