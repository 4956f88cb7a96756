"""Answers in parts on their way through a gateway: each part goes on as it comes, no more are asked for than are taken."""

import time
from functools import partial

from podium.serving.replica import Replica
from podium.serving.walk import Walk
from podium.transport import frames


class Parts:
    """What `Scoring` does with walks whose answer comes in parts. Event loop's thread only.

    Args:
        opened: All open walks, those first whose time ends first; this object keeps that so.
        timeout_s: For each part, from the one before it or from when it was asked for.
    """

    def __init__(self, opened: dict[Walk, None], timeout_s: float) -> None:
        self._open = opened
        self._timeout_s = timeout_s

    def pass_on(self, replica: Replica, walk: Walk, content_type: str, body: bytes) -> None:
        """Hand a part to whoever waits for it."""
        taker = walk.taker
        assert taker is not None
        if not walk.parts:
            taker.on_taken = partial(self._ask_for_more, walk)
        walk.parts += 1
        walk.sent += len(body)
        self._renew(walk)
        headers = b"x-request-id: %s\r\n%s" % (walk.request_id.encode("latin-1"), replica.headers)
        taker.take(content_type, body, headers)

    def _ask_for_more(self, walk: Walk, count: int) -> None:
        walk.taken += count
        if walk.replica is not None and walk in self._open and walk.taken >= frames.WINDOW // 2:
            walk.replica.write(frames.encode_more(walk.identity, walk.taken))
            walk.taken = 0
            self._renew(walk)

    def _renew(self, walk: Walk) -> None:
        """An answer in parts has its time for each of them; the client's own is for all."""
        now, most_s = time.monotonic(), walk.exchange.terms.timeout_s
        walk.deadline = now + self._timeout_s if most_s is None else min(now + self._timeout_s, walk.started + most_s)
        del self._open[walk]
        self._open[walk] = None
