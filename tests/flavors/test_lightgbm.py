"""LightGBM models: what is written, and what they answer to tables, arrays and text."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from by_plan import answer_by, as_served, is_same, plan_of, shortcut_of
from sklearn.model_selection import GridSearchCV
from thread_counts import started_threads

from podium.errors import InvalidInput, InvalidModel
from podium.flavors.catalog import flavor_claiming
from podium.flavors.contract import Stored
from podium.flavors.lightgbm.flavor import LightGBMFlavor
from podium.flavors.sklearn.rows import rows_of
from podium.models.assemble import Batches

FLAVOR = LightGBMFlavor()
RNG = np.random.default_rng(4)
X = pd.DataFrame(RNG.standard_normal((200, 2)), columns=["age", "income in k"]).assign(days=RNG.integers(-2, 3, 200))
TWO = np.where(X["age"] + X["days"] > 0, "yes", "no")
THREE = np.digitize(X["age"], [-0.5, 0.5])
COLOURS = pd.DataFrame(
    {
        "size": np.tile(np.arange(10.0), 40),
        "colour": pd.Categorical(np.repeat(["red", "green", "blue", "grey"], 100)),
        "shelf": pd.Categorical(np.tile([10, 20], 200)),
    }
)
PRICES = np.repeat([1.0, 5.0, 2.0, 9.0], 100) + np.tile([0.0, 3.0], 200)
QUIET = {"verbose": -1, "num_threads": 1}


def booster(table: Any = X, target: Any = THREE > 0, **params: Any) -> Any:
    return lightgbm.train({"objective": "binary", **QUIET, **params}, lightgbm.Dataset(table, target), 6)


def classifier(target: Any = TWO) -> Any:
    return lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(X, target)


def loaded(folder: Path, model: Any, **options: Any) -> Any:
    return FLAVOR.load(Stored(folder, FLAVOR.save(model, folder, **options).flavors))


def test_a_booster_is_lightgbms_text(tmp_path: Path) -> None:
    """Which holds no code."""
    model = booster()
    found = loaded(tmp_path, model)

    assert [each.name for each in tmp_path.iterdir()] == ["model.lgb"]
    assert np.array_equal(model.predict(X), found.predict(X))


def test_a_booster_that_stopped_early_keeps_its_best_rounds(tmp_path: Path) -> None:
    """Those after the best one are not in the file."""
    data = lightgbm.Dataset(X[:100], X["age"][:100])
    model = lightgbm.train(
        {"objective": "regression", **QUIET, "learning_rate": 0.9},
        data,
        60,
        valid_sets=[lightgbm.Dataset(X[100:], X["age"][100:], reference=data)],
        callbacks=[lightgbm.early_stopping(2, verbose=False)],
    )

    assert 0 < model.best_iteration < 60
    assert np.array_equal(model.predict(X), loaded(tmp_path, model).predict(X))


@pytest.mark.parametrize(
    ("asked", "file", "needs"),
    [(None, "model.skops", "skops"), ("cloudpickle", "model.pkl", "cloudpickle"), ("pickle", "model.pkl", None)],
)
def test_an_estimator_is_kept_in_each_format(tmp_path: Path, asked: str | None, file: str, needs: str | None) -> None:
    """skops unless told; the catalog gives it to LightGBM, though it is a scikit-learn estimator as well."""
    model = classifier()
    saved = FLAVOR.save(model, tmp_path, serialization_format=asked)
    found = FLAVOR.load(Stored(tmp_path, saved.flavors))

    assert flavor_claiming(model).name == "lightgbm"
    assert [file] == [each.name for each in tmp_path.iterdir()]
    assert saved.requirements == ["scikit-learn", *([needs] if needs else [])]
    assert list(model.predict(X)) == list(found.predict(X, {"raw_score": True}))


def test_a_ranker_needs_no_word_on_what_to_trust(tmp_path: Path) -> None:
    """MLflow's own list lacks it, so it is written beside those."""
    model = lightgbm.LGBMRanker(n_estimators=3, n_jobs=1, verbose=-1).fit(X, THREE, group=[100, 100])
    saved = FLAVOR.save(model, tmp_path)

    assert "lightgbm.sklearn.LGBMRanker" in saved.flavors["lightgbm"]["skops_trusted_types"]
    assert np.array_equal(model.predict(X), FLAVOR.load(Stored(tmp_path, saved.flavors)).predict(X))


