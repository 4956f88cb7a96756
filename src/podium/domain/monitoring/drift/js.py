"""The Jensen-Shannon distance."""

import math

from podium.domain.monitoring.drift.contract import Histograms, Thresholds


class JensenShannon:
    """The square root of the mean Kullback-Leibler divergence from the mixture of both, in bits: 0 to 1.

    Base 2 as with NannyML and scipy's `jensenshannon(p, q, base=2)`; times the square root of ln 2 it is the one in nats
    that Evidently shows. For small drift it is the square root of PSI / (8 ln 2), and so are its thresholds those of PSI;
    the usual 0.1 is reached by a normal distribution that moved by 0.24 standard deviations, the 0.1 of PSI by 0.32.
    """

    name = "js"
    source = "J. Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37, 1991"
    needs_order = False
    thresholds = Thresholds(0.13, 0.19)

    def score(self, histograms: Histograms) -> float:
        rows, others = sum(histograms.reference), sum(histograms.current)
        terms = []
        for count, other in zip(histograms.reference, histograms.current, strict=True):
            p, q = count / rows, other / others
            middle = (p + q) / 2
            terms += [share * math.log2(share / middle) / 2 for share in (p, q) if share]
        return math.sqrt(max(math.fsum(terms), 0.0))

    def p_value(self, histograms: Histograms) -> float | None:  # noqa: ARG002 - the contract's
        return None
