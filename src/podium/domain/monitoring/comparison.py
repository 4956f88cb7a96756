"""What a drift method is given of a column: its reference's counts and a window's, in the same bins, with their places."""

from collections.abc import Sequence
from math import inf, nextafter
from typing import NamedTuple

from podium.domain.monitoring.bins import NumberBins, after, decided, grouped
from podium.domain.monitoring.counts import ColumnCounts
from podium.domain.monitoring.profile import CategoryProfile, ColumnProfile, TextProfile

# A category with one of so many rows is decided on by itself.
_COMMON = 100


class SideBySide(NamedTuple):
    """Two histograms of the same bins.

    Attributes:
        reference: Rows of the reference in each bin.
        current: Rows of the window.
        places: Where each bin stands, rising: about where half of its reference rows are below. Empty for categories.
    """

    reference: tuple[int, ...]
    current: tuple[int, ...]
    places: tuple[float, ...]


def compared(column: ColumnProfile, current: ColumnCounts, is_fine: bool = False) -> SideBySide:
    """A column of a window beside the reference's.

    The last two bins of categories are: those that have less than a hundredth of the reference's rows each, together,
    unless all bins are wanted, as many small bins hide a shift among what chance does to each; and those without a name,
    of the reference the rare ones, of the window whatever the reference does not name. Rows without a value are in none.

    Args:
        column: The reference's.
        current: The window's, counted by the same profile.
        is_fine: All bins that are stored, as findings and pictures have them, rather than `bins.decided`.
    """
    if isinstance(column, CategoryProfile):
        reference = column.counts
        kept = len(reference.bins) if is_fine else _common(reference)
        sides = [(*side.bins[:kept], sum(side.bins[kept:]), side.unseen) for side in (reference, current)]
        return SideBySide(sides[0], sides[1], ())
    number = column.length if isinstance(column, TextProfile) else column
    counts = number.counts.bins
    starts = tuple(range(len(counts))) if is_fine else decided(number.bins, counts)
    return SideBySide(grouped(counts, starts), grouped(current.bins, starts), _places(number.bins, counts, starts))


def _common(reference: ColumnCounts) -> int:
    """How many of the categories, which stand in falling order, have a hundredth of the rows or more."""
    return sum(1 for count in reference.bins if count * _COMMON >= reference.known)


def _places(bins: NumberBins, reference: Sequence[int], starts: Sequence[int]) -> tuple[float, ...]:
    """The median of each group, as far as the stored bins tell it."""
    spans = bins.spans()
    ends = (*starts[1:], len(spans))
    places = [_median(spans[start:end], reference[start:end]) for start, end in zip(starts, ends, strict=True)]
    if len(places) > 1 and places[0] >= places[1]:
        # The reference's smallest value is an atom: its bin stands there, and what is below it just before.
        places[0] = -after(0.0) if places[1] == 0 else nextafter(places[1], -inf)
    return tuple(places)


def _median(spans: Sequence[tuple[float, float]], counts: Sequence[int]) -> float:
    """Where half of the rows are below, if they are spread evenly in each bin; the middle, where there is none."""
    half = sum(counts) / 2
    if not half:
        return _point(spans[0][0], spans[-1][1], 0.5)
    for (start, end), count in zip(spans, counts, strict=True):
        if half <= count:
            return _point(start, end, half / count)
        half -= count
    return spans[-1][1]


def _point(start: float, end: float, part: float) -> float:
    """Between two numbers, never at the end of what has a width, and without an overflow."""
    return min(start * (1 - part) + end * part, nextafter(end, -inf)) if start < end else start
