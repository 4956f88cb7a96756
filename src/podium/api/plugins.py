"""What other packages add to podium: which plugins there are, and whether one keeps the laws of its kind."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from podium.domain.monitoring.drift.conformance import examine as examine_method
from podium.errors import NotFound
from podium.flavors import plugins
from podium.flavors.catalog import FLAVORS
from podium.flavors.conformance import Outcome, examine
from podium.monitoring import drift_methods
from podium.monitoring.channels import choice
from podium.monitoring.channels.conformance import examine as examine_channel
from podium.monitoring.channels.conformance import samples_of
from podium.monitoring.channels.contract import GROUP as CHANNELS
from podium.monitoring.channels.contract import Channel
from podium.monitoring.drift_methods import GROUP as METHODS
from podium.settings import entry_points
from podium.settings.entry_points import Plugin, PluginBroken

READY, BROKEN = "ready", "broken"


@dataclass(frozen=True, slots=True)
class PluginState:
    """A plugin that is installed here.

    Args:
        name: What it is called where it is used: of a flavor, the key in MLmodel's `flavors`; of a channel, its `kind` in
            podium.toml; of a drift method, what `drift` there says.
        kind: `flavor`, `channel` or `drift method`.
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
    methods = entry_points.installed(METHODS)
    of_methods = [_state(each, drift_methods.KIND, partial(drift_methods.use, each, methods)) for each in methods]
    return sorted([*of_flavors, *of_channels, *of_methods], key=lambda state: (state.name, state.kind, state.distribution))


def _state(plugin: Plugin, kind: str, use: Callable[[], object]) -> PluginState:
    try:
        use()
        state, fault = READY, None
    except (plugins.PluginFailed, PluginBroken) as error:
        state, fault = BROKEN, error.message
    return PluginState(plugin.name, kind, plugin.distribution, plugin.version, plugin.target, state, fault)


def check_plugin(name: str) -> Iterator[Outcome]:
    """Whether each law of its kind holds for a plugin, on what it brings to be checked with.

    A flavor's laws are those of `flavors/conformance.py`, a channel's those of `monitoring/channels/conformance.py`, a
    drift method's those of `domain/monitoring/drift/conformance.py`. Of a name that is several, all are checked.

    Raises:
        NotFound: No such plugin is installed here.
        PluginFailed, PluginBroken: It cannot be used, or brings nothing to be checked with.
    """
    flavors, channels = plugins.installed(), entry_points.installed(CHANNELS)
    methods = entry_points.installed(METHODS)
    found: list[Iterator[Outcome]] = []
    if wanted := [each for each in flavors if each.name == name]:
        found.append(_check_flavor(wanted[0], flavors))
    if wanted := [each for each in channels if each.name == name]:
        found.append(_check_channel(choice.use(wanted[0], channels)))
    if wanted := [each for each in methods if each.name == name]:
        laws = examine_method(drift_methods.use(wanted[0], methods))
        found.append(Outcome(each.law, None, each.failure) for each in laws)
    if not found:
        known = ", ".join(sorted({each.name for each in (*flavors, *channels, *methods)})) or "none"
        raise NotFound(
            f"No plugin {name!r} is installed here; there are: {known}. What is podium's own is checked by its tests.",
            [f"the entry points of the group {group}" for group in (plugins.GROUP, CHANNELS, METHODS)],
        )
    return chain.from_iterable(found)


def _check_channel(channel: Channel) -> Iterator[Outcome]:
    options_at = samples_of(channel)
    options_at("127.0.0.1", 9)  # what is wrong with them is told before anything is tried
    return (Outcome(each.law, None, each.failure) for each in examine_channel(channel, options_at))


def _check_flavor(plugin: Plugin, found: Sequence[Plugin]) -> Iterator[Outcome]:
    flavor = plugins.use(plugin, found, FLAVORS)
    bring = getattr(flavor, "samples", None)
    try:
        samples = list(bring()) if callable(bring) else []
    except Exception as error:
        raise plugins.PluginFailed(
            f"samples() of the plugin {plugin.name!r} raised {type(error).__name__}: {error}"
        ) from error
    if not samples:
        raise plugins.PluginFailed(
            f"The plugin {plugin.name!r} brings no models to be checked on. Give {type(flavor).__name__} a method "
            "samples() that returns a list of podium.flavors.conformance.Sample."
        )
    return examine(flavor, samples)
