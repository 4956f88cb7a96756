"""Which drift methods there are, podium's own and those of other packages, and by which one the monitor scores a column.

Another package brings one by an entry point, whose name is the method's:

    [project.entry-points."podium.drift_methods"]
    hellinger = "podium_hellinger:Hellinger"
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from podium.domain.monitoring.choosing import SaidMethod, all_said, choices_of
from podium.domain.monitoring.drift import OWN_METHODS
from podium.domain.monitoring.drift.contract import DriftMethod, Thresholds
from podium.domain.monitoring.findings import Choice
from podium.domain.monitoring.profile import Profile
from podium.errors import InvalidInput
from podium.monitoring.store.writing import VersionKey
from podium.settings.entry_points import Plugin, PluginBroken, installed, used

GROUP = "podium.drift_methods"
KIND = "drift method"
_log = logging.getLogger("podium.monitor")


def known_methods(wanted: Iterable[str], tell: Callable[[str], None] = _log.warning) -> dict[str, DriftMethod]:
    """By name podium's own and, where one that is wanted is not among them, those of other packages, which are imported.

    Args:
        wanted: Names.
        tell: Of a plugin that cannot be used.
    """
    found = {method.name: method for method in OWN_METHODS}
    if found.keys() >= set(wanted):
        return found
    plugins = installed(GROUP)
    for plugin in plugins:
        try:
            found[plugin.name] = use(plugin, plugins)
        except PluginBroken as error:
            tell(error.message)
    return found


class SaidMethods(NamedTuple):
    """What somebody said of columns' drift.

    Attributes:
        said: Of which columns what.
        methods: All that there are, by name.
    """

    said: tuple[SaidMethod, ...]
    methods: Mapping[str, DriftMethod]


def methods_said(texts: Sequence[str], tell: Callable[[str], None] = _log.warning) -> SaidMethods:
    """What is said in settings or to a command, each of a method that there is.

    Raises:
        InvalidInput: As `choosing.all_said`.
    """
    methods = known_methods({SaidMethod.of(text).method for text in texts}, tell)
    return SaidMethods(all_said(texts, list(methods)), methods)


def use(plugin: Plugin, plugins: Sequence[Plugin]) -> DriftMethod:
    """Import a plugin.

    Args:
        plugin: One of `plugins`.
        plugins: All that are installed: a name that two have is nobody's.

    Raises:
        PluginBroken: It cannot be imported, is no drift method, or its name is another's too.
    """
    method: DriftMethod = used(plugin, plugins, KIND, {method.name for method in OWN_METHODS}, fault_of)
    return method


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
        tell: Of what was said and cannot be, once for each profile.
    """

    def __init__(self, tell: Callable[[str], None] = _log.warning) -> None:
        self._tell = tell
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
        try:
            found = choices_of(*methods_said(said, self._tell), profile)
        except InvalidInput as error:
            self._tell(f"{key.model}: {error.message} All columns are scored by psi.")
            return {}
        for problem in found.problems:
            self._tell(f"version {key.version} of {key.model}: {problem} It is scored by psi.")
        return found.by_column
