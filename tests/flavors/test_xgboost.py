"""XGBoost models: what is written, which params they take, and what they answer to tables, arrays and text."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from by_plan import answer_by, as_served, is_same, plan_of, shortcut_of
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from podium.domain.load_terms import LoadTerms
from podium.errors import InvalidInput, InvalidModel, LoadFailed
from podium.flavors.catalog import flavor_claiming
from podium.flavors.contract import Stored
from podium.flavors.sklearn.rows import rows_of
from podium.flavors.xgboost.flavor import XGBoostFlavor, load_model
from podium.models.assemble import Batches

FLAVOR = XGBoostFlavor()
RNG = np.random.default_rng(3)
NAMES = ["age", "income in k", "days"]
X = pd.DataFrame(RNG.standard_normal((120, 2)), columns=NAMES[:2]).assign(days=RNG.integers(-2, 3, 120))
Y = (X["age"] * 2 + X["days"] > 0).astype(int)
THREE = np.digitize(X["age"], [-0.5, 0.5])
COLOURS = pd.DataFrame({"size": np.arange(40.0), "colour": pd.Categorical(["red", "green", "blue", "grey"] * 10)})
PRICES = np.tile([1.0, 5.0, 2.0, 9.0], 10)


def booster(table: Any = X, target: Any = Y, **params: Any) -> Any:
    data = xgboost.DMatrix(table, target, enable_categorical=True)
    return xgboost.train({"objective": "binary:logistic", "nthread": 1, **params}, data, 6)


def saved(folder: Path, model: Any, **options: Any) -> Stored:
    return Stored(folder, FLAVOR.save(model, folder, **options).flavors)


def loaded(folder: Path, model: Any, **options: Any) -> Any:
    return FLAVOR.load(saved(folder, model, **options))


@pytest.mark.parametrize("written", ["ubj", "json"])
def test_a_booster_answers_from_each_format_as_it_did(tmp_path: Path, written: str) -> None:
    """Neither of them can execute anything."""
    model = booster()
    found = loaded(tmp_path, model, model_format=written)

    assert [f"model.{written}"] == [each.name for each in tmp_path.iterdir()]
    assert np.array_equal(model.predict(xgboost.DMatrix(X)), found.predict(X))


def test_a_file_called_xgb_is_read_whatever_is_in_it(tmp_path: Path) -> None:
    """MLflow 2 calls every model that; XGBoost's warning of the name is nobody's business at load."""
    model = booster()
    with pytest.warns(UserWarning, match="UBJSON"):
        stored = saved(tmp_path, model, model_format="xgb")

    assert np.array_equal(model.predict(xgboost.DMatrix(X)), FLAVOR.load(stored).predict(X))


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_an_estimator_comes_back_as_its_own_class(tmp_path: Path, method: str) -> None:
    """And the catalog gives it to XGBoost, though it is a scikit-learn estimator as well."""
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(X, THREE)
    found = loaded(tmp_path, model, pyfunc_predict_fn=method)

    assert flavor_claiming(model).name == "xgboost"
    assert type(found.native) is xgboost.XGBClassifier
    assert np.array_equal(getattr(model, method)(X), found.predict(X))


def test_the_package_that_is_installed_is_what_is_required(tmp_path: Path) -> None:
    """xgboost-cpu brings the module xgboost too: it is the module that is asked for."""
    model = FLAVOR.save(booster(), tmp_path)
    (tmp_path / "2").mkdir()
    estimator = FLAVOR.save(xgboost.XGBRegressor(n_estimators=2).fit(X, Y), tmp_path / "2")

    assert (model.requirements, model.modules) == ([], {"xgboost"})
    assert (estimator.requirements, estimator.modules) == (["scikit-learn"], {"xgboost"})


def test_params_reach_predict_as_far_as_it_takes_them(tmp_path: Path) -> None:
    """The others are ignored, as in MLflow; a feature check that is switched off, where MLflow fails, is one of them."""
    model = booster()
    found = loaded(tmp_path, model)
    data = xgboost.DMatrix(X)

    first = found.predict(X, {"iteration_range": np.array([0, 2]), "output_margin": True})
    assert np.array_equal(model.predict(data, iteration_range=(0, 2), output_margin=True), first)
    assert np.array_equal(model.predict(data), found.predict(X.to_numpy(), {"validate_features": False}))
    with pytest.warns(UserWarning, match=r"no params \['colour', 'data'\]"):
        assert np.array_equal(model.predict(data), found.predict(X, {"colour": 1, "data": 2}))


def test_an_estimator_takes_its_params_too(tmp_path: Path) -> None:
    """By name."""
    model = xgboost.XGBRegressor(n_estimators=5, n_jobs=1).fit(X, Y)

    assert np.array_equal(
        model.predict(X, iteration_range=(0, 2)), loaded(tmp_path, model).predict(X, {"iteration_range": [0, 2]})
    )


@pytest.mark.parametrize("data", [X.to_numpy(), X[NAMES[::-1]], X.rename(columns={"age": "Age"})])
def test_other_features_than_it_was_trained_with_are_refused(tmp_path: Path, data: Any) -> None:
    """By name and by order, as MLflow's wrapper has XGBoost do."""
    found = loaded(tmp_path, booster())

    with pytest.raises(ValueError, match=r"feature_names mismatch|did not contain feature names"):
        found.predict(data)


