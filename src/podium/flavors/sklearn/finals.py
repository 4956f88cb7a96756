"""The last step of a scikit-learn model as a function of a finite matrix: trees, linear models, or its own method."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from podium.flavors.sklearn.rows import is_known_row_by_row
from podium.flavors.sklearn.trees import Final, trees_of


def final_of(estimator: Any, method: str, is_sparse: bool) -> Final | None:
    """How the estimator answers from a matrix; None where nothing is known.

    Args:
        estimator: One of scikit-learn's own, checked by the caller.
        method: As `predict`.
        is_sparse: scikit-learn would hand it a sparse matrix, and so add up in another order.
    """
    final = trees_of(estimator, method) or _linear(estimator, method, is_sparse)
    if final is None and not is_sparse:
        nameless = without_names(estimator)
        if nameless is not None:
            final = Final(getattr(nameless, method), "its own method on a matrix", None, {}, is_layout_free=False)
    return final


def without_names(estimator: Any) -> Any | None:
    """A shallow copy that was not fitted with names, so that it neither looks for them nor warns that they are missing.

    None where it is not known to look at one row at a time.
    """
    if not is_known_row_by_row(estimator):
        return None
    nameless = copy.copy(estimator)
    vars(nameless).pop("feature_names_in_", None)
    return nameless


def _linear(estimator: Any, method: str, is_sparse: bool) -> Final | None:
    """`predict` of linear models that inherit it: the same products in the same order and layout."""
    from sklearn.linear_model import _base

    kind = type(estimator)
    coef, intercept = getattr(estimator, "coef_", None), getattr(estimator, "intercept_", None)
    if method != "predict" or not isinstance(coef, np.ndarray) or intercept is None:
        return None
    weights = coef.T if coef.ndim == 2 else coef
    products = _sparse_products(weights) if is_sparse else lambda rows: rows @ weights
    regressors = [_base.LinearModel, getattr(_base, "MultiOutputLinearModel", _base.LinearModel)]
    what = "its own arithmetic"
    if kind.predict in [base.predict for base in regressors]:
        return Final(lambda rows: products(rows) + intercept, what, None, {}, is_layout_free=is_sparse)
    mixin = _base.LinearClassifierMixin
    if kind.predict is not mixin.predict or kind.decision_function is not mixin.decision_function:
        return None
    classes = estimator.classes_

    def scores(rows: Any) -> Any:
        found = products(rows) + intercept
        return found if found.ndim > 1 and found.shape[1] > 1 else found.reshape(-1)

    def predict(rows: Any) -> Any:
        found = (products(rows) if is_sparse else rows @ weights) + intercept
        if found.ndim > 1:
            if found.shape[1] > 1:
                return classes.take(found.argmax(axis=1), axis=0)
            found = found.reshape(-1)
        return classes.take((found > 0).astype(np.intp), axis=0)

    return Final(predict, what, (scores, "decision_function"), {}, is_layout_free=is_sparse)


def _sparse_products(weights: Any) -> Callable[[Any], Any]:
    """As scipy multiplies a row of a sparse matrix: product after product, added in the columns' order."""
    table = weights.reshape(len(weights), -1)

    def multiply(rows: Any) -> Any:
        found = np.add.accumulate(rows[:, :, None] * table[None], axis=1)[:, -1]
        return found if weights.ndim == 2 else found[:, 0]

    return multiply
