"""LightGBM: Boosters as LightGBM's text, the scikit-learn API as skops where it can, else cloudpickle or pickle."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from podium.domain.frames import is_frame
from podium.domain.signature import Signature
from podium.errors import InvalidInput, InvalidModel, MissingDependency
from podium.flavors.booster_files import check_lightgbm
from podium.flavors.booster_inputs import (
    as_floats,
    has_categories,
    matrix_claims,
    text_positions,
    with_categories,
)
from podium.flavors.claims import Claim, Inputs
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.conversions import Converter, NotConverted
from podium.flavors.folders import part_of
from podium.flavors.lightgbm.conversion import BoosterConverter
from podium.flavors.predict_functions import asked_method, saved_method
from podium.flavors.sklearn.flavor import CLOUDPICKLE, FILES, SKOPS, TRUSTED_PACKAGES, read_estimator, write_estimator
from podium.flavors.threads import granted_threads

_BOOSTER = "lightgbm.basic.Booster"
_BOOSTER_FILE = "model.lgb"
_PREDICT_FNS = ("predict", "predict_proba")
# What MLflow writes too, so that its loader takes what we saved.
_TRUSTED = ("collections.OrderedDict", "lightgbm.basic.Booster")

# Params of training that change what predict answers, by LightGBM's names and their aliases.
_FOR_PREDICTION = re.compile("pred|raw|contrib|leaf_ind|iteration")


class LoadedModel:
    """A Booster or an estimator of the scikit-learn API, and the method of it that answers."""

    def __init__(self, model: Any, method: str) -> None:
        self.native = model
        self._method = method
        self._is_booster = type(model).__name__ == "Booster"
        self._call: Callable[..., Any] = getattr(model, method)
        self._booster = model if self._is_booster else getattr(model, "booster_", None)
        # The scikit-learn API takes every core unless it is told; a Booster heeds OMP_NUM_THREADS by itself.
        threads = granted_threads()
        is_told = threads is not None and _is_own(model) and not self._is_booster
        self._threads = {"num_threads": threads} if is_told else {}

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the method; params are ignored, as in MLflow."""
        del params
        return self._call(self._known(data), **self._threads)

    def hasten(self) -> None:
        """Nothing."""

    def claims(self, inputs: Inputs) -> list[Claim]:
        """The Booster on the matrix itself, its answer turned into labels as the estimator does."""
        booster = self._booster
        if booster is None or booster.pandas_categorical or not _is_own(self.native):
            return []
        threads = self._threads
        finish = (lambda answer: answer) if self._is_booster else _finisher(self.native, self._method)
        if finish is None:
            return []
        call = lambda rows: finish(booster.predict(as_floats(rows), **threads))  # noqa: E731
        return matrix_claims(call, "its own trees on a matrix", inputs)

    def converter(self) -> Converter:
        """See `flavors.contract.Convertible`.

        Raises:
            NotConverted: A class of the user's.
        """
        booster = self._booster
        if booster is None or not _is_own(self.native):
            raise NotConverted(f"{type(self.native).__name__} is not one of LightGBM's own classes; save its Booster.")
        finish = (lambda answer: answer) if self._is_booster else _finisher(self.native, self._method)
        scores = None
        if self._method == "predict" and hasattr(self.native, "classes_"):
            made = _finisher(self.native, "predict_proba")
            original = lambda data: self.native.predict_proba(data, **self._threads)  # noqa: E731
            scores = None if made is None else (original, made)
        return BoosterConverter(booster, finish, scores)

    def _known(self, data: Any) -> Any:
        """A table with text, or codes, where LightGBM wants the categories that it was trained with.

        Such a table LightGBM always refuses, so MLflow's server does; no answer of its changes.
        """
        categories = None if self._booster is None else self._booster.pandas_categorical
        if not categories or not is_frame(data) or has_categories(data):
            return data
        texts = text_positions(data)
        places = texts if len(texts) == len(categories) else sorted({*texts, *_categorical_positions(self._booster)})
        if len(places) != len(categories):
            return data
        return with_categories(data, dict(zip(places, categories, strict=True)))