def test_an_objective_of_the_users_goes_by_cloudpickle(tmp_path: Path) -> None:
    """skops takes no functions; and nobody but the estimator turns its answers into labels."""
    model = lightgbm.LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1, objective=lambda y, p: (p - y, np.ones(len(y))))
    model.fit(X, THREE)
    with pytest.warns(UserWarning, match="cloudpickle instead of skops"):
        found = loaded(tmp_path, model)

    assert np.array_equal(model.predict(X), found.predict(X))
    assert shortcut_of(found, X) is None


def test_a_model_of_mlflow_2_names_no_format(tmp_path: Path) -> None:
    """It is cloudpickle then."""
    saved = FLAVOR.save(classifier(), tmp_path, serialization_format="cloudpickle")
    own = {name: value for name, value in saved.flavors["lightgbm"].items() if name in {"data", "model_class"}}

    assert len(FLAVOR.load(Stored(tmp_path, {**saved.flavors, "lightgbm": own})).predict(X)) == len(X)


@pytest.mark.parametrize("kind", ["booster", "estimator"])
def test_text_and_codes_are_the_categories_that_they_were_in_training(tmp_path: Path, kind: str) -> None:
    """MLflow writes them as strings and longs into the signature, and its server fails on them."""
    params: dict[str, Any] = {"min_data_per_group": 1, "cat_smooth": 0.1}
    model = (
        booster(COLOURS, PRICES, objective="regression", **params)
        if kind == "booster"
        else lightgbm.LGBMRegressor(n_estimators=6, n_jobs=1, verbose=-1, **params).fit(COLOURS, PRICES)
    )
    found = loaded(tmp_path, model)
    plain = COLOURS.astype({"colour": object, "shelf": np.int64})

    assert len(set(model.predict(COLOURS))) > 4
    assert np.array_equal(model.predict(COLOURS), found.predict(plain))
    assert np.array_equal(model.predict(COLOURS[150:152]), found.predict(plain[150:152]))
    assert found.claims(Batches(plan_of(COLOURS[["size"]])).inputs) == []


def test_a_category_that_it_never_saw_is_a_missing_one(tmp_path: Path) -> None:
    """As LightGBM itself has it; null too."""
    model = booster(COLOURS[["size", "colour"]], PRICES, objective="regression")
    found = loaded(tmp_path, model)
    missing = COLOURS[["size", "colour"]][:2].assign(colour=pd.Categorical([None, None], ["red"]))

    assert np.array_equal(model.predict(missing), found.predict(pd.DataFrame({"size": [0.0, 1.0], "colour": ["x", None]})))


MODELS = {
    "binary": (booster, "predict"),
    "multiclass": (lambda: booster(X, THREE, objective="multiclass", num_class=3), "predict"),
    "labels": (classifier, "predict"),
    "probabilities": (classifier, "predict_proba"),
    "three labels": (lambda: classifier(THREE), "predict"),
    "three probabilities": (lambda: classifier(THREE), "predict_proba"),
    "quantile": (lambda: lightgbm.LGBMRegressor(objective="quantile", verbose=-1).fit(X, X["age"]), "predict"),
    "dart": (lambda: lightgbm.LGBMRegressor(boosting_type="dart", verbose=-1, n_estimators=9).fit(X, X["age"]), "predict"),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_the_shortcut_is_proven_and_answers_to_the_last_bit(tmp_path: Path, name: str) -> None:
    """A plain matrix in place of a data frame, also where its columns are of several types."""
    make, method = MODELS[name]
    found = loaded(tmp_path, make(), pyfunc_predict_fn=method)
    shortcut = shortcut_of(found, X)
    assert shortcut is not None

    for size in (1, 2, 7, 64):
        assert is_same(found.predict(as_served(X[:size])), answer_by(shortcut, X[:size]))


def test_whole_numbers_beyond_float32_are_left_to_the_model(tmp_path: Path) -> None:
    """A table of them becomes float64, an array float32: the shortcut cannot know which."""
    shortcut = shortcut_of(loaded(tmp_path, booster()), X)
    assert shortcut is not None

    with pytest.raises(ValueError, match="float32"):
        answer_by(shortcut, X[:1].assign(days=2**24 + 1))


def test_params_of_training_that_change_predictions_leave_no_shortcut(tmp_path: Path) -> None:
    """The estimator alone passes them on."""
    model = lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1, pred_early_stop=True).fit(X, TWO)

    assert shortcut_of(loaded(tmp_path, model), X) is None


