"""How good a version probably is while labels are missing: estimates, never to be shown as measurements.

They assume that what leads to an outcome is as it was on the reference rows, and that only the inputs may have moved: no
concept drift is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt
from typing import ClassVar

from podium.domain.monitoring.quality.intervals import Interval, area

_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated figure.

    Args:
        metric: As `LAWS` names it.
        value: None where it is not defined.
        interval: Three standard errors of the figure that labels would show, to each side; None where there is none.
        rows: That it was estimated from.
    """

    is_estimated: ClassVar[bool] = True

    metric: str
    value: float | None
    interval: Interval | None
    rows: int


@dataclass(frozen=True, slots=True)
class Band:
    """Between which values a figure lay on the reference rows, chunk by chunk.

    Args:
        low: None where the figure cannot go so low.
        high: None where it cannot go so high.
    """

    low: float | None
    high: float | None

    def holds(self, value: float) -> bool:
        """Whether a value is within."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def expected_confusion(
    chances: Sequence[float], is_positive: Sequence[bool], weights: Sequence[float] | None = None
) -> tuple[float, float, float, float]:
    """Expected true positives, false positives, false negatives and true negatives."""
    tp = fp = fn = tn = 0.0
    for chance, said, weight in zip(chances, is_positive, weights or [1.0] * len(chances), strict=True):
        if said:
            tp, fp = tp + weight * chance, fp + weight * (1 - chance)
        else:
            fn, tn = fn + weight * chance, tn + weight * (1 - chance)
    return tp, fp, fn, tn


def estimate_classes(
    chances: Sequence[float],
    is_positive: Sequence[bool],
    scores: Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
) -> tuple[Estimate, ...]:
    """Confidence-based performance estimation of a binary model (NannyML's CBPE; Kivimäki et al., arXiv 2407.08649).

    If scores are probabilities, a row with score p that was called positive is right with probability p. The intervals are
    of labels drawn with these probabilities; of ratios by the delta method, of the area as `intervals.area` has it.

    Args:
        chances: Of each row the calibrated probability that it is positive.
        is_positive: What the model said.
        scores: The raw ones, by which rows are ranked for the area; None ranks by `chances`.
        weights: How many rows each stands for, where they are bins; None counts each once.
    """
    mass = list(weights) if weights is not None else [1.0] * len(chances)
    tp, fp, fn, tn = expected_confusion(chances, is_positive, mass)
    whole, said, true = tp + fp + fn + tn, tp + fp, tp + fn
    rows = round(whole)
    noise = [weight * chance * (1 - chance) for chance, weight in zip(chances, mass, strict=True)]
    of_said = sum(each for each, positive in zip(noise, is_positive, strict=True) if positive)
    of_rest = sum(noise) - of_said

    def ratio(metric: str, part: float, of: float, slope_said: float, slope_rest: float, at: float = 1.0) -> Estimate:
        """The slopes are of the figure, times `of`, by the outcome of one row that was called positive, or was not."""
        if not of:
            return Estimate(metric, None, None, rows)
        value = part / of
        error = sqrt(max(0.0, slope_said**2 * of_said + slope_rest**2 * of_rest)) / of
        ends = max(0.0, value - _DEVIATIONS * error), min(at, value + _DEVIATIONS * error)
        return Estimate(metric, value, ends, rows)

    recall, f1 = (tp / true if true else 0.0), (2 * tp / (said + true) if said + true else 0.0)
    specificity = tn / (tn + fp) if tn + fp else 0.0
    auc = _expected_area(chances, scores if scores is not None else chances, mass)
    return (
        ratio("accuracy", tp + tn, whole, 1.0, 1.0),
        ratio("precision", tp, said, 1.0, 0.0),
        ratio("recall", tp, true, 1 - recall, recall),
        ratio("specificity", tn, tn + fp, specificity, 1 - specificity),
        ratio("f1", 2 * tp, said + true, 2 - f1, f1),
        Estimate("roc_auc", auc, None if auc is None else area(auc, true, whole - true, 0.9973), rows),
    )


def _expected_area(chances: Sequence[float], scores: Sequence[float], weights: Sequence[float]) -> float | None:
    """The area under the expected ROC curve: each row is a part of a positive and a part of a negative."""
    ranked = sorted(zip(scores, chances, weights, strict=True))
    pairs = below = positives = 0.0
    for _, group in groupby(ranked, key=lambda row: row[0]):
        here = there = 0.0
        for _, chance, weight in group:
            here, there = here + weight * chance, there + weight * (1 - chance)
        pairs, below, positives = pairs + here * (below + there / 2), below + there, positives + here
    return pairs / (positives * below) if positives and below else None
