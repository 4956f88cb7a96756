"""Sums of floats that come out the same in whichever order and by however many processes they were added.

A float is a whole number of halvings of one, so that whole numbers can hold a sum of floats without rounding (Kulisch and
Miranker, The arithmetic of the digital computer, SIAM Review 28, 1986). Then what was added can be taken away again and
nothing of it is left, and variances do not suffer from cancellation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class ExactSum:
    """A sum, numerator / 2 ** halvings, in lowest terms: equal sums are equal values.

    Args:
        numerator: Odd, or 0.
        halvings: 0 or more.
    """

    numerator: int = 0
    halvings: int = 0

    @property
    def fraction(self) -> Fraction:
        return Fraction(self.numerator, 1 << self.halvings)


NOTHING = ExactSum()
T = TypeVar("T")


def halvings_of(value: float) -> tuple[int, int]:
    """A finite float as (numerator, halvings): it is numerator / 2 ** halvings."""
    numerator, denominator = value.as_integer_ratio()
    return numerator, denominator.bit_length() - 1


def total(terms: Iterable[tuple[int, int]]) -> ExactSum:
    """The sum of terms as `halvings_of` says them."""
    numerator, halvings = 0, 0
    for term, its in terms:
        if its > halvings:
            numerator <<= its - halvings
            halvings = its
        numerator += term << (halvings - its)
    # In lowest terms: trailing zeros go as far as there are halvings.
    spare = min(halvings, (numerator & -numerator).bit_length() - 1) if numerator else halvings
    return ExactSum(numerator >> spare, halvings - spare)


def merged(one: T, other: T, sign: int = 1) -> T:
    """Both counts added, or the other taken away.

    Args:
        one: A whole number, an `ExactSum`, a mapping to such (what it lacks is 0, and 0 is left out), or a tuple of these.
        other: Of the same form.
        sign: 1 adds, -1 takes away.
    """
    found: object
    match one, other:
        case int(), int():
            found = one + sign * other
        case ExactSum(), ExactSum():
            found = total([(one.numerator, one.halvings), (sign * other.numerator, other.halvings)])
        case tuple(), tuple():
            found = tuple(merged(mine, its, sign) for mine, its in zip(one, other, strict=True))
        case Mapping(), Mapping():
            cells = {key: one.get(key, 0) + sign * other.get(key, 0) for key in sorted({*one, *other})}
            found = {key: count for key, count in cells.items() if count}
        case _:
            raise TypeError(f"Counts are whole numbers, sums, mappings and tuples, not {type(one).__name__}.")
    return found  # type: ignore[return-value]


def is_negative(counts: object) -> bool:
    """Whether a whole number in counts of any form is below 0; an `ExactSum` may be."""
    match counts:
        case int():
            return counts < 0
        case tuple():
            return any(is_negative(each) for each in counts)
        case Mapping():
            return any(is_negative(each) for each in counts.values())
        case _:
            return False
