"""CatBoost: CatBoost's own binary format, or another of its formats that it reads back."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from podium.domain.signature import Signature
from podium.errors import InvalidInput, InvalidModel, MissingDependency
from podium.flavors.booster_inputs import as_float32, matrix_claims
from podium.flavors.catboost.conversion import ModelConverter
from podium.flavors.claims import Claim, Inputs
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.conversions import Converter
from podium.flavors.folders import part_of
from podium.flavors.predict_functions import asked_method, saved_method
from podium.flavors.threads import granted_threads

_FILE = "model.cb"
# CatBoost loses the classes' names in ONNX; podium.onnx saves what its export makes.
_FORMATS = ("cbm", "json")
_KINDS = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
_PREDICT_FNS = ("predict", "predict_proba", "predict_log_proba")


class LoadedModel:
    """A CatBoost model and the method of it that answers."""

    def __init__(self, model: Any, method: str) -> None:
        self.native = model
        self._method = method
        self._call: Callable[..., Any] = getattr(model, method)
        # It takes every core unless it is told; OMP_NUM_THREADS means nothing to it.
        threads = granted_threads()
        self._threads = {} if threads is None else {"thread_count": threads}

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the method; params are ignored, as in MLflow."""
        del params
        return self._call(data, **self._threads)

    def hasten(self) -> None:
        """Nothing."""

    def claims(self, inputs: Inputs) -> list[Claim]:
        """Its own method on a matrix, where all of its features are numbers."""
        if self.native.get_cat_feature_indices():
            return []
        call, threads = self._call, self._threads
        return matrix_claims(lambda rows: call(as_float32(rows), **threads), "its own method on a matrix", inputs)

    def converter(self) -> Converter:
        """See `flavors.contract.Convertible`."""
        return ModelConverter(self.native, self._method)


class CatBoostFlavor:
    """MLflow's `catboost` flavor."""

    name = "catboost"
    loader_modules: tuple[str, ...] = ("mlflow.catboost",)
    options: tuple[str, ...] = ("format", "pool", "pyfunc_predict_fn")

    def claims(self, model: Any) -> bool:
        module = sys.modules.get("catboost")
        return module is not None and isinstance(model, module.CatBoost)

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write the model.

        Args:
            model: A trained CatBoost, CatBoostClassifier, CatBoostRegressor or CatBoostRanker.
            folder: Existing, empty.
            example: Not needed.
            options: `format` (`cbm`, `json`), `pool` where `json` wants one,
                `pyfunc_predict_fn` (`predict`, `predict_proba`, `predict_log_proba`).

        Raises:
            InvalidInput: An unknown format or predict function, no CatBoost model, or one that is not trained.
        """
        del example
        import catboost

        written = options.get("format") or "cbm"
        if isinstance(model, type) or not self.claims(model):
            name = model.__name__ + ", a class" if isinstance(model, type) else f"a {type(model).__name__}"
            raise InvalidInput(f"cb_model is {name}; expected a trained model of catboost's.")
        if type(model).__name__ not in _KINDS:
            raise InvalidInput(
                f"cb_model is a {type(model).__name__}, which MLflow could not load; expected one of {', '.join(_KINDS)}."
            )
        if written not in _FORMATS:
            raise InvalidInput(f"format is {written!r}; CatBoost reads back {', '.join(_FORMATS)}.")
        method = asked_method(options, model, _PREDICT_FNS)
        try:
            model.save_model(str(folder / _FILE), format=written, pool=options.get("pool"))
        except catboost.CatBoostError as error:
            raise InvalidInput(f"CatBoost cannot save this {type(model).__name__}: {error}") from error
        own = {
            "catboost_version": catboost.__version__,
            "code": None,
            "data": _FILE,
            "model_type": type(model).__name__,
            "save_format": written,
        }
        if method != "predict":
            # Beside what MLflow reads: it has no such choice for CatBoost, and answers with predict.
            own["predict_fn"] = method
        entries = {"catboost": own, "python_function": {"loader_module": "mlflow.catboost", "data": _FILE}}
        return Saved(entries, [], frozenset({"catboost"}))

    def load(self, stored: Stored) -> Loaded:
        model = load_model(stored)
        return LoadedModel(model, saved_method(stored, "catboost", model, _PREDICT_FNS))

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        del signature
        return RowIndependence(True, f"CatBoost's {type(loaded.native).__name__} answers row by row")

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """See `flavors.contract.Preloadable`."""
        del flavors
        return None if has_gpu else ("pandas", "catboost")


def load_model(stored: Stored) -> Any:
    """The model itself.

    Raises:
        InvalidModel, MissingDependency.
    """
    own = stored.of("catboost")
    path = part_of(stored.folder, own.get("data") or stored.of("python_function").get("data") or _FILE, "data")
    try:
        import catboost
    except ImportError as error:
        raise MissingDependency("catboost", "This model", "catboost") from error
    kind = own.get("model_type")
    if kind not in _KINDS:
        raise InvalidModel(f"MLmodel's model_type is {kind!r}; expected one of {', '.join(_KINDS)}.")
    written = own.get("save_format") or "cbm"
    try:
        if written == "json":
            # CatBoost answers with what it has of a file that was cut off.
            json.loads(path.read_bytes())
        return getattr(catboost, kind)().load_model(str(path), format=written)
    except (catboost.CatBoostError, ValueError) as error:
        raise InvalidModel(
            f"{path} is damaged or no CatBoost model in the {written} format ({str(error)[:300]}). "
            "Copy the model's folder anew, or save it again."
        ) from error