class LightGBMFlavor:
    """MLflow's `lightgbm` flavor."""

    name = "lightgbm"
    loader_modules: tuple[str, ...] = ("mlflow.lightgbm",)
    options: tuple[str, ...] = ("serialization_format", "skops_trusted_types", "pyfunc_predict_fn")

    def claims(self, model: Any) -> bool:
        basic, estimators = sys.modules.get("lightgbm.basic"), sys.modules.get("lightgbm.sklearn")
        return (basic is not None and isinstance(model, basic.Booster)) or (
            estimators is not None and isinstance(model, estimators.LGBMModel)
        )

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write the model.

        Args:
            model: A Booster or an estimator of the scikit-learn API.
            folder: Existing, empty.
            example: Not needed.
            options: `serialization_format` (`skops`, `cloudpickle`, `pickle`; of the scikit-learn API only; None: skops
                where it can), `skops_trusted_types`, `pyfunc_predict_fn` (`predict`, `predict_proba`).

        Raises:
            InvalidInput: An unknown format or predict function, or no model of LightGBM's.
        """
        del example
        import lightgbm

        if isinstance(model, type) or not self.claims(model):
            name = model.__name__ + ", a class" if isinstance(model, type) else f"a {type(model).__name__}"
            raise InvalidInput(f"lgb_model is {name}; expected a lightgbm.Booster or an estimator of lightgbm's.")
        method = asked_method(options, model, _PREDICT_FNS)
        own: dict[str, Any] = {
            "code": None,
            "lgb_version": lightgbm.__version__,
            "model_class": f"{type(model).__module__}.{type(model).__qualname__}",
        }
        needed: list[str] = []
        modules = {"lightgbm"}
        if isinstance(model, lightgbm.Booster):
            own["data"] = _BOOSTER_FILE
            # Written as a Booster's whatever class of the user's it is: the file holds nothing else.
            own["model_class"] = _BOOSTER
            model.save_model(folder / _BOOSTER_FILE)
        else:
            given: Sequence[str] = options.get("skops_trusted_types") or ()
            chosen, trusted, named = write_estimator(
                model,
                folder,
                options.get("serialization_format"),
                sorted({*_TRUSTED, *given}),
                (*TRUSTED_PACKAGES, "lightgbm"),
            )
            own |= {"data": FILES[chosen], "serialization_format": chosen}
            own["skops_trusted_types"] = list(trusted) if chosen == SKOPS and trusted is not None else None
            needed = ["scikit-learn", *{SKOPS: ["skops"], CLOUDPICKLE: ["cloudpickle"]}.get(chosen, [])]
            modules |= named
        if method != "predict":
            # Beside what MLflow reads: it has no such choice for LightGBM, and answers with predict.
            own["predict_fn"] = method
        entries = {"lightgbm": own, "python_function": {"loader_module": "mlflow.lightgbm", "data": own["data"]}}
        return Saved(entries, needed, frozenset(modules))

    def load(self, stored: Stored) -> Loaded:
        model = load_model(stored)
        return LoadedModel(model, saved_method(stored, "lightgbm", model, _PREDICT_FNS))

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        del signature
        kind = type(loaded.native)
        if not _is_own(loaded.native):
            return RowIndependence(False, f"{kind.__module__}.{kind.__name__} is not one of LightGBM's own classes")
        return RowIndependence(True, f"LightGBM's {kind.__name__} answers row by row")

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """See `flavors.contract.Preloadable`."""
        del flavors
        return None if has_gpu else ("pandas", "lightgbm")


def load_model(stored: Stored) -> Any:
    """The Booster or estimator itself. An absent serialization_format means cloudpickle, as in files of MLflow 2.

    Raises:
        InvalidModel, LoadFailed, MissingDependency.
    """
    own = stored.of("lightgbm")
    file = own.get("data") or stored.of("python_function").get("data")
    path = part_of(stored.folder, file, "data")
    try:
        import lightgbm
    except ImportError as error:
        raise MissingDependency("lightgbm", "This model", "lightgbm") from error
    if (own.get("model_class") or _BOOSTER) != _BOOSTER:
        written = own.get("serialization_format") or CLOUDPICKLE
        return read_estimator(path, written, own.get("skops_trusted_types"), stored.terms)
    check_lightgbm(path)
    try:
        return lightgbm.Booster(model_file=path)
    except lightgbm.basic.LightGBMError as error:
        raise InvalidModel(
            f"{path} is damaged or no LightGBM model ({error}). Copy the model's folder anew, or save it again."
        ) from error


def _is_own(model: Any) -> bool:
    return type(model).__module__.partition(".")[0] == "lightgbm"


def _finisher(estimator: Any, method: str) -> Callable[[Any], Any] | None:
    """What an estimator makes of its Booster's answer; None where that depends on params of the user's."""
    others = getattr(estimator, "_other_params", {})
    if callable(getattr(estimator, "objective", None)) or any(_FOR_PREDICTION.search(name) for name in others):
        return None
    if not hasattr(estimator, "classes_"):
        return (lambda answer: answer) if method == "predict" else None
    classes = estimator.classes_

    def probabilities(answer: Any) -> Any:
        return np.vstack((1.0 - answer, answer)).transpose() if answer.ndim == 1 else answer

    if method == "predict_proba":
        return probabilities
    return lambda answer: classes.take(np.argmax(probabilities(answer), axis=1), axis=0)


def _categorical_positions(booster: Any) -> list[int]:
    """Positions of the features that are split by sets of codes, from the Booster's own description of their values."""
    for line in booster.model_to_string(num_iteration=1).splitlines():
        name, _, value = line.partition("=")
        if name == "feature_infos":
            return [i for i, each in enumerate(value.split(" ")) if not each.startswith("[") and each != "none"]
    return []
