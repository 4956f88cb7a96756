"""Alerts for whoever looks from outside: what fires, what became of it, silences, and the rules for other monitors."""

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from podium.api.registering import actor
from podium.domain.monitoring.alerting.alerts import Alert, AlertState, News, Notification
from podium.domain.monitoring.alerting.deliveries import Delivery
from podium.domain.monitoring.alerting.exports import datadog, grafana
from podium.domain.monitoring.alerting.exports.prometheus import rules_file
from podium.domain.monitoring.alerting.history import Turn
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.domain.monitoring.alerting.silences import Silence, parse_matchers
from podium.domain.monitoring.objectives import Slo
from podium.domain.monitoring.quantiles import edge_at
from podium.domain.nearest import did_you_mean
from podium.errors import InvalidInput, Misconfigured, NotFound
from podium.monitoring.channels.choice import OpenChannel, open_channels
from podium.monitoring.channels.contract import AllFiring, Told
from podium.monitoring.store import alerts as kept
from podium.monitoring.store.contract import MonitorHistory
from podium.monitoring.store.opening import history_of
from podium.settings.alerts import AlertSettings, alerts_from_config
from podium.settings.config_file import find_config
from podium.settings.home import Home, find_home
from podium.settings.monitor_store import monitor_store_said
from podium.telemetry.traffic import LATENCY_EDGES_S

_TIMEOUT_S = 10.0


class OtherMonitor(StrEnum):
    """Whose words the rules are written in."""

    PROMETHEUS = "prometheus"
    GRAFANA = "grafana"
    DATADOG = "datadog"
    DATADOG_AGENT = "datadog-agent"


