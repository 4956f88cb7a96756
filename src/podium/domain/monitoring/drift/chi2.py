"""Pearson's chi-squared: the test that both sides are samples of the same shares."""

import math

from podium.domain.monitoring.distributions import chi2_tail
from podium.domain.monitoring.drift.contract import Histograms, Thresholds


class ChiSquared:
    """The sum of (p - q)^2 / r, with r the share of both together: chi-squared over nm / (n + m), Cohen's w squared.

    The test is that of homogeneity, in which the reference is a sample as well. Evidently takes the reference's shares for
    the truth instead, so that one row of an unseen category among a thousand has p = 0; alibi-detect left that way, for it
    "biases p-values towards extremes". No continuity correction: with two categories it is the square of the z-test.
    """

    name = "chi2"
    source = "K. Pearson, On the probability that two independent distributions are samples of one, Biometrika 8, 1911"
    needs_order = False
    thresholds = Thresholds(0.1, 0.2)

    def score(self, histograms: Histograms) -> float:
        rows, others = sum(histograms.reference), sum(histograms.current)
        terms = (
            (count / rows - other / others) ** 2 * (rows + others) / (count + other)
            for count, other in zip(histograms.reference, histograms.current, strict=True)
            if count + other
        )
        return math.fsum(terms)

    def p_value(self, histograms: Histograms) -> float | None:
        used = histograms.used()
        if len(used.reference) == 1:
            return 1.0
        return chi2_tail(statistic(used), len(used.reference) - 1)


def statistic(histograms: Histograms) -> float:
    """Chi-squared itself, which grows with the rows."""
    rows, others = sum(histograms.reference), sum(histograms.current)
    return ChiSquared().score(histograms) * rows * others / (rows + others)
