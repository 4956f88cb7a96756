"""Distributions: what scipy says, to ten digits, far into the tails."""

import math

import numpy as np
import pytest
from scipy import special, stats

from podium.domain.monitoring import distributions

FREEDOMS = (1, 2, 3, 4, 9, 10, 19, 31, 99, 1000, 20_000)
ALPHAS = (1e-300, 1e-100, 1e-12, 5e-5, 1e-3, 0.01, 0.05, 0.3, 0.5, 0.7, 0.999)


def agree(expected, got):
    assert got == pytest.approx(expected, rel=1e-10, abs=1e-305)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_chi_squared_s_tail_is_scipy_s(freedom):
    """From nothing to forty times what is expected."""
    for factor in (0, 1e-6, 0.01, 0.5, 0.9, 0.99, 1, 1.001, 1.1, 2, 5, 40):
        agree(stats.chi2.sf(freedom * factor, freedom), distributions.chi2_tail(freedom * factor, freedom))


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_chi_squared_s_critical_value_is_scipy_s(freedom):
    """At any level; and its tail is the level again."""
    for alpha in ALPHAS:
        critical = distributions.chi2_critical(alpha, freedom)

        agree(stats.chi2.isf(alpha, freedom), critical)


def test_the_incomplete_gamma_functions_are_scipy_s():
    """Both halves, for shapes below one as well."""
    for shape in (0.05, 0.5, 1, 2.5, 30, 1234.5, 1e5):
        for value in np.array([1e-8, 0.1, 0.8, 0.999, 1, 1.002, 1.3, 4]) * shape:
            agree(special.gammainc(shape, value), distributions.gamma_share(shape, float(value)))
            if special.gammaincc(shape, value) > 1e-3 or value > shape + 1:
                agree(special.gammaincc(shape, value), distributions.gamma_tail(shape, float(value)))


def test_normal_quantiles_are_scipy_s():
    """In the middle and at both ends."""
    for share in (1e-300, 1e-20, 1e-6, 0.025, 0.3, 0.4999, 0.5, 0.5001, 0.8, 0.975, 0.999999):
        agree(special.ndtri(share), distributions.normal_quantile(share))
    for deviation in (-8.0, -1.0, 0.0, 0.5, 3.0, 30.0):
        agree(stats.norm.sf(deviation), distributions.normal_tail(deviation))


def test_kolmogorov_s_tail_and_critical_value_are_scipy_s():
    """On both sides of where one series hands over to the other."""
    for value in (0.2, 0.5, 1.0, 1.1799, 1.18, 1.3581, 1.8, 3.0, 12.0):
        agree(special.kolmogorov(value), distributions.kolmogorov_tail(value))
    for alpha in (1e-12, 0.001, 0.05, 0.5, 0.95):
        agree(special.kolmogi(alpha), distributions.kolmogorov_critical(alpha))


def test_samples_of_one_size_have_the_exact_chance():
    """Every step of a small one, and those of the reference's vectors."""
    for rows, steps in [*((20, step) for step in range(21)), (1000, 100), (1000, 198), (3000, 41)]:
        expected = stats.ks_2samp(*_apart(rows, steps), method="exact").pvalue

        assert distributions.equal_sizes_tail(rows, steps) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: distributions.normal_quantile(0.0),
        lambda: distributions.normal_quantile(math.nan),
        lambda: distributions.chi2_critical(1.0, 3),
        lambda: distributions.chi2_critical(0.05, 0),
        lambda: distributions.chi2_tail(math.nan, 3),
        lambda: distributions.gamma_share(-1.0, 2.0),
        lambda: distributions.gamma_tail(1.0, -2.0),
        lambda: distributions.kolmogorov_critical(0.0),
    ],
)
def test_what_no_distribution_has_is_refused(ask):
    """Rather than answered with something, or never."""
    with pytest.raises(ValueError, match="got"):
        ask()


def _apart(rows, steps):
    """Two samples of one size whose distributions differ by steps / rows and nowhere by more."""
    return np.arange(rows) * 2.0, np.arange(rows) * 2.0 + 2 * steps + (1 if steps == 0 else -1)
