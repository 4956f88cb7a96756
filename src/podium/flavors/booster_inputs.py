"""What tree boosters take: plain matrices in their own precision, and tables whose text is what they know as categories."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from podium.flavors.claims import Batch, Claim, Inputs

# Up to here float32 holds every whole number, so that it does not matter by which way one becomes a float.
_EXACT = 2**24


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


def matrix_claims(call: Callable[[Any], Any], what: str, inputs: Inputs) -> list[Claim]:
    """The claim that a function of one matrix answers a batch; none where an input is no number.

    Args:
        call: Takes a matrix in the type that all of the inputs have in common.
        what: For people: "its own trees on a matrix".
        inputs: What a batch has.
    """
    kinds = [each for each in inputs.dtypes if each is not None and each.kind in "fiub"]
    if len(kinds) < len(inputs.dtypes):
        return []
    common = np.result_type(*kinds)
    is_one_part = inputs.places == tuple((0, i) for i in range(len(kinds)))

    def joined(batch: Batch) -> Any:
        for part in batch.parts:
            _check_exact(part)
        if is_one_part:
            return np.asarray(batch.parts[0])
        rows = np.empty((batch.rows, len(kinds)), common)
        for i, (part, column) in enumerate(inputs.places):
            rows[:, i] = batch.parts[part][:, column]
        return rows

    return [Claim(lambda batch: call(joined(batch)), what)]


def as_float32(rows: Any) -> Any:
    """A matrix in float32, row after row.

    Raises:
        FloatingPointError: A number is too large for it.
    """
    with np.errstate(over="raise"):
        return rows.astype(np.float32, order="C")


def as_floats(rows: Any) -> Any:
    """A matrix row after row; float32 and float64 as they are, whole numbers as float64."""
    return np.ascontiguousarray(rows, rows.dtype if rows.dtype.kind == "f" else np.float64)


def _check_exact(rows: Any) -> None:
    """Raise ValueError for a whole number that float32 does not hold exactly: a library may go either way."""
    if rows.dtype.kind == "i" and rows.size and (rows.max() > _EXACT or rows.min() < -_EXACT):
        raise ValueError("a whole number beyond what float32 holds exactly")
