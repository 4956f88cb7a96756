"""The flavors that podium knows, and which of them a model or an MLmodel file belongs to.

podium's own come first and are all here; those of other packages (`plugins.py`) are looked for when none of them fits.
"""

import functools
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.errors import InvalidInput
from podium.flavors import plugins
from podium.flavors.contract import Flavor
from podium.flavors.loader_module import LoaderModuleFlavor
from podium.flavors.notes import note
from podium.flavors.onnx import OnnxFlavor
from podium.flavors.python_function import PythonFunctionFlavor
from podium.flavors.python_model import is_python_model
from podium.flavors.pytorch import PytorchFlavor
from podium.flavors.sklearn import SklearnFlavor

# The most particular first: a function is claimed by python_function, and so is every object with __call__.
FLAVORS: tuple[Flavor, ...] = (OnnxFlavor(), PytorchFlavor(), SklearnFlavor(), PythonFunctionFlavor())

SAVED = "scikit-learn estimators, PyTorch modules, ONNX models, PythonModels, functions and .py files"


def flavor_named(name: str) -> Flavor:
    """The flavor of this name; `pyfunc` is another word for `python_function`.

    Raises:
        InvalidInput: There is no such flavor.
        PluginFailed: It is a plugin's, which cannot be used.
    """
    wanted = "python_function" if name == "pyfunc" else name
    for flavor in FLAVORS:
        if flavor.name == wanted:
            return flavor
    found = plugins.installed()
    plugin = plugins.find(wanted, found, FLAVORS)
    if plugin is not None:
        return plugins.use(plugin, found, FLAVORS)
    names = [*(each.name for each in FLAVORS), *sorted({each.name for each in found} - plugins.reserved_names(FLAVORS))]
    raise InvalidInput(f"podium has no flavor {name!r}; it has {names}.")


def flavor_claiming(model: Any) -> Flavor:
    """The flavor that saves this object.

    A plugin is asked for what none of podium's own claims, and for what only can be called: much of any library can.

    Raises:
        InvalidInput: None does, or several plugins do.
    """
    claiming = next((flavor for flavor in FLAVORS if flavor.claims(model)), None)
    is_only_callable = isinstance(claiming, PythonFunctionFlavor) and not _is_python_code(model)
    if claiming is not None and not is_only_callable:
        return claiming
    taken, failures = _claimed_by_plugins(model)
    if len(taken) > 1:
        names = [each.name for each in taken]
        raise InvalidInput(f"Several flavor plugins save a {_kind(model)}: {names}. Pass flavor= one of them.")
    if taken:
        return taken[0]
    if claiming is not None:
        for failure in failures:
            note(f"{failure} The {_kind(model)} is saved as a Python function.")
        return claiming
    raise InvalidInput(
        f"No flavor of podium's saves a {_kind(model)}. It saves {SAVED}; wrap other objects in a "
        "podium.pyfunc.PythonModel." + "".join(f"\n  {failure}" for failure in failures)
    )


def flavor_loading(flavors: Mapping[str, Mapping[str, Any]]) -> Flavor:
    """The flavor for MLmodel's `python_function` entry, by its loader_module; the model's own loader for unknown ones.

    Raises:
        PluginFailed: It is a plugin's, by the name of MLmodel's other entry, and the plugin cannot be used.
    """
    module = flavors.get("python_function", {}).get("loader_module")
    for flavor in FLAVORS:
        if module in flavor.loader_modules:
            return flavor
    found = plugins.installed() if len(flavors) > 1 else ()
    for name in flavors:
        plugin = plugins.find(name, found, FLAVORS)
        if plugin is not None and module in (flavor := plugins.use(plugin, found, FLAVORS)).loader_modules:
            return flavor
    return LoaderModuleFlavor()


def _claimed_by_plugins(model: Any) -> tuple[list[Flavor], list[str]]:
    """The plugins' flavors that take a model, and what is wrong with those that could not be asked."""
    found = plugins.installed()
    taken, failures = [], []
    for plugin in found:
        try:
            flavor = plugins.claim(model, plugin, lambda each: plugins.use(each, found, FLAVORS))
        except plugins.PluginFailed as error:
            failures.append(error.message)
            continue
        if flavor is not None:
            taken.append(flavor)
    return taken, failures


def _is_python_code(model: Any) -> bool:
    """What is python_function's and nobody else's: a path, a PythonModel, a function."""
    return isinstance(model, str | Path | types.FunctionType | types.MethodType | functools.partial) or is_python_model(
        model
    )


def _kind(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__name__}"
