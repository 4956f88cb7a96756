"""XGBoost: Boosters and the scikit-learn API, in XGBoost's own formats, which hold no code."""

import importlib
import json
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from podium.domain.frames import is_frame
from podium.domain.signature import Signature
from podium.errors import InvalidInput, InvalidModel, LoadFailed, MissingDependency
from podium.flavors.booster_files import check_xgboost
from podium.flavors.booster_inputs import (
    as_float32,
    has_categories,
    matrix_claims,
    text_positions,
    with_categories,
)
from podium.flavors.booster_params import accepted
from podium.flavors.claims import Claim, Inputs
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.conversions import Converter
from podium.flavors.folders import part_of
from podium.flavors.predict_functions import asked_method, saved_method
from podium.flavors.xgboost.conversion import BoosterConverter

_FORMATS = ("ubj", "json", "xgb")
_PREDICT_FNS = ("predict", "predict_proba")
_BOOSTER = "xgboost.core.Booster"


class LoadedBooster:
    """A Booster: what comes becomes a DMatrix, one for the whole batch; feature names are checked, as in MLflow."""

    def __init__(self, booster: Any) -> None:
        self.native = booster
        self._categories = _categorical_positions(booster)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the Booster; of the params those that its predict takes, the rest is ignored."""
        import xgboost

        named = {"validate_features": True, **accepted(self.native.predict, params)}
        table = _with_known_categories(data, self._categories)
        # Only where text became categories: MLflow's refusal of other tables stays.
        more = {} if table is data else {"enable_categorical": True}
        return self.native.predict(xgboost.DMatrix(table, **more), **named)

    def hasten(self) -> None:
        """Nothing: a DMatrix is what it takes."""

    def claims(self, inputs: Inputs) -> list[Claim]:
        """The same trees on the matrix itself, without a DMatrix."""
        kind = type(self.native).__module__.partition(".")[0]
        # In place, dart adds its trees up in another order, and linear models are not taken.
        if self._categories or kind != "xgboost" or _trees(self.native) != "gbtree":
            return []
        predict = partial(self.native.inplace_predict, validate_features=False)
        return matrix_claims(lambda rows: predict(as_float32(rows)), "its own trees on a matrix", inputs)

    def converter(self) -> Converter:
        """See `flavors.contract.Convertible`."""
        return BoosterConverter(self.native, "predict")


class LoadedEstimator:
    """An estimator of the scikit-learn API and the method of it that answers."""

    def __init__(self, estimator: Any, method: str) -> None:
        import xgboost

        self.native = estimator
        self._method = method
        self._is_own = isinstance(estimator, xgboost.XGBModel)
        self._call: Callable[..., Any] = getattr(estimator, method)
        self._categories = _categorical_positions(estimator.get_booster()) if self._is_own else frozenset()

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the method; of the params those that it takes, the rest is ignored."""
        named = accepted(self._call, params)
        if self._is_own:
            named = {"validate_features": True, **named}
        return self._call(_with_known_categories(data, self._categories), **named)

    def hasten(self) -> None:
        """Nothing: it predicts in place by itself."""

    def claims(self, inputs: Inputs) -> list[Claim]:
        """Its own method on a matrix that has no names to check."""
        if self._categories or type(self.native).__module__.partition(".")[0] != "xgboost":
            return []
        predict = partial(self._call, validate_features=False)
        return matrix_claims(lambda rows: predict(as_float32(rows)), "its own method on a matrix", inputs)

    def converter(self) -> Converter:
        """See `flavors.contract.Convertible`."""
        return BoosterConverter(self.native, self._method)


