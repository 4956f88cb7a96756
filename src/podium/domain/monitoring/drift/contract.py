"""What a drift method is: how far apart the reference and the rows of now are, from counts in the same bins.

A method sees counts and never a row, so that whoever counted (workers, gateways, nodes) need only add. Its score is an
effect: it says how far values moved, and not how sure one may be that they did, which depends on the number of rows and is
the business of `guard`. The laws stand in `conformance.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from podium.errors import InvalidInput


class UnlikeBins(InvalidInput):
    """Two histograms cannot be compared.

    Attributes:
        reference_bins, current_bins: How many bins each has.
    """

    def __init__(self, message: str, reference_bins: int, current_bins: int) -> None:
        super().__init__(message)
        self.reference_bins, self.current_bins = reference_bins, current_bins


@dataclass(frozen=True, slots=True)
class Histograms:
    """Counts of the reference and of now, bin by bin the same.

    Args:
        reference, current: How many rows fell into each bin; at least one row on each side.
        places: Where each bin stands, rising: the value that half of its reference rows are below. Empty for categories,
            whose bins have no order.

    Raises:
        UnlikeBins: The lengths differ, one side has no row, a count is below nothing, or places do not rise.
    """

    reference: Sequence[int]
    current: Sequence[int]
    places: Sequence[float] = ()

    def __post_init__(self) -> None:
        def refuse(problem: str) -> None:
            raise UnlikeBins(f"two histograms cannot be compared: {problem}", len(self.reference), len(self.current))

        if len(self.reference) != len(self.current):
            refuse(f"the reference has {len(self.reference)} bins, the current one {len(self.current)}")
        if self.places and len(self.places) != len(self.reference):
            refuse(f"there are {len(self.reference)} bins and places of {len(self.places)}")
        if any(count < 0 for counts in (self.reference, self.current) for count in counts):
            refuse("a bin has fewer than 0 rows")
        if not any(self.reference) or not any(self.current):
            refuse("one of them has no row; ask only where there is at least one on each side")
        if any(not before < after for before, after in zip(self.places, self.places[1:], strict=False)):
            refuse("the places of the bins do not rise")

    @property
    def is_ordered(self) -> bool:
        """Whether the bins are of numbers; those of categories have no order."""
        return bool(self.places)

    def used(self) -> "Histograms":
        """Without the bins in which neither side has a row: they say nothing, and would count as degrees of freedom."""
        kept = [i for i, pair in enumerate(zip(self.reference, self.current, strict=True)) if any(pair)]
        if len(kept) == len(self.reference):
            return self
        return Histograms(
            [self.reference[i] for i in kept],
            [self.current[i] for i in kept],
            [self.places[i] for i in kept] if self.places else (),
        )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which score on a column is to be looked at, and from which on somebody is told.

    Args:
        warn, alert: 0 < warn <= alert.

    Raises:
        ValueError: They are not.
    """

    warn: float
    alert: float

    def __post_init__(self) -> None:
        if not 0 < self.warn <= self.alert:
            raise ValueError(f"thresholds are 0 < warn <= alert, got warn={self.warn}, alert={self.alert}")


class DriftMethod(Protocol):
    """A way to say how far apart two histograms are. Instances hold no state."""

    name: str
    """What people choose it by: `psi`."""

    source: str
    """The paper or documentation that it follows, with its year."""

    needs_order: bool
    """Whether it is for numbers only: it reads `Histograms.places`."""

    thresholds: Thresholds
    """What holds where nobody chose others."""

    def score(self, histograms: Histograms) -> float:
        """How far apart they are: a finite number from 0, which it is for the same shares.

        It is no larger for more rows of the same shares.
        """

    def p_value(self, histograms: Histograms) -> float | None:
        """The chance that rows of one distribution are as far apart, by the method's own law.

        Returns: None where the method has no law of its own: then the critical value of PSI guards it.
        """