@pytest.mark.slow
def test_an_estimator_starts_no_more_threads_than_it_may(tmp_path: Path) -> None:
    """Left alone, it takes as many as it was trained with, or every core, whatever OMP_NUM_THREADS says."""
    model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=2).fit(X.to_numpy(), THREE)

    saved = FLAVOR.save(model, tmp_path, serialization_format="cloudpickle")

    assert started_threads("lightgbm.flavor.LightGBMFlavor", saved, tmp_path) == [False, True]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (classifier(), {"serialization_format": "json"}, "skops"),
        (booster(), {"pyfunc_predict_fn": "predict_proba"}, r"has \['predict'\]"),
        (lightgbm.LGBMClassifier, {}, "a class"),
        ("model", {}, "a str"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path: Path, model: Any, options: dict[str, Any], message: str) -> None:
    """With what could."""
    with pytest.raises(InvalidInput, match=message):
        FLAVOR.save(model, tmp_path, **options)


def test_a_damaged_file_is_told_from_a_model(tmp_path: Path) -> None:
    """In one sentence."""
    saved = FLAVOR.save(booster(), tmp_path)
    (tmp_path / "model.lgb").write_text("tree\nnothing")

    with pytest.raises(InvalidModel, match="damaged or no LightGBM model"):
        FLAVOR.load(Stored(tmp_path, saved.flavors))


AS_BOOSTER = {"lightgbm": {"data": "model.lgb"}, "python_function": {"loader_module": "mlflow.lightgbm"}}


def saved_text(folder: Path) -> str:
    FLAVOR.save(booster(), folder)
    return (folder / "model.lgb").read_text()


def test_a_file_that_was_cut_off_is_refused_before_lightgbm_ends_the_process(tmp_path: Path) -> None:
    """In its head, in a tree, in its parameters; what lacks only the end marks, as files of LightGBM 2.0 do, is read."""
    whole = saved_text(tmp_path)
    ends = [whole.index("Tree=0"), whole.index("Tree=1") + 40, whole.index("Tree=2") - 2, whole.index("[boosting")]

    for end in ends:
        (tmp_path / "model.lgb").write_text(whole[:end])
        with pytest.raises(InvalidModel, match="damaged"):
            FLAVOR.load(Stored(tmp_path, AS_BOOSTER))
    (tmp_path / "model.lgb").write_text(whole[: whole.index("end of trees")])
    assert len(FLAVOR.load(Stored(tmp_path, AS_BOOSTER)).predict(X)) == len(X)


def test_a_tree_that_is_gone_is_noticed(tmp_path: Path) -> None:
    """The head says how long each is."""
    whole = saved_text(tmp_path)
    (tmp_path / "model.lgb").write_text(whole[: whole.index("Tree=1")] + whole[whole.index("Tree=2") :])

    with pytest.raises(InvalidModel, match=r"not where its head says|ends inside"):
        FLAVOR.load(Stored(tmp_path, AS_BOOSTER))


def test_inside_a_search_of_scikit_learns_it_is_known_to_answer_row_by_row() -> None:
    """As mlflow.sklearn saves it."""
    assert rows_of(GridSearchCV(classifier(), {}), "predict_proba").is_known_independent
