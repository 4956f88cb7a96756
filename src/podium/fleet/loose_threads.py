"""Work that may hang, such as asking a store elsewhere, in threads that nobody waits for when the process ends."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_Result = TypeVar("_Result")


class LooseThreads:
    """At most so many at a time; who comes beyond waits. Event loop's thread only.

    Those of `concurrent.futures` are joined at the interpreter's end, for as long as a store hangs.

    Args:
        most: How many.
        name: What they are called.
    """

    def __init__(self, most: int, name: str) -> None:
        self._turn = asyncio.Semaphore(most)
        self._name = name

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """What the work returns, or raises. Cancelled, it is left to itself."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Result] = loop.create_future()

        def settle(done: Future[_Result]) -> None:
            error = done.exception()
            if answer.done():
                return
            if error is None:
                answer.set_result(done.result())
            else:
                answer.set_exception(error)

        def do() -> None:
            done: Future[_Result] = Future()
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - whatever it is, whoever waits is told
                done.set_exception(error)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, done)

        async with self._turn:
            threading.Thread(target=do, name=self._name, daemon=True).start()
            return await answer
