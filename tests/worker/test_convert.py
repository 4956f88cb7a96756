"""Models of boosters and networks are converted where that is proven, refused with a reason, or rejected with a row."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.artifacts.derived import Derived, keep
from podium.domain.inputs.plan import plan_for
from podium.errors import MissingDependency, PodiumError
from podium.flavors.conversions import NotConverted, installed
from podium.models.assemble import Assembler
from podium.models.infer import infer_signature
from podium.models.load import load_predictor
from podium.models.mlmodel import read_mlmodel
from podium.models.save import save_model
from podium.worker.proofs.convert import conversions
from podium.worker.proofs.runtime import AllowedRuntimes, find_way
from podium.worker.proofs.shortcut import Shortcut

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(RNG.normal(size=(200, 4)), columns=list("abcd"))
ROWS = pd.DataFrame(RNG.normal(size=(300, 4)), columns=list("abcd"))
YES = (TABLE.a + TABLE.b * TABLE.c > 0).astype(int)
THREE = np.digitize(TABLE.a, [-0.5, 0.5])
MATRIX = TABLE.to_numpy(np.float32)


def saved(folder: Path, model: Any, data: Any = TABLE, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_model(model, folder / "model", signature=infer_signature(data), options=options)
    return folder / "model"


def tried(folder: Path, model: Any, data: Any = TABLE, precisions: Any = ("double", "float"), **options: Any) -> Any:
    """The attempts at a model, the last of them accepted or not."""
    place = saved(folder, model, data, **options)
    order = {"folder": str(place), "mlmodel": read_mlmodel(place), "forms": ["split", "whole"], "precisions": precisions}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return conversions({**order, "tolerance": 1e-5, "allows_code": True, "out": str(folder)})


def kept(folder: Path, attempt: Any) -> Derived:
    return keep(folder / "derived", "digest", attempt, Path(attempt["file"]).read_bytes())


def way(folder: Path, conversion: Derived, is_first: bool = True) -> Shortcut | None:
    """What a worker would answer by."""
    predictor = load_predictor(folder / "model", read_mlmodel(folder / "model"))
    assert predictor.signature is not None
    plan = plan_for(predictor.signature)
    assert plan is not None
    return find_way(predictor, plan, Assembler(plan), None, AllowedRuntimes(True, str(conversion.folder), is_first))


def xgboost_classifier() -> tuple[Any, Any]:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=8).fit(TABLE, YES)
    return model, model.predict(ROWS)


def xgboost_stopped_early() -> tuple[Any, Any]:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=30, early_stopping_rounds=2)
    model.fit(TABLE, YES, eval_set=[(TABLE[:50], 1 - YES[:50])], verbose=0)
    return model, model.predict(ROWS)


def xgboost_booster() -> tuple[Any, Any]:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(TABLE, THREE), 8)
    return model, model.predict(xgboost.DMatrix(ROWS))


def lightgbm_classifier() -> tuple[Any, Any]:
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=8, verbose=-1).fit(TABLE, np.where(YES, "yes", "no"))
    return model, model.predict(ROWS)


def lightgbm_booster() -> tuple[Any, Any]:
    lightgbm = pytest.importorskip("lightgbm")
    params = {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1, "verbose": -1}
    model = lightgbm.train(params, lightgbm.Dataset(TABLE, TABLE.a * TABLE.b), 8)
    return model, model.predict(ROWS)


def lightgbm_constant() -> tuple[Any, Any]:
    """Trees of one leaf."""
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(TABLE[:5], TABLE.a[:5])
    return model, model.predict(ROWS)


def catboost_classifier() -> tuple[Any, Any]:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(iterations=8, verbose=0, allow_writing_files=False)
    model.fit(TABLE, np.array(["low", "middle", "high"])[THREE])
    return model, model.predict(ROWS)


def catboost_regressor() -> tuple[Any, Any]:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostRegressor(iterations=8, verbose=0, allow_writing_files=False).fit(TABLE, TABLE.a)
    return model, model.predict(ROWS)


@pytest.mark.parametrize(
    "make",
    [
        xgboost_classifier,
        xgboost_stopped_early,
        xgboost_booster,
        lightgbm_classifier,
        lightgbm_booster,
        lightgbm_constant,
        catboost_classifier,
        catboost_regressor,
    ],
)
def test_a_booster_is_converted_and_answers_as_it_did(tmp_path: Path, make: Any) -> None:
    model, expected = make()

    *_, last = tried(tmp_path, model)

    assert last["is_accepted"], last["reason"]
    assert last["rows"]["edges"] > 0
    assert set(last["speed"]) == {"1", "256"}
    used = way(tmp_path, kept(tmp_path, last))
    assert used is not None
    assert "conversion to ONNX" in used.what
    found = used.answer(len(ROWS), ROWS.to_numpy().astype("<f8").tobytes(), [])
    assert found.shape == expected.shape
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    else:
        assert found.tolist() == expected.tolist()


def test_single_precision_of_lightgbm_is_rejected_at_a_threshold_and_the_row_is_shown(tmp_path: Path) -> None:
    """Between a threshold and its rounding to single precision a number goes the other way."""
    (attempt,) = tried(tmp_path, lightgbm_booster()[0].__class__(model_str=_binary_text()), precisions=["float"])

    assert not attempt["is_accepted"]
    assert attempt["counterexample"]["kind"] == "edges"
    assert set(attempt["counterexample"]["row"]) == set("abcd")
    assert attempt["counterexample"]["expected"] != attempt["counterexample"]["got"]


def _binary_text() -> str:
    text: str = lightgbm_classifier()[0].booster_.model_to_string()
    return text


def test_a_converter_that_is_wrong_is_rejected_with_a_row(tmp_path: Path) -> None:
    """onnxmltools gives the trees of a forest of several classes to the wrong ones."""
    xgboost = pytest.importorskip("xgboost")

    (attempt,) = tried(tmp_path, xgboost.XGBRFClassifier(n_estimators=5).fit(TABLE, THREE))

    assert not attempt["is_accepted"]
    assert "differs in" in attempt["reason"]
    assert attempt["counterexample"]["row"]


def categories() -> pd.DataFrame:
    return TABLE.assign(a=pd.Categorical(RNG.choice(["u", "v", "w"], len(TABLE)), categories=["u", "v", "w"]))


def dart() -> Any:
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=2, booster="dart").fit(TABLE, YES)


def two_targets() -> Any:
    return pytest.importorskip("xgboost").XGBRegressor(n_estimators=2).fit(TABLE, np.c_[YES, THREE])


def xgboost_categories() -> Any:
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=2, enable_categorical=True).fit(categories(), YES)


def lightgbm_categories() -> Any:
    table = TABLE.assign(a=THREE)
    lightgbm = pytest.importorskip("lightgbm")
    return lightgbm.train(
        {"verbose": -1, "min_data_per_group": 1, "cat_smooth": 0, "max_cat_to_onehot": 1},
        lightgbm.Dataset(table, THREE, categorical_feature=["a"]),
        2,
    )


def linear_leaves() -> Any:
    lightgbm = pytest.importorskip("lightgbm")
    return lightgbm.LGBMRegressor(n_estimators=2, linear_tree=True, verbose=-1).fit(TABLE, TABLE.a)


def catboost_categories() -> Any:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False, cat_features=["a"])
    return model.fit(TABLE.assign(a=THREE), YES)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (dart, "dart"),
        (two_targets, "2 targets"),
        (xgboost_categories, "categories"),
        (lightgbm_categories, "categories"),
        (linear_leaves, "linear_tree"),
        (catboost_categories, "categories"),
    ],
)
def test_what_no_graph_holds_is_refused_by_name(tmp_path: Path, make: Any, said: str) -> None:
    with pytest.raises(NotConverted, match=said):
        tried(tmp_path, make())


def test_a_flavor_without_a_converter_says_so(tmp_path: Path) -> None:
    statsmodels = pytest.importorskip("statsmodels.api")

    with pytest.raises(PodiumError, match="flavor statsmodels cannot be converted"):
        tried(tmp_path, statsmodels.OLS(YES, TABLE).fit())


def network() -> Any:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    layers = torch.nn
    return layers.Sequential(layers.Linear(4, 16), layers.ReLU(), layers.Linear(16, 2)).eval()


def test_a_network_answers_the_numbers_for_which_it_was_proven_and_leaves_the_rest_to_the_model(tmp_path: Path) -> None:
    model = network()

    (attempt,) = tried(tmp_path, model, MATRIX, serialization_format="pickle")

    assert attempt["is_accepted"], attempt["reason"]
    used = way(tmp_path, kept(tmp_path, attempt))
    assert used is not None
    assert "conversion to ONNX (float" in used.what
    found = used.answer(len(MATRIX), MATRIX.tobytes(), [])
    np.testing.assert_allclose(found, model(_tensor(MATRIX)).detach().numpy(), rtol=1e-5, atol=1e-5)
    far = np.full((1, 4), 2e15, np.float32)
    with pytest.raises(Exception, match="too large"):
        used.answer(1, far.tobytes(), [])


def test_a_network_that_was_asked_with_a_table_answers_with_one(tmp_path: Path) -> None:
    model = network()

    (attempt,) = tried(tmp_path, model, TABLE, serialization_format="pickle")

    assert attempt["is_accepted"], attempt["reason"]
    used = way(tmp_path, kept(tmp_path, attempt))
    assert used is not None
    found = used.answer(len(TABLE), TABLE.to_numpy().astype("<f8").tobytes(), [])
    expected = pd.DataFrame(model(_tensor(MATRIX)).detach().numpy())
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, atol=1e-5)


def test_scripted_modules_are_refused_with_the_way_out(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("onnxscript")
        scripted = torch.jit.script(torch.nn.Linear(4, 2))

    with pytest.raises(NotConverted, match="TorchScript"):
        tried(tmp_path, scripted, MATRIX)


def test_what_is_missing_is_named_with_the_extra_that_brings_it() -> None:
    with pytest.raises(MissingDependency, match=r"podium\[accelerate-keras\]"):
        installed("numpy", "no_such_converter", extra="accelerate-keras")


def _tensor(values: Any) -> Any:
    import torch

    return torch.from_numpy(np.array(values))


def test_by_itself_a_worker_takes_a_conversion_only_where_it_was_measured_to_be_faster(tmp_path: Path) -> None:
    """A network has no exact shortcut; asked for, the conversion answers however slow it was."""
    (attempt,) = tried(tmp_path, network(), MATRIX, serialization_format="pickle")
    fast = kept(tmp_path / "fast", {**attempt, "speed": {"1": [90.0, 9.0], "256": [90.0, 30.0]}})
    slow = kept(tmp_path / "slow", {**attempt, "speed": {"1": [90.0, 9.0], "256": [90.0, 300.0]}})

    assert way(tmp_path, fast, is_first=False) is not None
    assert way(tmp_path, slow, is_first=False) is None
    assert way(tmp_path, slow) is not None


def test_a_keras_model_is_converted_and_answers_as_it_did(tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx")
    keras = pytest.importorskip("keras")
    layers = keras.layers
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")])
    expected = model.predict(MATRIX, verbose=0)

    (attempt,) = tried(tmp_path, model, MATRIX)

    assert attempt["is_accepted"], attempt["reason"]
    used = way(tmp_path, kept(tmp_path, attempt))
    assert used is not None
    found = used.answer(len(MATRIX), MATRIX.tobytes(), [])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
