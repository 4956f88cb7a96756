"""Drift methods: each keeps the laws, and gives the figures of its paper and of whoever else has the same statistic."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from podium.domain.monitoring.drift import (
    OWN_METHODS,
    ChiSquared,
    JensenShannon,
    KolmogorovSmirnov,
    PopulationStability,
    Wasserstein,
)
from podium.domain.monitoring.drift.chi2 import statistic
from podium.domain.monitoring.drift.conformance import DriftMethodLaws, examine
from podium.domain.monitoring.drift.contract import Histograms, Thresholds, UnlikeBins
from podium.domain.monitoring.drift.ks import critical_distance
from podium.domain.monitoring.drift.psi import contributions
from podium.domain.monitoring.drift.wasserstein import distance

PSI, JS, KS, W1, CHI2 = OWN_METHODS
NORMAL = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
SHARES_MOVED = Histograms((500, 300, 150, 50), (400, 300, 200, 100))
"""Vector 7: categories a to d."""


class TestPopulationStability(DriftMethodLaws):
    method = PopulationStability()


class TestJensenShannon(DriftMethodLaws):
    method = JensenShannon()


class TestKolmogorovSmirnov(DriftMethodLaws):
    method = KolmogorovSmirnov()


class TestWasserstein(DriftMethodLaws):
    method = Wasserstein()


class TestChiSquared(DriftMethodLaws):
    method = ChiSquared()


def in_bins(reference, current, bins=10):
    """Rows as counts between the reference's quantiles."""
    edges = np.unique(np.quantile(reference, np.arange(1, bins) / bins))
    counted = [
        np.bincount(np.searchsorted(edges, rows, "right"), minlength=len(edges) + 1) for rows in (reference, current)
    ]
    places = np.quantile(reference, (np.arange(len(edges) + 1) + 0.5) / (len(edges) + 1))
    return Histograms(*(counts.tolist() for counts in counted), tuple(np.unique(places).tolist()))


def one_by_one(reference, current):
    """Rows as counts where each value has a bin of its own."""
    values = np.unique(np.concatenate([reference, current]))
    counted = [np.bincount(np.searchsorted(values, rows), minlength=len(values)).tolist() for rows in (reference, current)]
    return Histograms(*counted, tuple(values.tolist()))


def agree(expected, got, within=1e-8):
    assert got == pytest.approx(expected, abs=within)


def test_shares_that_moved_between_four_of_ten_bins():
    """Vector 1; of so many rows that half a row of prior is nothing."""
    moved = [1, 1, 2, 2, 2, 2, 2, 2, 3, 3]
    histograms = Histograms([2 * 10**12] * 10, [count * 10**12 for count in moved])

    agree(0.1098612289, PSI.score(histograms))
    agree(0.1397067510, JS.score(histograms))
    agree(0.1163134997, JS.score(histograms) * math.sqrt(math.log(2)))


@pytest.mark.parametrize("method", OWN_METHODS, ids=lambda method: method.name)
def test_rows_that_are_the_same_score_nothing(method):
    """Vector 2."""
    assert method.score(in_bins(NORMAL, NORMAL)) == 0
    assert method.p_value(one_by_one(NORMAL, NORMAL)) in {None, 1.0}


def test_a_quarter_of_a_deviation():
    """Vector 3."""
    histograms, rows = in_bins(NORMAL, NORMAL + 0.25), one_by_one(NORMAL, NORMAL + 0.25)

    assert histograms.current == [63, 75, 82, 87, 94, 100, 107, 115, 125, 152]
    agree(0.0593598322, PSI.score(histograms))
    agree(0.1036809147, JS.score(histograms))
    agree(29.630895, statistic(histograms), 1e-6)
    agree(5.0687e-4, CHI2.p_value(histograms), 1e-8)
    agree(0.1, KS.score(rows))
    agree(8.974278e-5, KS.p_value(rows), 1e-11)
    agree(0.25, distance(rows))
    agree(0.1855414610, W1.score(rows))


