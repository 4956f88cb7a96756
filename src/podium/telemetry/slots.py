"""Counters that outlive a process: a memfd of unsigned 64-bit cells, one region for each gateway slot.

    magic | gateways | series | cells of a block | seed … | for each gateway: a block of its own, then one for each series
    | the token buckets of `telemetry/buckets.py`, which all gateways write | who answered what: `telemetry/served.py`

One process writes a region (the gateway in that slot; of the first one's the supervisor what models spend), anyone reads;
a cell is one aligned 8-byte store, so no lock is needed. A gateway that is started again goes on counting where the one
before it ended: sums over all gateways are exact through restarts. The last series is that of requests which reached no
version.
"""

import contextlib
import fcntl
import mmap
import os

from podium.errors import Misconfigured
from podium.telemetry import buckets
from podium.telemetry.metrics import CELLS, EXPORTED, GAUGES
from podium.telemetry.served import ServedRequests, cells_of

SERIES = 1024  # versions that one server can count apart
UNROUTED = SERIES  # the series of requests that reached no version; the supervisor never hands it out
_MAGIC = 0x33544F4C53_4450
_HEAD = 8
_BLOCK = 256  # cells, so that a block is whole cache lines
_DROPPED, _OPENED = 0, 1  # in a gateway's own block: log lines dropped, series that may hold something
_EXPORTED = 8  # and what it dropped of what was to be exported; in that of slot 0 also what the exporter counts
_REGION = (1 + SERIES + 1) * _BLOCK

if CELLS > _BLOCK:
    raise ImportError("a series needs more cells than its block has")


def create_slots(gateways: int) -> int:
    """A new table's descriptor for so many gateways, all zero, sealed against resizing. The caller owns it.

    Memory is taken only by series that are written to: two kilobytes for each gateway.
    """
    descriptor = os.memfd_create("podium-slots", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 8 * (_HEAD + gateways * _REGION + buckets.CELLS + cells_of(gateways, SERIES)))
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    with mmap.mmap(descriptor, 8 * _HEAD) as page, memoryview(page) as raw, raw.cast("Q") as cells:
        cells[0], cells[1], cells[2], cells[3] = _MAGIC, gateways, SERIES, _BLOCK
        cells[4] = int.from_bytes(os.urandom(8), "little")
    return descriptor


class Slots:
    """A table as one process sees it.

    Args:
        descriptor: From `create_slots`; stays the caller's.

    Attributes:
        buckets: What all gateways limit rates by.
        served: Which version answered which request.

    Raises:
        Misconfigured: The descriptor is not such a table, or one of another podium.
    """

    def __init__(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        if size < 8 * _HEAD:
            raise Misconfigured("the slots' descriptor is not a table of counters")
        self._descriptor = os.dup(descriptor)
        self._map = mmap.mmap(descriptor, size)
        self.cells = memoryview(self._map).cast("Q")
        magic, self.gateways, series, block = self.cells[:4]
        end = _HEAD + self.gateways * _REGION
        rest = end + buckets.CELLS
        self._buckets, self._served = self.cells[end:rest], self.cells[rest:]
        if (magic, series, block) != (_MAGIC, SERIES, _BLOCK) or size != 8 * (rest + cells_of(self.gateways, SERIES)):
            self.close()
            raise Misconfigured("the slots' descriptor is not a table of counters of this podium")
        self.buckets = buckets.Buckets(self._buckets, self.cells[4])
        self.served = ServedRequests(self._served, self.gateways, SERIES, self.cells[4], self._descriptor)

    def block(self, slot: int, series: int) -> memoryview:
        """The cells of a series, for the gateway in this slot to count in; nobody else asks for them.

        Raises:
            IndexError: There is no such slot or series.
        """
        block = self._block(slot, series)
        if series != UNROUTED and self.cells[_HEAD + slot * _REGION + _OPENED] <= series:
            self.cells[_HEAD + slot * _REGION + _OPENED] = series + 1
        return block

    def _block(self, slot: int, series: int) -> memoryview:
        if not (0 <= slot < self.gateways and 0 <= series <= SERIES):
            raise IndexError(f"no slot {slot} or series {series} in a table of {self.gateways} gateways")
        start = _HEAD + slot * _REGION + (1 + series) * _BLOCK
        return self.cells[start : start + _BLOCK]

    def add_lines_dropped(self, slot: int, count: int) -> None:
        """Count access log lines that a gateway could not write."""
        self.cells[_HEAD + slot * _REGION + _DROPPED] += count

    def lines_dropped(self) -> int:
        """Access log lines lost by all gateways."""
        return sum(self.cells[_HEAD + slot * _REGION + _DROPPED] for slot in range(self.gateways))

    def add_exported(self, slot: int, name: str, count: int) -> None:
        """Count what became of something that was to be exported.

        Args:
            slot: The gateway's own; 0 for the exporter, which counts under names of its own.
            name: Of `telemetry.metrics.EXPORTED`.
            count: How many.
        """
        self.cells[_HEAD + slot * _REGION + _EXPORTED + EXPORTED.index(name)] += count

    def exported(self, name: str) -> int:
        """What was counted under a name."""
        place = _HEAD + _EXPORTED + EXPORTED.index(name)
        return sum(self.cells[place + slot * _REGION] for slot in range(self.gateways))

    def totals(self, series: int) -> list[int]:
        """A series' cells summed over all gateways."""
        return [sum(column) for column in zip(*(self._block(slot, series) for slot in range(self.gateways)), strict=True)]

    def reset_gauges(self, slot: int) -> None:
        """Set what a gateway had in flight to zero: it died, or starts. Counters stay."""
        # Only what was ever opened is touched: reading takes memory too.
        for series in (*range(self.cells[_HEAD + slot * _REGION + _OPENED]), UNROUTED):
            block = self._block(slot, series)
            for metric in GAUGES:
                block[metric.offset] = 0

    def clear(self, series: int) -> None:
        """Set a series to zero in all gateways, before its index is used for another version. Nobody may count in it."""
        for slot in range(self.gateways):
            block = self._block(slot, series)
            if any(block):
                block[:] = memoryview(bytes(8 * _BLOCK)).cast("Q")
        self.served.outdate(series)

    def close(self) -> None:
        os.close(self._descriptor)
        self._buckets.release()
        with contextlib.suppress(BufferError):  # somebody still holds a block; the map goes with the last of them
            self._served.release()
            self.cells.release()
            self._map.close()
