"""Tables at a model that knows tensors: columns as arrays with a row for each cell, and answers as columns again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def columns_of(frame: Any, names: Sequence[Any], shapes: Sequence[Sequence[int | None]]) -> dict[Any, Any]:
    """The named columns as arrays.

    Args:
        frame: Its cells hold numbers, texts or (nested) lists of them.
        names: Of the columns.
        shapes: What each array is wanted to be like: a column of plain values becomes [rows, 1] where two axes are wanted.
    """
    return {name: _column(frame[name], shape) for name, shape in zip(names, shapes, strict=True)}


def table_of(answer: Any, index: Any) -> Any:
    """Arrays as a table: one with a column for each of its columns, several with a column for each, wide ones as lists.

    Raises:
        ValueError: They have other rows than the index.
    """
    import pandas

    if not isinstance(answer, Mapping):
        is_flat = not isinstance(answer, np.ndarray) or answer.ndim <= 2
        return pandas.DataFrame(answer if is_flat else {0: _cells(answer)}, index=index)
    columns = {name: _cells(values) for name, values in answer.items()}
    return pandas.DataFrame(columns, index=index)


def _column(values: Any, shape: Sequence[int | None]) -> Any:
    cells = values.to_numpy()
    if cells.dtype == object and len(cells) and isinstance(cells[0], list | tuple | np.ndarray):
        return np.array([np.asarray(cell) for cell in cells])
    if cells.dtype == object and len(cells) and not isinstance(cells[0], str | bytes):
        cells = np.array(cells.tolist())
    return cells.reshape(-1, 1) if len(shape) == 2 and cells.ndim == 1 else cells


def _cells(values: Any) -> Any:
    """An array as a column: the values themselves where each row has one, else a list for each row."""
    values = np.asarray(values)
    if values.ndim > 1 and values[:1].size == 1:
        values = values.reshape(len(values))
    if values.ndim <= 1:
        return values
    cells = np.empty(len(values), object)
    cells[:] = values.tolist()
    return cells
