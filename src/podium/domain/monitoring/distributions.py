"""How likely chance alone is to do as much: tails and quantiles of a few distributions, in pure Python.

A tail is the chance of at least so much, a share that of at most so much. Small tails are worked out as such and never as
one minus something, so that one in a million tests can be told from one in a billion. Correct to 1e-10 of the value or
better.

The densities that everything is built on are Loader's (Fast and accurate computation of binomial probabilities, 2000),
which lose nothing where counts are large; series and continued fractions are those of Abramowitz and Stegun, 6.5.29, 6.5.31
and 26.5.8, the latter two summed by Lentz's algorithm.
"""

import math
from collections.abc import Callable
from functools import lru_cache

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
_TINY = 1e-300
_ENOUGH = 1e-16
_UNDERFLOWS = -745.0


def normal_tail(deviation: float) -> float:
    """The chance that a standard normal value is at least so large."""
    return 0.5 * math.erfc(deviation / math.sqrt(2))


def normal_quantile(share: float) -> float:
    """The deviation below which this share of a standard normal distribution lies.

    Args:
        share: Between 0 and 1, both excluded.

    Raises:
        ValueError: It is not.
    """
    _require(0 < share < 1, f"a quantile's share lies between 0 and 1, got {share}")
    below = min(share, 1 - share)
    if below == 0.5:
        return 0.0
    # Abramowitz and Stegun 26.2.23, good to 5e-4, and Newton's steps on the logarithm of the tail from there.
    root = math.sqrt(-2 * math.log(below))
    found = root - (2.515517 + root * (0.802853 + root * 0.010328)) / (
        1 + root * (1.432788 + root * (0.189269 + root * 0.001308))
    )
    for _ in range(5):
        tail = normal_tail(found)
        density = math.exp(-found * found / 2) / math.sqrt(2 * math.pi)
        found += math.log(tail / below) * tail / density
    return found if share > 0.5 else -found


def gamma_share(shape: float, value: float) -> float:
    """The regularised lower incomplete gamma function P(shape, value).

    Raises:
        ValueError: `shape` is not above 0, or `value` is no number from 0.
    """
    _require_gamma(shape, value)
    if value < shape + 1:
        return _gamma_series(shape, value)
    return 1 - _gamma_fraction(shape, value)


def gamma_tail(shape: float, value: float) -> float:
    """The regularised upper incomplete gamma function Q(shape, value); raises as `gamma_share` does."""
    _require_gamma(shape, value)
    if value < shape + 1:
        return 1 - _gamma_series(shape, value)
    return _gamma_fraction(shape, value)


def chi2_tail(statistic: float, freedom: float) -> float:
    """The chance that chi-squared with so many degrees of freedom is at least `statistic`."""
    return gamma_tail(freedom / 2, statistic / 2)


@lru_cache(maxsize=256)  # every column of every window asks for the same few
def chi2_critical(alpha: float, freedom: float) -> float:
    """What chi-squared with so many degrees of freedom exceeds with the chance alpha.

    Raises:
        ValueError: `alpha` does not lie between 0 and 1, or `freedom` is not above 0.
    """
    _require(0 < alpha < 1, f"alpha lies between 0 and 1, got {alpha}")
    shape = freedom / 2
    _require_gamma(shape, 0.0)
    # Wilson and Hilferty (PNAS 17, 1931), and Newton's steps from there; both logarithms are concave, so that they arrive.
    spread = 2 / (9 * freedom)
    found = max(freedom * (1 - spread - normal_quantile(alpha) * math.sqrt(spread)) ** 3, _TINY) / 2
    if alpha > 0.5:
        least = math.exp((math.log1p(-alpha) + math.lgamma(shape + 1)) / shape)
        return 2 * _newton(lambda value: gamma_share(shape, value), 1 - alpha, max(found, least), shape)
    return 2 * _newton(lambda value: gamma_tail(shape, value), alpha, found, shape)


def kolmogorov_tail(value: float) -> float:
    """The chance that Kolmogorov's distribution, the limit of sqrt(n) D, is at least `value` (Kolmogorov 1933)."""
    if value <= 0:
        return 1.0
    if value < 1.18:
        terms = (math.exp(-(((2 * k - 1) * math.pi / value) ** 2) / 8) for k in range(1, 9))
        return 1 - math.sqrt(2 * math.pi) / value * math.fsum(terms)
    return 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * (k * value) ** 2) for k in range(1, 9))