def test_missing_numbers_are_missing(tmp_path: Path) -> None:
    """What null in an optional integer column becomes."""
    model = booster(X.assign(days=X["days"].where(X["days"] > -1)))
    holes = X.assign(days=np.nan)

    assert np.array_equal(model.predict(xgboost.DMatrix(holes)), loaded(tmp_path, model).predict(holes))


@pytest.mark.parametrize("kind", ["booster", "estimator"])
def test_text_is_the_category_that_it_was_in_training(tmp_path: Path, kind: str) -> None:
    """MLflow writes categories as strings into the signature, and its server fails on each of them."""
    model: Any = booster(COLOURS, PRICES, objective="reg:squarederror")
    expected = model.predict(xgboost.DMatrix(COLOURS, enable_categorical=True))
    if kind == "estimator":
        model = xgboost.XGBRegressor(n_estimators=6, n_jobs=1, enable_categorical=True).fit(COLOURS, PRICES)
        expected = model.predict(COLOURS)
    found = loaded(tmp_path, model)
    texts = COLOURS.astype({"colour": object})

    assert np.array_equal(expected, found.predict(texts))
    # Codes go by the value, not by what else is in the batch.
    assert np.array_equal(expected[3:5], found.predict(texts[3:5]))
    assert found.claims(Batches(plan_of(COLOURS[["size"]])).inputs) == []


def test_a_category_that_it_never_saw_is_refused(tmp_path: Path) -> None:
    """In XGBoost's words."""
    found = loaded(tmp_path, booster(COLOURS, PRICES, objective="reg:squarederror"))

    with pytest.raises((ValueError, xgboost.core.XGBoostError), match="category"):
        found.predict(pd.DataFrame({"size": [1.0], "colour": ["violet"]}))


