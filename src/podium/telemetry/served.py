"""Which version answered which request, and which answers were reported on already: a part of the slots' memory.

    generations    one cell for each series: another number once its index was given to another version
    for each gateway, which alone writes them:
        stamps     places of five cells: stamp | time and series | generation | mark of the endpoint | ids given out
        named      places of four cells: mark of an id | time and series | generation | mark of the endpoint
    reports        places of two cells, for all gateways, behind a lock: mark of a report | until when it is remembered

No request has a place of its own: an id that podium makes begins with a stamp, which one gateway has for one version for a
sixteenth of the window, and ends with a number. So the stamp says which version answered, whichever gateway is asked; it is
64 random bits, hence nobody's guess. Only ids that do not say it stand in `named`: those that a client brought.

Times are milliseconds of the machine's monotonic clock, which all its processes share.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

STAMP_DIGITS, NUMBER_DIGITS = 16, 8

_STAMPS, _STAMP_CELLS, _STAMP_TRIES = 1 << 15, 5, 32
_NAMED, _NAMED_CELLS, _NAMED_WAYS = 1 << 17, 4, 8
_REPORTS, _REPORT_CELLS, _REPORT_WAYS = 1 << 20, 2, 64
_OF_GATEWAY = _STAMPS * _STAMP_CELLS + _NAMED * _NAMED_CELLS
_SERIES_BITS = 16
_STAMPS_OF_WINDOW, _LEAST_STAMP_MS = 16, 1000
_SERIES_MASK = (1 << _SERIES_BITS) - 1
COUNT = 4


class Report(StrEnum):
    """What became of a report on an answer."""

    MATCHED = "matched"
    DUPLICATE = "duplicate"
    UNMATCHED = "unmatched"
    LATE = "late"
    INVALID = "invalid"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answered a request: the index of its version's series, and how long ago at least, in milliseconds."""

    series: int
    age_ms: int


