"""Whether scores are probabilities, and what makes them such: reliability, isotonic regression, and whether it helps."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from podium.domain.monitoring.profile import Calibration
from podium.domain.monitoring.quality.tallies import RELIABILITY_BINS, WEIGHT_UNITS, ClassTally

_LEAST_OF_A_CLASS = 20


@dataclass(frozen=True, slots=True)
class ReliabilityPoint:
    """Rows with about the same score.

    Args:
        score: Their mean score.
        share: Which part of them was positive.
        rows: How many they are, by weight.
    """

    score: float
    share: float
    rows: float


def reliability_curve(tally: ClassTally) -> tuple[ReliabilityPoint, ...]:
    """Mean score and share of positives in each tenth of the score that has rows; both equal where scores are chances."""
    return tuple(
        ReliabilityPoint(float(scores.fraction / weight), hits / weight, weight / WEIGHT_UNITS)
        for weight, hits, scores in tally.reliability
        if weight
    )


def calibration_error(
    scores: Sequence[float], outcomes: Sequence[float], weights: Sequence[float] | None = None, bins: int = RELIABILITY_BINS
) -> float | None:
    """The expected calibration error over bins of equal width (Naeini, Cooper, Hauskrecht, AAAI 2015); None without rows.

    Args:
        scores: 0 to 1.
        outcomes: 1 where it came true, 0 where not; the mean of several rows where they are taken as one.
        weights: How much each counts for; None counts all alike.
        bins: How many.
    """
    gaps, whole = [0.0] * bins, 0.0
    for score, outcome, weight in zip(scores, outcomes, weights or [1.0] * len(scores), strict=True):
        gaps[min(int(score * bins), bins - 1)] += weight * (score - outcome)
        whole += weight
    return sum(map(abs, gaps)) / whole if whole else None


def probability(calibration: Calibration, score: float) -> float:
    """The probability that a score stands for: linear between the calibration's points, level beyond them."""
    x, y = calibration.x, calibration.y
    place = bisect_right(x, score)
    if place == 0:
        return y[0]
    if place == len(x):
        return y[-1]
    part = (score - x[place - 1]) / (x[place] - x[place - 1])
    # Rounding must not make it fall at the end of a step.
    return min(y[place], y[place - 1] + (y[place] - y[place - 1]) * part)


def fit_isotonic(scores: Sequence[float], outcomes: Sequence[float], weights: Sequence[float] | None = None) -> Calibration:
    """The never falling map with the least squared error.

    By pooling adjacent violators (Ayer et al., Ann. Math. Stat. 26, 1955).

    Args:
        scores: At least one; in any order. Bins' middles serve as well as rows.
        outcomes: As in `calibration_error`.
        weights: Likewise, each above 0.

    Raises:
        ValueError: There are no scores, or not as many of one as of the other.
    """
    if not scores:
        raise ValueError("Isotonic regression needs scores, and there are none.")
    knots: list[tuple[float, float, float]] = []  # score, sum of outcomes, weight
    for score, outcome, weight in sorted(zip(scores, outcomes, weights or [1.0] * len(scores), strict=True)):
        if knots and knots[-1][0] == score:
            _, hits, mass = knots.pop()
            knots.append((score, hits + weight * outcome, mass + weight))
        else:
            knots.append((score, weight * outcome, weight))
    blocks: list[tuple[float, float, float, float]] = []  # first score, last score, sum of outcomes, weight
    for score, outcome, weight in knots:
        first, hits, mass = score, outcome, weight
        while blocks and blocks[-1][2] * mass >= hits * blocks[-1][3]:
            first, _, more, other = blocks.pop()
            hits, mass = hits + more, mass + other
        blocks.append((first, score, hits, mass))
    points = [(end, hits / mass) for first, last, hits, mass in blocks for end in dict.fromkeys((first, last))]
    return Calibration(tuple(x for x, _ in points), tuple(y for _, y in points))


def calibrator(scores: Sequence[float], outcomes: Sequence[int]) -> Calibration | None:
    """The map of scores to probabilities to use from now on; None where the scores are better as they are.

    On the rows that it was made from, isotonic regression always looks better. So each half of the rows, drawn by chance,
    is judged by what the other half teaches, and the mean of the two calibration errors must be lower than without. The
    order of the rows does not matter.

    Args:
        scores: Of the positive class, 0 to 1.
        outcomes: 1 where it was the positive class, else 0; of fewer than 20 of either nothing is learned.
    """
    ranked = sorted(zip(scores, outcomes, strict=True))
    positives = sum(outcome for _, outcome in ranked)
    if min(positives, len(ranked) - positives) < _LEAST_OF_A_CLASS:
        return None
    # Not every other row: such halves are each other's likeness, and judge what was learned as kindly as its own rows do.
    drawn = [crc32(rank.to_bytes(8, "little")) % 2 for rank in range(len(ranked))]
    halves = [[pair for pair, half in zip(ranked, drawn, strict=True) if half == wanted] for wanted in (0, 1)]
    gain = 0.0
    for taught, judged in (halves, reversed(halves)):
        learned = fit_isotonic([score for score, _ in taught], [outcome for _, outcome in taught])
        came_true = [outcome for _, outcome in judged]
        before = calibration_error([score for score, _ in judged], came_true) or 0.0
        gain += before - (calibration_error([probability(learned, score) for score, _ in judged], came_true) or 0.0)
    return fit_isotonic(scores, outcomes) if gain > 0 else None
