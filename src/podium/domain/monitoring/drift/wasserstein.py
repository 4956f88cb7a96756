"""Wasserstein's distance: how far values moved on average, in units of the reference's own spread."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

from podium.domain.monitoring.drift.contract import Histograms, Thresholds

_FAR_OUT = 3


class Wasserstein:
    """W1 = integral of |F - G| between the places of the bins, over the reference's interquartile range.

    Each row counts as one at its bin's place, and so a value beyond the reference's range as one in the outermost bin: how
    far it is beyond does not matter, and one value of a million cannot make an alarm, as it does where rows are compared.
    Nor can one in the reference: no place is farther from the middle half than three times its width (Tukey, Exploratory
    data analysis, 1977, calls that far out).
    Divided by the interquartile range instead of the standard deviation for the same reason; by the standard deviation
    where half of the reference stands in one place, and by the whole range where all of it does.

    The thresholds are those of PSI for a normal distribution in 20 bins (0.32 and 0.46 standard deviations): the usual 0.1
    standard deviations are three times as strict as 0.1 is for PSI.
    """

    name = "wasserstein"
    source = "A. Ramdas, N. García Trillos, M. Cuturi, On Wasserstein two-sample testing, Entropy 19, 2017"
    needs_order = True
    thresholds = Thresholds(0.24, 0.34)

    def score(self, histograms: Histograms) -> float:
        if len(histograms.places) < 2:
            return 0.0
        # In units of the largest, so that no square overflows.
        unit = max(abs(place) for place in histograms.places)
        places = [place / unit for place in histograms.places]
        spread = _middle_half(histograms.reference, places)
        if spread > 0:
            low = quantile(histograms.reference, places, 0.25) - _FAR_OUT * spread
            high = quantile(histograms.reference, places, 0.75) + _FAR_OUT * spread
            places = [min(max(place, low), high) for place in places]
        else:
            spread = _deviation(histograms.reference, places) or places[-1] - places[0]
        return _between(histograms, places) / spread if spread > 0 else 0.0

    def p_value(self, histograms: Histograms) -> float | None:  # noqa: ARG002 - the contract's
        return None


def distance(histograms: Histograms) -> float:
    """W1 in the unit of the places."""
    return _between(histograms, histograms.places)


def _between(histograms: Histograms, places: Sequence[float]) -> float:
    rows, others = sum(histograms.reference), sum(histograms.current)
    below = zip(accumulate(histograms.reference), accumulate(histograms.current), strict=True)
    # The last bin has no gap behind it, and F = G = 1 there.
    terms = (
        abs(count / rows - other / others) * (right - left)
        for (count, other), (left, right) in zip(below, pairwise(places), strict=False)
    )
    return math.fsum(terms)


def quantile(counts: Sequence[int], places: Sequence[float], share: float) -> float:
    """A quantile of rows that all stand at their bins' places, between two of them in proportion, as numpy's default."""
    rank = share * (sum(counts) - 1)
    low = math.floor(rank)
    reached = list(accumulate(counts))
    first = next(place for place, so_far in zip(places, reached, strict=True) if so_far > low)
    second = next((place for place, so_far in zip(places, reached, strict=True) if so_far > low + 1), first)
    return first + (second - first) * (rank - low)


def _middle_half(counts: Sequence[int], places: Sequence[float]) -> float:
    return quantile(counts, places, 0.75) - quantile(counts, places, 0.25)


def _deviation(counts: Sequence[int], places: Sequence[float]) -> float:
    rows = sum(counts)
    mean = math.fsum(count * place for count, place in zip(counts, places, strict=True)) / rows
    squares = math.fsum(count * (place - mean) ** 2 for count, place in zip(counts, places, strict=True))
    return math.sqrt(squares / rows)
