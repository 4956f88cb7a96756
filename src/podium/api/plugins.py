"""What other packages add to podium: which plugins there are, and whether one keeps the laws of its kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from podium.errors import NotFound
from podium.flavors import plugins
from podium.flavors.catalog import FLAVORS
from podium.flavors.conformance import Outcome, examine
from podium.monitoring.channels import choice
from podium.monitoring.channels.contract import GROUP as CHANNELS
from podium.settings import entry_points
from podium.settings.entry_points import Plugin, PluginBroken

READY, BROKEN = "ready", "broken"


@dataclass(frozen=True, slots=True)
class PluginState:
    """A plugin that is installed here.

    Args:
        name: What it is called where it is used: of a flavor, the key in MLmodel's `flavors`; of a channel, its `kind` in
            podium.toml.
        kind: `flavor` or `channel`.
        distribution: The package that brings it.
        version: Of that package.
        target: What its entry point names.
        state: `ready`, or `broken` where it cannot be used.
        fault: What is wrong, for people; None where nothing is.
    """

    name: str
    kind: str
    distribution: str
    version: str
    target: str
    state: str
    fault: str | None


def list_plugins() -> list[PluginState]:
    """Every plugin of this interpreter, by name. Each is imported to see whether it can be used."""
    flavors, channels = plugins.installed(), entry_points.installed(CHANNELS)
    of_flavors = [_state(each, plugins.KIND, partial(plugins.use, each, flavors, FLAVORS)) for each in flavors]
    of_channels = [_state(each, "channel", partial(choice.use, each, channels)) for each in channels]
    return sorted([*of_flavors, *of_channels], key=lambda state: (state.name, state.kind, state.distribution))


def _state(plugin: Plugin, kind: str, use: Callable[[], object]) -> PluginState:
    try:
        use()
        state, fault = READY, None
    except (plugins.PluginFailed, PluginBroken) as error:
        state, fault = BROKEN, error.message
    return PluginState(plugin.name, kind, plugin.distribution, plugin.version, plugin.target, state, fault)


def check_plugin(name: str) -> Iterator[Outcome]:
    """Whether each law of `flavors/conformance.py` holds for a flavor plugin, on the samples that it brings.

    Raises:
        NotFound: No such plugin is installed here.
        PluginFailed: It cannot be used, or brings no samples.
    """
    found = plugins.installed()
    wanted = [each for each in found if each.name == name]
    if not wanted:
        known = ", ".join(sorted({each.name for each in found})) or "none"
        raise NotFound(
            f"No plugin {name!r} is installed here; there are: {known}. Flavors of podium's own are checked by its tests.",
            [f"the entry points of the group {plugins.GROUP}"],
        )
    flavor = plugins.use(wanted[0], found, FLAVORS)
    bring = getattr(flavor, "samples", None)
    try:
        samples = list(bring()) if callable(bring) else []
    except Exception as error:
        raise plugins.PluginFailed(f"samples() of the plugin {name!r} raised {type(error).__name__}: {error}") from error
    if not samples:
        raise plugins.PluginFailed(
            f"The plugin {name!r} brings no models to be checked on. Give {type(flavor).__name__} a method samples() that "
            "returns a list of podium.flavors.conformance.Sample."
        )
    return examine(flavor, samples)
