"""What other packages add to podium: found by their entry points, and imported when it is asked for.

An entry point's name is what the plugin is called where it is used, its group the kind of plugin.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from podium.errors import Misconfigured

_LONGEST = 300


class PluginBroken(Misconfigured):
    """A plugin that is installed cannot be used; the message names its package."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point, not imported.

    Args:
        name: What it is called where it is used.
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


def installed(group: str) -> tuple[Plugin, ...]:
    """The plugins of a kind in this interpreter by name; reads packages' metadata and imports nothing."""
    found = []
    for entry in entry_points(group=group):
        package = entry.dist
        name, version = (package.name, package.version) if package is not None else ("an unknown package", "")
        found.append(Plugin(entry.name, entry.value, name, version, entry))
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))


def only_one(name: str, plugins: Sequence[Plugin], kind: str) -> Plugin | None:
    """The plugin of this name; None where there is none.

    Raises:
        PluginBroken: Two packages bring one: it is nobody's, then.
    """
    same = [plugin for plugin in plugins if plugin.name == name]
    if len(same) > 1:
        raise PluginBroken(said_twice(name, same, kind))
    return same[0] if same else None


def said_twice(name: str, plugins: Sequence[Plugin], kind: str) -> str:
    """That several packages bring the same."""
    sources = " and ".join(sorted(plugin.source for plugin in plugins))
    return f"There are several {kind} plugins called {name!r}: of {sources}. Uninstall all but one."


def imported(plugin: Plugin, kind: str) -> Any:
    """What an entry point names; where that is a class, one of it.

    Raises:
        PluginBroken: Importing it raised.
    """
    try:
        found = plugin.entry.load()
        return found() if isinstance(found, type) else found
    except (Exception, SystemExit) as error:
        raise PluginBroken(
            f"The {kind} plugin {plugin.name!r} ({plugin.target}, of {plugin.source}) cannot be imported: {said(error)}. "
            f"Update or uninstall {plugin.distribution}."
        ) from error


def used(
    plugin: Plugin, plugins: Sequence[Plugin], kind: str, own: Collection[str], fault_of: Callable[[Any], str | None]
) -> Any:
    """What a plugin brings, imported and looked at.

    Args:
        plugin: One of `plugins`.
        plugins: All that are installed: a name that two have is nobody's.
        kind: Of plugin, for people.
        own: The names of podium's own of that kind.
        fault_of: What keeps an object from being one; None where nothing does.

    Raises:
        PluginBroken: It cannot be imported, is none, or its name is another's too.
    """
    only_one(plugin.name, plugins, kind)
    if plugin.name in own:
        raise PluginBroken(f"{plugin.source} brings a {kind} {plugin.name!r}, which is the name of one of podium's own.")
    found = imported(plugin, kind)
    wrong = fault_of(found)
    name = getattr(found, "name", None)
    if wrong is None and name != plugin.name:
        wrong = f"its name is {name!r}, its entry point's {plugin.name!r}"
    if wrong is not None:
        raise PluginBroken(f"The {kind} plugin {plugin.name!r} of {plugin.source} is no {kind}: {wrong}.")
    return found


def said(error: BaseException) -> str:
    """What a plugin's own code raised, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}".removesuffix(".")
