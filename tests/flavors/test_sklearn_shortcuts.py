"""A shortcut answers from a plain matrix what the estimator's own method answers from an array or a data frame."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from by_plan import answer_by, as_served, is_same, plan_of, shortcut_for
from sklearn.datasets import load_diabetes, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from podium.flavors.claims import NotTakenError
from podium.flavors.sklearn.forests import direct_forest
from podium.flavors.sklearn.rows import rows_of
from podium.flavors.sklearn.shortcuts import claims_of
from podium.models.assemble import Batches

IRIS, SPECIES = load_iris(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
TWO = (SPECIES > 0).astype(int)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]

TAKEN = [
    ("its own arithmetic", LogisticRegression(max_iter=500), IRIS, SPECIES, "predict"),
    ("its own arithmetic", LogisticRegression(max_iter=500), IRIS, TWO, "predict"),
    ("its own arithmetic", LogisticRegression(max_iter=500), IRIS, NAMES, "predict"),
    ("its own arithmetic", LogisticRegression(max_iter=500, fit_intercept=False), IRIS, SPECIES, "predict"),
    ("its own arithmetic", LinearSVC(), IRIS, TWO, "predict"),
    ("its own arithmetic", SGDClassifier(random_state=0), IRIS, SPECIES, "predict"),
    ("its own method on a matrix", LinearDiscriminantAnalysis(), IRIS, SPECIES, "predict"),
    ("its own arithmetic", LinearRegression(), DIABETES, PROGRESS, "predict"),
    ("its own arithmetic", LinearRegression(), DIABETES, np.c_[PROGRESS, -PROGRESS], "predict"),
    ("its own method on a matrix", Ridge(), DIABETES, PROGRESS, "predict"),
    ("its own trees, all at once", RandomForestClassifier(10, random_state=0), IRIS, SPECIES, "predict_proba"),
    (
        "its own trees, all at once",
        ExtraTreesRegressor(10, max_leaf_nodes=60, random_state=0),
        DIABETES,
        PROGRESS,
        "predict",
    ),
    ("its own method on a matrix", LogisticRegression(max_iter=500), IRIS, SPECIES, "predict_proba"),
    ("its own method on a matrix", RidgeClassifier(), IRIS, SPECIES, "predict"),
    ("its own arithmetic", ElasticNet(), DIABETES, PROGRESS, "predict"),
    ("its own trees, all at once", DecisionTreeClassifier(random_state=0), IRIS, SPECIES, "predict"),
    ("its own trees, all at once", GradientBoostingClassifier(n_estimators=5), IRIS, SPECIES, "predict"),
    ("its own trees, all at once", HistGradientBoostingClassifier(max_iter=5), IRIS, SPECIES, "predict"),
    ("its own method on a matrix", KNeighborsClassifier(), IRIS, SPECIES, "predict"),
    ("its own method on a matrix", SVC(), IRIS, SPECIES, "predict"),
    ("its own method on a matrix", GaussianNB(), IRIS, SPECIES, "predict_proba"),
    (
        "its own method on a matrix",
        MLPRegressor(hidden_layer_sizes=(5,), max_iter=2000, random_state=0),
        IRIS,
        IRIS[:, 0],
        "predict",
    ),
]


@pytest.mark.parametrize("is_frame", [False, True], ids=["array", "frame"])
@pytest.mark.parametrize(
    ("what", "estimator", "x", "y", "method"), TAKEN, ids=[f"{type(row[1]).__name__}-{row[4]}" for row in TAKEN]
)
def test_answers_to_the_last_bit(what: str, estimator: Any, x: Any, y: Any, method: str, is_frame: bool) -> None:
    data = pd.DataFrame(x, columns=[f"feature {i}" for i in range(x.shape[1])]) if is_frame else x
    estimator.fit(data, y)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = shortcut_for(estimator, data, method)

    assert found is not None
    assert what == found.what
    for size in (1, 2, 5, 7, 64, 65, 130):
        rows = data[:size]
        assert is_same(getattr(estimator, method)(as_served(rows)), answer_by(found, rows))


class Theirs(LogisticRegression):
    """Somebody's own estimator."""


LEFT_ALONE = [
    ("an estimator of somebody else's", Theirs(max_iter=500), "predict"),
    ("a method that is not there", StandardScaler(), "predict"),
]


@pytest.mark.parametrize(("why", "estimator", "method"), LEFT_ALONE, ids=[row[0] for row in LEFT_ALONE])
def test_what_nothing_is_known_of_has_no_shortcut(why: str, estimator: Any, method: str) -> None:
    fitted = estimator.fit(IRIS, SPECIES)

    assert claims_of(fitted, method, Batches(plan_of(IRIS)).inputs) == []


PATCHED = [
    (LogisticRegression(), "predict"),
    (LogisticRegression(), "decision_function"),
    (KNeighborsClassifier(), "predict"),
]


@pytest.mark.parametrize(("estimator", "name"), [*PATCHED, (RandomForestClassifier(3), "predict_proba")])
def test_an_estimator_with_a_method_of_the_users_answers_by_it(estimator: Any, name: str) -> None:
    """A rule for one customer in a thousand is not seen on any row that a proof makes up."""
    fitted = estimator.fit(IRIS, TWO)
    theirs = getattr(fitted, name)
    setattr(fitted, name, lambda rows: theirs(rows) + (np.asarray(rows)[:1, 0] == 12345))

    assert shortcut_for(fitted, IRIS) is None
    assert direct_forest(fitted, "predict") is None
    assert "methods of the user's" in rows_of(fitted, "predict").reason


def test_the_estimator_keeps_its_names() -> None:
    """Only a copy forgets them."""
    table = pd.DataFrame(IRIS, columns=list("abcd"))
    estimator = KNeighborsClassifier().fit(table, SPECIES)

    assert shortcut_for(estimator, table) is not None
    assert list("abcd") == estimator.feature_names_in_.tolist()


def test_a_forest_does_not_take_what_single_precision_cannot_hold() -> None:
    """scikit-learn refuses it in its own words, and so it is asked."""
    found = shortcut_for(RandomForestClassifier(3, random_state=0).fit(IRIS, SPECIES), IRIS)

    assert found is not None
    with pytest.raises(NotTakenError):
        answer_by(found, np.full((1, 4), 1e300))
