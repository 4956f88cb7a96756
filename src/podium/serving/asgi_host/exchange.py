"""One request's way back through ASGI."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import msgspec

from podium.domain.clients.access import Peer
from podium.web.handling import NO_TERMS, RequestTerms
from podium.web.messages import Response

_MOST_WAITING = 64 << 10  # bytes of parts that the server did not take yet


class AsgiExchange:
    """A `web.handling.Arrival`.

    Attributes:
        answered: The answer, once there is one; of an answer in parts its head.
        is_in_parts: Whether `parts` gives the body.
    """

    def __init__(self, client: str) -> None:
        self.client = client
        # ASGI has no word for a client's certificate: under somebody else's server nobody is known by one.
        self.peer = Peer(client)
        self.terms: RequestTerms = NO_TERMS
        self.on_leave: Callable[[], None] | None = None
        self.on_room: Callable[[], None] | None = None
        self.answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.lines = b""  # they go with `answer`; the server writes its own date
        self.is_in_parts = False
        self._parts: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_over = False
        self._woken = asyncio.Event()

    def answer(self, response: Response) -> None:
        self.on_leave = None
        if not self.answered.done():
            self.answered.set_result(msgspec.structs.replace(response, headers=response.headers + self.terms.lines))

    def answer_raw(self, data: bytes) -> bool:  # noqa: ARG002
        """An answer in HTTP/1.1's bytes is none here."""
        return False

    def begin(self, response: Response) -> None:
        if not self.answered.done():
            self.is_in_parts = True
            self.answered.set_result(
                msgspec.structs.replace(response, body=b"", headers=response.headers + self.terms.lines)
            )
            if response.body:
                self.send(bytes(response.body))

    def send(self, data: bytes) -> bool:
        self._parts.append(data)
        self._waiting_bytes += len(data)
        self._woken.set()
        return self._waiting_bytes <= _MOST_WAITING

    def end(self) -> None:
        self._is_over = True
        self.on_leave = self.on_room = None
        self._woken.set()

    async def parts(self) -> AsyncIterator[bytes]:
        """The parts as they come, until the end."""
        while True:
            while self._parts:
                data = self._parts.popleft()
                self._waiting_bytes -= len(data)
                yield data
            if self._is_over:
                return
            self._woken.clear()
            if self.on_room is not None:
                self.on_room()
            await self._woken.wait()

    def leave(self) -> None:
        """The client has left."""
        on_leave, self.on_leave = self.on_leave, None
        if on_leave is not None:
            on_leave()