def test_half_a_deviation():
    """Vector 4."""
    histograms, rows = in_bins(NORMAL, NORMAL + 0.5), one_by_one(NORMAL, NORMAL + 0.5)

    assert histograms.current == [38, 52, 63, 73, 83, 93, 108, 123, 149, 218]
    agree(0.2350275349, PSI.score(histograms))
    agree(0.2046120591, JS.score(histograms))
    agree(113.567357, statistic(histograms), 1e-6)
    agree(0.198, KS.score(rows))
    agree(1.481153e-17, KS.p_value(rows), 1e-23)


def test_values_that_spread():
    """Vector 5: half as far apart again, in ten bins and in twenty."""
    histograms, rows = in_bins(NORMAL, 1.5 * NORMAL), one_by_one(NORMAL, 1.5 * NORMAL)

    assert histograms.current == [197, 91, 75, 70, 67, 67, 70, 75, 91, 197]
    agree(0.1936272308, PSI.score(histograms))
    agree(0.2396796807, PSI.score(in_bins(NORMAL, 1.5 * NORMAL, 20)))
    agree(0.097, KS.score(rows))
    agree(0.3988539627, distance(rows))


def test_half_of_the_range_left_and_entered():
    """Vector 6: bins that nobody is in any more."""
    reference, current = np.arange(100.0), np.arange(50.0, 150.0)
    histograms, rows = in_bins(reference, current), one_by_one(reference, current)

    assert histograms.current == [0, 0, 0, 0, 0, 10, 10, 10, 10, 60]
    agree(2.2837097836, PSI.score(histograms))
    agree(0.6268289460, JS.score(histograms))
    agree(0.5, KS.score(rows))
    agree(50.0, distance(rows))


def test_categories_that_moved():
    """Vector 7: the p of NannyML and alibi-detect, and not of Evidently, which takes the reference for the truth."""
    agree(0.0708993622, PSI.score(SHARES_MOVED))
    agree(0.1128213708, JS.score(SHARES_MOVED))
    agree(0.0939299525, JS.score(SHARES_MOVED) * math.sqrt(math.log(2)))
    agree(34.920635, statistic(SHARES_MOVED), 1e-6)
    agree(1.266203e-7, CHI2.p_value(SHARES_MOVED), 1e-13)


def test_a_category_that_nobody_knew():
    """Vectors 8 and 9: one row in twenty is much, one in a thousand is nothing, where Evidently has p = 0."""
    twentieth = Histograms((500, 300, 150, 50, 0), (450, 300, 150, 50, 50))
    thousandth = Histograms((500, 300, 150, 50, 0), (499, 300, 150, 50, 1))

    agree(0.2354299271, PSI.score(twentieth))
    agree(0.1610887338, JS.score(twentieth))
    agree(52.631579, statistic(twentieth), 1e-6)
    agree(1.017681e-10, CHI2.p_value(twentieth), 1e-16)
    agree(0.0010978676, PSI.score(thousandth))
    agree(1.001001, statistic(thousandth), 1e-6)
    agree(0.9096441672, CHI2.p_value(thousandth))


def test_a_bin_that_is_empty_now_is_no_infinite_drift():
    """Vector 10."""
    agree(0.6919369177, PSI.score(Histograms((10, 10, 10, 10), (0, 5, 5, 10))))


def test_nothing_in_common_is_the_largest_distance():
    """Vector 11."""
    agree(1.0, JS.score(Histograms((1, 0), (0, 1))))
    agree(0.8325546112, JS.score(Histograms((1, 0), (0, 1))) * math.sqrt(math.log(2)))


def test_two_categories_are_the_z_test():
    """Vector 12: 10 % and 13 % of a thousand."""
    histograms = Histograms((900, 100), (870, 130))

    agree(2.1027406056, math.sqrt(statistic(histograms)))
    agree(0.0354884505, CHI2.p_value(histograms))


def test_what_is_beyond_noise_is_deequ_s_robust_distance():
    """Vector 13: their 1.8 is a level of 0.3 %."""
    noise = critical_distance(2 * math.exp(-2 * 1.8**2), 1000, 1000)

    agree(0.0195015528, 0.1 - noise)
    agree(0.1175015528, 0.198 - noise)


