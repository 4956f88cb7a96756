"""Copies of requests for a version that nobody waits for, and what its answers are beside those that clients got.

A copy is made in the event loop's next turn, when the client's answer has left. It waits in a bounded queue of its shadow
until a few dozen are there, or for a twentieth of a second: then they go together. Sent each by itself, every copy would
wake two processes and be in the next client's way; so few clients meet one that the 99th percentile does not feel it.
Answers are compared a few in each turn of the loop. What finds the queue full is dropped and counted, and so is what a busy
gateway has no time for (`domain/rollouts/copying.py`). Whatever becomes of a copy (an error, a worker that dies or hangs,
an answer that differs) becomes a count, and nothing else.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

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
_TOGETHER, _TOGETHER_ROWS, _TOGETHER_BYTES = 32, 256, 256 << 10
_LONGEST_S = 0.05
_COMPARING_S = 0.0002  # in one turn of the event loop
_COMPARED_BYTES = 64 << 10
_PIECE_BYTES = 64 << 10

Answer = bytes | memoryview


class Copy(Walk):
    """A request on its way to a shadow; no client waits for it.

    Attributes:
        channel: Whose queue it went through.
        answer, content_type: What the client got.
        reader: Who decoded its body, where that was done.
        is_foreign: It is another protocol's, and goes decoded or not at all.
        tolerance: As in `Shadow`.
        started: When it was made; once it is sent, when that was.
    """

    __slots__ = ("answer", "channel", "content_type", "is_foreign", "reader", "tolerance")

    def __init__(self, walk: Walk, channel: "Channel", shadow: Shadow, answer: Answer, content_type: str) -> None:
        # Not as a walk begins: that one asks its exchange who the client is, and a copy has neither. Of a walk's attributes
        # it has those that frames and replicas look at.
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
        self.started, self.deadline = time.monotonic(), 0.0

    @property
    def size(self) -> int:
        return self.body_size + len(self.answer)


class Channel:
    """The way to one shadow of one endpoint: what waits for it, how much is sent, and when the next go.

    Attributes:
        is_due: In the next turn of the loop.
        is_timed: When the clock says so.
    """

    __slots__ = ("endpoint", "is_due", "is_timed", "sent", "series", "version", "waiting")

    def __init__(self, endpoint: str, version: str) -> None:
        self.endpoint = endpoint
        self.version = version
        self.series = UNROUTED
        self.waiting: deque[Copy] = deque()
        self.sent = 0
        self.is_due = self.is_timed = False


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
        self._groups: list[tuple[Replica, Sequence[Walk | None], Sequence[bytes]]] = []
        self._heard: deque[tuple[Copy, str, Answer]] = deque()
        self._spare = spare
        self._pace, self._begun = MOST, 0

    def offer(self, replica: Replica, walk: Walk, answer: Answer, content_type: str = "application/json") -> None:
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
        """As `offer`, for a group's, once its answers have left; copies among them are nobody's to copy again."""
        if not self._groups:
            self._loop.call_soon(self._take)
        self._groups.append((replica, walks, answers))

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

    def _take(self) -> None:
        groups, self._groups = self._groups, []
        for replica, walks, answers in groups:
            for walk, answer in zip(walks, answers, strict=True):
                if type(walk) is Walk:
                    self.offer(replica, walk, answer)

    def _plan(self, channel: Channel) -> None:
        """See that what waits will go, once what was sent has come back and was compared."""
        if channel.is_due or channel.sent or self._heard or not channel.waiting:
            return
        remaining_s = channel.waiting[0].started + _LONGEST_S - time.monotonic()
        if len(channel.waiting) >= _TOGETHER or remaining_s <= 0:
            channel.is_due = True
            self._loop.call_soon(self._send, channel)
        elif not channel.is_timed:
            channel.is_timed = True
            self._loop.call_later(remaining_s, self._ring, channel)

    def _ring(self, channel: Channel) -> None:
        channel.is_timed = False
        self._plan(channel)

    def _send(self, channel: Channel) -> None:
        """Send some to one replica. Where there is none they are dropped, for other requests follow."""
        channel.is_due = False
        replica = self._router.choose(channel.endpoint, Way(0, channel.version, True))
        if replica is None or not self._is_wanted(channel):
            while channel.waiting:
                self._bytes -= channel.waiting.popleft().size
                self._recorder.record_copy(channel.series, "dropped")
            return
        channel.series = replica.series
        now = time.monotonic()
        for copy in _first(channel.waiting):
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

    def _answered(self, walk: Walk, status: int, content_type: str, body: Answer) -> None:
        if not self._end(walk):
            return
        assert isinstance(walk, Copy)
        series = walk.channel.series
        if status != 200:
            self._recorder.record_copy(series, "failed")
            return
        self._recorder.record_copy(series, "answered", int((time.monotonic() - walk.started) * 1e6))
        if _are_same(body, walk.answer):
            self._recorder.record_comparison(series, Agreement(True, 0.0))
            return
        if not self._heard:
            self._loop.call_soon(self._compare_some)
        self._heard.append((walk, content_type, body))

    def _compare_some(self) -> None:
        """Set some answers beside those of clients; the rest after whoever wants the event loop meanwhile."""
        ends = time.monotonic() + _COMPARING_S
        while self._heard and time.monotonic() < ends:
            copy, content_type, body = self._heard.popleft()
            found = _compare(copy, content_type, body)
            if found is not None:
                self._recorder.record_comparison(copy.channel.series, found)
        if self._heard:
            self._loop.call_soon(self._compare_some)
            return
        for channel in self._channels.values():
            self._plan(channel)

    def _end(self, copy: Walk) -> bool:
        """Take a copy out; whether it was still expected."""
        if not isinstance(copy, Copy) or copy not in self._sent:
            return False
        del self._sent[copy]
        self._bytes -= copy.size
        copy.channel.sent -= 1
        self._plan(copy.channel)
        return True


def _first(waiting: deque[Copy]) -> Iterator[Copy]:
    """Take out as many as go together, one at least."""
    copies = rows = size = 0
    while waiting and (not copies or (copies < _TOGETHER and rows < _TOGETHER_ROWS and size < _TOGETHER_BYTES)):
        copy = waiting.popleft()
        copies, rows, size = copies + 1, rows + copy.rows, size + copy.body_size
        yield copy


def _compare(copy: Copy, content_type: str, body: Answer) -> Agreement | None:
    """The copy's answer beside the client's; None where they are too large to be looked into for nobody's sake."""
    if max(len(body), len(copy.answer)) > _COMPARED_BYTES:
        return None
    try:
        theirs, ours = values_of(copy.answer, copy.content_type), values_of(body, content_type)
    except (MalformedBody, ValueError, RecursionError):
        return Agreement(False)
    return agree(theirs, ours, copy.tolerance)


def _are_same(one: Answer, other: Answer) -> bool:
    """Whether both are the same bytes: of views Python would compare each byte as a number."""
    if type(one) is type(other) is bytes or len(one) != len(other):
        return one == other
    pieces = range(0, len(one), _PIECE_BYTES)
    return all(bytes(one[at : at + _PIECE_BYTES]) == bytes(other[at : at + _PIECE_BYTES]) for at in pieces)