MODELS = {
    "binary": booster,
    "softprob": lambda: booster(X, THREE, objective="multi:softprob", num_class=3),
    "softmax": lambda: booster(X, THREE, objective="multi:softmax", num_class=3),
    "forest": lambda: booster(num_parallel_tree=3, subsample=0.5),
    "vector": lambda: booster(X, X[["age", "days"]], objective="reg:squarederror"),
    "classifier": lambda: xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(X, THREE),
    "regressor": lambda: xgboost.XGBRegressor(n_estimators=5, n_jobs=1).fit(X, Y),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_the_shortcut_is_proven_and_answers_to_the_last_bit(tmp_path: Path, name: str) -> None:
    """A plain matrix in place of a data frame, also where its columns are of several types."""
    found = loaded(tmp_path, MODELS[name]())
    shortcut = shortcut_of(found, X)
    assert shortcut is not None

    for size in (1, 2, 7, 64):
        assert is_same(found.predict(as_served(X[:size])), answer_by(shortcut, X[:size]))


@pytest.mark.parametrize("kind", ["dart", "gblinear"])
def test_what_predicts_otherwise_in_place_has_no_shortcut(tmp_path: Path, kind: str) -> None:
    """And still answers."""
    model = booster(booster=kind)
    found = loaded(tmp_path, model)

    assert shortcut_of(found, X) is None
    assert np.array_equal(model.predict(xgboost.DMatrix(X)), found.predict(X))


@pytest.mark.parametrize("column", [{"age": 1e39}, {"days": 2**24 + 1}])
def test_the_shortcut_takes_no_number_that_float32_does_not_hold(tmp_path: Path, column: dict[str, Any]) -> None:
    """The model's own predict then answers, or refuses."""
    shortcut = shortcut_of(loaded(tmp_path, booster()), X)
    assert shortcut is not None

    with pytest.raises((FloatingPointError, ValueError)):
        answer_by(shortcut, X[:1].assign(**column))


def test_xgboosts_own_classes_answer_row_by_row_and_others_are_not_known_to(tmp_path: Path) -> None:
    """A class of the user's may do whatever it likes in predict."""

    class Mine(xgboost.Booster):
        pass

    assert FLAVOR.rows(loaded(tmp_path, booster()), None).is_known_independent
    found = loaded(tmp_path, booster())
    found.native = Mine()
    assert not FLAVOR.rows(found, None).is_known_independent


def test_a_model_of_mlflow_1_without_a_class_is_a_booster(tmp_path: Path) -> None:
    """As they were before MLflow 1.22."""
    model = booster()
    model.save_model(tmp_path / "model.ubj")
    entries = {
        "xgboost": {"data": "model.ubj"},
        "python_function": {"loader_module": "mlflow.xgboost", "data": "model.ubj"},
    }

    assert np.array_equal(model.predict(xgboost.DMatrix(X)), FLAVOR.load(Stored(tmp_path, entries)).predict(X))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Booster", InvalidModel),
        ("os.path.join", InvalidModel),
        ("subprocess.Popen", InvalidModel),
        ("no.such", ImportError),
    ],
)
def test_a_class_that_is_none_of_xgboosts_is_refused(tmp_path: Path, name: str, error: type[Exception]) -> None:
    """Without code it is not even looked up."""
    stored = saved(tmp_path, booster())
    entries = {**stored.flavors, "xgboost": {**stored.of("xgboost"), "model_class": name}}

    with pytest.raises(error):
        load_model(Stored(tmp_path, entries))
    with pytest.raises(LoadFailed, match="none of XGBoost's own"):
        load_model(Stored(tmp_path, entries, terms=LoadTerms(allows_code=False)))


def test_a_damaged_file_is_told_from_a_model(tmp_path: Path) -> None:
    """With the version that wrote it."""
    stored = saved(tmp_path, booster())
    (tmp_path / "model.ubj").write_bytes(b"{L" + b"\0" * 64)

    with pytest.raises(InvalidModel, match=f"which XGBoost {xgboost.__version__} saved"):
        FLAVOR.load(stored)


@pytest.mark.skipif(xgboost.build_info()["USE_CUDA"], reason="this XGBoost has a GPU's code")
def test_a_gpu_is_refused_where_xgboost_has_no_code_for_it(tmp_path: Path) -> None:
    """With the way out."""
    stored = saved(tmp_path, booster())

    with pytest.raises(LoadFailed, match="built for the CPU only"):
        FLAVOR.load(Stored(tmp_path, stored.flavors, terms=LoadTerms(device="cuda:0")))


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (booster(), {"model_format": "pickle"}, "ubj"),
        (booster(), {"pyfunc_predict_fn": "predict_proba"}, r"has \['predict'\]"),
        (xgboost.XGBClassifier, {}, "a class"),
        (xgboost.XGBClassifier(), {}, "cannot save"),
        (3, {}, "a int"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path: Path, model: Any, options: dict[str, Any], message: str) -> None:
    """With what could."""
    with pytest.raises(InvalidInput, match=message):
        FLAVOR.save(model, tmp_path, **options)


@pytest.mark.parametrize("kind", ["gbtree", "gblinear", "dart"])
def test_a_file_that_was_cut_off_is_refused_before_xgboost_reads_behind_its_end(tmp_path: Path, kind: str) -> None:
    """It ends the process at some places, and takes all memory at others."""
    stored = saved(tmp_path, booster(booster=kind))
    whole = (tmp_path / "model.ubj").read_bytes()

    for size in range(2, len(whole), len(whole) // 40):
        (tmp_path / "model.ubj").write_bytes(whole[:size])
        with pytest.raises(InvalidModel, match=r"damaged|cannot read"):
            load_model(stored)


def test_inside_a_pipeline_of_scikit_learns_it_is_known_to_answer_row_by_row() -> None:
    """As mlflow.sklearn saves it; a class of the user's is not."""

    class Mine(xgboost.XGBClassifier):
        pass

    assert rows_of(make_pipeline(StandardScaler(), xgboost.XGBClassifier()), "predict").is_known_independent
    assert not rows_of(make_pipeline(StandardScaler(), Mine()), "predict").is_known_independent