def kolmogorov_critical(alpha: float) -> float:
    """What Kolmogorov's distribution exceeds with the chance alpha.

    Raises:
        ValueError: `alpha` does not lie between 0 and 1.
    """
    _require(0 < alpha < 1, f"alpha lies between 0 and 1, got {alpha}")
    low, high = 0.0, math.sqrt(-math.log(alpha / 2) / 2) + 1
    for _ in range(64):
        middle = (low + high) / 2
        low, high = (middle, high) if kolmogorov_tail(middle) > alpha else (low, middle)
    return (low + high) / 2


def equal_sizes_tail(rows: int, steps: int) -> float:
    """The chance that two samples of `rows` each of one continuous distribution differ by D of at least steps / rows.

    Exact (Gnedenko and Korolyuk, On the maximum discrepancy between two empirical distributions, 1951). Takes up to
    37 * rows / steps steps.
    """
    if steps <= 0:
        return 1.0
    total = 0.0
    for k in range(1, rows // steps + 1):
        term = _middle_ratio(rows, k * steps)
        total += term if k % 2 else -term
        if term <= _ENOUGH * total:
            break
    return min(2 * total, 1.0)


def _middle_ratio(rows: int, beside: int) -> float:
    """C(2 rows, rows - beside) / C(2 rows, rows)."""
    logarithm = 0.0
    for j in range(1, beside + 1):
        logarithm += math.log1p(-beside / (rows + j))
        if logarithm < _UNDERFLOWS:
            return 0.0
    return math.exp(logarithm)


def _newton(chance: Callable[[float], float], wanted: float, start: float, shape: float) -> float:
    """Where a monotone chance of the gamma distribution, share or tail, is the wanted one."""
    found, rises = start, chance(start * 1.01) > chance(start)
    for _ in range(60):
        seen = chance(found)
        if seen <= 0:
            found /= 2
            continue
        slope = shape / found * _poisson(shape, found) * (1 if rises else -1)
        step = math.log(wanted / seen) * seen / slope
        found = max(found + step, found / 8)
        if abs(step) <= 4e-16 * found:
            break
    return found


def _gamma_series(shape: float, value: float) -> float:
    if value == 0:
        return 0.0
    term = total = 1.0
    above = shape
    while term > _ENOUGH * total:
        above += 1
        term *= value / above
        total += term
    return _poisson(shape, value) * total


def _gamma_fraction(shape: float, value: float) -> float:
    if value == math.inf:
        return 0.0
    density = shape * _poisson(shape, value)
    if density == 0:
        return 0.0
    part = value + 1 - shape
    upper, lower = 1 / _TINY, 1 / part
    found = lower
    k, change = 0, 0.0
    while abs(change - 1) > _ENOUGH * 4:
        k += 1
        weight = k * (shape - k)
        part += 2
        lower = 1 / (weight * lower + part or _TINY)
        upper = part + weight / upper or _TINY
        change = upper * lower
        found *= change
    return density * found


def _poisson(count: float, mean: float) -> float:
    """mean^count e^-mean / Gamma(count + 1)."""
    return math.exp(-_stirling_rest(count) - _deviance(count, mean)) / math.sqrt(2 * math.pi * count)


def _stirling_rest(value: float) -> float:
    """The logarithm of Gamma(value + 1) less Stirling's formula."""
    if value < 16:
        return math.lgamma(value + 1) - (value + 0.5) * math.log(value) + value - math.log(2 * math.pi) / 2
    return math.fsum(factor / value ** (2 * k + 1) for k, factor in enumerate(_STIRLING))


def _deviance(value: float, mean: float) -> float:
    """What is `value ln(value / mean) + mean - value`, without cancellation where both are near each other."""
    if mean == 0:
        return math.inf
    if abs(value - mean) >= 0.1 * (value + mean):
        return value * math.log(value / mean) + mean - value
    ratio = (value - mean) / (value + mean)
    total = (value - mean) * ratio
    term, k = 2 * value * ratio, 1
    while True:
        term *= ratio * ratio
        k += 2
        after = total + term / k
        if after == total:
            return total
        total = after


def _require_gamma(shape: float, value: float) -> None:
    _require(0 < shape < math.inf, f"the shape of a gamma distribution is above 0, got {shape}")
    _require(value >= 0, f"a gamma distribution's value is a number from 0, got {value}")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
