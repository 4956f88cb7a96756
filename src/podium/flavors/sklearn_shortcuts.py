"""scikit-learn's answers from a plain matrix, without what a call costs beside its arithmetic.

A call of `predict` on one row spends 100 us on finding out what it was given, and 470 us where that is a data frame. What
comes by the input plan is known to be a finite matrix of numbers in the columns' order. A shortcut is only ever a claim:
`worker/shortcut.py` runs it against the estimator's own method on data frames and arrays, and uses it where no bit differs.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from podium.flavors.sklearn_forests import sums_of
from podium.flavors.sklearn_rows import is_known_row_by_row, replaced_methods

Shortcut = Callable[[Any], Any]


def shortcut_of(estimator: Any, method: str) -> tuple[Shortcut, str] | None:
    """A function of a finite 2-D array of numbers that should answer as the method does, and a word for what it is.

    None where nothing is known that is cheaper: estimators of others, those made of others (a pipeline may look at its
    columns by name), those with methods of the user's, methods that do not answer row by row.
    """
    kind = type(estimator)
    if kind.__module__.partition(".")[0] != "sklearn" or not hasattr(estimator, method) or replaced_methods(estimator):
        return None
    linear = _linear(estimator, method)
    if linear is not None:
        return linear, "its own arithmetic"
    sums = sums_of(estimator, method)
    if sums is not None:
        return _forest(sums), "its own trees"
    nameless = _without_names(estimator)
    return None if nameless is None else (getattr(nameless, method), "its own method on a matrix")


def _linear(estimator: Any, method: str) -> Shortcut | None:
    """`predict` of linear models that inherit it: the same products in the same order and layout."""
    from sklearn.linear_model import _base

    kind = type(estimator)
    coef, intercept = getattr(estimator, "coef_", None), getattr(estimator, "intercept_", None)
    if method != "predict" or not isinstance(coef, np.ndarray) or intercept is None:
        return None
    weights = coef.T if coef.ndim == 2 else coef
    regressors = [_base.LinearModel, getattr(_base, "MultiOutputLinearModel", _base.LinearModel)]
    if kind.predict in [base.predict for base in regressors]:
        return lambda rows: rows @ weights + intercept
    mixin = _base.LinearClassifierMixin
    if kind.predict is not mixin.predict or kind.decision_function is not mixin.decision_function:
        return None
    classes = estimator.classes_

    def predict(rows: Any) -> Any:
        scores = rows @ weights + intercept
        if scores.ndim > 1 and scores.shape[1] > 1:
            return classes.take(scores.argmax(axis=1), axis=0)
        return classes.take((scores.reshape(-1) > 0).astype(np.intp), axis=0)

    return predict


def _forest(sums: Shortcut) -> Shortcut:
    def call(rows: Any) -> Any:
        with np.errstate(over="raise"):  # what float32 cannot hold is refused by scikit-learn, in its words
            return sums(rows.astype(np.float32, order="C"))

    return call


def _without_names(estimator: Any) -> Any | None:
    """A shallow copy that was not fitted with names, so that it neither looks for them nor warns that they are missing."""
    if not is_known_row_by_row(estimator):
        return None
    nameless = copy.copy(estimator)
    vars(nameless).pop("feature_names_in_", None)
    return nameless
