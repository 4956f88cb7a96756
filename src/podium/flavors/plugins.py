"""Flavors that other packages bring: found by their entry points, and imported when they are asked for.

    [project.entry-points."podium.flavors"]
    river = "podium_river:RiverFlavor"

The entry point's name is the flavor's, which is the key that a model has in MLmodel's `flavors`: so a model says itself
which plugin it needs, and no other is imported for it. A plugin that cannot be used never stands in the way of what does
not need it; whoever needs it gets `PluginFailed`, which names the package and what is wrong.
"""

from collections.abc import Callable, Sequence
from typing import Any

from podium.errors import LoadFailed
from podium.flavors.contract import Flavor
from podium.settings import entry_points
from podium.settings.entry_points import Plugin, said, said_twice

GROUP = "podium.flavors"
KIND = "flavor"
_METHODS = ("claims", "save", "load", "rows")


class PluginFailed(LoadFailed):
    """A plugin that is installed cannot be used; the message names its package."""

    def __init__(self, message: str) -> None:
        super().__init__(message, cause="import_error")


def installed() -> tuple[Plugin, ...]:
    """The plugins of this interpreter by name; reads packages' metadata and imports nothing."""
    return entry_points.installed(GROUP)


def find(name: str, plugins: Sequence[Plugin], taken: Sequence[Flavor]) -> Plugin | None:
    """The plugin of this name; None where there is none, or podium's own flavor has it.

    Raises:
        PluginFailed: Two packages bring one.
    """
    if name in reserved_names(taken):
        return None
    same = [plugin for plugin in plugins if plugin.name == name]
    if len(same) > 1:
        raise PluginFailed(said_twice(name, same, KIND))
    return same[0] if same else None


def use(plugin: Plugin, plugins: Sequence[Plugin], taken: Sequence[Flavor]) -> Flavor:
    """Import a plugin and look at what it is.

    Args:
        plugin: One of `plugins`.
        plugins: All that are installed: a name that two have is nobody's.
        taken: podium's own flavors, whose names and loader modules are not to be had.

    Raises:
        PluginFailed: Its name is taken, importing it raised, or it is no flavor; says which.
    """
    if plugin.name in reserved_names(taken):
        raise PluginFailed(f"{plugin.source} brings a flavor {plugin.name!r}, which is the name of one of podium's own.")
    if same := [each for each in plugins if each.name == plugin.name and each != plugin]:
        raise PluginFailed(said_twice(plugin.name, [plugin, *same], KIND))
    place = f"The flavor plugin {plugin.name!r} ({plugin.target}, of {plugin.source})"
    try:
        found = plugin.entry.load()
        flavor = found() if isinstance(found, type) else found
        wrong = _fault(flavor, plugin, {module for each in taken for module in each.loader_modules})
    except (Exception, SystemExit) as error:
        raise PluginFailed(
            f"{place} cannot be imported: {said(error)}. Update or uninstall {plugin.distribution}."
        ) from error
    if wrong is not None:
        raise PluginFailed(f"{place} is no flavor: {wrong}. See flavors/contract.py.")
    kept: Flavor = flavor
    return kept


def claim(model: Any, plugin: Plugin, load: Callable[[Plugin], Flavor]) -> Flavor | None:
    """The plugin's flavor if it takes the model.

    Raises:
        PluginFailed: It cannot be imported, or asking it raised.
    """
    flavor = load(plugin)
    try:
        return flavor if flavor.claims(model) is True else None
    except (Exception, SystemExit) as error:
        raise PluginFailed(
            f"The flavor plugin {plugin.name!r} of {plugin.source} raised when it was asked whether it takes a "
            f"{type(model).__name__}: {said(error)}."
        ) from error


def reserved_names(taken: Sequence[Flavor]) -> set[str]:
    """What no plugin may be called: the flavors of podium's own, and the words that stand for some of them."""
    return {*(flavor.name for flavor in taken), "pyfunc", "python_function", "loader_module"}


def _fault(flavor: Any, plugin: Plugin, taken: set[str]) -> str | None:
    """What keeps an object from being the flavor that its entry point promises."""
    missing = [method for method in _METHODS if not callable(getattr(flavor, method, None))]
    if missing:
        return f"{type(flavor).__name__} has no {', '.join(missing)}"
    if getattr(flavor, "name", None) != plugin.name:
        return f"its name is {getattr(flavor, 'name', None)!r}, its entry point's {plugin.name!r}"
    for attribute in ("loader_modules", "options"):
        value = getattr(flavor, attribute, None)
        if not isinstance(value, tuple) or not all(isinstance(each, str) and each for each in value):
            return f"{attribute} is {value!r}; expected a tuple of texts"
    if not flavor.loader_modules:
        return "loader_modules is empty, so that no model would ever be its"
    if clash := sorted(taken.intersection(flavor.loader_modules)):
        return f"its loader_modules hold {', '.join(clash)}, which podium loads itself"
    return None