def test_one_value_however_large_moves_one_row():
    """Vector 16."""
    draw = np.random.default_rng(0)
    reference, current = draw.normal(size=2000), draw.normal(2, 1, 2000)
    spoilt = current.copy()
    spoilt[0] = 1e6
    before = in_bins(reference, current)

    agree(3.5991501702, PSI.score(before))
    for method in OWN_METHODS:
        assert method.score(before) == method.score(in_bins(reference, spoilt))


def test_another_unit_changes_nothing():
    """Vector 18: the logarithm has the same counts."""
    agree(0.2350275349, PSI.score(in_bins(np.exp(3 * NORMAL), np.exp(3 * (NORMAL + 0.5)))), 1e-9)


def test_a_hundred_thousand_rows_make_anything_significant_and_nothing_large():
    """Vector 40."""
    many = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    histograms, rows = in_bins(many, many + 0.02), one_by_one(many, many + 0.02)

    agree(0.00798, KS.score(rows))
    agree(0.0034, KS.p_value(rows), 5e-5)
    agree(0.00038, PSI.score(histograms), 5e-6)
    assert all(method.score(histograms) < method.thresholds.warn for method in OWN_METHODS)


def test_scipy_says_the_same():
    """Of rows at hand: chi-squared, both distances, D and, where the sizes are one, its exact chance."""
    draw = np.random.default_rng(5)
    for rows, others in [(300, 300), (400, 170), (80, 1000)]:
        reference, current = draw.gamma(2, size=rows), draw.gamma(2.3, size=others)
        histograms, exact = in_bins(reference, current), one_by_one(reference, current)
        contingency = stats.chi2_contingency([histograms.reference, histograms.current], correction=False)

        agree(contingency.statistic, statistic(histograms))
        agree(contingency.pvalue, CHI2.p_value(histograms), 1e-10)
        agree(jensenshannon(histograms.reference, histograms.current, base=2), JS.score(histograms))
        agree(stats.wasserstein_distance(reference, current), distance(exact))
        assert W1.score(exact) == pytest.approx(_w1_of(reference, current))
        agree(stats.ks_2samp(reference, current).statistic, KS.score(exact))
        if rows == others:
            agree(stats.ks_2samp(reference, current, method="exact").pvalue, KS.p_value(exact), 1e-10)


def _w1_of(reference, current):
    """Over the interquartile range, with what is far out cut to three of it."""
    low, high = np.quantile(reference, [0.25, 0.75])
    cut = [np.clip(rows, low - 3 * (high - low), high + 3 * (high - low)) for rows in (reference, current)]
    return stats.wasserstein_distance(*cut) / (high - low)


def test_one_value_far_out_in_the_reference_is_no_ruler():
    """Neither does a row more in its bin move the rows by that much, nor does anything overflow."""
    for far in (1e6, 1.7e308):
        places = (-far, -1.0, -0.5, 0.0, 0.5, 1.0, far)
        nothing = Histograms((50, 180, 180, 180, 180, 180, 50), (55, 180, 180, 180, 180, 180, 45), places)
        moved = Histograms((50, 180, 180, 180, 180, 180, 50), (0, 50, 50, 180, 180, 180, 360), places)

        assert W1.score(nothing) < 0.1
        assert 0.3 < W1.score(moved) < 3
    zeros = Histograms((900, 99, 1), (880, 119, 1), (0.0, 1.0, 1.7e308))
    assert W1.score(zeros) < 0.1


def test_the_chance_of_a_distance_is_never_too_small():
    """For sizes that differ it is the limit's, which is above scipy's exact one and near it."""
    draw = np.random.default_rng(6)
    for rows, others, moved in [(200, 50, 0.3), (500, 130, 0.2), (997, 101, 0.3), (300, 299, 0.1)]:
        reference, current = draw.normal(size=rows), draw.normal(moved, 1, others)
        exact = stats.ks_2samp(reference, current, method="exact").pvalue

        assert exact <= KS.p_value(one_by_one(reference, current)) <= 1.3 * exact + 1e-3


def test_an_alert_stands_for_as_much_by_any_method():
    """A normal distribution has to move by a third of a deviation for a warning, and by nearly half of one for an alert."""
    many = stats.norm.ppf((np.arange(50_000) + 0.5) / 50_000)
    for method in OWN_METHODS:
        for moved, threshold in [(0.32, method.thresholds.warn), (0.46, method.thresholds.alert)]:
            assert method.score(in_bins(many, many + moved, 20)) == pytest.approx(threshold, rel=0.05), method.name


