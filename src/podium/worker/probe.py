"""Does this model answer row by row? Asked of the model itself, on the rows of its input example, when it is loaded.

The rows are scored together, permuted and one at a time; a row-wise model gives each row the same answer each time
(tolerances in `compare.py`). The probe can refute, not prove: it only ever vetoes what the flavor's own list or the author
of the model said. Rows that are missing are made from those that are there, with other numbers, because a function that
subtracts the mean looks row-wise on equal rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.domain.frames import is_table
from podium.errors import PodiumError
from podium.models.predictor import Predictor
from podium.worker.compare import difference
from podium.worker.rows import RowsDiffer, count_rows, merge, merge_key, split, take

_WANTED, _MOST = 3, 8


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probe found.

    Args:
        is_row_wise: False vetoes batching; None where the probe could not look, which `reason` explains.
        reason: For people; completes the sentence "batching ...".
    """

    is_row_wise: bool | None
    reason: str


def probe(predictor: Predictor, data: Any, params: Mapping[str, Any] | None, origin: str = "the input example") -> Probed:
    """Compare the answers for rows together, permuted and singly; at most `2 + 8` calls and one more to name the fault.

    Args:
        predictor: A loaded model.
        data: The enforced input example; it has been scored before without an error.
        params: The enforced params of the example.
        origin: What the rows are of, for people.
    """
    present = count_rows(data)
    if present is None:
        return Probed(False, "the input example is not made of rows")
    if present == 0:
        return Probed(None, "the input example has no row to probe with")
    if merge_key(data, params) is None:
        return Probed(False, "inputs such as the example cannot be merged (an index of their own, or an unknown kind)")
    for rows, note in _candidates(data, present, origin):
        try:
            return _compare(predictor, rows, params, note)
        except PodiumError as error:
            failure = error
    return Probed(None, f"the rows of the input example failed when probed: {type(failure.__cause__ or failure).__name__}")


def more_rows(data: Any, wanted: int) -> Any:
    """The rows of `data` and rows made from its last one by moving every number a little, `wanted` in all.

    Text, truth values and objects stay as they are: an unknown word may be an error where another number is none.
    """
    present = count_rows(data) or 0
    parts = [data] + [_moved(take(data, [present - 1]), step) for step in range(1, wanted - present + 1)]
    return merge(parts)


def _candidates(data: Any, present: int, origin: str) -> list[tuple[Any, str]]:
    first = take(data, range(min(present, _MOST)))
    if present >= _WANTED:
        return [(first, f"{min(present, _MOST)} rows of {origin}")]
    missing = [present - 1] * (_WANTED - present)
    copies = (take(data, [*range(present), *missing]), "copies of the input example's row, which says little")
    try:
        made = more_rows(data, _WANTED)
    except (PodiumError, ArithmeticError, TypeError, ValueError):
        return [copies]
    note = f"{_WANTED} rows made from the input example"
    return [(made, note), copies]


def _compare(predictor: Predictor, rows: Any, params: Mapping[str, Any] | None, note: str) -> Probed:
    count = count_rows(rows) or 0
    ones = [1] * count
    order = [*range(1, count), 0]
    whole = predictor.call(rows, params)
    try:
        together = split(whole, ones)
        permuted = split(predictor.call(take(rows, order), params), ones)
        singly = [split(predictor.call(take(rows, [i]), params), [1])[0] for i in range(count)]
    except RowsDiffer as error:
        return Probed(False, f"not row by row: {error.message}")
    for i in range(count):
        found = difference(permuted[order.index(i)], together[i])
        if found:
            return Probed(False, _named(predictor, rows, params, whole, f"in another order a row got {found}"))
        found = difference(singly[i], together[i])
        if found:
            return Probed(False, _named(predictor, rows, params, whole, f"alone and among others a row got {found}"))
    return Probed(True, f"{note} got the same answers singly, together and permuted")


def _named(predictor: Predictor, rows: Any, params: Mapping[str, Any] | None, before: Any, fault: str) -> str:
    again = difference(predictor.call(rows, params), before)
    if again:
        return f"not the same answer twice: the same rows got {again}"
    return f"not row by row: {fault}"


def _moved(row: Any, step: int) -> Any:
    if isinstance(row, np.ndarray):
        return _moved_array(row, step)
    if isinstance(row, dict):
        return {name: _moved_array(value, step) for name, value in row.items()}
    if is_table(row):
        moved = row.copy()
        for position, dtype in enumerate(row.dtypes):
            # Dtypes of pandas' own (categories, dates, nullable) stay: which other values they take nobody knows here.
            if isinstance(dtype, np.dtype) and dtype.kind in "fiu":
                values = _moved_array(row.iloc[:, position].to_numpy(), step)
                moved.isetitem(position, values)
        return moved
    return [_moved_value(value, step) for value in row]


def _moved_value(value: Any, step: int) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value + step
    if isinstance(value, float):
        return value * (1.0 + 0.1 * step) + 0.01 * step
    if isinstance(value, list):
        return [_moved_value(item, step) for item in value]
    if isinstance(value, dict):
        return {name: _moved_value(item, step) for name, item in value.items()}
    return _moved_array(value, step) if isinstance(value, np.ndarray) else value


def _moved_array(values: np.ndarray[Any, Any], step: int) -> np.ndarray[Any, Any]:
    kind = values.dtype.kind
    moved: np.ndarray[Any, Any]
    if kind in "fc":
        moved = (values * (1.0 + 0.1 * step) + 0.01 * step).astype(values.dtype)
        return moved
    if kind in "iu":
        limit = np.iinfo(values.dtype).max
        moved = np.where(values <= limit - step, values + values.dtype.type(step), values - values.dtype.type(step))
        return moved
    if kind == "O":
        moved = np.empty_like(values)
        moved.ravel()[:] = [_moved_value(value, step) for value in values.ravel()]
        return moved
    return values
