"""What cumulative counters grew by in a window, through gaps.

Counters are read every so often. Between two readings their growth is known as a sum and taken as even. Where the window's
edge falls into a long gap nobody knows which part of the growth belongs to the window, so the window begins where the gap
ends; a gap inside it does no harm, since counters go on while nobody reads them.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

_EVEN_S = 120.0
_EVEN_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Growth:
    """What was counted in a window.

    Args:
        total, bad: Requests; not whole where a reading did not fall on the window's edge.
        covered_s: For how much of the window that is known.
    """

    total: float
    bad: float
    covered_s: float

    @property
    def share(self) -> float | None:
        """Of bad ones; None where there was no request."""
        return self.bad / self.total if self.total > 0 else None


@dataclass(frozen=True, slots=True)
class Line:
    """Readings as one line that never falls: three columns of one length, times strictly rising."""

    ats: tuple[float, ...] = ()
    totals: tuple[float, ...] = ()
    bads: tuple[float, ...] = ()

    def within(self, since: float, until: float) -> Growth:
        """What was counted after `since` and until `until`; nothing where less than two readings say so."""
        even_s = max(_EVEN_S, _EVEN_SHARE * (until - since))
        first, last = self._from(since, even_s), self._until(until, even_s)
        if first is None or last is None or last <= first:
            return Growth(0.0, 0.0, 0.0)
        total = _at(self.ats, self.totals, last) - _at(self.ats, self.totals, first)
        bad = _at(self.ats, self.bads, last) - _at(self.ats, self.bads, first)
        return Growth(total, min(bad, total), last - first)

    def _from(self, since: float, even_s: float) -> float | None:
        """Where a window that was to begin at `since` can begin."""
        after = bisect_left(self.ats, since)
        if after == len(self.ats):
            return None
        is_inside = after > 0 and self.ats[after] - self.ats[after - 1] <= even_s
        return since if is_inside else self.ats[after]

    def _until(self, until: float, even_s: float) -> float | None:
        """Where a window that was to end at `until` can end."""
        after = bisect_right(self.ats, until)
        if after == 0:
            return None
        is_inside = after < len(self.ats) and self.ats[after] - self.ats[after - 1] <= even_s
        return until if is_inside else self.ats[after - 1]


def _at(ats: tuple[float, ...], values: tuple[float, ...], at: float) -> float:
    """The line's height at a time between its ends."""
    after = bisect_left(ats, at)
    if ats[after] == at:
        return values[after]
    part = (at - ats[after - 1]) / (ats[after] - ats[after - 1])
    return values[after - 1] + part * (values[after] - values[after - 1])
