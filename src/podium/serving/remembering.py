"""Which answers a gateway hands on to the monitor, so that labels that come later find them; and those labels.

So many a second are handed on (`quality_rate`), of all versions together; where more are answered, each version has its
share, and which of its answers these are is drawn by lot, so that they are a fair sample of it. The lot says how many
answers to leave out before the next one, so that one that is left out costs a subtraction and a comparison.
"""

import math
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from podium.domain.monitoring.sharing import fair_parts
from podium.telemetry.remembered import LARGEST_ANSWER, Labelled, Remembered, answers_backlog, hand_on
from podium.transport.frames import Reply

if TYPE_CHECKING:
    from podium.serving.walks.replica import Replica
    from podium.serving.walks.walk import Walk

_BURST_S = 10.0
_SHARE_S = 1.0
_NEVER = sys.maxsize >> 1
_JSON = "application/json"


class Lottery:
    """The answers of one version. Event loop's thread only.

    Attributes:
        left: How many answers are left out before the next one is taken; whoever answers subtracts, and asks below 0.
        taken: How many were taken since they were counted last.
    """

    __slots__ = ("__weakref__", "_granted", "_log_rest", "_seen", "left", "taken")

    def __init__(self, *, is_off: bool = False) -> None:
        self.left = self._granted = _NEVER if is_off else 0
        self._log_rest = -math.inf  # of the part that is left out: nothing
        self._seen = self.taken = 0

    def skip(self) -> None:
        """The next one is drawn by lot."""
        gap = 0 if self._log_rest == -math.inf else int(math.log(1.0 - random.random()) / self._log_rest)
        self._grant(gap + 1)

    def pause(self) -> None:
        """Take none until the next draw."""
        self._grant(_NEVER - self.left)

    def draw(self, part: float) -> None:
        """Take this part of the answers from now on, above 0."""
        self._log_rest = -math.inf if part >= 1 else math.log1p(-part)
        self._grant(-1 - self.left)
        self.skip()

    def count(self) -> int:
        """How many answers there were since it was asked last."""
        seen, self._seen = self._seen, self._granted - self.left
        return self._seen - seen

    def _grant(self, more: int) -> None:
        self.left += more
        self._granted += more


class Remembering:
    """Hands on answers and labels. Event loop's thread only.

    Args:
        rate: Answers a second.
        channel: Where the monitor reads; as `telemetry.backlog.open_channel` makes it.
        count: Told what became of how many: `kept`, `skipped`, `large`, `dropped`.
    """

    def __init__(self, rate: int, channel: socket.socket, count: Callable[[str, int], None]) -> None:
        self._rate = rate
        self._channel = channel
        self._count = count
        self._backlog = answers_backlog(channel, lambda dropped: count("dropped", dropped))
        self._lotteries: WeakValueDictionary[tuple[str, str], Lottery] = WeakValueDictionary()  # as long as its replicas
        self._demands: dict[tuple[str, str], float] = {}
        self._heard: Counter[tuple[str, str]] = Counter()
        self._tokens = self._most = rate * _BURST_S
        self._refilled = self._shared = time.monotonic()

    def lottery_of(self, endpoint: str, version: str) -> Lottery:
        """Who says which of a version's answers are handed on."""
        found = self._lotteries.get((endpoint, version))
        if found is None:
            found = self._lotteries[endpoint, version] = Lottery()
        return found

    def see(self, replica: "Replica", walk: "Walk", reply: Reply) -> None:
        """A request was answered by itself, and it is one whose turn it is."""
        if self._may_take(replica.lottery):
            self._hand_on(replica, walk, reply.content_type, reply.body, time.time())

    def see_all(self, replica: "Replica", answered: "Sequence[tuple[Walk, bytes]]") -> None:
        """The requests of a group were answered, and it is the turn of one or more; each with its worker's answer."""
        lottery, now, count = replica.lottery, time.time(), len(answered)
        while lottery.left < 0:
            walk, body = answered[count + lottery.left]
            if self._may_take(lottery):
                self._hand_on(replica, walk, _JSON, body, now)

    def hand_on(self, labels: Sequence[Labelled]) -> bool:
        """Hand on labels at once, all or none; False: there is no room, or nobody to take them."""
        return hand_on(self._channel, labels)

    def sweep(self) -> None:
        """Hand on what waits, and share out what may be taken next. Call it several times a second."""
        now = time.monotonic()
        was_empty = self._tokens < 1
        self._tokens = min(self._most, self._tokens + self._rate * (now - self._refilled))
        self._refilled = now
        if now - self._shared >= _SHARE_S:
            self._share(now - self._shared)
            self._shared = now
            self._backlog.flush()
        elif was_empty and self._tokens >= 1:
            self._share(0.0)

    def close(self) -> None:
        """The gateway ends: hand on what the monitor takes at once."""
        self._share(0.0)
        self._backlog.close()
        self._channel.close()

    def _may_take(self, lottery: Lottery) -> bool:
        if self._tokens < 1:
            lottery.pause()
            return False
        lottery.skip()
        return True

    def _hand_on(self, replica: "Replica", walk: "Walk", content_type: str, answer: bytes | memoryview, now: float) -> None:
        replica.lottery.taken += 1
        if len(answer) > LARGEST_ANSWER:
            self._count("large", 1)
            return
        self._tokens -= 1
        self._count("kept", 1)
        # Who names a version is not drawn by lot, hence nobody's sample.
        variant = "" if walk.way.is_bound else replica.variant
        named = replica.endpoint, replica.version, variant, walk.request.path
        self._backlog.add(Remembered(now, walk.request_id, *named, content_type, bytes(answer)))

    def _share(self, elapsed_s: float) -> None:
        """Say which part of each version's answers is taken, by how many there were."""
        lotteries = dict(self._lotteries)
        seen = {key: each.count() for key, each in lotteries.items()}
        if skipped := sum(seen[key] - each.taken for key, each in lotteries.items()):
            self._count("skipped", skipped)
        for each in lotteries.values():
            each.taken = 0
        self._heard.update(seen)
        if elapsed_s:
            # One second without answers says little of the next.
            before, heard = self._demands, self._heard
            self._demands = {key: max(heard[key] / elapsed_s, before.get(key, 0.0) / 2) for key in seen}
            heard.clear()
        parts = fair_parts(self._rate, self._demands)
        for key, each in lotteries.items():
            each.draw(parts.get(key, 1.0))
