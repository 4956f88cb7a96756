"""Waking whoever waits for something to become true, on one event loop."""

import asyncio
from collections.abc import Callable


class Bell:
    """Rung when anything changed; who waits looks again whether it was the change he waits for."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Something changed. From the event loop's thread only."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, timeout_s: float) -> None:
        """Return at the next ring, or when the time is over."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait({future}, timeout=timeout_s)
        finally:
            self._waiting.discard(future)

    async def until(self, is_true: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until the predicate holds; False when the time is over first."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not is_true():
            left = deadline - loop.time()
            if left <= 0:
                return False
            await self.wait(left)
        return True