def stamp_ms_of(window_ms: int) -> int:
    """For how long ids begin with the same stamp, where reports are taken for so long; a tenth more at most."""
    return max(window_ms // _STAMPS_OF_WINDOW, _LEAST_STAMP_MS)


def cells_of(gateways: int, series: int) -> int:
    """How many cells it takes; memory is taken only by those that are written to."""
    return series + gateways * _OF_GATEWAY + _REPORTS * _REPORT_CELLS


class ServedRequests:
    """The memory as one process sees it.

    Args:
        cells: `cells_of` unsigned 64-bit numbers, shared.
        gateways, series: How many there are.
        seed: The server's own, so that nobody outside can choose which marks share a place.
        descriptor: Of the memory; locked while reports are taken. Stays the caller's.
    """

    def __init__(self, cells: memoryview, gateways: int, series: int, seed: int, descriptor: int) -> None:
        self._cells = cells
        self._gateways = gateways
        self._first = series
        self._reports = series + gateways * _OF_GATEWAY
        self._seed = seed.to_bytes(8, "little")
        self._descriptor = descriptor

    def mark_of(self, *texts: str) -> int:
        """What some texts are found by; never 0."""
        text = "\0".join(texts).encode("utf-8", "surrogateescape")
        return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=self._seed).digest(), "little") or 1

    def outdate(self, series: int) -> None:
        """An index is given to another version: what was answered under it before is nobody's."""
        self._cells[series] += 1

    # ── what one gateway writes

    def generation_of(self, series: int) -> int:
        """Another number once the index was given to another version."""
        return self._cells[series]

    def stamp(self, slot: int, series: int, endpoint: str, now_ms: int) -> tuple[str, memoryview]:
        """A new stamp for ids of one version.

        Returns: Its digits, and its place. The cell `COUNT` of it says how many ids were given out: 1 to that number were.
        """
        cells = self._cells
        best, best_stamp = -1, 0
        for _ in range(_STAMP_TRIES):
            stamp = int.from_bytes(os.urandom(8)) or 1
            place = self._stamp_place(slot, stamp)
            # Where no place is free, the oldest of a few makes room.
            if best < 0 or cells[place + 1] < cells[best + 1]:
                best, best_stamp = place, stamp
            if not cells[place]:
                break
        cells[best] = 0
        cells[best + 1 : best + _STAMP_CELLS] = _numbers(
            now_ms << _SERIES_BITS | series, cells[series], self.mark_of(endpoint), 0
        )
        cells[best] = best_stamp
        return f"{best_stamp:0{STAMP_DIGITS}x}", cells[best : best + _STAMP_CELLS]

    @staticmethod
    def restamp(place: memoryview, now_ms: int) -> None:
        """Let a stamp that no id has yet be as of now."""
        place[1] = now_ms << _SERIES_BITS | place[1] & _SERIES_MASK

    def name(self, slot: int, series: int, endpoint: str, request_id: str, now_ms: int) -> None:
        """Remember who answered a request whose id does not say it; of very many the oldest are forgotten."""
        cells, mark = self._cells, self.mark_of(endpoint, request_id)
        best = -1
        for place in self._named_places(slot, mark):
            if cells[place] == mark:
                best = place
                break
            if best < 0 or cells[place + 1] < cells[best + 1]:
                best = place
        cells[best] = 0
        cells[best + 1 : best + _NAMED_CELLS] = _numbers(
            now_ms << _SERIES_BITS | series, cells[series], self.mark_of(endpoint)
        )
        cells[best] = mark

    # ── what every gateway reads

    def answerer_of(self, endpoint: str, request_id: str, now_ms: int) -> Answerer | None:
        """Who answered a request of an endpoint; None where nobody here did, as far as is remembered."""
        mark = self.mark_of(endpoint, request_id)
        places = [place for slot in range(self._gateways) for place in self._named_places(slot, mark)]
        met = [place for place in places if self._cells[place] == mark]
        # An id that came twice stands for the later request; what was noted of an id counts before its stamp.
        found = max(met, key=lambda place: self._cells[place + 1]) if met else self._stamped(request_id)
        return None if found is None else self._answerer(found, endpoint, now_ms)

    def is_stamped(self, request_id: str) -> bool:
        """Whether podium gave out this id, as far as is remembered."""
        return self._stamped(request_id) is not None

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Keep other gateways from taking reports meanwhile; False where one of them does, and nothing may be taken."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except (BlockingIOError, PermissionError):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1)

    def take(self, mark: int, now_ms: int, until_ms: int, ways: int = _REPORT_WAYS) -> Report:
        """Take a report, once: `MATCHED`, or `DUPLICATE`; or `FULL`: so many are remembered that it is refused.

        Only within `locked`. With fewer `ways` it gives up sooner, so that such reports leave room for others.
        """
        cells, free = self._cells, -1
        for step in range(ways):
            place = self._reports + (mark + step) % _REPORTS * _REPORT_CELLS
            known, until = cells[place], cells[place + 1]
            if known == mark and until > now_ms:
                return Report.DUPLICATE
            if free < 0 and until <= now_ms:
                free = place
            if not known:
                break
        if free < 0:
            return Report.FULL
        cells[free + 1] = until_ms
        cells[free] = mark
        return Report.MATCHED

    def _stamped(self, request_id: str) -> int | None:
        """The place of the stamp that an id begins with."""
        if len(request_id) != STAMP_DIGITS + NUMBER_DIGITS:
            return None
        try:
            stamp, number = int(request_id[:STAMP_DIGITS], 16), int(request_id[STAMP_DIGITS:], 16)
        except ValueError:
            return None
        if request_id != f"{stamp:0{STAMP_DIGITS}x}{number:0{NUMBER_DIGITS}x}":
            return None
        cells = self._cells
        for slot in range(self._gateways):
            place = self._stamp_place(slot, stamp)
            if stamp and cells[place] == stamp and 0 < number <= cells[place + COUNT]:
                return place
        return None

    def _answerer(self, place: int, endpoint: str, now_ms: int) -> Answerer | None:
        cells = self._cells
        known, generation, mark = cells[place + 1], cells[place + 2], cells[place + 3]
        series = known & _SERIES_MASK
        if mark != self.mark_of(endpoint) or generation != cells[series]:
            return None
        return Answerer(series, max(now_ms - (known >> _SERIES_BITS), 0))

    def _stamp_place(self, slot: int, stamp: int) -> int:
        return self._first + slot * _OF_GATEWAY + stamp % _STAMPS * _STAMP_CELLS

    def _named_places(self, slot: int, mark: int) -> range:
        start = self._first + slot * _OF_GATEWAY + _STAMPS * _STAMP_CELLS
        first = start + mark % (_NAMED // _NAMED_WAYS) * _NAMED_WAYS * _NAMED_CELLS
        return range(first, first + _NAMED_WAYS * _NAMED_CELLS, _NAMED_CELLS)


def _numbers(*values: int) -> memoryview:
    return memoryview(b"".join(value.to_bytes(8, "little") for value in values)).cast("Q")
