"""Which drift methods there are, podium's own and those of other packages, and by which one the monitor scores a column.

Another package brings one by an entry point, whose name is the method's:

    [project.entry-points."podium.drift_methods"]
    hellinger = "podium_hellinger:Hellinger"
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from podium.domain.monitoring.choosing import all_said, choices_of
from podium.domain.monitoring.drift import OWN_METHODS
from podium.domain.monitoring.drift.contract import DriftMethod, Thresholds
from podium.domain.monitoring.findings import Choice
from podium.domain.monitoring.profile import Profile
from podium.errors import InvalidInput
from podium.monitoring.store.writing import VersionKey
from podium.settings.entry_points import Plugin, PluginBroken, imported, installed, only_one

GROUP = "podium.drift_methods"
KIND = "drift method"
_log = logging.getLogger("podium.monitor")


def known_methods(tell: Callable[[str], None] = _log.warning) -> dict[str, DriftMethod]:
    """All that can be used here, by name. Plugins are imported.

    Args:
        tell: Of a plugin that cannot be used.
    """
    found = {method.name: method for method in OWN_METHODS}
    plugins = installed(GROUP)
    for plugin in plugins:
        try:
            found[plugin.name] = use(plugin, plugins)
        except PluginBroken as error:
            tell(error.message)
    return found


def use(plugin: Plugin, plugins: Sequence[Plugin]) -> DriftMethod:
    """Import a plugin.

    Args:
        plugin: One of `plugins`.
        plugins: All that are installed: a name that two have is nobody's.

    Raises:
        PluginBroken: It cannot be imported, is no drift method, or its name is another's too.
    """
    only_one(plugin.name, plugins, KIND)
    if plugin.name in {method.name for method in OWN_METHODS}:
        raise PluginBroken(f"{plugin.source} brings a {KIND} {plugin.name!r}, which is the name of one of podium's own.")
    method = imported(plugin, KIND)
    wrong = fault_of(method)
    if wrong is None and method.name != plugin.name:
        wrong = f"its name is {method.name!r}, its entry point's {plugin.name!r}"
    if wrong is not None:
        raise PluginBroken(f"The {KIND} plugin {plugin.name!r} of {plugin.source} is no {KIND}: {wrong}.")
    kept: DriftMethod = method
    return kept


def fault_of(method: Any) -> str | None:
    """What keeps an object from being a drift method; None where nothing does."""
    for name in ("score", "p_value"):
        if not callable(getattr(method, name, None)):
            return f"{type(method).__name__} has no {name}"
    for name, kind in (("name", str), ("source", str), ("needs_order", bool), ("thresholds", Thresholds)):
        value = getattr(method, name, None)
        if not isinstance(value, kind):
            return f"{name} is {value!r:.100}; expected {kind.__name__}"
    if not math.isfinite(method.thresholds.alert):
        return f"its threshold is {method.thresholds.alert}"
    return None


class DriftChoices:
    """By which method the columns of each model are scored, as the facts of what is served tell it. One thread.

    Args:
        methods: Finds them, once.
        tell: Of what was said and cannot be, once for each profile.
    """

    def __init__(
        self,
        methods: Callable[[], Mapping[str, DriftMethod]] = known_methods,
        tell: Callable[[str], None] = _log.warning,
    ) -> None:
        self._find = methods
        self._tell = tell
        self._methods: Mapping[str, DriftMethod] | None = None
        self._said: dict[str, tuple[str, ...]] = {}
        self._chosen: dict[str, tuple[str, Mapping[str, Choice]]] = {}

    def hear(self, versions: Iterable[Mapping[str, Any]]) -> None:
        """What is said of the models that are served."""
        said = {str(each["model"]): tuple(map(str, each.get("drift") or ())) for each in versions}
        for model in {*self._said, *said}:
            if self._said.get(model) != said.get(model):
                self._chosen = {name: each for name, each in self._chosen.items() if name != model}
        self._said = said

    def of(self, key: VersionKey, profile: Profile) -> Mapping[str, Choice]:
        """How the columns of a version are scored, where otherwise than all."""
        said = self._said.get(key.model, ())
        if not said:
            return {}
        known = self._chosen.get(key.model)
        if known is None or known[0] != profile.profile_id:
            known = self._chosen[key.model] = (profile.profile_id, self._choose(key, said, profile))
        return known[1]

    def _choose(self, key: VersionKey, said: Sequence[str], profile: Profile) -> Mapping[str, Choice]:
        if self._methods is None:
            self._methods = self._find()
        try:
            found = choices_of(all_said(said, list(self._methods)), self._methods, profile)
        except InvalidInput as error:
            self._tell(f"{key.model}: {error.message} All columns are scored by psi.")
            return {}
        for problem in found.problems:
            self._tell(f"version {key.version} of {key.model}: {problem} It is scored by psi.")
        return found.by_column
