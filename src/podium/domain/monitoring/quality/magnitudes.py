"""Places for numbers of any size and sign, so that quantiles of errors and delays come from counts that add up.

Each doubling has 32 places of equal width, as in HdrHistogram (Tene, 2012): the middle of a place is at most 1.6 % from any
number in it, whatever the unit. What is smaller than 2 ** -64 counts as 0, what is larger than 2 ** 64 as that.
"""

from collections.abc import Mapping
from math import frexp, ldexp

_PER_DOUBLING = 32
_SMALLEST, _LARGEST = -64, 64
_MOST = (_LARGEST - _SMALLEST) * _PER_DOUBLING


def place_of(value: float) -> int:
    """A finite number's place: 0 for 0, negative for negative numbers; in the order of the numbers."""
    mantissa, exponent = frexp(abs(value))
    if not mantissa or exponent <= _SMALLEST:
        return 0
    place = (exponent - _SMALLEST - 1) * _PER_DOUBLING + int((mantissa - 0.5) * 2 * _PER_DOUBLING) + 1
    place = min(place, _MOST)
    return place if value > 0 else -place


def middle_of(place: int) -> float:
    """The number in the middle of a place."""
    if not place:
        return 0.0
    doublings, within = divmod(abs(place) - 1, _PER_DOUBLING)
    size = ldexp(0.5 + (within + 0.5) / (2 * _PER_DOUBLING), doublings + _SMALLEST + 1)
    return size if place > 0 else -size


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The middle of the first place at which this share of all counts is reached; None where nothing was counted.

    Args:
        counts: By place.
        share: From 0 to 1.
    """
    wanted, seen = share * sum(counts.values()), 0
    found = None
    for place in sorted(counts):
        found, seen = place, seen + counts[place]
        if seen >= wanted:
            break
    return None if found is None else middle_of(found)
