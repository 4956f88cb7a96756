"""Experiments: the reference's vectors, and error rates that hold although somebody looks all the time."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from podium.domain.bandit import Arm, chances, shares
from podium.domain.monitoring.quality.experiments import (
    Conclusion,
    ExperimentPlan,
    VariantSums,
    chance_better,
    confidence_sequence,
    likelihood_ratio,
    look,
    mismatch_chance,
)
from podium.domain.monitoring.quality.sums import halvings_of, total

PLAN = ExperimentPlan()


def rate(hits, rows):
    """Of outcomes that are yes or no."""
    return VariantSums(rows, total([(hits, 0)]), total([(hits, 0)]))


def sums_of(values):
    """Of outcomes that are finite numbers."""
    parts = [halvings_of(value) for value in values]
    return VariantSums(len(parts), total(parts), total((top * top, 2 * halvings) for top, halvings in parts))


def test_a_look_at_two_rates_is_that_of_the_reference():
    """Vector 25."""
    found = look(PLAN, rate(500, 5000), rate(600, 5000))

    assert found.likelihood == pytest.approx(31.4358396, abs=1e-7)
    assert found.p_value == pytest.approx(0.0318108252, abs=1e-10)
    assert found.interval[1] - found.difference == pytest.approx(0.0190041651, abs=1e-10)
    assert found.difference - found.interval[0] == pytest.approx(0.0190041651, abs=1e-10)
    assert found.conclusion == Conclusion.B_BETTER
    narrow = look(ExperimentPlan(effect=0.01), rate(500, 5000), rate(600, 5000))
    assert narrow.likelihood == pytest.approx(20.9160144, abs=1e-7)


def test_the_interval_leaves_out_nothing_exactly_where_the_test_says_so():
    for difference in np.linspace(0.001, 0.1, 60):
        for variance in (1e-7, 1e-5, 1e-3):
            low, _ = confidence_sequence(difference, variance, 0.02, 0.05)
            assert (low > 0) == (likelihood_ratio(difference, variance, 0.02) > 20)


def test_a_difference_beyond_floats_is_certain():
    found = look(PLAN, rate(0, 10**9), rate(10**9 // 2, 10**9))

    assert (found.likelihood, found.p_value, found.conclusion) == (math.inf, 0.0, Conclusion.B_BETTER)


def peeked(rates, runs, seed, rows=10_000, step=100, plan=PLAN):
    """Parts of the runs in which a z-test and podium ever named a variant, and podium's conclusions."""
    luck = np.random.default_rng(seed)
    naive, named, stops = 0, [], []
    z = NormalDist().inv_cdf(0.975)
    for _ in range(runs):
        hits = luck.binomial(step, rates, (rows // step, 2)).cumsum(axis=0).tolist()
        seen, is_naive = None, False
        for count, (a, b) in enumerate(hits, 1):
            n = count * step
            share = (a + b) / (2 * n)
            if n >= plan.least_rows and 0 < share < 1:
                is_naive |= abs(b - a) / n > z * math.sqrt(2 * share * (1 - share) / n)
            seen = look(plan, rate(a, n), rate(b, n), before=seen)
            if seen.settled in {Conclusion.A_BETTER, Conclusion.B_BETTER}:
                stops.append(n)
                break
        for a, b in hits[count:]:
            count += 1
            share, n = (a + b) / (2 * count * step), count * step
            is_naive |= abs(b - a) / n > z * math.sqrt(2 * share * (1 - share) / n)
        naive += is_naive
        named.append(seen.settled)
    return naive / runs, named, stops


@pytest.mark.parametrize("rate", [0.1, 0.01])
def test_looking_a_hundred_times_does_not_make_a_difference_of_none(rate):
    """Vector 25, type I: of 150 runs with no effect a z-test names a variant in 3 of 10, podium in 1 of 20."""
    naive, named, _ = peeked((rate, rate), 150, seed=3)

    assert naive >= 0.3
    assert sum(each in {Conclusion.A_BETTER, Conclusion.B_BETTER} for each in named) / len(named) <= 0.05


def test_a_true_difference_is_found_mostly_before_the_end():
    """Vector 25, power: 10 % against 12 %, the better one named, half of the time within 4,500 of 10,000 rows."""
    _, named, stops = peeked((0.10, 0.12), 100, seed=4)

    assert named.count(Conclusion.B_BETTER) >= 88
    assert Conclusion.A_BETTER not in named
    assert sorted(stops)[len(stops) // 2] <= 4500


def test_where_less_is_better_the_lower_mean_wins():
    plan = ExperimentPlan(better="lower")

    assert look(plan, rate(500, 5000), rate(600, 5000)).conclusion == Conclusion.A_BETTER
    assert look(plan, rate(600, 5000), rate(500, 5000)).conclusion == Conclusion.B_BETTER


def test_numbers_are_compared_like_rates():
    luck = np.random.default_rng(6)
    plan = ExperimentPlan(effect=0.1 * 3)
    a, b = (
        sums_of(luck.normal(5, 3, 4000).tolist()),
        sums_of(luck.normal(5.4, 3, 4000).tolist()),
    )

    found = look(plan, a, b)

    assert found.conclusion == Conclusion.B_BETTER
    assert found.interval[0] < 0.4 < found.interval[1]
    assert sums_of([1.0, 0.0, 0.0, 1.0]) == rate(2, 4)


def test_parts_of_a_variant_add_up_to_the_bit():
    values = np.random.default_rng(7).lognormal(0, 5, 300).tolist()

    assert sums_of(values[:100]) + sums_of(values[100:]) == sums_of(values)


@pytest.mark.parametrize(
    ("a", "b", "conclusion"),
    [
        (rate(0, 0), rate(0, 0), Conclusion.KEEP_RUNNING),
        (rate(1, 199), rate(198, 199), Conclusion.KEEP_RUNNING),
        (rate(0, 400), rate(0, 400), Conclusion.KEEP_RUNNING),
        (rate(50, 400), rate(60, 400), Conclusion.KEEP_RUNNING),
        (rate(50, 400), rate(120, 400), Conclusion.B_BETTER),
        (rate(120, 400), rate(50, 400), Conclusion.A_BETTER),
        (rate(20_000, 200_000), rate(20_010, 200_000), Conclusion.NO_DIFFERENCE),
        (rate(50, 400), rate(120, 700), Conclusion.BLOCKED),
        (rate(1, 10), rate(1, 100), Conclusion.BLOCKED),
    ],
)
def test_an_experiment_has_one_of_five_conclusions(a, b, conclusion):
    assert look(PLAN, a, b).conclusion == conclusion


def test_a_conclusion_stays_and_a_mismatch_blocks_only_while_there_is_one():
    """What comes later must not undo what was rightly concluded: that would be looking until it fits."""
    first = look(PLAN, rate(50, 400), rate(120, 400))
    blocked = look(PLAN, rate(150, 1000), rate(320, 2000), before=first)
    later = look(PLAN, rate(310, 2000), rate(300, 2000), before=blocked)

    assert (first.conclusion, blocked.conclusion, later.conclusion) == (
        Conclusion.B_BETTER,
        Conclusion.BLOCKED,
        Conclusion.B_BETTER,
    )
    assert later.p_value == min(first.p_value, blocked.p_value)


def test_rows_are_held_against_what_was_assigned():
    """As scipy's chi-squared has it; a part that changed is given as the sums of what each should have had."""
    assert mismatch_chance((821_588, 815_482), (1, 1)) == pytest.approx(
        stats.chisquare([821_588, 815_482]).pvalue, rel=1e-9
    )
    assert mismatch_chance((900, 110, 95), (8, 1, 1)) == pytest.approx(
        stats.chisquare([900, 110, 95], [884, 110.5, 110.5]).pvalue, rel=1e-9
    )
    assert mismatch_chance((500, 600), (500.0, 600.0)) == 1.0
    assert mismatch_chance((100, 1), (1, 0)) == 0.0
    assert mismatch_chance((100, 0), (1, 0)) == mismatch_chance((0, 0), (1, 1)) == 1.0


def test_the_chance_that_b_is_better_is_that_of_the_reference():
    """Vector 26: Beta(101, 901) and Beta(121, 881)."""
    assert chance_better(Arm(100, 900), Arm(120, 880)) == pytest.approx(0.9231834389, abs=1e-10)
    assert chance_better(Arm(120, 880), Arm(100, 900)) == pytest.approx(1 - 0.9231834389, abs=1e-10)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Arm(), Arm()),
        (Arm(3, 10), Arm(5, 10)),
        (Arm(2.5, 10), Arm(5, 10.25)),
        (Arm(2.5, 10.5), Arm(5.5, 10)),
        (Arm(2.5, 10), Arm(5.5, 10.5)),
        (Arm(2.5, 10.5), Arm(5.5, 10.5)),
        (Arm(5000, 5000), Arm(5100, 4900)),
        (Arm(1e6, 3), Arm(2e6, 9)),
        (Arm(0, 100_000), Arm(0, 1)),
    ],
)
def test_the_chance_that_b_is_better_is_the_integral(a, b):
    """Whichever of the four counts is summed over; where none is whole, the bandit's integral."""
    first, second = stats.beta(1 + a.rewards, 1 + a.penalties), stats.beta(1 + b.rewards, 1 + b.penalties)
    share = (np.arange(200_000) + 0.5) / 200_000
    expected = first.cdf(second.ppf(share)).mean()

    assert chance_better(a, b) == pytest.approx(expected, abs=2e-4 if (a.rewards % 1 and b.rewards % 1) else 1e-6)


def test_counts_too_large_to_sum_over_are_integrated():
    assert chance_better(Arm(1e6, 9e6), Arm(1e6, 9e6)) == pytest.approx(0.5, abs=2e-4)


def test_the_bandit_gives_the_best_of_three_most_of_the_traffic():
    """Vector 26: 0.10, 0.12 and 0.15, 10,000 pulls, five runs; the floor is the bandit's own."""
    luck = np.random.default_rng(2)
    ends = []
    for _ in range(5):
        arms, percents = [Arm()] * 3, (34, 33, 33)
        for _ in range(40):
            pulls = luck.multinomial(250, [each / 100 for each in percents])
            hits = luck.binomial(pulls, [0.10, 0.12, 0.15])
            arms = [
                Arm(arm.rewards + int(good), arm.penalties + int(all_ - good))
                for arm, good, all_ in zip(arms, hits, pulls, strict=True)
            ]
            percents = shares(chances(arms), 1)
        ends.append(percents[2])

    assert sum(ends) / len(ends) >= 85
