"""The open loop itself: takes each request from the schedule when it is due and sends it on the first free connection.

While no connection is free the request waits here, and its latency counts on. What waits is bounded by the time limit of a
request: what is older is given up and counted as failed.
"""

import asyncio
import contextlib
import ssl
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from httptools import HttpParserError, HttpResponseParser

from podium.bench.alarm import Alarm
from podium.bench.figures import Heard
from podium.bench.plan import Phase, schedule
from podium.bench.requests import Address
from podium.errors import Unavailable

_GATHER_S = 0.0002
_HEAD_START_S = 0.05
_SWEEP_S = 0.05
_RECONNECT_S = 0.1
_SPARE_S = 10.0


@dataclass(slots=True)
class _Tally:
    """What came of a phase so far."""

    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    lateness: "array[float]" = field(default_factory=lambda: array("d"))
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    last: float = 0.0


class _Connection(asyncio.Protocol):
    """One kept connection with at most one request under way."""

    def __init__(self, owner: "OpenLoop") -> None:
        self._owner = owner
        self._parser = HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.due, self.phase = 0.0, -1

    @property
    def is_busy(self) -> bool:
        return self.phase >= 0

    def send(self, request: bytes, due: float, phase: int) -> None:
        assert self.transport
        self.due, self.phase = due, phase
        self.transport.write(request)

    def give_up(self, reason: str) -> None:
        """Nobody waits for this answer any more, and the connection is of no use."""
        self._fail(reason)
        if self.transport:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports keep the interface without inheriting it.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.give_up("the answer is no HTTP")

    def on_message_complete(self) -> None:
        """Called by the parser."""
        status = self._parser.get_status_code()
        if status < 200 or not self.is_busy:
            return
        due, phase, self.phase = self.due, self.phase, -1
        keeps = self._parser.should_keep_alive()
        self._parser = HttpResponseParser(self)
        self._owner.answered(self, status, due, phase, keeps=keeps)

    def connection_lost(self, _: Exception | None) -> None:
        self._fail("the connection was closed before the answer")
        self.transport = None
        self._owner.lost(self)

    def _fail(self, reason: str) -> None:
        if self.is_busy:
            phase, self.phase = self.phase, -1
            self._owner.failed(phase, reason)


