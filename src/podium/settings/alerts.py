"""What `[alerts]` of podium.toml says: whom to tell of what, and which objectives, rules and clocks models have.

[alerts]
address = "https://podium.example"

[alerts.channels.oncall]
kind = "slack"
url_file = "/run/secrets/slack"
severities = ["page"]

[alerts.objectives]
availability = 0.999

[alerts.models.fraud.rules.requests-rejected]
share = 0.02
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from podium.domain.monitoring.alerting.alerts import AlertPolicy
from podium.domain.monitoring.alerting.default_rules import rules_of
from podium.domain.monitoring.alerting.rules import AlertSeverity, Rule, RuleChange, changed
from podium.domain.monitoring.objectives import DAY_S, ObjectiveKind, Slo
from podium.domain.monitoring.staleness import DEFAULT_BOUNDS, AgeBounds, Clock
from podium.errors import InvalidInput, Misconfigured
from podium.settings.config_file import ALERTS, read_config
from podium.settings.declared import ValueKind
from podium.settings.toml_tables import TomlTable

RUNBOOKS = "docs/runbooks"
MOST_CHANNELS = 32
_NAME = re.compile(r"[A-Za-z0-9][\w.\-]{0,63}")
_SEVERITIES = tuple(AlertSeverity)


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One way to people.

    Args:
        name: What it is called in deliveries, metrics and commands.
        kind: `webhook`, `slack`, `alertmanager`, `email`, or a plugin's.
        source: Where it is said, for errors.
        severities: Of which alerts it tells.
        models: Of which models: names or patterns in which `*` stands for any text. The server's own are of no model.
        options: What else is said, as it stands there; `monitoring/channels` knows what it means. Secrets are not in it,
            only where they are.
    """

    name: str
    kind: str
    source: str
    severities: tuple[AlertSeverity, ...] = _SEVERITIES
    models: tuple[str, ...] = ("*",)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelAlerts:
    """What one model is watched by.

    Args:
        objectives: At most one of each kind.
        changes: Rules that are otherwise, by name.
        clocks: AgeBounds that are otherwise.
    """

    objectives: tuple[Slo, ...] = (Slo(),)
    changes: Mapping[str, RuleChange] = field(default_factory=dict)
    clocks: Mapping[Clock, AgeBounds] = field(default_factory=dict)

    def rules(self) -> tuple[Rule, ...]:
        """All its rules.

        Raises:
            InvalidInput: A change is of no rule or parameter.
        """
        return changed(rules_of(self.objectives), self.changes)


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """All of `[alerts]`.

    Args:
        channels: Whom to tell.
        address: Where people find podium; empty where they do not.
        runbooks: Address or folder of the pages that explain each rule.
        policy: How often people hear of the same.
        usual: What models are watched by that have nothing of their own.
        models: What others are, by name; complete, with what they share with all.
        table: What stood there, for another process, which reads it again.
    """

    channels: tuple[ChannelSettings, ...] = ()
    address: str = ""
    runbooks: str = RUNBOOKS
    policy: AlertPolicy = field(default_factory=AlertPolicy)
    usual: ModelAlerts = field(default_factory=ModelAlerts)
    models: Mapping[str, ModelAlerts] = field(default_factory=dict)
    table: Mapping[str, Any] = field(default_factory=dict)

    def of_model(self, name: str) -> ModelAlerts:
        """What a model is watched by."""
        return self.models.get(name, self.usual)


def alerts_from_config(path: Path | None) -> AlertSettings:
    """What `[alerts]` of podium.toml says; what is usual where there is no file.

    Raises:
        Misconfigured: It cannot be read, is not TOML, or what it says of alerts is not so; says the line.
    """
    return AlertSettings() if path is None else alert_settings(*read_config(path))


def alert_settings(content: Mapping[str, Any], lines: Mapping[tuple[str, ...], int], place: str) -> AlertSettings:
    """Read `[alerts]`.

    Args:
        content: All of podium.toml, or `{"alerts": AlertSettings.table}`.
        lines: On which line what stands.
        place: The file's name.

    Raises:
        Misconfigured: Something in it is not so; says on which line.
    """
    raw = content.get(ALERTS, {})
    table = TomlTable(raw, (ALERTS,), lines, place)
    usual = _of_model(table, ModelAlerts())
    channels = tuple(_channel(each) for each in table.tables("channels"))
    if len(channels) > MOST_CHANNELS:
        raise Misconfigured(f"{table.where('channels')}: there are {len(channels)} channels; at most {MOST_CHANNELS}.")
    models = {}
    for own in table.tables("models"):
        models[own.name] = _of_model(own, usual)
        own.end()
    settings = AlertSettings(
        channels,
        table.read("address", ValueKind.TEXT, ""),
        table.read("runbooks", ValueKind.TEXT, RUNBOOKS),
        _policy(table),
        usual,
        models,
        raw,
    )
    table.end()
    return settings


