"""The guard: nothing is an alarm that chance does as well, and nothing that is small."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from podium.domain.monitoring.drift.contract import Histograms
from podium.domain.monitoring.drift.psi import PopulationStability
from podium.domain.monitoring.guard import GuardPolicy, critical_psi, false_discovery, pooled


def test_the_critical_value_of_psi():
    """Vector 14, and what the noise is on average."""
    assert critical_psi(10, 1000, 500, 0.001 / 20) == pytest.approx(0.1062935484, abs=1e-8)
    assert critical_psi(10, 10_000, 100, 0.05) == pytest.approx(0.1709, abs=5e-5)
    assert critical_psi(1, 10_000, 100, 0.05) == 0

    draw, score = np.random.default_rng(14), PopulationStability().score
    noise = [score(Histograms(*(draw.multinomial(n, [0.1] * 10).tolist() for n in (1000, 500)))) for _ in range(500)]
    assert np.mean(noise) == pytest.approx(9 * (1 / 1000 + 1 / 500), rel=0.06)
    assert sum(each > critical_psi(10, 1000, 500, 0.05) for each in noise) <= 25 + 4 * np.sqrt(500 * 0.05 * 0.95)


def test_false_discoveries_are_adjusted_for_as_scipy_does():
    """Vector 15, in any order."""
    chances = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    adjusted = [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.105714, 0.216, 0.216, 0.216]

    assert false_discovery(chances) == pytest.approx(adjusted, abs=1e-6)
    assert sum(each <= 0.05 for each in false_discovery(chances)) == 2
    mixed = np.random.default_rng(15).uniform(size=40) ** 3
    assert false_discovery(mixed.tolist()) == pytest.approx(stats.false_discovery_control(mixed).tolist(), rel=1e-12)
    assert false_discovery([]) == []


def test_sparse_bins_of_numbers_join_a_neighbour():
    """Until chance would put five rows of each side into it; where they stand goes by the reference's rows."""
    sparse = Histograms((3, 3, 94, 0, 900), (0, 4, 90, 1, 905), (0.0, 1.0, 2.0, 3.0, 4.0))

    assert pooled(sparse) == Histograms([6, 94, 900], [4, 90, 906], [0.5, 2.0, 4.0])
    assert pooled(replace(sparse, current=(0, 3, 95, 1, 901))) == Histograms([100, 900], [98, 902], [1.91, 4.0])


def test_places_next_to_each_other_stay_in_order():
    """However they are rounded: the mean of a group is no farther than its last place."""
    draw = np.random.default_rng(13)
    for _ in range(300):
        start = float(draw.normal())
        places = [start]
        for _ in range(7):
            places.append(float(np.nextafter(places[-1], np.inf)))
        counts = draw.integers(0, 12, (2, 8))
        counts[:, 0] += 1

        together = pooled(Histograms(counts[0].tolist(), counts[1].tolist(), places))

        assert sum(together.reference) == counts[0].sum()
    assert pooled(Histograms((0, 0, 99), (1, 1, 97), (1e308, 1.5e308, 1.7e308))).places == [pytest.approx(1.7e308)]


def test_sparse_categories_become_one():
    """The last; a dense one joins them where they are too few by themselves."""
    assert pooled(Histograms((500, 490, 6, 4), (480, 510, 5, 5))) == Histograms([500, 490, 10], [480, 510, 10])
    assert pooled(Histograms((500, 490, 7, 3), (480, 512, 2, 6))) == Histograms([500, 490, 10], [480, 512, 8])
    assert pooled(Histograms((500, 499, 1), (480, 520, 0))) == Histograms([499, 501], [520, 480])


def test_what_is_dense_is_left_as_it_is():
    """And two sides that are all sparse end in one bin, of which nothing can be said."""
    dense = Histograms((100, 100), (50, 60))

    assert pooled(dense) is dense
    assert pooled(Histograms((1, 2), (2, 1))) == Histograms([3], [3])
    assert pooled(Histograms((1, 2), (2, 1), (0.0, 1.0))).reference == [3]


def test_categories_of_few_rows_each_do_not_drown_the_others():
    """A hundred categories and five hundred rows: without drift next to none is beyond noise, and a shift is found."""
    draw, score = np.random.default_rng(16), PopulationStability().score
    shares = 1 / np.arange(1, 101)
    shares /= shares.sum()
    moved = shares.copy()
    moved[0], moved[1] = shares[1] / 2, shares[0] + shares[1] / 2

    def beyond(now):
        histograms = pooled(Histograms(*(draw.multinomial(n, s).tolist() for n, s in ((20_000, shares), (500, now)))))
        return score(histograms) >= max(critical_psi(len(histograms.reference), 20_000, 500, 0.01), 0.2)

    assert sum(beyond(shares) for _ in range(200)) <= 1
    assert sum(beyond(moved) for _ in range(50)) >= 49


def test_a_policy_says_something():
    """Of chances and of rows."""
    for wrong in ({"alpha": 0}, {"alpha": 1}, {"min_rows": 0}, {"min_reference_rows": -1}):
        with pytest.raises(ValueError, match="got"):
            GuardPolicy(**wrong)
