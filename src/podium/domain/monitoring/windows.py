"""What was counted in any stretch of time, from one ring of small ones.

Counts are kept for each five minutes of the last day and for each hour of the last fortnight; any window is the sum of
whole ones, so that a window of a day costs no more to count than one of an hour, and nothing is counted twice. Windows end
where a slot ends: what is being counted now is in none of them yet.

A slot in which nobody counted is a gap and no slot without requests: `mark` says that somebody was there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

SLOT_S = 300
HOUR_S = 3600
DAY_S = 86_400
WEEK_S = 7 * DAY_S

_FINE_SLOTS = DAY_S // SLOT_S
_COARSE_SLOTS = 2 * WEEK_S // HOUR_S
_PATIENCE_SLOTS = HOUR_S // SLOT_S


class Addable(Protocol):
    """Counts that add up exactly: `Counts`, or an array of whole numbers."""

    def __add__(self, other: Any, /) -> Any:
        """Both together; neither changes."""


C = TypeVar("C", bound=Addable)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, from its start to just before its end, in seconds since 1970.

    Raises:
        ValueError: It ends before it starts, or both are one.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ValueError(f"a stretch of time ends after it starts, got {self.start} to {self.end}")

    @property
    def length_s(self) -> int:
        """How long it is."""
        return self.end - self.start

    def before(self, by_s: int | None = None) -> "Span":
        """One as long, just before this one, or so many seconds earlier (the same hour of last week)."""
        by = self.length_s if by_s is None else by_s
        return Span(self.start - by, self.end - by)


@dataclass(frozen=True, slots=True)
class Window(Generic[C]):
    """What was counted in a stretch of time.

    Args:
        span: From when to when.
        counts: The sum; None where nothing was counted.
        rows: How many rows that is.
        watched_s: For how much of the time somebody was there to count. Less than `span.length_s` is a gap.
        late_rows: Of the rows: counted after their slot was over.
    """

    span: Span
    counts: C | None
    rows: int
    watched_s: int
    late_rows: int

    @property
    def has_gap(self) -> bool:
        """Whether nobody counted for a part of it."""
        return self.watched_s < self.span.length_s


@dataclass(slots=True)
class _Slot(Generic[C]):
    counts: C | None = None
    rows: int = 0
    late_rows: int = 0
    watched_s: int = SLOT_S

    def take(self, counts: C, rows: int, *, is_late: bool) -> None:
        self.counts = counts if self.counts is None else self.counts + counts
        self.rows += rows
        self.late_rows += rows if is_late else 0


@dataclass(slots=True)
class Ring(Generic[C]):
    """The counts of one model's rows by when they were counted. Its size is bounded: 626 slots, whatever comes.

    Attributes:
        refused_rows: Rows that were in no slot any more, or stamped later than now.
    """

    refused_rows: int = 0
    _fine: dict[int, _Slot[C]] = field(default_factory=dict)
    _coarse: dict[int, _Slot[C]] = field(default_factory=dict)
    _newest: int = 0

    def add(self, counts: C, rows: int, at: float, now: float) -> bool:
        """Count rows into the slot of their time.

        Args:
            counts: What was counted; kept as it is, and never changed.
            rows: How many rows that is.
            at: When they were counted, in seconds since 1970.
            now: By the clock of whoever owns the ring; slots older than a day, hours older than a fortnight are given up.

        Returns: Whether they are in; if not, they are among `refused_rows`.
        """
        slot, current = int(at // SLOT_S), int(now // SLOT_S)
        self._forget(current)
        if slot > current or slot * SLOT_S // HOUR_S not in self._hours(current):
            self.refused_rows += rows
            return False
        self._watch(slot)
        if slot in self._fine:
            self._fine[slot].take(counts, rows, is_late=slot < current)
        hour = self._coarse.setdefault(slot * SLOT_S // HOUR_S, _Slot(watched_s=0))
        hour.take(counts, rows, is_late=slot < current)
        return True

    def mark(self, now: float) -> None:
        """Say that somebody is there to count, whether or not a row comes: without it the slot is a gap."""
        current = int(now // SLOT_S)
        self._forget(current)
        self._watch(current)

    def over(self, span: Span) -> Window[C]:
        """The sum over a stretch of time that is made of whole slots: of hours or, within the last day, of five minutes.

        Slots of which nothing is known count as a gap.

        Raises:
            ValueError: It does not begin and end where slots do.
        """
        is_of_hours = not (span.start % HOUR_S or span.end % HOUR_S)
        is_fine = span.start // SLOT_S >= self._newest - _FINE_SLOTS and not is_of_hours
        width, slots = (SLOT_S, self._fine) if is_fine else (HOUR_S, self._coarse)
        if span.start % width or span.end % width:
            raise ValueError(
                f"a window is made of whole slots of {width} s there, got {span.start} to {span.end}; `last` asks for such"
            )
        return _sum(span, (slots[i] for i in range(span.start // width, span.end // width) if i in slots))

    def last(self, length_s: int, now: float) -> Window[C]:
        """The last hour, day or week that is over: to the end of the last whole slot of five minutes, or the last hour.

        Args:
            length_s: A multiple of five minutes, up to a day; or of an hour, up to a fortnight.
            now: Seconds since 1970.

        Raises:
            ValueError: It is no such length.
        """
        width, most = (SLOT_S, DAY_S) if length_s < DAY_S else (HOUR_S, 2 * WEEK_S)
        if not 0 < length_s <= most or length_s % width:
            raise ValueError(
                f"a window is a multiple of {SLOT_S} s below {DAY_S} s, else of {HOUR_S} s up to {2 * WEEK_S} s, "
                f"got {length_s} s"
            )
        end = int(now // width) * width
        return self.over(Span(end - length_s, end))

    def last_rows(self, rows: int, now: float) -> Window[C] | None:
        """The fewest last slots that have so many rows, within the last day; None where there are not as many.

        Raises:
            ValueError: Not a single row was asked for.
        """
        if rows < 1:
            raise ValueError(f"a window of rows has at least 1, got {rows}")
        end = int(now // SLOT_S)
        seen = 0
        for index in range(end - 1, end - 1 - _FINE_SLOTS, -1):
            seen += self._fine[index].rows if index in self._fine else 0
            if seen >= rows:
                return self.over(Span(index * SLOT_S, end * SLOT_S))
        return None

    def _watch(self, slot: int) -> None:
        hour = slot * SLOT_S // HOUR_S
        if slot >= self._newest - _FINE_SLOTS and slot not in self._fine:
            self._fine[slot] = _Slot()
            self._coarse.setdefault(hour, _Slot(watched_s=0)).watched_s += SLOT_S

    def _hours(self, current: int) -> range:
        hour = max(current, self._newest) * SLOT_S // HOUR_S
        return range(hour - _COARSE_SLOTS, hour + 1)

    def _forget(self, current: int) -> None:
        """Give up what is too old.

        A clock that goes back by less than an hour is waited for. By more, it was wrong before: what it had stamped with
        times that are yet to come is given up, else every row until then would be refused.
        """
        if self._newest - _PATIENCE_SLOTS <= current <= self._newest:
            return
        self._newest = current
        hours = self._hours(current)
        for slots, known in ((self._fine, range(current - _FINE_SLOTS, current + 1)), (self._coarse, hours)):
            for index in [index for index in slots if index not in known]:
                del slots[index]


def _sum(span: Span, slots: Iterable[_Slot[C]]) -> Window[C]:
    total: _Slot[C] = _Slot(watched_s=0)
    for slot in slots:
        if slot.counts is not None:
            total.take(slot.counts, slot.rows, is_late=False)
        total.late_rows += slot.late_rows
        total.watched_s += slot.watched_s
    return Window(span, total.counts, total.rows, total.watched_s, total.late_rows)
