"""CatBoost models: what is written, and what they answer to tables and arrays."""

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd
import pytest
from by_plan import answer_by, as_served, is_same, plan_of, shortcut_of
from thread_counts import started_threads

from podium.errors import InvalidInput, InvalidModel
from podium.flavors.catalog import flavor_claiming
from podium.flavors.catboost.flavor import CatBoostFlavor
from podium.flavors.contract import Stored
from podium.models.assemble import Batches

FLAVOR = CatBoostFlavor()
RNG = np.random.default_rng(5)
X = pd.DataFrame(RNG.standard_normal((120, 2)), columns=["age", "income in k"]).assign(days=RNG.integers(-9, 9, 120))
TWO = np.where(X["age"] + X["days"] > 0, "yes", "no")
THREE = np.digitize(X["age"], [-0.5, 0.5])
QUIET: dict[str, Any] = {"iterations": 5, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
COLOURS = pd.DataFrame({"size": np.arange(40.0), "colour": ["red", "green", "blue", "grey"] * 10})


def classifier(target: Any = TWO) -> Any:
    return catboost.CatBoostClassifier(**QUIET).fit(X, target)


def loaded(folder: Path, model: Any, **options: Any) -> Any:
    return FLAVOR.load(Stored(folder, FLAVOR.save(model, folder, **options).flavors))


MODELS: dict[str, tuple[Any, str]] = {
    "labels": (classifier, "predict"),
    "probabilities": (classifier, "predict_proba"),
    "three labels": (lambda: classifier(THREE), "predict"),
    "regressor": (lambda: catboost.CatBoostRegressor(**QUIET).fit(X, X["age"]), "predict"),
    "two targets": (
        lambda: catboost.CatBoostRegressor(loss_function="MultiRMSE", **QUIET).fit(X, X[["age", "days"]]),
        "predict",
    ),
    "ranker": (lambda: catboost.CatBoostRanker(**QUIET).fit(X, THREE, group_id=np.repeat(range(12), 10)), "predict"),
    "plain": (lambda: catboost.CatBoost({"loss_function": "RMSE", **QUIET}).fit(X, X["age"]), "predict"),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_each_kind_comes_back_as_itself_and_has_an_equal_shortcut(tmp_path: Path, name: str) -> None:
    """To the last bit, with columns of several types; params are ignored, as in MLflow."""
    make, method = MODELS[name]
    model = make()
    found = loaded(tmp_path, model, pyfunc_predict_fn=method)
    shortcut = shortcut_of(found, X)

    assert flavor_claiming(model).name == "catboost"
    assert type(found.native) is type(model)
    assert getattr(model, method)(X).tolist() == found.predict(X, {"prediction_type": "RawFormulaVal"}).tolist()
    assert shortcut is not None
    for size in (1, 2, 7, 64):
        assert is_same(found.predict(as_served(X[:size])), answer_by(shortcut, X[:size]))


def test_json_answers_as_the_binary_format_does(tmp_path: Path) -> None:
    """Both are read back by CatBoost itself."""
    model = classifier()

    assert list(model.predict(X)) == list(loaded(tmp_path, model, format="json").predict(X))


def test_categories_are_taken_as_text(tmp_path: Path) -> None:
    """What JSON has for them; no matrix of numbers answers for such a model."""
    model = catboost.CatBoostRegressor(cat_features=["colour"], **QUIET).fit(COLOURS, COLOURS["size"])
    found = loaded(tmp_path, model)

    assert np.array_equal(model.predict(COLOURS), found.predict(COLOURS.astype({"colour": object})))
    assert found.claims(Batches(plan_of(COLOURS[["size"]])).inputs) == []


def test_missing_numbers_are_missing(tmp_path: Path) -> None:
    """What null in an optional integer column becomes."""
    model = classifier()

    assert list(model.predict(X.assign(days=np.nan))) == list(loaded(tmp_path, model).predict(X.assign(days=np.nan)))


def test_features_of_other_names_are_refused(tmp_path: Path) -> None:
    """In CatBoost's words."""
    with pytest.raises(catboost.CatBoostError, match="feature"):
        loaded(tmp_path, classifier()).predict(X.rename(columns={"age": "Age"}))


@pytest.mark.slow
def test_a_model_starts_no_more_threads_than_it_may(tmp_path: Path) -> None:
    """Left alone, it takes every core whatever OMP_NUM_THREADS says."""
    model = catboost.CatBoostRegressor(**QUIET).fit(X.to_numpy(), THREE)

    assert started_threads("catboost.flavor.CatBoostFlavor", FLAVOR.save(model, tmp_path), tmp_path) == [False, True]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (classifier(), {"format": "coreml"}, "cbm, json"),
        (catboost.CatBoostRegressor(**QUIET).fit(X, THREE), {"pyfunc_predict_fn": "predict_proba"}, r"has \['predict'\]"),
        (catboost.CatBoostClassifier, {}, "a class"),
        (catboost.CatBoostClassifier(), {}, "cannot save"),
        (1.5, {}, "a float"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path: Path, model: Any, options: dict[str, Any], message: str) -> None:
    """With what could."""
    with pytest.raises(InvalidInput, match=message):
        FLAVOR.save(model, tmp_path, **options)


def test_a_class_of_the_users_is_refused(tmp_path: Path) -> None:
    """MLflow makes a model of the name alone, and knows four."""

    class Mine(catboost.CatBoostRegressor):
        pass

    with pytest.raises(InvalidInput, match="a Mine, which MLflow could not load"):
        FLAVOR.save(Mine(**QUIET).fit(X, THREE), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"model_type": "os.system"}, "model_type"), ({"save_format": "json"}, "damaged"), ({"data": "../x"}, "leaves")],
)
def test_a_model_file_that_lies_is_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    """Nothing that it names is run."""
    saved = FLAVOR.save(classifier(), tmp_path)
    entries = {**saved.flavors, "catboost": {**saved.flavors["catboost"], **change}}

    with pytest.raises(InvalidModel, match=message):
        FLAVOR.load(Stored(tmp_path, entries))


def test_a_json_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    """CatBoost itself answers with what it has of it."""
    saved = FLAVOR.save(classifier(), tmp_path, format="json")
    whole = (tmp_path / "model.cb").read_bytes()
    (tmp_path / "model.cb").write_bytes(whole[: len(whole) - 4])

    with pytest.raises(InvalidModel, match="damaged"):
        FLAVOR.load(Stored(tmp_path, saved.flavors))
