"""Stretches of time, and what was counted in one.

A stretch in which nobody counted is a gap and none without requests: `watched_s` says for how long somebody was there.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

SLOT_S = 300
HOUR_S = 3600
DAY_S = 86_400
WEEK_S = 7 * DAY_S

C = TypeVar("C")


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
