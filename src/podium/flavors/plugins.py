"""Flavors that other packages bring: found by their entry points, and imported when they are asked for.

    [project.entry-points."podium.flavors"]
    river = "podium_river:RiverFlavor"

The entry point's name is the flavor's, which is the key that a model has in MLmodel's `flavors`: so a model says itself
which plugin it needs, and no other is imported for it. A plugin that cannot be used never stands in the way of what does
not need it; whoever needs it gets `PluginFailed`, which names the package and what is wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from podium.errors import LoadFailed
from podium.flavors.contract import Flavor

GROUP = "podium.flavors"
KIND = "flavor"
_LONGEST = 300
_METHODS = ("claims", "save", "load", "rows")


class PluginFailed(LoadFailed):
    """A plugin that is installed cannot be used; the message names its package."""

    def __init__(self, message: str) -> None:
        super().__init__(message, cause="import_error")


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point, not imported.

    Args:
        name: The flavor's.
        target: `podium_river:RiverFlavor`
        distribution: The package that brings it, as pip knows it.
        version: Of that package.
        entry: What imports it.
    """

    name: str
    target: str
    distribution: str
    version: str
    entry: EntryPoint

    @property
    def source(self) -> str:
        return f"{self.distribution} {self.version}"


def installed() -> tuple[Plugin, ...]:
    """The plugins of this interpreter by name; reads packages' metadata and imports nothing."""
    found = []
    for entry in entry_points(group=GROUP):
        package = entry.dist
        name, version = (package.name, package.version) if package is not None else ("an unknown package", "")
        found.append(Plugin(entry.name, entry.value, name, version, entry))
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))


def find(name: str, plugins: Sequence[Plugin], taken: Sequence[Flavor]) -> Plugin | None:
    """The plugin of this name; None where there is none, or podium's own flavor has it.

    Raises:
        PluginFailed: Two packages bring one.
    """
    if name in reserved_names(taken):
        return None
    same = [plugin for plugin in plugins if plugin.name == name]
    if len(same) > 1:
        raise PluginFailed(_twice(name, same))
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
        raise PluginFailed(_twice(plugin.name, [plugin, *same]))
    place = f"The flavor plugin {plugin.name!r} ({plugin.target}, of {plugin.source})"
    try:
        found = plugin.entry.load()
        flavor = found() if isinstance(found, type) else found
        wrong = _fault(flavor, plugin, {module for each in taken for module in each.loader_modules})
    except (Exception, SystemExit) as error:
        raise PluginFailed(
            f"{place} cannot be imported: {_said(error)}. Update or uninstall {plugin.distribution}."
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
            f"{type(model).__name__}: {_said(error)}."
        ) from error


def reserved_names(taken: Sequence[Flavor]) -> set[str]:
    """What no plugin may be called: the flavors of podium's own, and the words that stand for some of them."""
    return {*(flavor.name for flavor in taken), "pyfunc", "python_function", "loader_module"}


def _twice(name: str, plugins: Sequence[Plugin]) -> str:
    sources = " and ".join(sorted(plugin.source for plugin in plugins))
    return f"There are several flavor plugins called {name!r}: of {sources}. Uninstall all but one."


def _said(error: BaseException) -> str:
    """What a plugin's own code raised, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}".removesuffix(".")


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
