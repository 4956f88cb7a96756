"""Whether two answers to one request say the same, and how far their numbers are apart."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

_NOTHING = 1e-12
_TOO_LARGE = 1 << 1000  # beyond floats


@dataclass(frozen=True, slots=True)
class Agreement:
    """What came of setting two answers beside each other.

    Args:
        is_same: Labels, texts, whole numbers and shapes are equal; other numbers within the tolerance.
        distance: The largest difference of two numbers at the same place, relative to the larger one: 0 to 2. None where
            no numbers stand at the same place.
    """

    is_same: bool
    distance: float | None = None


def agree(one: Any, other: Any, tolerance: float) -> Agreement:
    """Compare two answers as JSON has them.

    A whole number may be a label, so that only the very same one is the same. NaN is the same as NaN.

    Args:
        one: Any JSON.
        other: Likewise.
        tolerance: The largest part of the larger number that two may differ by.
    """
    is_same, distance = True, None
    pending = [(one, other)]
    while pending:
        left, right = pending.pop()
        if isinstance(left, list) and isinstance(right, list):
            is_same &= len(left) == len(right)
            pending.extend(zip(left, right, strict=False))
        elif isinstance(left, dict) and isinstance(right, dict):
            is_same &= left.keys() == right.keys()
            pending.extend((value, right[name]) for name, value in left.items() if name in right)
        elif _is_number(left) and _is_number(right):
            apart = _apart(left, right)
            distance = apart if distance is None else max(distance, apart)
            is_exact = isinstance(left, int) and isinstance(right, int)
            is_same &= left == right if is_exact else apart <= tolerance
        else:
            is_same &= type(left) is type(right) and left == right
    return Agreement(is_same, distance)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < _TOO_LARGE)


def _apart(left: float, right: float) -> float:
    if left == right or (left != left and right != right):
        return 0.0
    if not (isfinite(left) and isfinite(right)):
        return 2.0  # as far apart as can be
    larger = max(abs(left), abs(right))
    return abs(left - right) / larger if larger > _NOTHING else 0.0
