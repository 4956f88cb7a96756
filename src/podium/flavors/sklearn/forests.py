"""Forests without a thread pool: scikit-learn's own trees called one after another, in its own order and arithmetic.

`RandomForestClassifier.predict` hands each tree to joblib, one task for each: for one row that is 3 ms round 0.2 ms of
work. Here the same validation, the same `tree_.predict` and the same sums in the same order run without it, so the answer
is the same to the last bit. That is not taken on trust: at load both are run on rows that stand at, just below and just
above the forest's own thresholds, and the original stays where one bit differs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from podium.flavors.sklearn.rows import replaced_methods

_CLASSIFIERS = frozenset({"RandomForestClassifier", "ExtraTreesClassifier"})
_REGRESSORS = frozenset({"RandomForestRegressor", "ExtraTreesRegressor"})
_PROOF_SIZES = (1, 2, 7, 64)
_PROOF_ROWS = 64


def direct_forest(estimator: Any, method: str) -> Callable[[Any], Any] | None:
    """The forest's method without its thread pool; None where that is not proven to answer the same.

    Args:
        estimator: Anything; only scikit-learn's own forests with one output are taken, no subclass of somebody else's.
        method: `predict` or `predict_proba`.
    """
    original: Callable[[Any], Any] | None = getattr(estimator, method, None)
    sums = sums_of(estimator, method)
    if sums is None or original is None:
        return None

    def call(data: Any) -> Any:
        rows = estimator._validate_X_predict(data)
        return sums(rows) if isinstance(rows, np.ndarray) else original(data)

    return call if _is_proven(estimator, original, call) else None


def sums_of(forest: Any, method: str) -> Callable[[Any], Any] | None:
    """What the method computes of rows that were validated, as float32; None for what is no such forest. Unproven."""
    kind = type(forest)
    if (
        not kind.__module__.startswith("sklearn.ensemble.")
        or getattr(forest, "n_outputs_", 0) != 1
        or replaced_methods(forest)
    ):
        return None
    if kind.__name__ in _CLASSIFIERS and method == "predict":
        return lambda rows: forest.classes_.take(np.argmax(_probabilities(forest, rows), axis=1), axis=0)
    if kind.__name__ in _CLASSIFIERS and method == "predict_proba":
        return lambda rows: _probabilities(forest, rows)
    if kind.__name__ in _REGRESSORS and method == "predict":
        return lambda rows: _means(forest, rows)
    return None


def _probabilities(forest: Any, rows: Any) -> Any:
    classes = int(forest.n_classes_)
    summed = np.zeros((rows.shape[0], classes), dtype=np.float64)
    for tree in forest.estimators_:
        summed += tree.tree_.predict(rows)[:, :classes]
    summed /= len(forest.estimators_)
    return summed


def _means(forest: Any, rows: Any) -> Any:
    summed = np.zeros(rows.shape[0], dtype=np.float64)
    for tree in forest.estimators_:
        summed += tree.tree_.predict(rows)[:, 0]
    summed /= len(forest.estimators_)
    return summed


def _is_proven(forest: Any, original: Callable[[Any], Any], shortcut: Callable[[Any], Any]) -> bool:
    try:
        rows = _proof_rows(forest)
        for size in _PROOF_SIZES:
            expected, actual = original(rows[:size]), shortcut(rows[:size])
            if expected.dtype != actual.dtype or expected.shape != actual.shape or expected.tolist() != actual.tolist():
                return False
    except Exception:  # noqa: BLE001 - a forest of another scikit-learn, with other insides: the original answers
        return False
    return True


def _proof_rows(forest: Any) -> Any:
    """Rows whose every feature stands at, just below or above a threshold of some tree, in a table as it was fitted."""
    rng = np.random.default_rng(20)
    features = int(forest.n_features_in_)
    rows = rng.standard_normal((_PROOF_ROWS, features))
    trees = [tree.tree_ for tree in forest.estimators_]
    feature = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    for column in np.unique(feature[feature >= 0]):
        known = threshold[feature == column]
        picked = rng.choice(known, _PROOF_ROWS)
        single = picked.astype(np.float32)  # what trees compare
        beside = np.where(rng.random(_PROOF_ROWS) < 0.5, np.float32(-np.inf), np.float32(np.inf))
        rows[:, column] = np.where(rng.random(_PROOF_ROWS) < 0.3, picked, np.nextafter(single, beside))
    names = getattr(forest, "feature_names_in_", None)
    if names is None:
        return rows
    import pandas

    return pandas.DataFrame(rows, columns=list(names))
