"""The cheaper way of answering, proven at load: the bits of the model's own method, on the example and on made-up rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.domain.conversions import NUMPY_TYPES
from podium.domain.input_plan import InputPlan
from podium.domain.signature import DataType
from podium.flavors.contract import HasShortcut
from podium.models.assemble import Assembler
from podium.models.predictor import Predictor
from podium.worker.log import log_event, traceback_of

_SIZES = (1, 2, 7, 64)
_SCALES = (1.0, 100.0, 1e-3)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A proven shortcut.

    Args:
        call: Takes the matrix that `matrix` makes.
        dtype: Of the matrix.
        is_frame: The model is declared to take a frame: its columns lie one after another in memory.
        width: Columns.
        what: For people.
    """

    call: Callable[[Any], Any]
    dtype: "np.dtype[Any]"
    is_frame: bool
    width: int
    what: str

    def matrix(self, rows: int, block: bytes | memoryview) -> Any:
        """The records of a batch as the matrix that scikit-learn would make of the data frame or array."""
        records = np.frombuffer(block, self.dtype.newbyteorder("<")).reshape(rows, self.width)
        if self.is_frame:
            return np.array(records.T, self.dtype, order="C").T
        return np.array(records, self.dtype)


def find_shortcut(predictor: Predictor, plan: InputPlan, assembler: Assembler, example: Any) -> Shortcut | None:
    """The model's shortcut, if it has one for this plan and no bit of any answer differs.

    Args:
        predictor: The model.
        plan: Only columns of one type, or one tensor of vectors, are a matrix.
        assembler: Makes of records what the model's own method is given.
        example: The enforced input example, or None: what rows look like.
    """
    loaded = predictor.loaded
    form = _matrix_form(plan)
    if form is None or not isinstance(loaded, HasShortcut):
        return None
    dtype, width = form
    try:
        claim = loaded.shortcut()
        if claim is None:
            return None
        shortcut = Shortcut(claim[0], dtype, plan.kind == "columns", width, claim[1])
        blocks = [rows.astype(dtype.newbyteorder("<")) for rows in _rows(width, dtype, example)]
        is_proven = all(_is_equal(predictor, assembler, shortcut, block[:size]) for block in blocks for size in _SIZES)
    except BaseException as error:  # noqa: BLE001 - the model's own code runs here; it answers by itself then
        log_event("shortcut_unproven", error=type(error).__name__, traceback=traceback_of(error))
        return None
    if not is_proven:
        log_event("shortcut_refuted", what=claim[1])
        return None
    return shortcut


def _matrix_form(plan: InputPlan) -> tuple["np.dtype[Any]", int] | None:
    """Type and width of the matrix that a plan's rows make; None where they make none of numbers."""
    first = plan.fields[0]
    if plan.kind == "columns":
        dtype, width = NUMPY_TYPES[DataType(first.type)], len(plan.fields)
        is_matrix = all(field.type == first.type for field in plan.fields)
    else:
        dtype, width = np.dtype(first.type), first.size
        is_matrix = plan.kind == "tensor" and len(first.shape) == 1
    return (dtype, width) if is_matrix and dtype.kind in "fi" else None


def _is_equal(predictor: Predictor, assembler: Assembler, shortcut: Shortcut, rows: Any) -> bool:
    block = rows.tobytes()
    expected = predictor.call(assembler.assemble(len(rows), block, []), predictor.default_params())
    found = shortcut.call(shortcut.matrix(len(rows), block))
    if not isinstance(expected, np.ndarray) or type(expected) is not type(found):
        return False
    is_alike = expected.dtype == found.dtype and expected.shape == found.shape
    # Objects (labels of text) have no bytes of their own to compare.
    return is_alike and (
        expected.tolist() == found.tolist() if expected.dtype.hasobject else expected.tobytes() == found.tobytes()
    )


def _rows(width: int, dtype: "np.dtype[Any]", example: Any) -> list[Any]:
    """Rows like the example's, where there is one, and rows at large; a table for each."""
    rng = np.random.default_rng(7)
    middle, spread = np.zeros(width), np.ones(width)
    known = None if example is None else np.asarray(example, dtype=np.float64)
    if known is not None and (known.ndim != 2 or known.shape[1] != width or not len(known) or not np.isfinite(known).all()):
        known = None
    if known is not None:
        middle = known.mean(axis=0)
        spread = np.maximum(known.std(axis=0), np.abs(middle) * 0.1 + 1e-3)
    most = 2.0**30 if dtype.kind == "i" else 1e30
    shape = (max(_SIZES), width)
    tables = [np.clip(middle + scale * spread * rng.standard_normal(shape), -most, most) for scale in _SCALES]
    return tables if known is None else [*tables, known]
