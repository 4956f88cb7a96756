"""What was counted since it was last written down, by version and stretch of time.

All counters are cumulative and outlive whoever writes and whoever reads them. How far each was read is written in the
transaction of what was made of it (`store/writing.py`), so that whatever happens in between, the next reading's difference
is exactly what is not written yet. Where nothing can be written for long nothing is read either: the difference grows.
"""

import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from podium.domain.monitoring.counting import Layout
from podium.domain.monitoring.windows import SLOT_S
from podium.monitoring.store import writing
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.writing import MINUTE_S, Counted, VersionKey
from podium.telemetry.traffic import TrafficCounts, traffic_of
from podium.transport.slab import SlabReading

_MOST_PENDING = 4096
_MOST_ROWS = 2**48
_HEAD = struct.Struct("<qq")

Source = tuple[str, VersionKey]
"""A cumulative counter: its life, and whose it is."""


@dataclass(slots=True)
class _Pending:
    """What was read and is not written yet."""

    traffic: dict[tuple[VersionKey, int], TrafficCounts] = field(default_factory=dict)
    windows: dict[tuple[VersionKey, str, int], Counted] = field(default_factory=dict)
    readings: dict[Source, bytes] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        return len(self.traffic) + len(self.windows) > _MOST_PENDING

    def and_then(self, later: "_Pending") -> "_Pending":
        """Both together."""
        traffic, windows = dict(self.traffic), dict(self.windows)
        for place, more in later.traffic.items():
            traffic[place] = traffic.get(place, TrafficCounts()) + more
        for slot, rows in later.windows.items():
            windows[slot] = windows[slot] + rows if slot in windows else rows
        return _Pending(traffic, windows, {**self.readings, **later.readings})


@dataclass(frozen=True, slots=True)
class Totals:
    """What was counted of a version's rows since its server began, for `/metrics`."""

    rows: int = 0
    dropped: int = 0
    seen: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.rows + other.rows, self.dropped + other.dropped, self.seen + other.seen)


class Counters:
    """Reads counters and keeps the differences until they are written.

    Args:
        read: How far each counter was read when somebody last wrote that down.
    """

    def __init__(self, read: Mapping[Source, bytes]) -> None:
        self._read = dict(read)
        self._pending = _Pending()
        self._is_first = dict.fromkeys(read, True)
        self._own: set[Source] = set()
        # What a transaction took along of which nobody knows yet whether it is kept, and its mark.
        self._sent: _Pending | None = None
        self._turn = ""

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be read before something is written."""
        return self._pending.is_full or (self._sent is not None and self._sent.is_full)

    def take_traffic(self, life: str, key: VersionKey, cells: list[int], at: float) -> None:
        """A version's cells in the gateways' counters, summed over all gateways."""
        source, now = (life, key), traffic_of(cells)
        self._own.add(source)
        before = TrafficCounts.from_cells(_numbers(self._read[source])) if source in self._read else TrafficCounts()
        grown = [ours - theirs for ours, theirs in zip(now.cells, before.cells, strict=True)]
        # Its place among the counters was given away and got again: it began anew.
        more = now if min(grown) < 0 else TrafficCounts.from_cells(grown)
        if more == TrafficCounts():
            return
        place = (key, int(at // MINUTE_S) * MINUTE_S)
        self._pending.traffic[place] = self._pending.traffic.get(place, TrafficCounts()) + more
        self._note(source, np.array(now.cells, np.int64).tobytes())

    def take_rows(self, key: VersionKey, slab: SlabReading, layout: Layout, at: float, *, is_over: bool) -> None:
        """A worker's slab.

        Args:
            key: Whose rows.
            slab: As it was read.
            layout: Of the profile that it was counted by.
            at: The middle of the time since the last reading, in seconds since 1970.
            is_over: The worker has ended: rows that were answered and neither counted nor dropped are lost.
        """
        source = (slab.life, key)
        self._own.add(source)
        dropped = slab.seen - slab.counted if is_over else slab.dropped
        before = self._read.get(source)
        cells, was_dropped = np.frombuffer(slab.cells, np.int64), 0
        if before is not None:
            was_dropped = _HEAD.unpack_from(before)[0]
            cells = cells - np.frombuffer(before, np.int64, offset=_HEAD.size)
        more_dropped = dropped - was_dropped
        if len(cells) != layout.size or (not cells.any() and not more_dropped):
            return
        if not 0 <= cells.min() <= cells.max() <= _MOST_ROWS or not 0 <= more_dropped <= _MOST_ROWS:
            # No tap counts like that: whatever else a model's process has written there says nothing.
            return
        # What another monitor had not read before it died may be older than this stretch of time.
        late_rows = int(cells[0]) if self._is_first.pop(source, False) else 0
        more = Counted(layout.counts(cells), more_dropped, late_rows)
        place = (key, slab.profile_id, int(at // SLOT_S) * SLOT_S)
        known = self._pending.windows.get(place)
        self._pending.windows[place] = more if known is None else known + more
        self._note(source, _HEAD.pack(dropped, slab.seen) + slab.cells)

    def settle(self, connection: StoreConnection, server: str) -> bool:
        """Ask of a transaction that did not end well whether it was kept: a database may break off just then.

        Returns: Whether it was. What it took along is not written again then, and else with the next.
        """
        if self._sent is None:
            return False
        is_kept = writing.last_written(connection, server) == self._turn
        if not is_kept:
            self._pending = self._sent.and_then(self._pending)
        self._sent = None
        return is_kept

    def write(self, connection: StoreConnection, now: int, server: str) -> None:
        """Write down what is not yet, once the last transaction is settled; `written` says that this one is kept."""
        self._sent, self._pending, self._turn = self._pending, _Pending(), secrets.token_hex(8)
        for (key, minute), traffic in self._sent.traffic.items():
            writing.add_traffic(connection, key, minute, traffic)
        for (key, _, slot), counted in self._sent.windows.items():
            writing.add_window(connection, key, slot, counted)
        for (life, key), cells in self._sent.readings.items():
            writing.put_reading(connection, life, key, cells, now)
        writing.note_written(connection, server, self._turn, now)

    def written(self) -> None:
        """What was written last is kept."""
        self._sent = None

    def keep(self, connection: StoreConnection, now: int) -> None:
        """Have the readings of this server's counters count as young, as they live; what was read of others is theirs."""
        for life, key in self._own:
            writing.keep_reading(connection, life, key, now)

    def _note(self, source: Source, cells: bytes) -> None:
        self._read[source] = cells
        self._pending.readings[source] = cells


def totals_of(slab: SlabReading, *, is_over: bool) -> Totals:
    """What a slab says for `/metrics`."""
    return Totals(slab.counted, slab.seen - slab.counted if is_over else slab.dropped, slab.seen)


def _numbers(cells: bytes) -> list[int]:
    return list(np.frombuffer(cells, np.int64).tolist())