def test_the_parts_of_the_bins_add_up():
    """Each is 0 or more, and a bin in which nobody has a row adds nothing."""
    parts = contributions(Histograms((500, 300, 0, 150, 50), (400, 300, 0, 200, 100)))

    agree(PSI.score(SHARES_MOVED), math.fsum(parts), 1e-12)
    assert min(parts) == parts[2] == 0 < parts[4]


def test_a_reference_that_stands_in_one_place_has_a_spread_nevertheless():
    """Half of it: its deviation. All of it: the whole range."""
    mostly = Histograms((80, 10, 10), (0, 0, 100), (0.0, 1.0, 2.0))
    wholly = Histograms((100, 0, 0), (0, 0, 100), (0.0, 1.0, 2.0))

    agree(np.mean([2] * 80 + [1] * 10 + [0] * 10) / np.std([0] * 80 + [1] * 10 + [2] * 10), W1.score(mostly))
    agree(1.0, W1.score(wholly))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (((1, 2), (1, 2, 3)), "the reference has 2 bins, the current one 3"),
        (((1, 2), (2, 1), (0.0,)), "there are 2 bins and places of 1"),
        (((1, -2), (2, 1)), "fewer than 0 rows"),
        (((0, 0), (2, 1)), "one of them has no row"),
        (((1, 2), (0, 0)), "one of them has no row"),
        (((), ()), "one of them has no row"),
        (((1, 2), (2, 1), (1.0, 1.0)), "do not rise"),
        (((1, 2), (2, 1), (1.0, math.nan)), "do not rise"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, problem):
    """Before any method sees it."""
    with pytest.raises(UnlikeBins, match=problem):
        Histograms(*arguments)


def test_thresholds_rise_from_above_nothing():
    """A warning at 0 would never end."""
    for warn, alert in [(0, 0.2), (0.3, 0.2), (-0.1, 0.1), (math.nan, 1)]:
        with pytest.raises(ValueError, match="0 < warn <= alert"):
            Thresholds(warn, alert)


class Hellinger:
    """A stranger's method."""

    name = "hellinger"
    source = "E. Hellinger, Neue Begründung der Theorie quadratischer Formen von unendlichvielen Veränderlichen, 1909"
    needs_order = False
    thresholds = Thresholds(0.1, 0.2)

    def score(self, histograms):
        rows, others = sum(histograms.reference), sum(histograms.current)
        pairs = zip(histograms.reference, histograms.current, strict=True)
        return math.sqrt(sum((math.sqrt(a / rows) - math.sqrt(c / others)) ** 2 for a, c in pairs) / 2)

    def p_value(self, histograms):
        return None


def failing(method):
    return {outcome.law for outcome in examine(method) if outcome.failure}


def test_a_stranger_s_method_that_keeps_the_laws_passes():
    """Vector 7's Hellinger distance."""
    agree(0.0941841049, Hellinger().score(SHARES_MOVED))
    assert set() == failing(Hellinger())


def test_the_laws_find_what_breaks_them():
    """Each of the faults that other tools have shown."""

    class Unsmoothed(PopulationStability):
        def score(self, histograms):
            rows, others = sum(histograms.reference), sum(histograms.current)
            pairs = zip(histograms.reference, histograms.current, strict=True)
            return sum((a / rows - c / others) * math.log((a / rows) / (c / others)) for a, c in pairs)

    class AsSureAsItIs(ChiSquared):
        def score(self, histograms):
            return statistic(histograms)

    class TooSure(ChiSquared):
        def p_value(self, histograms):
            return super().p_value(histograms) ** 2

    class InSomeOrder(KolmogorovSmirnov):
        needs_order = False

    class TooStrict(JensenShannon):
        thresholds = Thresholds(0.0001, 0.9)

    assert "whatever was counted the score is a number from 0" in failing(Unsmoothed())
    assert "the score is an effect and not how sure one may be" in failing(AsSureAsItIs())
    assert "a p value keeps its promise" in failing(TooSure())
    assert "categories have no order" in failing(InSomeOrder())
    assert {"its thresholds lie within its reach"} == failing(TooStrict())
