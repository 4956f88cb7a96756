"""Copies of requests for a version that nobody waits for, and what its answers are beside those that clients got.

A copy is made after the client's answer left. It waits in a bounded queue of its shadow and is sent in the event loop's
next turn, a few at a time; what finds the queue full is dropped and counted, and so is what a busy gateway has no time for
(`domain/rollouts/copying.py`), for a copy would make the next client wait. Whatever becomes of it (an error, a worker
that dies or hangs, an answer that differs) becomes a count, and nothing else.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence

from podium.domain.rollouts.agreement import Agreement, agree
from podium.domain.rollouts.copying import MOST, next_pace
from podium.domain.traffic import Shadow, Way
from podium.errors import MalformedBody
from podium.protocols.mlflow.fast_reading import FastReader
from podium.serving.recording import Recorder
from podium.serving.walks.answer_values import values_of
from podium.serving.walks.replica import Replica
from podium.serving.walks.router import Router
from podium.serving.walks.walk import Walk
from podium.telemetry.slots import UNROUTED
from podium.transport.frames import Reply

_MOST_WAITING = 256
_MOST_BYTES = 64 << 20
_MOST_SENT = 8
_COMPARED_BYTES = 64 << 10


class Copy(Walk):
    """A request on its way to a shadow; no client waits for it.

    Attributes:
        channel: Whose queue it went through.
        answer, content_type: What the client got.
        reader: Who decoded its body, where that was done.
        is_foreign: It is another protocol's, and goes decoded or not at all.
        tolerance: As in `Shadow`.
    """

    __slots__ = ("answer", "channel", "content_type", "is_foreign", "reader", "tolerance")

    def __init__(self, walk: Walk, channel: "Channel", shadow: Shadow, answer: bytes, content_type: str) -> None:
        self.request = walk.request
        self.body_size = walk.body_size
        self.is_foreign = walk.detour is not None
        self.request_id = walk.request_id
        self.endpoint = walk.endpoint
        self.rows = walk.rows
        self.is_solo = False
        self.detour = self.taker = None
        self.identity = 0
        self.replica: Replica | None = None
        self.packed = walk.packed
        self.reader: FastReader | None = None if walk.last is None else walk.last.reader
        self.channel = channel
        self.answer = answer
        self.content_type = content_type
        self.tolerance = shadow.tolerance
        self.started = self.deadline = 0.0

    @property
    def size(self) -> int:
        return self.body_size + len(self.answer)


class Channel:
    """The way to one shadow of one endpoint: what waits for it, and how much is sent."""

    __slots__ = ("endpoint", "sent", "series", "version", "waiting")

    def __init__(self, endpoint: str, version: str) -> None:
        self.endpoint = endpoint
        self.version = version
        self.series = UNROUTED
        self.waiting: deque[Copy] = deque()
        self.sent = 0


class Shadowing:
    """All copies of this gateway. Event loop's thread only.

    Args:
        loop: The event loop.
        router: Tables and replicas.
        recorder: Counts.
        timeout_s: From a copy's sending to its answer.
        spare: Says which part of the time since it was last asked the event loop's thread had to spare.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        router: Router,
        recorder: Recorder,
        timeout_s: float,
        spare: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._router = router
        self._recorder = recorder
        self._timeout_s = timeout_s
        self._channels: dict[tuple[str, str], Channel] = {}
        self._sent: dict[Copy, None] = {}  # oldest first, hence soonest deadline first
        self._bytes = 0
        self._ready: dict[Channel, None] = {}  # those where something waits and may be sent
        self._is_due = False
        self._spare = spare
        self._pace, self._begun = MOST, 0

    def offer(self, replica: Replica, walk: Walk, answer: bytes, content_type: str = "application/json") -> None:
        """A request was answered with 200 by a replica whose version has a shadow: perhaps that gets a copy."""
        shadow = replica.shadow
        if shadow is None or walk.way.is_bound or (shadow.percent < 100 and random.random() * 100 >= shadow.percent):
            return
        channel = self._channel(replica.endpoint, shadow.version)
        size = walk.body_size + len(answer)
        if self._begun >= self._pace or len(channel.waiting) >= _MOST_WAITING or self._bytes + size > _MOST_BYTES:
            self._recorder.record_copy(channel.series, "dropped")
            return
        copy = Copy(walk, channel, shadow, answer, content_type)
        self._begun += 1
        self._bytes += copy.size
        channel.waiting.append(copy)
        self._plan(channel)

    def offer_all(self, replica: Replica, walks: Sequence[Walk | None], answers: Sequence[bytes]) -> None:
        """As `offer`, for a group's; copies among them are nobody's to copy again."""
        for walk, answer in zip(walks, answers, strict=True):
            if walk is not None and type(walk) is Walk:
                self.offer(replica, walk, answer)

    def hear(self, replica: Replica, copy: Walk, reply: Reply) -> None:
        """A worker answered a copy by itself."""
        self._answered(copy, reply.status, reply.content_type, reply.body)
        self._recorder.record_batch(replica.series, reply)
        if replica.is_compared and reply.status == 200:
            self._recorder.record_predictions(replica.series, reply.content_type, (reply.body,), (), 0)

    def hear_planned(self, copy: Walk, body: bytes) -> None:
        """A worker answered a copy as one of a group."""
        self._answered(copy, 200, "application/json", body)

    def lose(self, copy: Walk) -> None:
        """The worker died, or its time is over; nothing is tried again."""
        if self._end(copy):
            assert isinstance(copy, Copy)
            self._recorder.record_copy(copy.channel.series, "failed")

    def refuse(self, copy: Walk) -> None:
        """The worker has no room for it."""
        if self._end(copy):
            assert isinstance(copy, Copy)
            self._recorder.record_copy(copy.channel.series, "dropped")

    def withdraw(self, replica: Replica) -> None:
        """The supervisor takes a replica away: it need not wait for what nobody waits for."""
        for copy in [copy for copy in self._sent if copy.replica is replica]:
            replica.cancel(copy.identity)
            self.refuse(copy)

    def sweep(self, now: float) -> None:
        """Give up what has waited for too long, and see how many copies there is time for. `now` is `time.monotonic()`."""
        if self._channels:
            self._pace, self._begun = next_pace(self._pace, self._begun, self._spare()), 0
        for copy in [copy for copy in self._sent if copy.deadline <= now]:
            replica = copy.replica
            if replica is not None:
                replica.cancel(copy.identity)
            self.lose(copy)
        for key, channel in list(self._channels.items()):
            if not (channel.waiting or channel.sent) and not self._is_wanted(channel):
                del self._channels[key]
            else:
                self._plan(channel)

    def _channel(self, endpoint: str, version: str) -> Channel:
        channel = self._channels.get((endpoint, version))
        if channel is None:
            channel = self._channels[endpoint, version] = Channel(endpoint, version)
            for replica in self._router.replicas.values():
                if replica.endpoint == endpoint and replica.version == version:
                    channel.series = replica.series
        return channel

    def _is_wanted(self, channel: Channel) -> bool:
        rules = self._router.table.rules.get(channel.endpoint)
        return rules is not None and rules.shadow is not None and rules.shadow.version == channel.version

    def _plan(self, channel: Channel) -> None:
        if channel.waiting and channel.sent < _MOST_SENT:
            self._ready[channel] = None
            if not self._is_due:
                self._is_due = True
                self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._is_due = False
        ready, self._ready = self._ready, {}
        for channel in ready:
            self._send_some(channel)

    def _send_some(self, channel: Channel) -> None:
        """Send a few to one replica. Where there is none they are dropped, for other requests follow."""
        replica = self._router.choose(channel.endpoint, Way(0, channel.version, True))
        if replica is None or not self._is_wanted(channel):
            while channel.waiting:
                self._bytes -= channel.waiting.popleft().size
                self._recorder.record_copy(channel.series, "dropped")
            return
        channel.series = replica.series
        now = time.monotonic()
        for _ in range(min(len(channel.waiting), _MOST_SENT - channel.sent)):
            copy = channel.waiting.popleft()
            copy.started, copy.deadline, copy.replica = now, now + self._timeout_s, replica
            channel.sent += 1
            self._sent[copy] = None
            if copy.packed is not None and copy.reader is not None and copy.reader is replica.reader:
                replica.gather(copy, copy.packed)
            elif copy.is_foreign:
                self.refuse(copy)  # Only its own protocol's words are left of it, which this version does not read so.
            else:
                replica.send(copy)
        replica.send_gathered()

    def _answered(self, walk: Walk, status: int, content_type: str, body: bytes) -> None:
        if not self._end(walk):
            return
        assert isinstance(walk, Copy)
        series = walk.channel.series
        if status != 200:
            self._recorder.record_copy(series, "failed")
            return
        duration_us = int((time.monotonic() - walk.started) * 1e6)
        found = _compare(walk, content_type, body)
        if found is not None:
            self._recorder.record_comparison(series, found)
        self._recorder.record_copy(series, "answered", duration_us)

    def _end(self, copy: Walk) -> bool:
        """Take a copy out; whether it was still expected."""
        if not isinstance(copy, Copy) or copy not in self._sent:
            return False
        del self._sent[copy]
        self._bytes -= copy.size
        copy.channel.sent -= 1
        self._plan(copy.channel)
        return True


def _compare(copy: Copy, content_type: str, body: bytes) -> Agreement | None:
    """The copy's answer beside the client's; None where they are too large to be looked into for nobody's sake."""
    if body == copy.answer:
        return Agreement(True, 0.0)
    if max(len(body), len(copy.answer)) > _COMPARED_BYTES:
        return None
    try:
        theirs, ours = values_of(copy.answer, copy.content_type), values_of(body, content_type)
    except (MalformedBody, ValueError, RecursionError):
        return Agreement(False)
    return agree(theirs, ours, copy.tolerance)
