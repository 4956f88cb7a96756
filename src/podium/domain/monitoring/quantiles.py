"""What a histogram's buckets say: quantiles, and which share was slower than a bucket's edge.

Buckets are cumulative as Prometheus has them: how many values were at most each edge, and, where there is one number more,
how many there were at all (`+Inf`). Quantiles are those of Prometheus' `histogram_quantile`: values are taken as even
within a bucket, and the first begins at 0.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

from podium.errors import InvalidInput


def quantile(edges: Sequence[float], cumulative: Sequence[float], share: float) -> float | None:
    """The value that this share of all values does not exceed.

    Args:
        edges: Upper edges, rising; the first is not negative.
        cumulative: One number for each edge, or one more for all. Numbers that fall, as those of counters that are read
            while they are written may, count as the largest before them.
        share: From 0 to 1.

    Returns: None where there is no value; infinity where it lies beyond the last edge, which is all that is known of it
        (Prometheus says the last edge there).

    Raises:
        InvalidInput: The buckets are not of this form, or the share is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise InvalidInput(f"{share!r} is no share: it must be from 0 to 1.")
    risen = _risen(edges, cumulative)
    wanted = share * risen[-1]
    if not risen[-1] > 0:
        return None
    before = 0.0
    for place, count in enumerate(risen):
        if count > before and count >= wanted:
            if place == len(edges):
                return math.inf
            lower = edges[place - 1] if place else 0.0
            return lower + (edges[place] - lower) * (wanted - before) / (count - before)
        before = count
    return math.inf


def edge_at(edges: Sequence[float], threshold: float) -> int:
    """Which edge a threshold is.

    Raises:
        InvalidInput: It is none; says which are next to it.
    """
    for place, edge in enumerate(edges):
        if math.isclose(edge, threshold, rel_tol=1e-9):
            return place
    near = sorted(edges, key=lambda edge: abs(math.log(edge / threshold)) if min(edge, threshold) > 0 else math.inf)[:2]
    known = " or ".join(f"{edge:g}" for edge in sorted(near))
    raise InvalidInput(
        f"{threshold:g} s is no edge of the buckets that durations are counted in, so the share above it is not known. "
        f"Take {known}, or have the server count at {threshold:g} s too."
    )


def _risen(edges: Sequence[float], cumulative: Sequence[float]) -> list[float]:
    is_rising = all(lower < upper for lower, upper in pairwise(edges))
    if not edges or not is_rising or len(cumulative) - len(edges) not in {0, 1}:
        raise InvalidInput(
            f"Buckets have rising edges and a count for each, and perhaps one for all: got {len(edges)} edges and "
            f"{len(cumulative)} counts."
        )
    return list(accumulate(map(float, cumulative), max))
