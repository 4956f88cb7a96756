"""A forest called tree by tree answers to the last bit what scikit-learn's own method answers, or is not called so."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)

from podium.flavors.sklearn.flavor import LoadedEstimator
from podium.flavors.sklearn.forests import direct_forest

IRIS, SPECIES = load_iris(return_X_y=True)
CANCER, BENIGN = load_breast_cancer(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
FORESTS = [
    (RandomForestClassifier(30, random_state=0), IRIS, SPECIES),
    (RandomForestClassifier(30, random_state=0, max_depth=2, class_weight="balanced"), CANCER, BENIGN),
    (RandomForestClassifier(20, random_state=1), IRIS, np.array(["a", "bb", "c"])[SPECIES]),
    (ExtraTreesClassifier(30, random_state=0, bootstrap=True), CANCER, BENIGN),
    (RandomForestRegressor(30, random_state=0), DIABETES, PROGRESS),
    (RandomForestRegressor(10, random_state=0, criterion="absolute_error"), DIABETES[:100], PROGRESS[:100]),
    (ExtraTreesRegressor(30, random_state=0), DIABETES, PROGRESS),
]


@pytest.mark.parametrize(("forest", "x", "y"), FORESTS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("size", [1, 3, 64])
def test_answers_to_the_last_bit(forest: Any, x: Any, y: Any, size: int) -> None:
    forest.fit(x, y)
    for method in ("predict", "predict_proba"):
        if not hasattr(forest, method):
            continue
        call = direct_forest(forest, method)
        assert call is not None
        for start in range(0, len(x), size):
            rows = x[start : start + size]

            expected, actual = getattr(forest, method)(rows), call(rows)

            assert (expected.dtype, expected.tolist()) == (actual.dtype, actual.tolist())


def test_missing_values_go_where_they_went_in_training() -> None:
    x = CANCER.copy()
    x[::3, 4] = np.nan
    forest = RandomForestClassifier(20, random_state=0).fit(x, BENIGN)
    call = direct_forest(forest, "predict_proba")

    assert call is not None
    assert forest.predict_proba(x[:90]).tolist() == call(x[:90]).tolist()


def test_a_table_is_checked_as_before() -> None:
    """Names in another order are refused by scikit-learn's own words."""
    table = pd.DataFrame(IRIS, columns=list("abcd"))
    forest = RandomForestClassifier(5, random_state=0).fit(table, SPECIES)
    call = direct_forest(forest, "predict")

    assert call is not None
    with pytest.raises(ValueError, match="feature names should match"):
        call(table[["b", "a", "c", "d"]])


def test_infinity_is_refused_as_before() -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(IRIS, SPECIES)
    call = direct_forest(forest, "predict")

    assert call is not None
    with pytest.raises(ValueError, match="infinity"):
        call(np.full((1, 4), np.inf))


def test_a_loaded_forest_is_called_so_when_asked_to() -> None:
    loaded = LoadedEstimator(RandomForestClassifier(5, random_state=0).fit(IRIS, SPECIES), "predict")
    assert loaded._call.__module__.startswith("sklearn.")

    loaded.hasten()

    assert loaded._call.__module__ == "podium.flavors.sklearn.forests"


class Louder(RandomForestClassifier):
    """Somebody's own forest."""

    def predict(self, X: Any) -> Any:
        return super().predict(X) + 10


Louder.__module__ = "sklearn.ensemble._theirs"


class Stubborn(RandomForestClassifier):
    pass


OTHERS = [
    ("another estimator", GradientBoostingClassifier(n_estimators=3), IRIS, SPECIES, "predict"),
    ("a subclass", Stubborn(3), IRIS, SPECIES, "predict"),
    ("a method that is none of these", RandomForestClassifier(3), IRIS, SPECIES, "score"),
    ("several outputs", RandomForestRegressor(3), DIABETES, np.c_[PROGRESS, PROGRESS], "predict"),
    ("a class of another name", Louder(3), IRIS, SPECIES, "predict"),
]


@pytest.mark.parametrize(("why", "forest", "x", "y", "method"), OTHERS, ids=[row[0] for row in OTHERS])
def test_others_keep_their_own_method(why: str, forest: Any, x: Any, y: Any, method: str) -> None:
    assert direct_forest(forest.fit(x, y), method) is None


def test_a_forest_whose_answer_differs_in_one_bit_keeps_its_own_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof looks at bits: a forest of a scikit-learn that sums otherwise is left alone."""
    forest = RandomForestRegressor(7, random_state=0).fit(DIABETES, PROGRESS)
    original = RandomForestRegressor.predict
    monkeypatch.setattr(RandomForestRegressor, "predict", lambda self, x: np.nextafter(original(self, x), np.inf))

    assert direct_forest(forest, "predict") is None