class OpenLoop:
    """One measurement.

    Args:
        address: Whom to ask.
        planned: The phases.
        requests: Sent in turn.
        connections: At most so many requests under way.
        timeout_s: From when a request is due; later it counts as failed.
        tls: Whom to believe over TLS; None believes what the system believes.
    """

    def __init__(
        self,
        address: Address,
        planned: Sequence[Phase],
        requests: Sequence[bytes],
        connections: int,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address, self._planned, self._requests = address, planned, requests
        self._connections, self._timeout_s, self._believed = connections, timeout_s, tls
        self._tallies = [_Tally() for _ in planned]
        self._left = sum(phase.count for phase in planned)
        self._schedule: Iterator[tuple[float, int]] = schedule(planned)
        self._next: tuple[float, int] | None = next(self._schedule, None)
        self._waiting: deque[tuple[float, int]] = deque()
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._sent = 0
        self._start = 0.0
        self._is_closing = False

    async def run(self) -> tuple[list[Heard], float]:
        """Send everything and wait for what comes back, in bounded time.

        Returns: What was heard of each phase, and the share of a processor that this took.

        Raises:
            Unavailable: Nothing listens there.
            TimeoutError: What must have settled has not: a fault of this file.
        """
        loop = asyncio.get_running_loop()
        self._tls = (self._believed or ssl.create_default_context()) if self._address.is_https else None
        await self._open_all()
        self._done = loop.create_future()
        self._alarm = Alarm(loop, self._tick)
        sweeper = loop.create_task(self._sweep())
        self._start = time.monotonic() + _HEAD_START_S
        cpu, began = time.process_time(), time.monotonic()
        self._alarm.set(self._start)
        try:
            async with asyncio.timeout(self._planned[-1].ends_s + self._timeout_s + _SPARE_S):
                await self._done
            cpu_share = (time.process_time() - cpu) / (time.monotonic() - began)
        finally:
            sweeper.cancel()
            self._alarm.close()
            await self._close_all(sweeper)
        return [self._heard(index) for index in range(len(self._planned))], cpu_share

    def answered(self, connection: _Connection, status: int, due: float, phase: int, *, keeps: bool) -> None:
        """An answer came; its connection takes the next request that waits."""
        now = time.monotonic()
        tally = self._tallies[phase]
        tally.latencies.append(now - due)
        tally.statuses[status] += 1
        tally.last = now
        self._settle_one()
        if not keeps:
            if connection.transport:
                connection.transport.close()
        elif self._waiting:
            self._send(connection, *self._waiting.popleft())
        else:
            self._idle.append(connection)

    def failed(self, phase: int, reason: str) -> None:
        """A request will have no answer."""
        tally = self._tallies[phase]
        tally.failures[reason] += 1
        tally.last = time.monotonic()
        self._settle_one()

    def lost(self, connection: _Connection) -> None:
        """Its place is taken by a new connection."""
        self._open.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        self._open_more()

    def _tick(self) -> None:
        now = time.monotonic()
        while self._next and self._start + self._next[0] <= now:
            due, phase = self._start + self._next[0], self._next[1]
            self._tallies[phase].lateness.append(now - due)
            self._next = next(self._schedule, None)
            if self._idle:
                self._send(self._idle.pop(), due, phase)
            else:
                self._waiting.append((due, phase))
        if self._next:
            # Not more often than this: at high rates a few requests leave together rather than each with a wake-up.
            self._alarm.set(max(self._start + self._next[0], now + _GATHER_S))

    def _send(self, connection: _Connection, due: float, phase: int) -> None:
        request = self._requests[self._sent % len(self._requests)]
        self._sent += 1
        connection.send(request, due, phase)

    async def _sweep(self) -> None:
        """Give up what is too old: in flight, and waiting for a connection."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self._timeout_s / 4))
            oldest = time.monotonic() - self._timeout_s
            for connection in [one for one in self._open if one.is_busy and one.due < oldest]:
                connection.give_up("no answer in time")
            while self._waiting and self._waiting[0][0] < oldest:
                self.failed(self._waiting.popleft()[1], "no free connection in time")

    async def _open_all(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                for _ in range(self._connections):
                    self._idle.append(await self._connect())
        except (OSError, TimeoutError) as error:
            await self._close_all()
            where = f"{self._address.host}:{self._address.port}"
            raise Unavailable(
                f"No connection to {where}: {getattr(error, 'strerror', None) or type(error).__name__}"
            ) from error

    async def _connect(self) -> _Connection:
        name = self._address.host if self._tls else None
        _, made = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self), self._address.ip, self._address.port, ssl=self._tls, server_hostname=name
        )
        self._open.add(made)
        return made

    def _open_more(self) -> None:
        while not self._is_closing and len(self._open) + len(self._opening) < self._connections:
            task = asyncio.get_running_loop().create_task(self._reopen())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _reopen(self) -> None:
        """Take a lost connection's place, and the request that has waited longest."""
        while not self._is_closing:
            try:
                async with asyncio.timeout(self._timeout_s):
                    made = await self._connect()
            except (OSError, TimeoutError) as error:
                # With no connection at all, whoever is due now is refused now.
                while self._waiting and not self._open:
                    self.failed(self._waiting.popleft()[1], f"no connection: {type(error).__name__}")
                await asyncio.sleep(_RECONNECT_S)
                continue
            if self._waiting:
                self._send(made, *self._waiting.popleft())
            else:
                self._idle.append(made)
            return

    async def _close_all(self, *tasks: "asyncio.Task[None]") -> None:
        self._is_closing = True
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, *tasks, return_exceptions=True)
        for connection in list(self._open):
            if connection.transport:
                connection.transport.abort()

    def _settle_one(self) -> None:
        self._left -= 1
        if self._left == 0 and not self._done.done():
            self._done.set_result(None)

    def _heard(self, index: int) -> Heard:
        phase, tally = self._planned[index], self._tallies[index]
        return Heard(
            phase=phase,
            latencies_s=sorted(tally.latencies),
            statuses=dict(tally.statuses),
            failures=dict(tally.failures),
            lateness_s=sorted(tally.lateness),
            last_s=tally.last - self._start,
        )
