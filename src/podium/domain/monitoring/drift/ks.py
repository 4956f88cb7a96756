"""The Kolmogorov-Smirnov distance: by how much two distributions differ at the value where they differ most."""

import math
from itertools import accumulate

from podium.domain.monitoring.distributions import equal_sizes_tail, kolmogorov_critical, kolmogorov_tail
from podium.domain.monitoring.drift.contract import Histograms, Thresholds

_EXACT_ROWS = 10_000


class KolmogorovSmirnov:
    """D = max |F - G| at the borders of the bins.

    Of rows in bins it is a lower bound of the D of the rows, and equal to it where each value has a bin of its own; so the
    p-value errs on the careful side. It is exact where both sides have as many rows, at most 10,000; else the limit's,
    Kolmogorov's distribution at D sqrt(nm / (n + m)), whose leading term is a bound for any sizes (Dvoretzky, Kiefer,
    Wolfowitz; for two samples Wei and Dudley, Statist. Probab. Lett. 82, 2012). scipy's `method="asymp"`, and Evidently and
    alibi-detect with it, takes the law of one sample of nm / (n + m) rows instead, which is smaller: 8.3e-5 where 9.0e-5 is
    exact.
    """

    name = "ks"
    source = "N. Smirnov, Table for estimating the goodness of fit of empirical distributions, Ann. Math. Statist. 19, 1948"
    needs_order = True
    thresholds = Thresholds(0.125, 0.18)

    def score(self, histograms: Histograms) -> float:
        return _apart(histograms) / (sum(histograms.reference) * sum(histograms.current))

    def p_value(self, histograms: Histograms) -> float | None:
        rows, others = sum(histograms.reference), sum(histograms.current)
        if rows == others <= _EXACT_ROWS:
            return equal_sizes_tail(rows, _apart(histograms) // rows)
        return kolmogorov_tail(self.score(histograms) * math.sqrt(rows * others / (rows + others)))


def critical_distance(alpha: float, reference_rows: int, current_rows: int) -> float:
    """The D that rows of one distribution exceed with the chance alpha, at most.

    What is left of D above it is what SageMaker's `Robust` comparison and Deequ's `linf_robust` show: their factor of 1.8
    is that of alpha = 2 exp(-2 * 1.8 ** 2), about 0.003.
    """
    return kolmogorov_critical(alpha) * math.sqrt(1 / reference_rows + 1 / current_rows)


def _apart(histograms: Histograms) -> int:
    """D times the rows of both sides, in whole numbers, so that equal is equal."""
    rows, others = sum(histograms.reference), sum(histograms.current)
    below, above = accumulate(histograms.reference), accumulate(histograms.current)
    return max(abs(count * others - other * rows) for count, other in zip(below, above, strict=True))