def settings_here(environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> AlertSettings:
    """What `[alerts]` of podium.toml says, checked but for its channels.

    Args:
        environ: Where PODIUM_CONFIG may be said.
        folder: Where podium.toml is looked for; None is the current one.

    Raises:
        Misconfigured: Something in it is not so.
    """
    settings = alerts_from_config(find_config(environ, folder or Path.cwd()))
    for own in (settings.usual, *settings.models.values()):
        for objective in own.objectives:
            if objective.threshold_s is not None:
                _edge(objective.threshold_s)
    return settings


def channels_of(settings: AlertSettings, environ: Mapping[str, str] = os.environ) -> tuple[OpenChannel, ...]:
    """Its channels, each with its kind; secrets are looked for.

    Raises:
        Misconfigured: What is said of one is not so, or a secret is not there.
    """
    return open_channels(settings.channels, environ)


class Alerts:
    """What the monitor's database has of alerts.

    Args:
        home: Where it is; None is PODIUM_HOME's.
        clock: Wall clock.
        store: As in `podium.api.reporting.monitor_report`, or the opened history.
        author: Who silences, for the record; None is whoever runs this process.
    """

    def __init__(
        self,
        home: Home | None = None,
        clock: Callable[[], float] = time.time,
        store: str | MonitorHistory | None = None,
        author: str | None = None,
    ) -> None:
        self._home = home or find_home()
        if isinstance(store, str) or store is None:
            self._store: MonitorHistory = history_of(self._home, store or monitor_store_said())
        else:
            self._store = store
        self._clock = clock
        self._author = author

    def standing(self, model: str | None = None) -> list[Alert]:
        """All that is pending or fires, and what ended within the last hour; what fires first.

        Raises:
            NotFound: No server has watched a model here yet.
            MonitorStoreError: The database cannot be read.
        """
        with self._store.reading() as connection:
            return kept.alerts_of(connection, model)

    def history(self, model: str | None = None, most: int = 100) -> list[Turn]:
        """What became of alerts, newest first. Raises as `standing`."""
        with self._store.reading() as connection:
            return kept.turns_of(connection, model, most)

    def deliveries(self, most: int = 100) -> list[Delivery]:
        """Who was told, or is to be, newest first. Raises as `standing`."""
        with self._store.reading() as connection:
            return kept.deliveries_of(connection, None, most)

    def silences(self) -> list[Silence]:
        """Those that are not over. None where no server has watched a model here yet."""
        try:
            with self._store.reading() as connection:
                return kept.silences_of(connection, self._clock())
        except NotFound:
            return []

    def silence(self, matchers: Sequence[str], for_s: float, reason: str) -> Silence:
        """Have nobody told of some alerts for a while, from now on.

        Args:
            matchers: `model=fraud`, `column~age*` …; all must fit.
            for_s: For how long.
            reason: For whoever wonders why nobody was told.

        Raises:
            InvalidInput: Matchers, time or reason are not such.
            MonitorStoreError: The database cannot be written.
        """
        now = self._clock()
        silence = Silence(secrets.token_hex(4), parse_matchers(matchers), self._author or actor(), reason, now, now + for_s)
        self._home.create()
        with self._store.writing() as connection:
            kept.put_silence(connection, silence)
        return silence

    def end_silence(self, id_: str) -> None:
        """End one now.

        Raises:
            NotFound: There is none that is not over.
            MonitorStoreError: The database cannot be written.
        """
        known = [each.id for each in self.silences()]
        if id_ in known:
            with self._store.writing() as connection:
                if kept.end_silence(connection, id_, self._clock()):
                    return
        near = did_you_mean(id_, known)
        raise NotFound(f"No silence {id_!r:.60} is in force.{near} podium monitor silence lists them.", [self._store.place])


def exported(settings: AlertSettings, destination: OtherMonitor, metrics_url: str, notify: str = "") -> str:
    """The rules that podium alerts by, for somebody else's monitor; the same settings give the same text.

    Args:
        settings: What each model is watched by.
        destination: For whom.
        metrics_url: Where Datadog's agent finds podium's metrics.
        notify: Whom Datadog tells: `@slack-models`.
    """
    usual, own = settings.usual, settings.models
    match destination:
        case OtherMonitor.PROMETHEUS:
            rules = {model: each.rules() for model, each in own.items()}
            return rules_file(usual.rules(), rules, settings.runbooks)
        case OtherMonitor.GRAFANA:
            return json.dumps(grafana.dashboard(usual.objectives or (Slo(),)), indent=2) + "\n"
        case OtherMonitor.DATADOG:
            of_models = {model: (each.rules(), each.objectives) for model, each in own.items()}
            made = datadog.monitors(usual.rules(), usual.objectives, of_models, notify, settings.runbooks)
            return json.dumps(made, indent=2) + "\n"
        case OtherMonitor.DATADOG_AGENT:
            return str(yaml.safe_dump(datadog.agent_check(metrics_url), sort_keys=False))


def tell_test(
    settings: AlertSettings, name: str, clock: Callable[[], float] = time.time, sent_by: str | None = None
) -> None:
    """Send a notification that says it is a test to one channel, now, and see that it was taken.

    `sent_by` stands in it: who and how; None is whoever runs `podium monitor test`.

    Raises:
        NotFound: There is no such channel.
        Misconfigured: What is said of it is not so.
        Undelivered: It was not taken.
    """
    wanted = [each for each in settings.channels if each.name == name]
    if not wanted:
        known = ", ".join(each.name for each in settings.channels) or "none"
        raise NotFound(
            f"There is no channel {name!r:.60}; there are: {known}. Channels stand under [alerts.channels.NAME].",
            ["podium.toml"],
        )
    (channel,) = open_channels(wanted)
    now = clock()
    alert = Alert(
        secrets.token_hex(32),
        "test",
        (("model", "podium-test"),),
        AlertSeverity.TICKET,
        AlertState.FIRING,
        now,
        fired_at=now,
        meaning="This is a test: nothing is wrong.",
        sentence=f"Sent by {sent_by or f'{actor()} with podium monitor test'}.",
    )
    if channel.kind.is_following:
        message: Told | AllFiring = AllFiring((alert,), now + 60.0, name, settings.address, settings.runbooks)
    else:
        told = Notification(secrets.token_hex(16), "podium-test", now, ((News.FIRING, alert),))
        message = Told(told, name, settings.address, settings.runbooks)
    channel.kind.send(message, channel.options(), _TIMEOUT_S)


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert for programs."""
    return {
        "rule": alert.rule,
        "state": alert.state.value,
        "severity": alert.severity.value,
        "labels": dict(alert.labels),
        "since": alert.since,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "told_at": alert.told_at,
        "value": alert.value,
        "threshold": alert.threshold,
        "sentence": alert.sentence,
        "meaning": alert.meaning,
        "fingerprint": alert.fingerprint,
    }


def _edge(threshold_s: float) -> None:
    try:
        edge_at(LATENCY_EDGES_S, threshold_s)
    except InvalidInput as error:
        raise Misconfigured(f"alerts: latency_threshold: {error.message}") from error