def _policy(table: TomlTable) -> AlertPolicy:
    usual = AlertPolicy()
    return AlertPolicy(
        group_wait_s=table.read("group_wait", ValueKind.SECONDS, usual.group_wait_s, least=0),
        repeat_s=table.read("repeat", ValueKind.SECONDS, usual.repeat_s),
    )


def _channel(table: TomlTable) -> ChannelSettings:
    if not _NAME.fullmatch(table.name):
        raise Misconfigured(
            f"{table.where()}: a channel cannot be called {table.name[:100]!r}; use letters, digits, '_', '-' and '.'."
        )
    kind = table.read("kind", ValueKind.TEXT, None)
    if kind is None:
        raise Misconfigured(f"{table.where()}: {table.path} does not say its kind: slack, webhook, alertmanager, email …")
    severities = table.read("severities", ValueKind.TEXTS, tuple(_SEVERITIES))
    if unknown := sorted(set(severities) - set(_SEVERITIES)):
        known = " and ".join(_SEVERITIES)
        raise Misconfigured(f"{table.where('severities')}: {unknown[0]!r} is no severity; there are {known}.")
    models = table.read("models", ValueKind.TEXTS, ("*",))
    return ChannelSettings(table.name, kind, table.where(), tuple(map(AlertSeverity, severities)), models, table.rest())


def _of_model(table: TomlTable, usual: ModelAlerts) -> ModelAlerts:
    """What a table says of objectives, rules and clocks, over what is usual."""
    objectives = _objectives(table.table("objectives"), usual.objectives)
    changes = dict(usual.changes)
    for each in table.tables("rules"):
        changes[each.name] = _change(each, changes.get(each.name, RuleChange()))
        try:
            changed(rules_of(objectives), {each.name: changes[each.name]})
        except InvalidInput as error:
            raise Misconfigured(f"{each.where()}: {error.message}") from error
    clocks = dict(usual.clocks)
    for each in table.tables("clocks"):
        if each.name not in set(Clock):
            raise Misconfigured(f"{each.where()}: there is no clock {each.name!r}. There are {', '.join(Clock)}.")
        clocks[Clock(each.name)] = _bounds(each, clocks.get(Clock(each.name), DEFAULT_BOUNDS[Clock(each.name)]))
    return ModelAlerts(objectives, changes, clocks)


def _objectives(table: TomlTable, usual: tuple[Slo, ...]) -> tuple[Slo, ...]:
    before = {each.kind: each for each in usual}
    available, quick = before.get(ObjectiveKind.AVAILABILITY), before.get(ObjectiveKind.LATENCY)
    period_s = table.read("period", ValueKind.SECONDS, usual[0].period_s if usual else 30 * DAY_S)
    availability = table.read("availability", ValueKind.RATIO, available.target if available else None)
    latency = table.read("latency", ValueKind.RATIO, quick.target if quick else None)
    threshold_s = table.read("latency_threshold", ValueKind.SECONDS, quick.threshold_s if quick else None)
    table.end()
    if (latency is None) != (threshold_s is None):
        raise Misconfigured(
            f"{table.where()}: latency and latency_threshold need each other: 0.99 and 250ms say that 99 % of requests are "
            "answered within 250 ms."
        )
    try:
        found = [Slo(ObjectiveKind.AVAILABILITY, availability, None, period_s)] if availability else []
        return (*found, *([Slo(ObjectiveKind.LATENCY, latency, threshold_s, period_s)] if latency else []))
    except InvalidInput as error:
        raise Misconfigured(f"{table.where()}: {error.message}") from error


def _change(table: TomlTable, usual: RuleChange) -> RuleChange:
    severity = table.read("severity", ValueKind.WORD, usual.severity, choices=_SEVERITIES)
    is_enabled = table.read("enabled", ValueKind.SWITCH, usual.is_enabled)
    for_s = table.read("for", ValueKind.SECONDS, usual.for_s, least=0)
    keep_s = table.read("keep", ValueKind.SECONDS, usual.keep_s, least=0)
    parameters = dict(usual.parameters)
    for name, value in table.rest().items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Misconfigured(f"{table.where(name)}: {table.path}.{name} is {value!r:.60}; expected a number.")
        parameters[name] = float(value)
    return RuleChange(is_enabled, None if severity is None else AlertSeverity(severity), for_s, keep_s, parameters)


def _bounds(table: TomlTable, usual: AgeBounds) -> AgeBounds:
    """`never` ends a bound; those of labels are multiples of the usual delay."""
    is_count = table.name == Clock.LABELS
    read = partial(table.read, kind=ValueKind.COUNT if is_count else ValueKind.SECONDS)
    bounds: list[float | None] = []
    for key, before in (("warn", usual.warn_s), ("alert", usual.alert_s)):
        if table.has(key, "never"):
            bounds.append(None)
            continue
        bounds.append(read(key, default=before))
    table.end()
    try:
        return AgeBounds(bounds[0], bounds[1], usual.least_delay_s)
    except InvalidInput as error:
        raise Misconfigured(f"{table.where()}: {error.message}") from error
