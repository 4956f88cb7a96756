"""What tree boosters take: plain matrices in their own precision, and tables whose text is what they know as categories."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Up to here float32 holds every whole number, so that it does not matter by which way one becomes a float.
_EXACT = 2**24


def is_frame(data: Any) -> bool:
    """Whether this is a pandas data frame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def text_positions(frame: Any) -> list[int]:
    """Positions of the columns that hold text: what JSON makes of a category."""
    return [i for i, dtype in enumerate(frame.dtypes) if dtype.kind == "O" and not hasattr(dtype, "categories")]


def with_categories(frame: Any, known: Mapping[int, Sequence[Any] | None]) -> Any:
    """The frame with columns turned into categories; the one given stays as it is.

    Args:
        frame: A data frame.
        known: The categories of each, by position, of which others become missing ones; None for those that it holds.
    """
    import pandas

    changed = frame.copy(deep=False)
    for position, categories in known.items():
        # By position: two columns may have one name.
        values = frame.iloc[:, position]
        if categories is None:
            changed.isetitem(position, values.astype("category"))
        else:
            codes: Any = pandas.Index(categories).get_indexer(values)
            known_ones: Any = list(categories)
            changed.isetitem(position, pandas.Categorical.from_codes(codes, known_ones))
    return changed


def has_categories(frame: Any) -> bool:
    """Whether a column is of categories already."""
    return any(hasattr(dtype, "categories") for dtype in frame.dtypes)


def as_float32(rows: Any) -> Any:
    """A matrix in float32, row after row.

    Raises:
        FloatingPointError: A number is too large for it.
        ValueError: A whole number is too large for it to hold exactly.
    """
    _check_exact(rows)
    with np.errstate(over="raise"):
        return rows.astype(np.float32, order="C")


def as_floats(rows: Any) -> Any:
    """A matrix row after row; float32 and float64 as they are, whole numbers as float64.

    Raises:
        ValueError: A whole number is too large for float32 to hold exactly.
    """
    _check_exact(rows)
    return np.ascontiguousarray(rows, rows.dtype if rows.dtype.kind == "f" else np.float64)


def _check_exact(rows: Any) -> None:
    if rows.dtype.kind == "i" and rows.size and (rows.max() > _EXACT or rows.min() < -_EXACT):
        raise ValueError("a whole number beyond what float32 holds exactly")
