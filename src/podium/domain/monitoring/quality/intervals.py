"""How sure a measured figure is: intervals from counts, without resampling."""

import math

from podium.domain.monitoring.distributions import normal_quantile

LEVEL = 0.95
_HALVINGS = 60

Interval = tuple[float, float]


def deviations(level: float) -> float:
    """How many standard deviations to each side hold this part of a normal distribution."""
    return normal_quantile((1 + level) / 2)


def wilson(share: float, rows: float, level: float = LEVEL) -> Interval:
    """The interval of a share (Wilson, Probable inference, JASA 22, 1927).

    Args:
        share: What was measured, 0 to 1.
        rows: Of how many independent rows, more than 0; a part of a row where rows have weights.
        level: How often such an interval holds the true share.
    """
    z = deviations(level)
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    # At the ends rounding may leave out the measured share itself.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def normal(value: float, variance: float, level: float = LEVEL) -> Interval:
    """The interval of what has a normal distribution, as means of many rows have (central limit theorem).

    Args:
        value: What was measured.
        variance: Of the measured value itself, not of one row.
        level: As in `wilson`.
    """
    half = deviations(level) * math.sqrt(max(variance, 0.0))
    return value - half, value + half


def area(auc: float, positives: float, negatives: float, level: float = LEVEL) -> Interval:
    """The interval of an area under the ROC curve (Newcombe, Stat. Med. 25, 2006, part 2, method 5).

    The variance is Hanley and McNeil's (Radiology 143, 1982), taken at the bound instead of at the estimate, so that the
    interval stays within 0 and 1 and has a width even where the classes are separated perfectly.

    Args:
        auc: What was measured.
        positives: How many independent rows are of the class, more than 0.
        negatives: How many are not, more than 0.
        level: As in `wilson`.
    """
    z, half = deviations(level), (positives + negatives) / 2 - 1

    def is_outside(bound: float) -> bool:
        spread = 1 + half * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        return abs(auc - bound) > z * math.sqrt(bound * (1 - bound) * max(spread, 0.0) / (positives * negatives))

    found = []
    for end in (0.0, 1.0):
        inside, outside = auc, end
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if is_outside(middle) else (middle, outside)
        found.append(inside)
    return found[0], found[1]
