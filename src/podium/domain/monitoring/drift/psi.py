"""The population stability index, smoothed so that it is finite whatever was seen."""

import math
from collections.abc import Iterator

from podium.domain.monitoring.drift.contract import Histograms, Thresholds

_JEFFREYS = 0.5


class PopulationStability:
    """PSI = sum of (p - q) ln(p / q), with p = (a + 1/2) / (n + B/2) of B bins, and q likewise.

    The default: its bands are known, it needs only counts, it says which bin did it, a monotone change of units leaves it
    as it is, and one value however large moves one row from one bin to another. Other tools put a small number in the place
    of an empty bin, and the answer depends on which; half a row is Jeffreys' prior (Proc. R. Soc. A 186, 1946). Bins in
    which nobody has a row are left out.
    """

    name = "psi"
    source = "B. Yurdakul, Statistical properties of the population stability index, Western Michigan University 2018"
    needs_order = False
    thresholds = Thresholds(0.1, 0.2)

    def score(self, histograms: Histograms) -> float:
        return math.fsum(contributions(histograms))

    def p_value(self, histograms: Histograms) -> float | None:  # noqa: ARG002 - the contract's
        return None


def contributions(histograms: Histograms) -> list[float]:
    """What each bin adds to PSI, in their order: 0 or more; 0 for a bin in which nobody has a row."""
    used = histograms.used()
    parts = iter(_parts(used))
    pairs = zip(histograms.reference, histograms.current, strict=True)
    return [next(parts) if any(pair) else 0.0 for pair in pairs]


def _parts(used: Histograms) -> Iterator[float]:
    prior = _JEFFREYS * len(used.reference)
    rows, others = sum(used.reference) + prior, sum(used.current) + prior
    for count, other in zip(used.reference, used.current, strict=True):
        p, q = (count + _JEFFREYS) / rows, (other + _JEFFREYS) / others
        yield (p - q) * math.log(p / q)
