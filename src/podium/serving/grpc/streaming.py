"""`ModelStreamInfer`: many requests on one call, each answered by one message or, where the model streams, by several.

Requests run beside each other, in bounds; their answers come in the order in which they were asked. What goes wrong with
one of them is its `error_message`, and the call goes on.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from podium.serving.grpc.calls import Call, Refused
from podium.web.messages import Response

AT_ONCE = 32
"""Requests of one call that run at a time; the next is read when one of them is answered."""


class Part(NamedTuple):
    """One part of an answer, or all of it.

    Args:
        response: As scoring gave it; of a part the status is 200.
        is_last: Nothing comes after it.
    """

    response: Response
    is_last: bool


class PartsCall(Call):
    """A request's way back that takes the answer in parts: a `web.handling.PartsTaker`.

    Attributes:
        message: What was asked; `asked` is what it says, None for what cannot be read.
        refused: Why it was not even begun.
    """

    __slots__ = ("_ended", "_parts", "_woken", "asked", "message", "on_taken", "refused")

    def __init__(self, client: str, answered: asyncio.Future[Response], message: Any) -> None:
        super().__init__(client, answered)
        self.message = message
        self.asked: Any = None
        self.refused: Refused | None = None
        self.on_taken: Callable[[int], None] | None = None
        self._parts: deque[Response] = deque()
        self._woken = asyncio.Event()

    def take(self, content_type: str, body: bytes, headers: bytes) -> None:
        self._parts.append(Response(200, body, content_type, headers))
        self._woken.set()

    def answer(self, response: Response) -> None:
        super().answer(response)
        self._woken.set()

    async def parts(self) -> AsyncIterator[Part]:
        """The parts as they come; each is taken when the next is asked for."""
        while True:
            while self._parts:
                yield Part(self._parts.popleft(), is_last=False)
                if self.on_taken is not None:
                    self.on_taken(1)
            if self.answered.done():
                yield Part(self.answered.result(), is_last=True)
                return
            self._woken.clear()
            await self._woken.wait()


class Conversation:
    """One call: its requests as they arrive, each begun at once while there is room.

    Args:
        requests: The client's messages.
        begin: Begins one.
    """

    def __init__(self, requests: AsyncIterator[Any], begin: Callable[[Any], PartsCall]) -> None:
        self._requests = requests
        self._begin = begin
        self._room = asyncio.Semaphore(AT_ONCE)
        self._calls: asyncio.Queue[PartsCall | None] = asyncio.Queue()
        self._reader = asyncio.ensure_future(self._read())

    async def calls(self) -> AsyncIterator[PartsCall]:
        """What was asked, in order; ends when the client asks nothing more."""
        while (call := await self._calls.get()) is not None:
            yield call
            self._room.release()

    def end(self) -> None:
        """Take no more requests; those that were begun are answered."""
        self._reader.cancel()

    async def close(self) -> None:
        """Give up whatever is not answered."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        while not self._calls.empty():
            call = self._calls.get_nowait()
            if call is not None:
                call.leave()

    async def _read(self) -> None:
        try:
            async for message in self._requests:
                await self._room.acquire()
                self._calls.put_nowait(self._begin(message))
        finally:
            self._calls.put_nowait(None)
