"""scikit-learn's forests, boosted and single trees on a plain matrix: its own sums in its own order.

Trees of up to 64 leaves are summed all at once (`tree_sums.py`); others one after another, without a thread pool. What
follows the sums (labels, probabilities, links) is held against the estimator's own code at the borders between labels,
where the versions of scikit-learn differ. The whole stays a claim, which the worker proves.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from podium.flavors.claims import NotTakenError
from podium.flavors.sklearn.forests import sums_of
from podium.flavors.sklearn.tree_sums import MOST_NODES, Tree, TreeSums, is_small

Matrix = Callable[[Any], Any]
# Scores at and beside the border of two labels.
_BORDERS = (0.0, -0.0, 5e-324, -5e-324, 1e-17, -1e-17, 1e-15, -1e-15, 1.0, -1.0)
_FORESTS = frozenset({"RandomForestClassifier", "ExtraTreesClassifier", "RandomForestRegressor", "ExtraTreesRegressor"})
_TREES = frozenset({"DecisionTreeClassifier", "ExtraTreeClassifier", "DecisionTreeRegressor", "ExtraTreeRegressor"})
_BOOSTED = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})
_HISTOGRAMS = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})


@dataclass(frozen=True, slots=True)
class Final:
    """The last step of a model: from a finite matrix to the answer.

    Args:
        call: Takes a matrix with a row for each row of the batch.
        what: For people.
        inner: The scores behind the answer, and the name of the method that gives them; None where the answer hides none.
        thresholds: For columns of the matrix, numbers beside which the answer may change.
        is_layout_free: The order of the matrix in memory changes no bit.
    """

    call: Matrix
    what: str
    inner: tuple[Matrix, str] | None = None
    thresholds: Mapping[int, Any] = field(default_factory=dict)
    is_layout_free: bool = True


def trees_of(estimator: Any, method: str) -> Final | None:
    """The estimator's method on a matrix; None for what is no trees of scikit-learn's, or none that is known."""
    name = type(estimator).__name__
    if method not in {"predict", "predict_proba"} or (method == "predict_proba" and not hasattr(estimator, method)):
        return None
    try:
        if name in _FORESTS | _TREES:
            return _averaged(estimator, method)
        if name in _BOOSTED:
            return _boosted(estimator, method)
        return _histograms(estimator, method) if name in _HISTOGRAMS else None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, NotTakenError):
        # Insides of another scikit-learn: it answers by its own method.
        return None


def _averaged(estimator: Any, method: str) -> Final | None:
    """Forests, and single trees as forests of one."""
    if getattr(estimator, "n_outputs_", 0) != 1:
        return None
    is_forest = type(estimator).__name__ in _FORESTS
    members = list(estimator.estimators_) if is_forest else [estimator]
    classes = getattr(estimator, "classes_", None)
    width = 1 if classes is None else len(classes)
    values = [each.tree_.value[:, 0, :width] for each in members]
    if classes is not None and any(abs(float(each[0].sum()) - 1) > 1e-6 for each in values):
        # Trees of scikit-learn before 1.4 hold counts, and make shares of them for each row.
        values = [each / each.sum(axis=1, keepdims=True) for each in values]
    trees = [_tree(each.tree_, shares) for each, shares in zip(members, values, strict=True)]
    thresholds = _thresholds(trees)
    if _are_small(trees):
        adds = TreeSums(trees, 1, np.zeros((1, width)), np.float32)
        divisor = len(members)

        def sums(rows: Any) -> Any:
            summed = adds(_single(rows))[:, 0]
            if is_forest:
                summed /= divisor
            return summed

        what = "its own trees, all at once"
    else:
        one_by_one = sums_of(estimator, "predict_proba" if classes is not None else "predict")
        if one_by_one is None:
            return None

        def sums(rows: Any) -> Any:
            return one_by_one(_single(rows)).reshape(len(rows), width)

        what = "its own trees"
    if classes is None:
        return Final(lambda rows: sums(rows)[:, 0], what, None, thresholds)
    if method == "predict_proba":
        return Final(sums, what, None, thresholds)
    labels: Matrix = lambda rows: classes.take(sums(rows).argmax(axis=1), axis=0)  # noqa: E731
    return Final(labels, what, (sums, "predict_proba"), thresholds)


def _boosted(estimator: Any, method: str) -> Final | None:
    init = getattr(estimator, "init_", None)
    if not (isinstance(init, str) and init == "zero") and type(init).__name__ not in {"DummyClassifier", "DummyRegressor"}:
        return None
    stages = estimator.estimators_
    rate = float(estimator.learning_rate)
    trees = [_tree(each.tree_, rate * each.tree_.value[:, 0, :1]) for stage in stages for each in stage]
    start = estimator._raw_predict_init(np.zeros((1, int(estimator.n_features_in_)), np.float32))[0]
    return _scored(estimator, method, trees, stages.shape[1], start, np.float32)


def _histograms(estimator: Any, method: str) -> Final | None:
    if getattr(estimator, "is_categorical_", None) is not None:
        return None
    stages = [[each.nodes for each in stage] for stage in estimator._predictors]
    trees = [_histogram_tree(nodes) for stage in stages for nodes in stage]
    start = np.asarray(estimator._baseline_prediction, np.float64).ravel()
    return _scored(estimator, method, trees, len(stages[0]), start, np.float64)


def _scored(estimator: Any, method: str, trees: list[Tree], groups: int, start: Any, dtype: Any) -> Final | None:
    """Models that add up scores, one for each class or one for all."""
    if not _are_small(trees):
        return None
    adds = TreeSums(trees, groups, start, dtype)
    convert = _single if dtype is np.float32 else _double

    def scores(rows: Any) -> Any:
        return adds(convert(rows))[:, :, 0]

    answer = _answer(estimator, method, groups)
    if answer is None or not _agrees_at_borders(estimator, method, groups, answer):
        return None
    inner: tuple[Matrix, str] | None = None
    if hasattr(estimator, "classes_"):
        inner = (lambda rows: scores(rows)[:, 0] if groups == 1 else scores(rows), "decision_function")
    return Final(lambda rows: answer(scores(rows)), "its own trees, all at once", inner, _thresholds(trees))


def _answer(estimator: Any, method: str, groups: int) -> Matrix | None:
    """What the method makes of scores: a guess, which `_agrees_at_borders` tries."""
    is_histogram = type(estimator).__name__ in _HISTOGRAMS
    loss = getattr(estimator, "_loss", None)
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        if is_histogram:
            inverse = loss.link.inverse  # type: ignore[union-attr]
            return lambda scores: inverse(scores.ravel())
        return lambda scores: scores.ravel()
    if method == "predict_proba":
        probabilities = loss.predict_proba  # type: ignore[union-attr]
        if is_histogram or groups > 1:
            return probabilities  # type: ignore[no-any-return]
        return lambda scores: probabilities(scores[:, 0])
    if groups > 1:
        return lambda scores: classes.take(scores.argmax(axis=1), axis=0)
    # At exactly 0 the one says the first class, the other the second.
    if is_histogram:
        return lambda scores: classes.take((scores[:, 0] > 0).astype(np.intp), axis=0)
    return lambda scores: classes.take((scores[:, 0] >= 0).astype(np.intp), axis=0)


def _agrees_at_borders(estimator: Any, method: str, groups: int, answer: Matrix) -> bool:
    """Whether the estimator's own code makes the same of scores, tried with scores where its answer changes."""
    if groups == 1:
        scores = np.array(_BORDERS).reshape(-1, 1)
    else:
        ties = [np.full(groups, 0.5) for _ in range(2 * groups)]
        for i in range(groups):
            ties[i][i] = np.nextafter(0.5, 1.0)
            ties[groups + i][i] = np.nextafter(0.5, 0.0)
        scores = np.array(ties)
    given = copy.copy(estimator)
    # A shallow copy of one's own: the model keeps its method.
    vars(given)["_raw_predict"] = lambda *_, **__: scores.copy(order="F")
    vars(given).pop("feature_names_in_", None)
    expected = getattr(given, method)(np.zeros((len(scores), int(estimator.n_features_in_))))
    found = answer(scores)
    return bool(expected.dtype == found.dtype and expected.tolist() == found.tolist())


