"""scikit-learn's answers from the input plan's records, without what a call costs beside its arithmetic.

A call of `predict` on one row spends 100 us on finding out what it was given, 470 us where that is a data frame, and
milliseconds in a pipeline of columns. What comes by the input plan is known: finite numbers and text, in the
signature's order. A shortcut is only ever a claim: `worker/proofs/shortcut.py` runs it against the estimator's own
method on data frames and arrays, and uses it where no bit differs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from podium.flavors.claims import Batch, Claim, Inputs, NotTakenError
from podium.flavors.sklearn.finals import final_of
from podium.flavors.sklearn.own import answers_in_arrays, is_own
from podium.flavors.sklearn.stages import Numbers, Steps
from podium.flavors.sklearn.steps import KNOWN
from podium.flavors.sklearn.trees import Final

_SEARCHES = frozenset({"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"})


def claims_of(estimator: Any, method: str, inputs: Inputs) -> list[Claim]:
    """Ways that should answer as the estimator's method does, the likeliest first; one is enough.

    Empty where nothing is known that is cheaper: estimators of others, patched ones, those with a step that is not known,
    methods that do not answer row by row.
    """
    if not is_own(estimator, (method,)) or not answers_in_arrays():
        return []
    found = estimator
    if type(found).__name__ in _SEARCHES:
        found = found.best_estimator_
        if not is_own(found, (method,)):
            return []
    steps = Steps(inputs, KNOWN)
    try:
        matrix, final = _compiled(steps, found, method)
    except NotTakenError:
        return []
    if final is None or matrix.dtype.kind not in "fi":
        return []
    edges = _edges(steps, matrix, final)
    # Which of BLAS' kernels runs, and with it the last bit, depends on the matrix' order in memory.
    orders = ("C",) if final.is_layout_free else ("F", "C") if inputs.names is not None else ("C", "F")
    return [_claim(estimator, found, matrix, final, order, edges) for order in orders]


def prepared(estimator: Any, method: str, inputs: Inputs) -> tuple[Callable[[Batch], Any], int, Any] | None:
    """A pipeline's steps before the last one as an exact function, how many columns it makes, and the last step.

    None where a step is not known, or there are none.
    """
    if type(estimator).__name__ != "Pipeline" or not is_own(estimator, (method,)) or not answers_in_arrays():
        return None
    try:
        matrix, _ = _compiled(Steps(inputs, KNOWN), estimator, method)
    except NotTakenError:
        return None

    def rows_of(batch: Batch) -> Any:
        with np.errstate(over="raise", invalid="raise"):
            return matrix.run(batch)

    return rows_of, len(matrix.origins), estimator.steps[-1][1]


def _compiled(steps: Steps, estimator: Any, method: str) -> tuple[Numbers, Final | None]:
    """The matrix that the last estimator gets, and what that makes of it."""
    if type(estimator).__name__ != "Pipeline":
        matrix = steps.numbers(steps.start())
        return matrix, final_of(estimator, method, is_sparse=False)
    stage = steps.after(estimator[:-1], steps.start()) if len(estimator.steps) > 1 else steps.start()
    matrix, last = steps.numbers(stage), estimator.steps[-1][1]
    if type(last).__name__ == "Pipeline" or not is_own(last, (method,)):
        raise NotTakenError("the last step is not scikit-learn's own")
    return matrix, final_of(last, method, matrix.is_sparse)


def _claim(whole: Any, found: Any, matrix: Numbers, final: Final, order: Any, edges: dict[int, list[Any]]) -> Claim:
    is_pipeline = type(found).__name__ == "Pipeline"

    def rows_of(batch: Batch) -> Any:
        rows = np.asarray(matrix.run(batch), order=order)
        if is_pipeline and not np.isfinite(rows).all():
            raise NotTakenError("a step made a number that is not finite")
        return rows

    run, answer = matrix.run, final.call

    def call(batch: Batch) -> Any:
        if not is_pipeline:
            return answer(np.asarray(run(batch), order=order))
        # What overflows on the way is refused by the model, in its own words.
        with np.errstate(over="raise", invalid="raise"):
            rows = rows_of(batch)
        return answer(rows)

    inner = []
    if is_pipeline and len(found.steps) > 1:
        transform = found[:-1].transform
        # Numbers as these steps make them may hide that sums are added in another order: it is compared by itself.
        seen = _dense if final.is_layout_free else _in_memory
        inner.append(("transformed", lambda batch: seen(rows_of(batch)), lambda data: seen(transform(data))))
    if final.inner is not None:
        scores, name = final.inner
        inner.append((name, lambda batch: scores(rows_of(batch)), getattr(whole, name)))
    what = f"its steps in numpy, {final.what}" if is_pipeline else final.what
    return Claim(call, what, tuple(inner), edges)


def _dense(made: Any) -> Any:
    return made.toarray() if hasattr(made, "toarray") else made


def _in_memory(made: Any) -> Any:
    """A matrix with its numbers in the order in which they lie in memory."""
    dense = _dense(made)
    is_matrix = isinstance(dense, np.ndarray) and dense.ndim == 2
    return dense.ravel(order="K").reshape(dense.shape) if is_matrix else dense


def _edges(steps: Steps, matrix: Numbers, final: Final) -> dict[int, list[Any]]:
    """Thresholds of the last step, brought back to the inputs as near as rounding lets; categories."""
    edges: dict[int, list[Any]] = {position: list(known) for position, known in steps.categories.items()}
    for column, thresholds in final.thresholds.items():
        origin = matrix.origins[column] if column < len(matrix.origins) else None
        if origin is None or origin[1] == 0:
            continue
        position, factor, shift = origin
        single = np.asarray(thresholds, np.float64).astype(np.float32)
        beside = [np.nextafter(single, np.float32(end)) for end in (-np.inf, np.inf)]
        for values in (thresholds, single, *beside):
            raw = (np.asarray(values, np.float64) - shift) / factor
            edges.setdefault(position, []).extend(raw[np.isfinite(raw)].tolist())
    return edges