class XGBoostFlavor:
    """MLflow's `xgboost` flavor."""

    name = "xgboost"
    loader_modules: tuple[str, ...] = ("mlflow.xgboost",)
    options: tuple[str, ...] = ("model_format", "pyfunc_predict_fn")

    def claims(self, model: Any) -> bool:
        core, estimators = sys.modules.get("xgboost.core"), sys.modules.get("xgboost.sklearn")
        return (core is not None and isinstance(model, core.Booster)) or (
            estimators is not None and isinstance(model, estimators.XGBModel)
        )

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write the model.

        Args:
            model: A Booster or an estimator of the scikit-learn API.
            folder: Existing, empty.
            example: Not needed.
            options: `model_format` (`ubj`, `json`, `xgb`), `pyfunc_predict_fn` (`predict`, `predict_proba`).

        Raises:
            InvalidInput: An unknown format or predict function, or no model of XGBoost's.
        """
        del example
        import xgboost

        written = options.get("model_format") or "ubj"
        if written not in _FORMATS:
            raise InvalidInput(f"model_format is {written!r}; expected one of {list(_FORMATS)}.")
        if isinstance(model, type) or not self.claims(model):
            name = model.__name__ + ", a class" if isinstance(model, type) else f"a {type(model).__name__}"
            raise InvalidInput(f"xgb_model is {name}; expected a trained xgboost.Booster or an estimator of xgboost's.")
        method = asked_method(options, model, _PREDICT_FNS)
        file = f"model.{written}"
        try:
            model.save_model(folder / file)
        except Exception as error:
            raise InvalidInput(f"XGBoost cannot save this {type(model).__name__}: {error}") from error
        own = {
            "code": None,
            "data": file,
            "model_class": f"{type(model).__module__}.{type(model).__qualname__}",
            "model_format": written,
            "xgb_version": xgboost.__version__,
        }
        if method != "predict":
            # Beside what MLflow reads: it has no such choice for XGBoost, and answers with predict.
            own["predict_fn"] = method
        is_estimator = not isinstance(model, xgboost.Booster)
        modules = {"xgboost", type(model).__module__.partition(".")[0]}
        return Saved(
            {"xgboost": own, "python_function": {"loader_module": "mlflow.xgboost", "data": file}},
            ["scikit-learn"] if is_estimator else [],
            # By its module: the distribution is called xgboost or xgboost-cpu.
            frozenset(modules),
        )

    def load(self, stored: Stored) -> Loaded:
        model = load_model(stored)
        if not hasattr(model, "get_booster"):
            return LoadedBooster(model)
        return LoadedEstimator(model, saved_method(stored, "xgboost", model, _PREDICT_FNS))

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        del signature
        kind = type(loaded.native)
        if kind.__module__.partition(".")[0] != "xgboost":
            return RowIndependence(False, f"{kind.__module__}.{kind.__name__} is not one of XGBoost's own classes")
        return RowIndependence(True, f"XGBoost's {kind.__name__} answers row by row")

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """See `flavors.contract.Preloadable`."""
        del flavors
        return None if has_gpu else ("pandas", "xgboost")


def load_model(stored: Stored) -> Any:
    """The Booster or estimator itself, computing where the terms say.

    Raises:
        InvalidModel, LoadFailed, MissingDependency.
    """
    own = stored.of("xgboost")
    file = own.get("data") or stored.of("python_function").get("data")
    path = part_of(stored.folder, file, "data")
    try:
        import xgboost
    except ImportError as error:
        raise MissingDependency("xgboost", "This model", "xgboost") from error
    name = str(own.get("model_class") or _BOOSTER)
    try:
        model = _class_named(name, stored.terms.allows_code)()
    except ImportError as error:
        if name.startswith("xgboost.") and "scikit-learn" in str(error):
            raise MissingDependency("scikit-learn", f"This model (an {name})", "sklearn") from error
        raise
    check_xgboost(path)
    try:
        with warnings.catch_warnings():
            # MLflow 2 calls every file model.xgb, whatever is in it.
            warnings.filterwarnings("ignore", message=".*Unknown file format", category=UserWarning)
            model.load_model(path)
    except xgboost.core.XGBoostError as error:
        writer = own.get("xgb_version") or "of another version"
        raise InvalidModel(
            f"XGBoost {xgboost.__version__} cannot read {path}, which XGBoost {writer} saved: {_first_line(error)}. Copy "
            "the model's folder anew, or save the model again with model_format='ubj' under the version that saved it."
        ) from error
    _place(model, stored.terms.device)
    return model


def _class_named(name: str, allows_code: bool) -> Any:
    """The class that MLmodel names; XGBoost's own, or the model's where its code may run.

    Raises:
        InvalidModel: There is none, or it has no load_model.
        LoadFailed: It is not XGBoost's own, and may not run.
    """
    module, _, kind = name.rpartition(".")
    if module in {"xgboost.core", "xgboost.sklearn", "xgboost"} and kind in {"Booster", *_estimators()}:
        import xgboost

        return getattr(xgboost, kind)
    if not allows_code:
        raise LoadFailed(
            f"MLmodel's model_class is {name}, which is none of XGBoost's own, and this model may run no code of its "
            "own. Save it as the XGBoost class that it derives from, or allow code for this model."
        )
    if not module:
        raise InvalidModel(f"MLmodel's model_class is {name!r}; expected a class such as {_BOOSTER}.")
    found = getattr(importlib.import_module(module), kind, None)
    if not isinstance(found, type) or not hasattr(found, "load_model"):
        raise InvalidModel(f"MLmodel's model_class is {name}, which is no class with a load_model.")
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _estimators() -> set[str]:
    import xgboost

    return {name for name in xgboost.__all__ if name.startswith("XGB")}


def _place(model: Any, device: str) -> None:
    """Have XGBoost compute on a GPU where that was asked for; `auto` is the processor, as trees are fast there.

    Raises:
        LoadFailed: This XGBoost has no GPU's code.
    """
    if not device.startswith("cuda"):
        return
    import xgboost

    if not xgboost.build_info().get("USE_CUDA"):
        raise LoadFailed(
            f"device is {device}, and this XGBoost {xgboost.__version__} is built for the CPU only. Install the package "
            "xgboost in place of xgboost-cpu, or serve the model with device cpu."
        )
    model.set_params(device=device) if hasattr(model, "set_params") else model.set_param({"device": device})


def _trees(booster: Any) -> str:
    """What the Booster is made of: `gbtree`, `dart`, `gblinear`."""
    return str(json.loads(booster.save_config())["learner"]["gradient_booster"]["name"])


def _categorical_positions(booster: Any) -> frozenset[int]:
    """Positions of the features whose categories the model keeps by name (XGBoost 3.1 and later), none otherwise."""
    look = getattr(booster, "get_categories", None)
    if look is None or "c" not in (booster.feature_types or ()) or look().empty():
        return frozenset()
    return frozenset(i for i, kind in enumerate(booster.feature_types) if kind == "c")


def _with_known_categories(data: Any, positions: frozenset[int]) -> Any:
    """A table whose text columns are categories where the model has them; MLflow's server fails there."""
    if not positions or not is_frame(data) or has_categories(data):
        return data
    found = [i for i in text_positions(data) if i in positions]
    return with_categories(data, dict.fromkeys(found)) if found else data
