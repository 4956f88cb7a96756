"""Whether two answers are the same: labels equal, floats within a tolerance of their precision.

    |a - b| <= 1e-12 * max(1, |b|) in float64 and wider, 1e-5 in float32 and float16, and in complex numbers made of them

The float64 bound is wide of what BLAS does (gemv for one row, gemm for several: up to 1e-15 absolute) and far below what
a function that mixes rows does.
"""

import math
from typing import Any

import numpy as np

from podium.domain.frames import is_table

_WIDE, _NARROW = 1e-12, 1e-5


def difference(left: Any, right: Any) -> str | None:
    """None where both say the same, or what differs, for people. NaN equals NaN, None equals None.

    Text arrays of different width are compared by content; every other difference of dtype counts.
    """
    if is_table(left) or is_table(right):
        return _frames(left, right)
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return _arrays(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        if list(left) != list(right):
            return "other names"
        return next((found for name in left if (found := difference(left[name], right[name]))), None)
    if isinstance(left, list | tuple) and type(left) is type(right):
        if len(left) != len(right):
            return f"{len(left)} values and {len(right)}"
        return next((found for a, b in zip(left, right, strict=True) if (found := difference(a, b))), None)
    return _scalars(left, right)


def _scalars(left: Any, right: Any) -> str | None:
    if type(left) is not type(right):
        return f"a {type(left).__name__} and a {type(right).__name__}"
    if isinstance(left, np.generic):
        return _arrays(np.asarray(left), np.asarray(right))
    if isinstance(left, float):
        is_same = left == right or (math.isnan(left) and math.isnan(right))
        if is_same or (math.isfinite(right) and abs(left - right) <= _WIDE * max(1.0, abs(right))):
            return None
        return f"{left!r} and {right!r}"
    if left is right or left == right:
        return None
    # NaT and NA are not equal to themselves, and are the same answer all the same.
    return None if str(left) == str(right) else f"two different {type(left).__name__}s"


def _arrays(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> str | None:
    if left.shape != right.shape:
        return f"shapes {left.shape} and {right.shape}"
    if left.dtype != right.dtype and not left.dtype.kind == right.dtype.kind in {"U", "S"}:
        return f"dtypes {left.dtype} and {right.dtype}"
    if left.dtype.kind == "O":
        pairs = zip(left.ravel().tolist(), right.ravel().tolist(), strict=True)
        return next((found for a, b in pairs if (found := difference(a, b))), None)
    if left.dtype.kind not in {"f", "c"}:
        is_equal = (left == right) | (_is_nat(left) & _is_nat(right))
        return None if bool(np.all(is_equal)) else "different values"
    tolerance = _WIDE if np.finfo(left.dtype).bits >= 64 else _NARROW
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(left - right)
        # An infinite value has an infinite tolerance: it is equal or it is not.
        close = same | (np.isfinite(right) & (gap <= tolerance * np.maximum(1.0, np.abs(right))))
    if bool(np.all(close)):
        return None
    return f"values that are {float(np.max(gap[~close])):.3g} apart"


def _is_nat(values: np.ndarray[Any, Any]) -> Any:
    return np.isnat(values) if values.dtype.kind in {"M", "m"} else np.zeros(values.shape, bool)


def _frames(left: Any, right: Any) -> str | None:
    if type(left) is not type(right):
        return f"a {type(left).__name__} and a {type(right).__name__}"
    if left.ndim == 1:
        return f"dtypes {left.dtype} and {right.dtype}" if left.dtype != right.dtype else _columns(left, right)
    if list(left.columns) != list(right.columns):
        return "other columns"
    if list(left.dtypes) != list(right.dtypes):
        return "columns of other dtypes"
    pairs = ((left.iloc[:, i], right.iloc[:, i]) for i in range(left.shape[1]))
    return next((found for a, b in pairs if (found := _columns(a, b))), None)


def _columns(left: Any, right: Any) -> str | None:
    a, b = left.to_numpy(), right.to_numpy()
    return _arrays(a, b)
