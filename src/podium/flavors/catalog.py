"""The flavors that podium knows, and which of them a model or an MLmodel file belongs to."""

from collections.abc import Mapping
from typing import Any

from podium.errors import InvalidInput
from podium.flavors.catboost.flavor import CatBoostFlavor
from podium.flavors.contract import Flavor
from podium.flavors.keras.flavor import KerasFlavor
from podium.flavors.lightgbm.flavor import LightGBMFlavor
from podium.flavors.loader_module import LoaderModuleFlavor
from podium.flavors.onnx import OnnxFlavor
from podium.flavors.python_function import PythonFunctionFlavor
from podium.flavors.pytorch.flavor import PytorchFlavor
from podium.flavors.sklearn.flavor import SklearnFlavor
from podium.flavors.statsmodels import StatsmodelsFlavor
from podium.flavors.tensorflow.flavor import TensorflowFlavor
from podium.flavors.xgboost.flavor import XGBoostFlavor

# The most particular first: XGBClassifier and LGBMClassifier are scikit-learn's estimators too; a function is claimed by
# python_function, and so is every object with __call__; Keras' models on PyTorch are its modules too.
FLAVORS: tuple[Flavor, ...] = (
    OnnxFlavor(),
    KerasFlavor(),
    TensorflowFlavor(),
    PytorchFlavor(),
    XGBoostFlavor(),
    LightGBMFlavor(),
    CatBoostFlavor(),
    SklearnFlavor(),
    StatsmodelsFlavor(),
    PythonFunctionFlavor(),
)


def flavor_named(name: str) -> Flavor:
    """The flavor of this name; `pyfunc` is another word for `python_function`.

    Raises:
        InvalidInput: podium has no such flavor.
    """
    wanted = "python_function" if name == "pyfunc" else name
    for flavor in FLAVORS:
        if flavor.name == wanted:
            return flavor
    raise InvalidInput(f"podium has no flavor {name!r}; it has {[each.name for each in FLAVORS]}.")


def flavor_claiming(model: Any) -> Flavor:
    """The flavor that saves this object.

    Raises:
        InvalidInput: None does.
    """
    for flavor in FLAVORS:
        if flavor.claims(model):
            return flavor
    raise InvalidInput(
        f"No flavor of podium's saves a {type(model).__module__}.{type(model).__name__}. It saves scikit-learn estimators, "
        "models of XGBoost, LightGBM, CatBoost and statsmodels, PyTorch modules, Keras, TensorFlow and ONNX "
        "models, PythonModels, functions and .py files; wrap other objects in a podium.pyfunc.PythonModel."
    )


def flavor_loading(flavors: Mapping[str, Mapping[str, Any]]) -> Flavor:
    """The flavor for MLmodel's `python_function` entry, by its loader_module; the model's own loader for unknown ones."""
    module = flavors.get("python_function", {}).get("loader_module")
    for flavor in FLAVORS:
        if module in flavor.loader_modules:
            return flavor
    return LoaderModuleFlavor()
