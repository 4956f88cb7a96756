"""Whether one variant is better than another, said as soon as it is known, however often somebody looks.

The test is a mixture sequential probability ratio test: the likelihood ratio of a normal mixture of differences, of about
the effect that matters, to "there is no difference" (Robbins, Ann. Math. Stat. 41, 1970; Johari, Koomen, Pekelis, Walsh,
Always valid inference, Operations Research 70, 2022). If there is none, the chance that it ever says otherwise is at most
`alpha`. It takes means for normal and their variance for known, so that it begins only once there is enough of everything.
Shares that follow feedback (a bandit's) break what it assumes of the order of the answers: there go by chances.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, inf, lgamma, log, sqrt
from typing import Literal

from podium.domain.bandit import Arm, chances
from podium.domain.monitoring.distributions import chi2_tail
from podium.domain.monitoring.quality.intervals import Interval
from podium.domain.monitoring.quality.sums import NOTHING, ExactSum, merged

_MOST_TERMS = 100_000


class Conclusion(StrEnum):
    """What an experiment says so far."""

    KEEP_RUNNING = "keep running"
    A_BETTER = "A better"
    B_BETTER = "B better"
    NO_DIFFERENCE = "no difference worth naming"
    BLOCKED = "blocked by mismatch"


@dataclass(frozen=True, slots=True)
class VariantSums:
    """What is counted of one variant's outcomes; it adds up.

    Args:
        rows: Outcomes, each of another unit that was assigned by chance.
        sums: Of the outcomes.
        squares: Of their squares.
    """

    rows: int = 0
    sums: ExactSum = NOTHING
    squares: ExactSum = NOTHING

    def __add__(self, other: "VariantSums") -> "VariantSums":
        return VariantSums(self.rows + other.rows, merged(self.sums, other.sums), merged(self.squares, other.squares))

    @property
    def mean(self) -> float:
        return float(self.sums.fraction / self.rows)

    @property
    def variance(self) -> float:
        """Of one outcome; not of the mean."""
        mean = self.sums.fraction / self.rows
        return float(self.squares.fraction / self.rows - mean * mean)


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """What is looked for; to be fixed before the first look.

    Args:
        effect: The smallest difference that matters: of rates 0.02 is usual, of numbers a tenth of their standard deviation
            as it was before. The test is quickest for differences of about this size.
        alpha: The chance that is taken of naming a variant where there is no difference.
        least_rows: Of each variant, before which nothing is said.
        better: Which mean is better.
        mismatch: Below which probability the variants' numbers of rows are no luck any more.
    """

    effect: float = 0.02
    alpha: float = 0.05
    least_rows: int = 200
    better: Literal["higher", "lower"] = "higher"
    mismatch: float = 0.001


@dataclass(frozen=True, slots=True)
class ExperimentLook:
    """What was seen at one look.

    Args:
        conclusion: What is to be made of it.
        difference: B's mean less A's; None before there is enough.
        interval: A confidence sequence's: with probability 1 - alpha it holds the true difference at all looks.
        likelihood: The ratio in favour of a difference; `inf` where it is beyond floats.
        p_value: Always valid: the least that any look so far had.
        mismatch: The probability that the numbers of rows are so far from the parts that were assigned by luck alone.
        settled: What was concluded first, kept for later looks; None so far.
    """

    conclusion: Conclusion
    difference: float | None = None
    interval: Interval | None = None
    likelihood: float = 0.0
    p_value: float = 1.0
    mismatch: float = 1.0
    settled: Conclusion | None = None


def look(
    plan: ExperimentPlan,
    a: VariantSums,
    b: VariantSums,
    assigned: Sequence[float] = (1.0, 1.0),
    before: ExperimentLook | None = None,
) -> ExperimentLook:
    """Look at an experiment.

    Once it was concluded, it stays so; a mismatch blocks it for as long as there is one.

    Args:
        plan: The same at all looks.
        a: All outcomes so far, and those of the looks before.
        b: Likewise.
        assigned: Which parts of the rows A and B should have: their weights, or where these changed the sums over time of
            what each should have had.
        before: The last look; None at the first.
    """
    mismatch = mismatch_chance((a.rows, b.rows), assigned)
    kept = before or ExperimentLook(Conclusion.KEEP_RUNNING)
    if min(a.rows, b.rows) < max(plan.least_rows, 1):
        return _concluded(plan, None, None, 0.0, kept, mismatch)
    difference, variance = b.mean - a.mean, a.variance / a.rows + b.variance / b.rows
    if variance <= 0:
        return _concluded(plan, difference, None, 0.0, kept, mismatch)
    interval = confidence_sequence(difference, variance, plan.effect, plan.alpha)
    return _concluded(plan, difference, interval, likelihood_ratio(difference, variance, plan.effect), kept, mismatch)


def _concluded(
    plan: ExperimentPlan,
    difference: float | None,
    interval: Interval | None,
    ratio: float,
    before: ExperimentLook,
    mismatch: float,
) -> ExperimentLook:
    p_value = min(before.p_value, 1 / ratio if ratio > 1 else 1.0)
    settled = before.settled
    if settled is None and difference is not None and interval is not None:
        if p_value <= plan.alpha:
            is_b = difference > 0 if plan.better == "higher" else difference < 0
            settled = Conclusion.B_BETTER if is_b else Conclusion.A_BETTER
        elif -plan.effect < interval[0] and interval[1] < plan.effect:
            settled = Conclusion.NO_DIFFERENCE
    is_blocked = mismatch < plan.mismatch
    conclusion = Conclusion.BLOCKED if is_blocked else settled or Conclusion.KEEP_RUNNING
    return ExperimentLook(conclusion, difference, interval, ratio, p_value, mismatch, settled)


def likelihood_ratio(difference: float, variance: float, effect: float) -> float:
    """How much likelier a difference of about this effect makes what was seen than none does.

    Args:
        difference: Of the means.
        variance: Of the difference, above 0.
        effect: The standard deviation of the differences that are mixed, around 0.
    """
    whole = variance + effect * effect
    power = (effect * difference) ** 2 / (2 * variance * whole)
    return sqrt(variance / whole) * exp(power) if power < 700 else inf


def confidence_sequence(difference: float, variance: float, effect: float, alpha: float) -> Interval:
    """The differences that `likelihood_ratio` does not speak against with 1 / alpha or more."""
    whole = variance + effect * effect
    half = sqrt(variance * whole / effect**2 * (2 * log(1 / alpha) + log(whole / variance)))
    return difference - half, difference + half


def mismatch_chance(rows: Sequence[int], assigned: Sequence[float]) -> float:
    """The probability that luck takes variants' shares of the rows so far from what they should be (Pearson's chi-squared).

    A sample-ratio mismatch says that rows were lost or assigned otherwise than was meant, so that nothing follows from
    their outcomes (Fabijan et al., Diagnosing sample ratio mismatch, KDD 2019).

    Args:
        rows: Of each variant.
        assigned: What each should have, in any unit, as many; a variant that should have none is left out if it has none.
    """
    whole, parts = sum(rows), sum(assigned)
    if not whole or not parts:
        return 1.0
    pairs = [(seen, whole * part / parts) for seen, part in zip(rows, assigned, strict=True) if seen or part]
    if any(not expected for _, expected in pairs):
        return 0.0
    if len(pairs) < 2:
        return 1.0
    return chi2_tail(sum((seen - expected) ** 2 / expected for seen, expected in pairs), len(pairs) - 1)


def chance_better(a: Arm, b: Arm) -> float:
    """The probability that B's mean reward is higher than A's, by the Beta distributions of `bandit.py`.

    Exact where one of the four counts is whole and at most 100,000, by the closed form (Miller, Formulas for Bayesian A/B
    testing, 2015); else as `bandit.chances` has it, within 0.0002.
    """
    first, second = (1 + a.rewards, 1 + a.penalties), (1 + b.rewards, 1 + b.penalties)
    # B above A is also "A's lack above B's", and in each of the two one of two counts may be summed over.
    ways = [
        (second[0], lambda: _sum_above(*first, *second)),
        (first[1], lambda: _sum_above(second[1], second[0], first[1], first[0])),
        (first[0], lambda: 1 - _sum_above(*second, *first)),
        (second[1], lambda: 1 - _sum_above(first[1], first[0], second[1], second[0])),
    ]
    whole = [way for way in ways if way[0] == int(way[0]) and way[0] <= _MOST_TERMS]
    if not whole:
        return chances([a, b])[1]
    return min(1.0, max(0.0, min(whole, key=lambda way: way[0])[1]()))


def _sum_above(a: float, b: float, c: float, d: float) -> float:
    """P(Beta(c, d) > Beta(a, b)) for a whole c: the sum over i < c of B(a + i, b + d) / ((d + i) B(1 + i, d) B(a, b))."""
    logs = lgamma(b + d) - lgamma(a + b + d) + lgamma(a + b) - lgamma(b)
    found = exp(logs)
    for i in range(int(c) - 1):
        logs += log((a + i) * (d + i) / ((a + b + d + i) * (1 + i)))
        found += exp(logs)
    return found
