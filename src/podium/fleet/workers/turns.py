"""Loading in turns: at most so many at a time, in the order of `domain/capacity/load_order.py`."""

import asyncio
import time
from collections import Counter

from podium.domain.capacity.load_order import WaitingLoad, next_to_load

_LONGEST_S = 20.0


class Turns:
    """Who loads now and who waits for it. Event loop's thread only.

    A load that takes very long, or hangs, counts no more after a while: it may not keep every other model from loading.

    Args:
        most: How many at a time.
        longest_s: For how long one counts.
    """

    def __init__(self, most: int, longest_s: float = _LONGEST_S) -> None:
        self._most = most
        self._longest_s = longest_s
        self._waiting: dict[int, tuple[WaitingLoad, asyncio.Future[None]]] = {}
        self._loading: dict[int, WaitingLoad] = {}

    async def take(self, replica: int, endpoint: str, *, is_awaited: bool, is_beside: bool = False) -> None:
        """Wait for a turn; it lasts until `give_back`. Cancelled, nobody is waited for. Its terms: as in `WaitingLoad`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[replica] = (WaitingLoad(replica, endpoint, time.monotonic(), is_awaited, is_beside), turn)
        self._go_on()
        try:
            await turn
            asyncio.get_running_loop().call_later(self._longest_s, self.give_back, replica)
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
            under_way = self._loading.values()
            beside = sum(each.is_beside for each in under_way)
            chosen = next_to_load(waiting, Counter(each.endpoint for each in under_way), self._most, beside)
            if chosen is None:
                return
            _, turn = self._waiting.pop(chosen.replica)
            self._loading[chosen.replica] = chosen
            if not turn.done():
                turn.set_result(None)
