"""What gateways hand on of answers and labels, kept until the monitor has written it down, whoever dies in between.

A message is looked at, appended to the spool, and only then taken from the socket. The spool, memory that the supervisor
holds as it holds the socket, is written down in portions, each in one transaction that also keeps how far it came, and is
emptied once all of it is: so each message is written down once, whoever dies in between. A portion of which a monitor died
is tried again message by message, so that nothing else is lost with what it died of.

    spool:  begin, end, tried u64 | tries u64 | before u64 | name 8 bytes | messages, each its length u32 and itself

What stands from `begin` to `end` is to be written down, up to `tried` with care; `before` is how much was emptied already.
"""

import contextlib
import logging
import os
import secrets
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

import msgspec

from podium.errors import MonitorStoreError
from podium.monitoring.store import writing
from podium.monitoring.store.contract import MonitorHistory, StoreConnection
from podium.telemetry.backlog import receive_message
from podium.telemetry.remembered import Labelled, Remembered, records_in

MOST_BYTES = 32 << 20
_PRESSING_BYTES = 4 << 20
_PORTION_BYTES = 1 << 20
_MOST_TRIES = 3
_HEAD = struct.Struct("<QQQQQ8s")
_LENGTH = struct.Struct("<I")
_log = logging.getLogger("podium.monitor")

Records = list[Remembered | Labelled]
Sink = Callable[[StoreConnection, Records, float], None]
"""Writes records down, at a time in seconds since 1970."""

# What is wrong with the records, and would be the next time, too; and drivers' words for that.
_THEIR_FAULT = ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError
_NAMED = frozenset({"IntegrityError", "DataError", "InterfaceError", "ProgrammingError"})


@dataclass(slots=True)
class _Head:
    """What stands at the spool's begin; its places count from there."""

    begin: int = _HEAD.size
    end: int = _HEAD.size
    tried: int = 0
    tries: int = 0
    before: int = 0
    name: bytes = b""

    def position(self, place: int) -> int:
        """Of a place, among all that ever was in the spool."""
        return self.before + place - _HEAD.size


class Intake:
    """The monitor's end. One thread.

    Args:
        channel: From `telemetry.backlog.open_channel`; stays the caller's.
        spool: Descriptor of a file in memory, empty at first, that outlives the monitor; stays the caller's.
        most_bytes: What the spool may hold: above it messages stay in the socket, and then with the gateways.
        portion_bytes: What is written down in one transaction, or one message that is longer.
    """

    def __init__(
        self, channel: socket.socket, spool: int, most_bytes: int = MOST_BYTES, portion_bytes: int = _PORTION_BYTES
    ) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._spool = spool
        self._most = most_bytes
        self._portion = portion_bytes
        self._is_over = False
        self._trouble: str | None = None
        head = os.pread(spool, _HEAD.size, 0)
        self._head = _Head(*_HEAD.unpack(head)) if len(head) == _HEAD.size else _Head(name=secrets.token_bytes(8))
        self._source = f"spool-{self._head.name.hex()}"

    @property
    def fileno(self) -> int:
        """Readable when there is something to drain; not to be waited for while `is_full`."""
        return self._channel.fileno()

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken until what is there was written down, or nobody can hand on any more."""
        return self._is_over or self._head.end >= self._most

    @property
    def is_pressing(self) -> bool:
        """Whether so much is there that it should be written down soon."""
        return self._head.end - self._head.begin > _PRESSING_BYTES

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
        """Have all that is there written down. What cannot be now stays for the next time.

        Records that are at fault themselves are left out, with those of the same message: nothing else waits for them.
        """
        self.drain()
        head = self._head
        while head.begin < head.end:
            messages = self._next_portion()
            self._note(tried=max(head.tried, messages[-1].end), tries=head.tries + 1)
            try:
                if head.tries > _MOST_TRIES:
                    size = messages[-1].end - head.begin
                    _log.error("%d bytes of answers and labels are left out: the monitor dies of them", size)
                else:
                    self._write_portion(store, sink, messages, now)
            except MonitorStoreError as error:
                if self._trouble != error.message:
                    _log.warning("%s Answers and labels are kept and written later.", error.message)
                self._trouble = error.message
                self._note(tried=0, tries=0)
                return
            self._trouble = None
            self._note(begin=messages[-1].end, tries=0)
            # Others wrote meanwhile, and gateways went on.
            self.drain()
        if head.end > _HEAD.size:
            self._note(begin=_HEAD.size, end=_HEAD.size, tried=0, before=head.position(head.end))
            os.ftruncate(self._spool, _HEAD.size)

    def _write_portion(self, store: MonitorHistory, sink: Sink, messages: Sequence["_Message"], now: float) -> None:
        with store.writing() as connection:
            # A monitor may have died, or not have heard, just after this was kept.
            known = writing.spool_position(connection, self._source)
            for message in messages:
                if self._head.position(message.end) <= known:
                    continue
                try:
                    records = records_in(message.content)
                except msgspec.MsgspecError as error:
                    _log.error("a message of %d bytes is no list of answers and labels: %s", len(message.content), error)
                    continue
                _write(connection, sink, records, now=now)
            writing.put_spool_position(
                connection, self._source, max(known, self._head.position(messages[-1].end)), int(now)
            )

    def _append(self, content: bytes) -> None:
        framed, place = memoryview(_LENGTH.pack(len(content)) + content), self._head.end
        while framed:
            sent = os.pwrite(self._spool, framed, place)
            framed, place = framed[sent:], place + sent
        # Only now: what a monitor left half written is overwritten by the next.
        self._note(end=place)

    def _next_portion(self) -> list["_Message"]:
        """The first messages that are not written down, one at least; no more than that where a monitor died of some."""
        place, found = self._head.begin, list[_Message]()
        most = self._head.begin + (0 if self._head.begin < self._head.tried else self._portion)
        while place < self._head.end and (not found or place < most):
            (length,) = _LENGTH.unpack(os.pread(self._spool, _LENGTH.size, place))
            content = os.pread(self._spool, length, place + _LENGTH.size)
            place += _LENGTH.size + length
            found.append(_Message(place, content))
        return found

    def _note(self, **changes: int) -> None:
        """Change the head, here and in the spool."""
        for name, value in changes.items():
            setattr(self._head, name, value)
        os.pwrite(self._spool, _HEAD.pack(*astuple(self._head)), 0)


class _Message(NamedTuple):
    """What a gateway sent at once, and where it ends in the spool."""

    end: int
    content: bytes


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
