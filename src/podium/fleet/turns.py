"""Loading in turns: at most so many at a time, in the order of `domain/load_order.py`."""

import asyncio
import time
from collections import Counter

from podium.domain.load_order import Waiting, next_to_load


class Turns:
    """Who loads now and who waits for it. Event loop's thread only.

    Args:
        most: How many at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[int, tuple[Waiting, asyncio.Future[None]]] = {}
        self._loading: dict[int, str] = {}

    async def take(self, replica: int, endpoint: str, *, is_awaited: bool) -> None:
        """Wait for a turn; it lasts until `give_back`. Cancelled, nobody is waited for."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[replica] = (Waiting(replica, endpoint, time.monotonic(), is_awaited), turn)
        self._go_on()
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.pop(replica, None)
            self.give_back(replica)
            raise

    def give_back(self, replica: int) -> None:
        """It loads no more; called again, it does nothing."""
        self._loading.pop(replica, None)
        self._go_on()

    def _go_on(self) -> None:
        while True:
            waiting = [each for each, _ in self._waiting.values()]
            chosen = next_to_load(waiting, Counter(self._loading.values()), self._most)
            if chosen is None:
                return
            _, turn = self._waiting.pop(chosen.replica)
            self._loading[chosen.replica] = chosen.endpoint
            if not turn.done():
                turn.set_result(None)
