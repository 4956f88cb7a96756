"""Answers in parts on their way through a gateway: each part goes on as it comes, no more are asked for than are taken."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from podium.serving.walks.replica import Replica
from podium.serving.walks.walk import Walk
from podium.transport import frames


class Parts:
    """What `Scoring` does with walks whose answer comes in parts. Event loop's thread only.

    Args:
        opened: All open walks, those first whose time ends first; this object keeps that so.
        timeout_s: For each part, from the one before it or from when it was asked for.
        loop: The event loop.
        expire: Ends a walk whose client waits no longer.
    """

    def __init__(
        self,
        opened: dict[Walk, None],
        timeout_s: float,
        loop: asyncio.AbstractEventLoop,
        expire: Callable[[Walk], None],
    ) -> None:
        self._loop = loop
        self._expire = expire
        self._open = opened
        self._timeout_s = timeout_s

    def pass_on(self, replica: Replica, walk: Walk, content_type: str, body: bytes) -> None:
        """Hand a part to whoever waits for it.

        Raises:
            BrokenFrame: The worker sends more than it was let.
        """
        taker = walk.taker
        assert taker is not None
        if not walk.parts:
            taker.on_taken = partial(self._ask_for_more, walk)
            self._give_time(walk)
        walk.parts += 1
        if walk.parts - walk.told > frames.WINDOW:
            raise frames.BrokenFrame(
                f"a worker sent {walk.parts} parts of an answer; it was let {walk.told + frames.WINDOW}"
            )
        walk.sent += len(body)
        self._renew(walk)
        headers = b"x-request-id: %s\r\n%s" % (walk.request_id.encode("latin-1"), replica.headers)
        taker.take(content_type, body, headers)

    def _ask_for_more(self, walk: Walk, count: int) -> None:
        walk.taken += count
        if walk.replica is not None and walk in self._open and walk.taken >= frames.WINDOW // 2:
            walk.replica.write(frames.encode_more(walk.identity, walk.taken))
            walk.told += walk.taken
            walk.taken = 0
            self._renew(walk)

    def _give_time(self, walk: Walk) -> None:
        """From the first part on the client's own time is for all of them, longer than the server's for one or not."""
        if walk.timer is not None and walk.exchange.terms.timeout_s is not None:
            walk.timer.cancel()
            left_s = walk.started + walk.exchange.terms.timeout_s - time.monotonic()
            walk.timer = self._loop.call_later(max(0.0, left_s), self._expire, walk)

    def _renew(self, walk: Walk) -> None:
        """An answer in parts has its time for each of them; the client's own, which has a timer, is for all."""
        walk.deadline = time.monotonic() + self._timeout_s
        del self._open[walk]
        self._open[walk] = None