def _tree(tree: Any, values: Any) -> Tree:
    return Tree(tree.feature, tree.threshold, tree.children_left, tree.children_right, values)


def _histogram_tree(nodes: Any) -> Tree:
    if nodes["is_categorical"].any():
        raise NotTakenError("a split by categories")
    is_leaf = nodes["is_leaf"].astype(bool)
    left = np.where(is_leaf, -1, nodes["left"].astype(np.int64))
    right = np.where(is_leaf, -1, nodes["right"].astype(np.int64))
    return Tree(nodes["feature_idx"].astype(np.int64), nodes["num_threshold"], left, right, nodes["value"].reshape(-1, 1))


def _are_small(trees: list[Tree]) -> bool:
    return all(is_small(tree) for tree in trees) and sum(len(tree.left) for tree in trees) <= MOST_NODES


def _thresholds(trees: list[Tree]) -> dict[int, Any]:
    feature = np.concatenate([np.where(np.asarray(tree.left) < 0, -1, tree.feature) for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    return {int(column): np.unique(threshold[feature == column]) for column in np.unique(feature[feature >= 0])}


def _single(rows: Any) -> Any:
    """Single precision, as scikit-learn's trees compare it; what that cannot hold, it refuses in its own words."""
    with np.errstate(over="ignore"):
        single = rows.astype(np.float32)
    return _finite(single)


def _double(rows: Any) -> Any:
    return _finite(rows.astype(np.float64, copy=False))


def _finite(rows: Any) -> Any:
    if not np.isfinite(rows).all():
        raise NotTakenError("a number that is not finite, or too large")
    return rows
