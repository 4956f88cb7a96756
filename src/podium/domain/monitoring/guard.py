"""What is no more than chance, and what is no more than small: the two ways in which a score may not be an alarm.

Sampling noise alone gives PSI a mean of (B - 1)(1/n + 1/m): with ten bins and 50 rows that is 0.18, so that whoever
compares scores with 0.1 alarms in nearly every small window, and whoever compares p-values with 0.05 does so in every large
one. An alarm has to be both: large enough to matter, and larger than noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from podium.domain.monitoring.distributions import chi2_critical
from podium.domain.monitoring.drift.contract import Histograms

_LEAST_EXPECTED = 5


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """How sure one must be, and of how many rows at least.

    Args:
        alpha: The chance that a window without any drift has a column beyond noise, all columns together.
        min_rows: A window has so many rows with a value, or is not judged.
        min_reference_rows: So has the reference.

    Raises:
        ValueError: `alpha` does not lie between 0 and 1, or fewer than one row is asked for.
    """

    alpha: float = 0.01
    min_rows: int = 500
    min_reference_rows: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha lies between 0 and 1, got {self.alpha}")
        if min(self.min_rows, self.min_reference_rows) < 1:
            raise ValueError(f"at least 1 row is needed, got {self.min_rows} and {self.min_reference_rows}")


def critical_psi(bins: int, reference_rows: int, current_rows: int, alpha: float) -> float:
    """The PSI that rows of one distribution exceed with the chance alpha.

    PSI over (1/n + 1/m) has the distribution of chi-squared with B - 1 degrees of freedom (Yurdakul 2018). That holds where
    bins are not sparse: see `pooled`. The noise's mean is (B - 1)(1/n + 1/m).

    Args:
        bins: B; with one there is no noise, and it is 0.
        reference_rows: n, at least 1.
        current_rows: m, at least 1.
        alpha: Of one test: the whole shared out among the columns.
    """
    if bins < 2:
        return 0.0
    return chi2_critical(alpha, bins - 1) * (1 / reference_rows + 1 / current_rows)


def false_discovery(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values (J. R. Statist. Soc. B 57, 1995), in the order of the arguments.

    What is called drift where one is at most q is mistaken in a share of at most q, on average. The same as scipy's
    `false_discovery_control`.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    adjusted = [1.0] * len(p_values)
    least = 1.0
    for place, index in enumerate(order):
        least = min(least, p_values[index] * len(p_values) / (len(p_values) - place))
        adjusted[index] = least
    return adjusted


def pooled(histograms: Histograms) -> Histograms:
    """The same rows in bins that are not sparse: chance would put at least five rows of either side into each.

    With fewer the laws that critical values rest on do not hold (Cochran, Biometrics 10, 1954), and hundreds of
    categories of one row each would hide what the others show. Numbers' bins are put together with a neighbour; of
    categories the sparse ones become one, which stands last.
    """
    rows, others = sum(histograms.reference), sum(histograms.current)
    needed = _LEAST_EXPECTED * (rows + others) / min(rows, others)
    both = [count + other for count, other in zip(histograms.reference, histograms.current, strict=True)]
    if min(both) >= needed:
        return histograms
    groups = _neighbours(both, needed) if histograms.is_ordered else _alone_or_last(both, needed)
    places = [_place(histograms, group) for group in groups] if histograms.is_ordered else ()
    return Histograms(
        [sum(histograms.reference[i] for i in group) for group in groups],
        [sum(histograms.current[i] for i in group) for group in groups],
        places,
    )


def _neighbours(both: Sequence[int], needed: float) -> list[list[int]]:
    groups: list[list[int]] = []
    gathered: list[int] = []
    for index in range(len(both)):
        gathered.append(index)
        if sum(both[i] for i in gathered) >= needed:
            groups.append(gathered)
            gathered = []
    if gathered and groups:
        groups[-1] += gathered
    return groups or [gathered]


def _alone_or_last(both: Sequence[int], needed: float) -> list[list[int]]:
    dense = [index for index, rows in enumerate(both) if rows >= needed]
    sparse = [index for index, rows in enumerate(both) if rows < needed]
    while dense and sum(both[i] for i in sparse) < needed:
        smallest = min(dense, key=lambda index: (both[index], -index))
        dense.remove(smallest)
        sparse.append(smallest)
    return [*([index] for index in dense), sparse]


def _place(histograms: Histograms, group: Sequence[int]) -> float:
    """Where a group's rows are on average; in the middle of its bins where the reference has none."""
    rows = sum(histograms.reference[i] for i in group)
    first, last = histograms.places[group[0]], histograms.places[group[-1]]
    if not rows:
        return first / 2 + last / 2
    mean = sum(histograms.reference[i] / rows * histograms.places[i] for i in group)
    # Rounded, the mean of places next to each other could be the next group's.
    return min(max(mean, first), last)
