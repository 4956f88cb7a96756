"""What gateways hand on of answers and labels, kept until the monitor has written it down, whoever dies in between.

A message is looked at, appended to the spool, and only then taken from the socket. The spool, memory that the supervisor
holds as it holds the socket, is emptied once what is in it is written down. So each message is seen at least once, and
again where a monitor died in between: whoever writes it down must be indifferent to that.

    spool:  end u64 | tries u64 | messages, each its length u32 and itself, up to `end`
"""

import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from podium.errors import MonitorStoreError
from podium.monitoring.store.contract import MonitorHistory, StoreConnection
from podium.telemetry.backlog import receive_message
from podium.telemetry.remembered import Labelled, Remembered, records_in

MOST_BYTES = 32 << 20
_PRESSING_BYTES = 4 << 20
_MOST_TRIES = 3
_HEAD = struct.Struct("<QQ")
_LENGTH = struct.Struct("<I")
_log = logging.getLogger("podium.monitor")

Records = list[Remembered | Labelled]
Sink = Callable[[StoreConnection, Records, float], None]
"""Writes records down, at a time in seconds since 1970. The same ones may come again; it is not to mind."""

# What is wrong with the records, and would be the next time, too; and drivers' words for that.
_THEIR_FAULT = ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError
_NAMED = frozenset({"IntegrityError", "DataError", "InterfaceError", "ProgrammingError"})


class Intake:
    """The monitor's end. One thread.

    Args:
        channel: From `telemetry.backlog.open_channel`; stays the caller's.
        spool: Descriptor of a file in memory, empty at first, that outlives the monitor; stays the caller's.
        most_bytes: What the spool may hold: above it messages stay in the socket, and then with the gateways.
    """

    def __init__(self, channel: socket.socket, spool: int, most_bytes: int = MOST_BYTES) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._spool = spool
        self._most = most_bytes
        self._is_over = False
        self._trouble: str | None = None
        self._end: int
        self._tries: int
        head = os.pread(spool, _HEAD.size, 0)
        self._end, self._tries = _HEAD.unpack(head) if len(head) == _HEAD.size else (_HEAD.size, 0)

    @property
    def fileno(self) -> int:
        """Readable when there is something to drain; not to be waited for while `is_full`."""
        return self._channel.fileno()

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken until what is there was written down, or nobody can hand on any more."""
        return self._is_over or self._end >= self._most

    @property
    def is_pressing(self) -> bool:
        """Whether so much is there that it should be written down soon."""
        return self._end > _PRESSING_BYTES

    def drain(self) -> None:
        """Take what is there now. Never waits."""
        while not self.is_full:
            try:
                message = receive_message(self._channel, is_left=True)
            except OSError:  # nothing is there
                return
            if message is None:
                self._is_over = True
                return
            try:
                self._append(message.content)
            except OSError as error:  # no memory: it stays where it is
                _log.warning("answers and labels wait: %s", error)
                return
            with contextlib.suppress(OSError):
                receive_message(self._channel)

    def write_down(self, store: MonitorHistory, sink: Sink, now: float) -> None:
        """Have all that is there written down, in one transaction. What cannot be now stays for the next time.

        Records that are at fault themselves are left out, with those of the same message: nothing else waits for them.
        """
        self.drain()
        if self._end == _HEAD.size:
            return
        self._put_head(self._end, self._tries + 1)
        try:
            if self._tries > _MOST_TRIES:
                _log.error("%d bytes of answers and labels are left out: the monitor dies of them", self._end)
            else:
                with store.writing() as connection:
                    self._pass_on(partial(_write, connection, sink, now=now))
        except MonitorStoreError as error:
            if self._trouble != error.message:
                _log.warning("%s Answers and labels are kept and written later.", error.message)
            self._trouble = error.message
            self._put_head(self._end, 0)
        else:
            self._trouble = None
            self._put_head(_HEAD.size, 0)
            os.ftruncate(self._spool, _HEAD.size)

    def _pass_on(self, write: Callable[[Records], None]) -> None:
        for content in self._messages():
            try:
                records = records_in(content)
            except msgspec.MsgspecError as error:
                _log.error("a message of %d bytes is no list of answers and labels: %s", len(content), error)
                continue
            write(records)

    def _append(self, content: bytes) -> None:
        framed, place = memoryview(_LENGTH.pack(len(content)) + content), self._end
        while framed:
            sent = os.pwrite(self._spool, framed, place)
            framed, place = framed[sent:], place + sent
        # Only now: what a monitor left half written is overwritten by the next.
        self._put_head(place, self._tries)

    def _messages(self) -> Iterator[bytes]:
        place = _HEAD.size
        while place < self._end:
            (length,) = _LENGTH.unpack(os.pread(self._spool, _LENGTH.size, place))
            yield os.pread(self._spool, length, place + _LENGTH.size)
            place += _LENGTH.size + length

    def _put_head(self, end: int, tries: int) -> None:
        self._end, self._tries = end, tries
        os.pwrite(self._spool, _HEAD.pack(end, tries), 0)


def _write(connection: StoreConnection, sink: Sink, records: Records, *, now: float) -> None:
    connection.execute("SAVEPOINT records")
    try:
        sink(connection, records, now)
    except Exception as error:
        if not isinstance(error, _THEIR_FAULT) and type(error).__name__ not in _NAMED:
            raise
        connection.execute("ROLLBACK TO records")
        _log.error("%d answers and labels are left out: %s: %s", len(records), type(error).__name__, error)
    connection.execute("RELEASE records")
