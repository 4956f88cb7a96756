"""Which flavor a model or an MLmodel file belongs to: podium's own (`catalog.py`) first, then those of other packages."""

import functools
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.errors import InvalidInput
from podium.flavors import catalog, plugins
from podium.flavors.catalog import FLAVORS
from podium.flavors.contract import Flavor
from podium.flavors.loader_module import LoaderModuleFlavor
from podium.flavors.notes import note
from podium.flavors.python_function import PythonFunctionFlavor
from podium.flavors.python_model import is_python_model


def flavor_named(name: str) -> Flavor:
    """The flavor of this name; `pyfunc` is another word for `python_function`.

    Raises:
        InvalidInput: There is no such flavor.
        PluginFailed: It is a plugin's, which cannot be used.
    """
    try:
        return catalog.flavor_named(name)
    except InvalidInput as error:
        found = plugins.installed()
        plugin = plugins.find(name, found, FLAVORS)
        if plugin is not None:
            return plugins.use(plugin, found, FLAVORS)
        names = sorted({each.name for each in found} - plugins.reserved_names(FLAVORS))
        raise InvalidInput(f"{error.message}{f' Plugins bring {names}.' if names else ''}") from error


def flavor_claiming(model: Any) -> Flavor:
    """The flavor that saves this object.

    A plugin is asked for what none of podium's own claims, and for what only can be called: much of any library can.

    Raises:
        InvalidInput: None does, or several plugins do.
    """
    claiming, refusal = _claimed_by_us(model)
    is_only_callable = isinstance(claiming, PythonFunctionFlavor) and not _is_python_code(model)
    if claiming is not None and not is_only_callable:
        return claiming
    taken, failures = _claimed_by_plugins(model)
    kind = f"{type(model).__module__}.{type(model).__name__}"
    if len(taken) > 1:
        names = [each.name for each in taken]
        raise InvalidInput(f"Several flavor plugins save a {kind}: {names}. Pass flavor= one of them.")
    if taken:
        return taken[0]
    if claiming is None:
        raise InvalidInput(refusal + "".join(f"\n  {failure}" for failure in failures))
    for failure in failures:
        note(f"{failure} The {kind} is saved as a Python function.")
    return claiming


def flavor_loading(flavors: Mapping[str, Mapping[str, Any]]) -> Flavor:
    """The flavor for MLmodel's `python_function` entry, by its loader_module; the model's own loader for unknown ones.

    Raises:
        PluginFailed: It is a plugin's, by the name of MLmodel's other entry, and the plugin cannot be used.
    """
    ours = catalog.flavor_loading(flavors)
    if not isinstance(ours, LoaderModuleFlavor) or len(flavors) < 2:
        return ours
    module = flavors.get("python_function", {}).get("loader_module")
    found = plugins.installed()
    for name in flavors:
        plugin = plugins.find(name, found, FLAVORS)
        if plugin is not None and module in (flavor := plugins.use(plugin, found, FLAVORS)).loader_modules:
            return flavor
    return ours


def _claimed_by_us(model: Any) -> tuple[Flavor | None, str]:
    """Podium's own flavor for a model; or None, and why."""
    try:
        return catalog.flavor_claiming(model), ""
    except InvalidInput as error:
        return None, error.message


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
    functions = (str, Path, types.FunctionType, types.MethodType, functools.partial)
    return isinstance(model, functions) or is_python_model(model)
