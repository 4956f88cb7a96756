"""A column of a window beside its reference, bin by bin, in words that people read. Pure."""

from collections.abc import Sequence

from podium.dashboard.charts.histograms import Bin
from podium.dashboard.wording import DASH, number
from podium.domain.monitoring.comparison import compared
from podium.domain.monitoring.counts import ColumnCounts
from podium.domain.monitoring.drift.contract import Histograms
from podium.domain.monitoring.drift.psi import contributions
from podium.domain.monitoring.profile import CategoryProfile, ColumnProfile, NumberProfile, TextProfile

_MOST_BINS = 40
_OTHERS = "not named"


def kind_of(column: ColumnProfile) -> str:
    """number, category or text."""
    match column:
        case CategoryProfile():
            return "category"
        case TextProfile():
            return "text length"
        case NumberProfile():
            return "number"


def bins_of(column: ColumnProfile, now: ColumnCounts) -> list[Bin]:
    """Its bins with both shares, and what each adds to PSI; none where one side has no value.

    Args:
        column: The reference's.
        now: Counted by the same profile.
    """
    sides = compared(column, now, is_fine=True)
    before, after = sum(sides.reference), sum(sides.current)
    if not before or not after:
        return []
    added = contributions(Histograms(*sides))
    found = [
        Bin(label, short, reference / before, current / after, each)
        for (label, short), reference, current, each in zip(
            labels_of(column), sides.reference, sides.current, added, strict=True
        )
        if reference or current or not isinstance(column, CategoryProfile)
    ]
    return found if len(found) <= _MOST_BINS else _fewer(found)


def labels_of(column: ColumnProfile) -> list[tuple[str, str]]:
    """What the bins of `compared(…, is_fine=True)` are called, and in short."""
    if isinstance(column, CategoryProfile):
        return [(name, name) for name in (*column.bins.names, "rare", _OTHERS)]
    spans = _number(column).bins.spans()
    return [(number(low) if low == high else f"{number(low)} to {number(high)}", number(low)) for low, high in spans]


def quantile_of(column: ColumnProfile, now: ColumnCounts, share: float) -> float | None:
    """The value that this share of a window's rows does not exceed, as far as bins tell it.

    Beyond what the reference had, its smallest and largest value are all that is known.
    """
    place = _place(column, now, share)
    if place is None:
        return None
    low, high, part, _ = place
    return low + (high - low) * part


def quantile_words(column: ColumnProfile, now: ColumnCounts, share: float) -> str:
    """The same for people: of the outermost bins, which are wide and open, only where they begin is known."""
    place = _place(column, now, share)
    if place is None:
        return DASH
    low, high, part, side = place
    if side:
        return f"> {number(low)}" if side > 0 else f"< {number(high)}"
    return number(low + (high - low) * part)


def _place(column: ColumnProfile, now: ColumnCounts, share: float) -> tuple[float, float, float, int] | None:
    """The bin of a quantile, how far into it, and whether it is the first (-1) or the last (1)."""
    if isinstance(column, CategoryProfile) or not sum(now.bins):
        return None
    wanted, before, spans = share * sum(now.bins), 0, _number(column).bins.spans()
    for index, ((low, high), count) in enumerate(zip(spans, now.bins, strict=True)):
        if count and before + count >= wanted:
            side = 0 if low == high else 1 if index == len(spans) - 1 else -1 if index == 0 else 0
            return low, high, (wanted - before) / count, side
        before += count
    return None


def _number(column: NumberProfile | TextProfile) -> NumberProfile:
    return column.length if isinstance(column, TextProfile) else column


def _fewer(bins: Sequence[Bin]) -> list[Bin]:
    """Those that matter most, in their order, and the rest together."""
    kept = set(
        sorted(range(len(bins)), key=lambda place: -max(bins[place].reference, bins[place].current))[: _MOST_BINS - 1]
    )
    rest = [each for place, each in enumerate(bins) if place not in kept]
    together = Bin(
        f"{len(rest)} others",
        "others",
        sum(each.reference for each in rest),
        sum(each.current for each in rest),
        sum(each.contribution for each in rest),
    )
    return [*[each for place, each in enumerate(bins) if place in kept], together]
