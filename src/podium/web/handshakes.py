"""Accepting TLS connections, with bounds on handshakes that are not finished: in number, for each address, and in time.

A handshake costs its sender nothing until it is finished, and us a descriptor and memory. asyncio's own servers begin as
many as come; here an address has so many at a time, and all together so many, and what is beyond is closed at once.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

_log = logging.getLogger("podium.gateway")
_PAUSE_S = 0.5
_AT_ONCE = 32  # accepted in one turn of the loop


@dataclass(frozen=True, slots=True)
class HandshakeBounds:
    """What unfinished handshakes may take.

    Args:
        seconds: From the connection to the end of its handshake.
        of_one: At a time from one address.
        of_all: At a time altogether.
    """

    seconds: float
    of_one: int = 256
    of_all: int = 4096


class Handshakes:
    """Accepts on a listening socket until it is closed. Event loop's thread only.

    Args:
        listener: The socket; closed with this.
        protocol: Makes what speaks on a connection.
        context: For each handshake.
        bounds: On those that are not finished.
        is_exempt: Whether an address may have as many as all: a proxy's, behind which everybody is.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext,
        bounds: HandshakeBounds,
        is_exempt: Callable[[str], bool],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._context = context
        self._bounds = bounds
        self._is_exempt = is_exempt
        self._unfinished: set[asyncio.Task[None]] = set()
        self._of: Counter[str] = Counter()
        self._pause: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._watch()

    @property
    def are_unfinished(self) -> bool:
        """Whether somebody is in the middle of a handshake."""
        return bool(self._unfinished)

    @property
    def is_alive(self) -> bool:
        """Whether it accepts, or somebody is in the middle of a handshake."""
        return self._listener.fileno() >= 0 or self.are_unfinished

    def close(self) -> None:
        """Accept nothing more; handshakes that were begun are finished, or time out."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _watch(self) -> None:
        self._pause = None
        # No task that waits: one that is cancelled loses the connection that it was about to be given.
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, address = self._listener.accept()
            except ConnectionAbortedError:
                continue
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # No descriptor is left: the backlog holds who comes until there is one.
                _log.warning("no connection can be accepted: %s", error)
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(_PAUSE_S, self._watch)
                return
            self.begin(accepted, address[0])

    def begin(self, accepted: socket.socket, address: str) -> None:
        """Take a connection that was accepted, or close it."""
        bounds = self._bounds
        is_many = self._of[address] >= bounds.of_one and not self._is_exempt(address)
        if is_many or len(self._unfinished) >= bounds.of_all:
            accepted.close()
            return
        accepted.setblocking(False)
        self._of[address] += 1
        task = self._loop.create_task(self._finish(accepted, address))
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)

    async def _finish(self, accepted: socket.socket, address: str) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol, accepted, ssl=self._context, ssl_handshake_timeout=self._bounds.seconds
            )
        except (OSError, asyncio.CancelledError):
            accepted.close()  # a handshake that fails is its client's loss alone
        finally:
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]
