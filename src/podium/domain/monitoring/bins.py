"""Where a column's values fall: bins that a reference was cut into once, and that every later value is counted in.

Numbers: half-open bins [edge, next edge), the outer ones open, edges at the reference's quantiles. Whatever is monotone
leaves the counts as they are, and one value far out moves one count by one. A value that alone has a twentieth of the
rows is an *atom*: a bin of its own on the same line, so that nine zeros in ten do not put all the rest into one bin.
Twenty are stored, for pictures; ten are decided on (`decided`), as fewer bins see a shift with fewer rows.

Categories: one bin for each value that is named; all others are counted in one place beside them.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, nextafter
from sys import float_info

STORED = 20
DECIDED = 10

# Below this, processors may take a number for zero (a library built with -ffast-math has them do so in a whole thread).
_SMALLEST = float_info.min

# Whole numbers beyond this are not all doubles, so that two categories could be one.
_MOST_WHOLE = 2**53


@dataclass(frozen=True, slots=True)
class NumberBins:
    """Bins on the line of numbers.

    Attributes:
        edges: Inner edges between bins, ascending, finite.
        atoms: Values with a bin of their own, ascending, finite.
        low: The smallest value of the reference; None where it had none. Smaller ones count as `below` too.
        high: The largest value of the reference; greater ones count as `above` too.
    """

    edges: tuple[float, ...] = ()
    atoms: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def cuts(self) -> tuple[float, ...]:
        """All that separates two bins, ascending: an atom begins at itself and ends with the next number that there is."""
        inside = [(atom, after(atom)) for atom in self.atoms]
        kept = {edge for edge in self.edges if not any(start < edge < end for start, end in inside)}
        return tuple(sorted(kept.union(*inside)))

    def __len__(self) -> int:
        return len(self.cuts) + 1

    def index(self, value: float) -> int:
        """The bin of one finite number; arrays are counted by `counting.py`, by the same law."""
        return bisect_right(self.cuts, value)

    def spans(self) -> tuple[tuple[float, float], ...]:
        """Where each bin begins and ends, for whoever needs its place.

        The outer ones begin and end at the reference's smallest and largest value, an atom where it is.
        """
        cuts = self.cuts
        first = self.low if self.low is not None else (cuts[0] if cuts else 0.0)
        last = self.high if self.high is not None else (cuts[-1] if cuts else 0.0)
        starts = (min(first, *cuts) if cuts else first, *cuts)
        ends = (*cuts, max(last, *cuts) if cuts else last)
        return tuple(
            (start, start) if start in self.atoms else (start, end) for start, end in zip(starts, ends, strict=True)
        )


class Of(StrEnum):
    """What a category column's values are: how its names are read back."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class CategoryBins:
    """One bin for each category that is named.

    Attributes:
        names: In the order of their bins. Whole numbers in digits, truth values as `true` and `false`.
        of: What the values are.
        is_hashed: The names are keyed hashes (`category_hash`) of what they stand for.
    """

    names: tuple[str, ...]
    of: Of = Of.TEXT
    is_hashed: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def numbers(self) -> tuple[float, ...]:
        """The values that stand behind the names of numbers.

        Raises:
            ValueError: A name is no such number.
        """
        if self.of is Of.BOOLEAN:
            return tuple(float(_TRUTH.index(name)) for name in self.names)
        return tuple(float(int(name)) for name in self.names)


_TRUTH = ("false", "true")


def after(value: float) -> float:
    """Where the bin of an atom ends. What processors may take for zero belongs to zero."""
    return _SMALLEST if 0 <= value < _SMALLEST else nextafter(value, inf)


def can_be_atom(value: float) -> bool:
    """Zero, or a number that no processor takes for zero."""
    return value == 0 or abs(value) >= _SMALLEST


def category_name(value: float, of: Of) -> str | None:
    """The name of a number's category; None where it is no whole number, or none of the two truth values."""
    if not -_MOST_WHOLE <= value <= _MOST_WHOLE or value != int(value):
        return None
    if of is Of.BOOLEAN:
        return _TRUTH[int(value)] if value in (0, 1) else None
    return str(int(value))


def decided(bins: NumberBins, reference: Sequence[int], wanted: int = DECIDED) -> tuple[int, ...]:
    """Which stored bins are taken together to decide on: the first of each group, ascending, beginning with 0.

    Atoms of a tenth of the rows or more stay alone. What lies between two of them gets as many groups as it has tenths of
    the reference's other rows, at least one, cut where the reference's counts come nearest to equal groups. Without atoms
    and ties those are pairs. A bin that alone has a group's rows stays alone too, as bins of equal width may.

    Args:
        bins: The stored bins.
        reference: The reference's count of each.
        wanted: Groups for all that is no such atom; an atom stays alone with this part of the rows.
    """
    cuts, known = bins.cuts, sum(reference)
    atoms = {place for place in (bisect_right(cuts, atom) for atom in bins.atoms) if reference[place] * wanted >= known}
    runs: list[list[int]] = [[]]
    for index in range(len(reference)):
        if index in atoms:
            runs.append([])
        else:
            runs[-1].append(index)
    rest = sum(reference[index] for run in runs for index in run)
    starts = set(atoms)
    for run in runs:
        if run:
            starts.update(_starts(run, reference, wanted, rest))
    return tuple(sorted(starts))


def _starts(run: list[int], reference: Sequence[int], wanted: int, rest: int) -> set[int]:
    """The first bins of the groups of one run."""
    rows = sum(reference[index] for index in run)
    groups = max(1, round(wanted * rows / rest)) if rest else 1
    before = [0]
    for index in run[:-1]:
        before.append(before[-1] + reference[index])
    starts = {run[0]}
    for place, index in enumerate(run):
        if groups > 1 and reference[index] * groups >= rows:
            starts.update(run[place : place + 2])
    for group in range(1, groups):
        aim = group * rows / groups
        starts.add(run[min(range(len(run)), key=lambda place: abs(before[place] - aim))])
    return starts


def grouped(counts: Sequence[int], starts: Sequence[int]) -> tuple[int, ...]:
    """The counts of the groups that `decided` named."""
    ends = (*starts[1:], len(counts))
    return tuple(sum(counts[start:end]) for start, end in zip(starts, ends, strict=True))
