"""A connection of the dashboard, and its bounds: uvicorn has none for whoever begins a request and never ends it.

A request has a time to come whole, its head a size, its answer a time to be taken. Where all connections are taken, the one
whose request has been waited for longest gives way to a new one: strangers who send nothing keep nobody out.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 100
_MOST_HEAD_BYTES = 64 << 10


class BoundedConnection(HttpToolsProtocol):
    """What uvicorn makes for each connection.

    Attributes:
        request_s: For a request to come, head and body, from when the connection is there or the answer before was given.
        answer_s: For it to be answered, and the answer taken.
    """

    request_s = 15.0
    answer_s = 120.0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._end: asyncio.TimerHandle | None = None
        self._waits_since: float | None = None
        self._head_bytes: int | None = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As the base's; makes room."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) >= MOST:
            others = [each for each in self.connections if isinstance(each, BoundedConnection) and each is not self]
            waiting = [(each._waits_since, id(each), each) for each in others if each._waits_since is not None]
            if waiting:
                min(waiting)[2]._give_way()

    def connection_lost(self, exc: Exception | None) -> None:
        """As the base's."""
        self._within(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As the base's; a head that is too large ends the connection."""
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._give_way()

    def on_message_begin(self) -> None:
        """As the base's."""
        super().on_message_begin()
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """As the base's."""
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """As the base's."""
        super().on_message_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self._waits_since = None
            self._within(self.answer_s)

    def on_response_complete(self) -> None:
        """As the base's."""
        has_more = bool(self.pipeline)
        super().on_response_complete()
        if has_more:
            self._within(self.answer_s)
        else:
            self._head_bytes = 0
            self._wait()

    def _wait(self) -> None:
        self._waits_since = self.loop.time()
        self._within(self.request_s)

    def _late(self) -> None:
        """The time is up; unless what was answered last is still on its way, of which uvicorn says no more than that."""
        since = self._waits_since
        if since is None or not self.transport.get_write_buffer_size() or self.loop.time() - since >= self.answer_s:
            self._give_way()
        else:
            self._within(min(self.request_s, self.answer_s))

    def _within(self, limit_s: float | None) -> None:
        if self._end is not None:
            self._end.cancel()
        self._end = None if limit_s is None else self.loop.call_later(limit_s, self._late)

    def _give_way(self) -> None:
        self._within(None)
        self.connections.discard(self)
        self.transport.abort()
