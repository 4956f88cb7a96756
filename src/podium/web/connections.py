"""All connections of a server: what they share, and their clock."""

import asyncio
import time
from email.utils import formatdate

from podium.web.handling import Handler
from podium.web.heads import KnownHeads
from podium.web.limits import Limits
from podium.web.protocol import Connection
from podium.web.room import RoomFinder


class Connections:
    """What all connections of a server share.

    Time-outs are kept as one number for each connection and looked at a few times a second by `sweep`: a timer for each
    request would cost more than parsing it.

    Attributes:
        is_closing: Say `Connection: close` with each answer.
        body_size: Bytes of unfinished bodies held by all connections.
        room: Is made where there are too many.
        heads: What the parser made of heads before.
        idle_ends: When a connection that is answered now has been idle for too long; as old as the last sweep.
        certified: Those whose client has shown a certificate.
        era: Moves when clients have to show their certificates again: those of a handshake that had begun before, too.
        date: The `date` header line of this second.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Handler, limits: Limits) -> None:
        self.loop = loop
        self.handler = handler
        self.limits = limits
        self.is_closing = False
        self.body_size = 0
        self.heads = KnownHeads()
        self.idle_ends = loop.time() + limits.idle_s
        self.date = b""
        self._date_second = 0
        self.room = RoomFinder(limits.idle_s)
        self.open: set[Connection] = set()
        self.certified: set[Connection] = set()
        self.era = 0
        self.set_date(time.time())

    def accept(self) -> Connection:
        """A protocol for a connection that comes; what `loop.create_server` calls."""
        return Connection(self)

    def sweep(self) -> None:
        """Close who has used up his time. Call it several times a second."""
        wall = time.time()
        if self.set_date(wall):
            for connection in [each for each in self.certified if each.vouched_until <= wall]:
                connection.retire()
        now = self.loop.time()
        self.idle_ends = now + self.limits.idle_s
        for connection in [connection for connection in self.open if connection.expires_at <= now]:
            connection.expire(now)

    def set_date(self, now: float) -> bool:
        """Say the time in answers; whether it is another second than before."""
        if int(now) == self._date_second:
            return False
        self._date_second = int(now)
        self.date = f"date: {formatdate(now, usegmt=True)}\r\n".encode()
        return True

    def retire_certified(self) -> None:
        """Have clients show their certificates again: each connection that one was shown on ends with its next answer."""
        self.era += 1
        for connection in list(self.certified):
            connection.retire()

    def close_idle(self) -> None:
        """Close each connection that has no request."""
        for connection in list(self.open):
            connection.close_if_idle()

    def abort(self) -> None:
        """Cut every connection, whatever it does."""
        for connection in list(self.open):
            connection.abort()
