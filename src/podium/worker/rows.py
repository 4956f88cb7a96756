"""Rows of a request: counted, compared, put together for one call, and the answer cut back into each request's own.

Everything here works on enforced data: an array, a dict of arrays, a DataFrame, a list. pandas is used only where the
data is pandas' own, so that nothing is imported here.
"""

import copy
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from podium.domain.frames import is_table
from podium.errors import PodiumError

_FAST_FLOATS = "fc"
_ELEMENTS_LOOKED_AT = 256


class RowsDiffer(PodiumError):
    """The model gave back another number of rows than it was given: its answer cannot be shared out."""

    code = "ROWS_DIFFER"


def count_rows(data: Any) -> int | None:
    """Rows along axis 0; None where the data is not made of rows."""
    if isinstance(data, np.ndarray):
        return int(data.shape[0]) if data.ndim else None
    if isinstance(data, list) or is_table(data):
        return len(data)
    if isinstance(data, dict) and data:
        counts = {value.shape[0] if isinstance(value, np.ndarray) and value.ndim else None for value in data.values()}
        return counts.pop() if len(counts) == 1 else None
    return None


def merge_key(data: Any, params: Mapping[str, Any] | None) -> Hashable | None:
    """Equal keys: the two requests may share one call, for together they look to the model as each does alone.

    That is: the same kind, columns or names, dtypes, sizes of all axes but the first, columns with nulls, and params.
    None where the data must not be merged at all (no rows, an index of its own, kinds nobody here knows).

    Args:
        data: Enforced input.
        params: Enforced params.
    """
    shape = _shape(data)
    return None if shape is None else (shape, _params_key(params))


def merge(parts: Sequence[Any]) -> Any:
    """One input with the rows of all parts, in order; the parts have equal `merge_key`s.

    What the model does to it is not done to the parts: they are run again where the batch fails.

    Raises:
        RowsDiffer: Put together they would look different from each alone (a dtype changed).
    """
    first = parts[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in first}
    if isinstance(first, list):
        return [copy.deepcopy(row) for part in parts for row in part]
    merged = sys.modules["pandas"].concat(parts, ignore_index=True)
    if _dtypes(merged) != _dtypes(first):
        raise RowsDiffer("pandas gave the merged table other dtypes than the parts have")
    return merged


def take(data: Any, positions: Sequence[int]) -> Any:
    """The rows at these positions, in this order."""
    if isinstance(data, np.ndarray):
        return data[list(positions)]
    if isinstance(data, dict):
        return {name: value[list(positions)] for name, value in data.items()}
    if isinstance(data, list):
        return [data[position] for position in positions]
    return data.iloc[list(positions)].reset_index(drop=True)


def split(output: Any, sizes: Sequence[int]) -> list[Any]:
    """Cut a prediction into consecutive parts of these many rows.

    Raises:
        RowsDiffer: The prediction does not have exactly that many rows, or is of a kind that has no rows. It is never cut
            on a guess.
    """
    total = sum(sizes)
    if isinstance(output, dict) and output:
        columns = {name: split(value, sizes) for name, value in output.items()}
        return [{name: parts[i] for name, parts in columns.items()} for i in range(len(sizes))]
    has_rows = isinstance(output, list) or is_table(output) or (isinstance(output, np.ndarray) and output.ndim > 0)
    if not has_rows:
        raise RowsDiffer(f"the model answered {total} rows with one {type(output).__name__}, which has no rows")
    if len(output) != total:
        raise RowsDiffer(f"the model answered {total} rows with {len(output)}")
    cut = _cut_frame if is_table(output) else _cut
    parts, start = [], 0
    for size in sizes:
        parts.append(cut(output, start, start + size))
        start += size
    return parts


def _cut(output: Any, start: int, stop: int) -> Any:
    return output[start:stop]


def _cut_frame(output: Any, start: int, stop: int) -> Any:
    pandas = sys.modules["pandas"]
    if not isinstance(output.index, pandas.RangeIndex) or output.index.start or output.index.step != 1:
        raise RowsDiffer("the model's answer has an index of its own, which cannot be shared out")
    part = output.iloc[start:stop]
    part.index = pandas.RangeIndex(stop - start)
    return part


def _shape(data: Any) -> Hashable | None:
    if isinstance(data, np.ndarray):
        return None if data.ndim == 0 else _array_shape(data)
    if isinstance(data, dict):
        if not data or not all(isinstance(value, np.ndarray) and value.ndim for value in data.values()):
            return None
        return ("dict", tuple((name, _array_shape(value)) for name, value in data.items()))
    if isinstance(data, list):
        return ("list", frozenset(_element_shape(element, 4) for element in data)) if data else None
    if is_table(data):
        return _frame_shape(data)
    return None


def _array_shape(data: np.ndarray[Any, Any]) -> Hashable:
    """Dtype, sizes of the other axes, and which columns hold nulls (for objects: which types of values)."""
    dtype = data.dtype
    nulls: Hashable = None
    if dtype.kind in _FAST_FLOATS:
        # A sum of squares is NaN exactly when a value is; for a row that is a fifth of the price of isnan().any().
        if np.isnan(np.vdot(data, data)):
            nulls = np.isnan(data).any(axis=0).tobytes()
    elif dtype.kind == "O":
        nulls = frozenset(_element_shape(value, 2) for value in data.ravel()[:_ELEMENTS_LOOKED_AT])
    return ("array", dtype.str, data.shape[1:], nulls)


def _frame_shape(data: Any) -> Hashable | None:
    pandas = sys.modules["pandas"]
    index = data.index
    if not isinstance(data, pandas.DataFrame) or not isinstance(index, pandas.RangeIndex) or index.start or index.step != 1:
        return None
    missing = pandas.isna(data.to_numpy())
    nulls = missing.any(axis=0).tobytes() if missing.any() else None
    columns = data.columns
    if columns.nlevels != 1:
        return None
    return ("frame", tuple(columns), _dtypes(data), nulls)


def _dtypes(frame: Any) -> tuple[Any, ...]:
    # `DataFrame.dtypes` builds a Series (20 us); pandas' own block manager just knows them (0.5 us).
    get_dtypes = getattr(getattr(frame, "_mgr", None), "get_dtypes", None)
    return tuple(frame.dtypes if get_dtypes is None else get_dtypes())


def _element_shape(value: Any, depth: int) -> Hashable:
    if isinstance(value, dict):
        if depth == 0:
            return "dict"
        return ("dict", tuple((str(key), _element_shape(item, depth - 1)) for key, item in value.items()))
    if isinstance(value, np.ndarray):
        return _array_shape(value) if depth else "array"
    if isinstance(value, float) and value != value:  # NaN
        return "NaN"
    return type(value).__qualname__


def _params_key(params: Mapping[str, Any] | None) -> Hashable:
    if not params:
        return None
    return tuple((name, _value_key(value)) for name, value in sorted(params.items()))


def _value_key(value: Any) -> Hashable:
    # The type is part of it: 1, 1.0 and True are equal to Python, not to a model.
    name = type(value).__qualname__
    if isinstance(value, np.ndarray):
        content: Hashable = repr(value.tolist()) if value.dtype.kind == "O" else value.tobytes()
        return (name, value.dtype.str, value.shape, content)
    return (name, repr(value))
