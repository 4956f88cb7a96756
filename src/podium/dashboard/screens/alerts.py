"""Alerts: what fires, what may soon, what became of each, who is to be left in peace, and who was told."""

import shlex
from collections.abc import Sequence
from typing import Any

from podium.dashboard import wording
from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.sources import DashboardSources
from podium.domain.monitoring.alerting.alerts import Alert, AlertState
from podium.domain.monitoring.alerting.deliveries import Delivery, DeliveryResult
from podium.domain.monitoring.alerting.history import Turn
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.domain.monitoring.alerting.silences import Silence, silenced_by
from podium.errors import NotFound
from podium.monitoring.store import alerts as kept

_MOST_TURNS, _MOST_DELIVERIES = 200, 100
_ALERT = ("rule", "severity", "state", "labels", "since", "fired_at", "resolved_at", "value", "threshold", "sentence")
_TURN = ("at", "rule", "model", "severity", "before", "after", "sentence")
_DELIVERY = ("at", "channel", "model", "result", "tries", "error")
RESULTS = {
    DeliveryResult.SENT: "ok",
    DeliveryResult.WAITING: "busy",
    DeliveryResult.FAILED: "bad",
    DeliveryResult.DROPPED: "bad",
}


def alerts(sources: DashboardSources, asked: Question) -> Page:
    """The screen."""
    model = asked.query.get("model")
    every: list[Alert] = []
    turns: list[Turn] = []
    silences: list[Silence] = []
    deliveries: list[Delivery] = []
    is_watched = True
    try:
        with sources.monitor.reading() as connection:
            every = kept.alerts_of(connection, model)
            turns = kept.turns_of(connection, model, _MOST_TURNS)
            silences = kept.silences_of(connection, asked.now)
            deliveries = kept.deliveries_of(connection, most=_MOST_DELIVERIES)
    except NotFound:
        is_watched = False
    rows = [_row(alert, silences, asked.now) for alert in every]
    content = {
        "model": model,
        "is_watched": is_watched,
        "firing": [row for row in rows if row["state"] == AlertState.FIRING.value],
        "others": [row for row in rows if row["state"] != AlertState.FIRING.value],
        "turns": [_turn(turn) for turn in turns],
        "silences": silences,
        "deliveries": [_delivery(each) for each in deliveries],
        "tiles": _tiles(rows, silences, deliveries),
    }
    tables = [
        Table("alerts", _ALERT, [_values(alert) for alert in every]),
        Table("history", _TURN, [_turn_values(turn) for turn in turns]),
        Table(
            "silences",
            ("id", "matchers", "author", "reason", "begins_at", "ends_at"),
            [_silence(each) for each in silences],
        ),
        Table("deliveries", _DELIVERY, [[_delivery(each)[key] for key in _DELIVERY] for each in deliveries]),
    ]
    return Page("alerts.html", "Alerts", "alerts", content, tables)


def _row(alert: Alert, silences: Sequence[Silence], now: float) -> dict[str, Any]:
    labels = [(name, value) for name, value in alert.labels if name != "model"]
    silence = silenced_by(alert.all_labels(), silences, now)
    matchers = [f"rule={alert.rule}", *(f"{name}={value}" for name, value in alert.labels)]
    return {
        "rule": alert.rule,
        "model": alert.group,
        "labels": labels,
        "severity": alert.severity.value,
        "tone": "bad" if alert.severity is AlertSeverity.PAGE else "warn",
        "state": alert.state.value,
        "since": alert.since,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "is_ending": alert.good_since is not None,
        "sentence": alert.sentence or alert.meaning,
        "meaning": alert.meaning,
        "figure": "" if alert.value is None else f"{wording.number(alert.value)} of {wording.number(alert.threshold)}",
        "is_told": alert.is_open,
        "silence": silence,
        "runbook": f"docs/runbooks/{alert.rule}.md",
        "fingerprint": alert.fingerprint,
        "command": shlex.join(["podium", "monitor", "silence", *matchers, "--for", "2h", "--reason", "..."]),
        "screen": _screen(alert),
    }


def _screen(alert: Alert) -> str:
    """Which screen of the model says more."""
    if alert.rule.startswith(("drift", "column")):
        return "drift"
    return "traffic"


def _tiles(
    rows: Sequence[dict[str, Any]], silences: Sequence[Silence], deliveries: Sequence[Delivery]
) -> list[tuple[str, int, str]]:
    """Label, figure, tone."""
    firing = [row for row in rows if row["state"] == AlertState.FIRING.value]
    pages = sum(row["severity"] == AlertSeverity.PAGE.value for row in firing)
    pending = sum(row["state"] == AlertState.PENDING.value for row in rows)
    lost = sum(each.result in {DeliveryResult.FAILED, DeliveryResult.DROPPED} for each in deliveries)
    return [
        ("Pages", pages, "bad" if pages else ""),
        ("Tickets", len(firing) - pages, "warn" if len(firing) > pages else ""),
        ("Pending", pending, "busy" if pending else ""),
        ("Silences", len(silences), ""),
        ("Notifications lost", lost, "bad" if lost else ""),
    ]


def _turn(turn: Turn) -> dict[str, Any]:
    after = "forgotten" if turn.after is None else turn.after.value
    tones = {"firing": "bad", "pending": "warn", "resolved": "ok"}
    return {
        "at": turn.at,
        "rule": turn.alert.rule,
        "model": turn.alert.group,
        "labels": [(name, value) for name, value in turn.alert.labels if name != "model"],
        "after": after,
        "tone": tones.get(after, "quiet"),
        "sentence": turn.alert.sentence,
    }


def _delivery(each: Delivery) -> dict[str, Any]:
    return {
        "at": each.at or each.notification.at,
        "channel": each.channel,
        "model": each.notification.group,
        "result": each.result.value,
        "tone": RESULTS[each.result],
        "tries": each.tries,
        "error": each.error,
    }


def _values(alert: Alert) -> list[Any]:
    return [
        alert.rule, alert.severity.value, alert.state.value, dict(alert.labels), alert.since, alert.fired_at,
        alert.resolved_at, alert.value, alert.threshold, alert.sentence,
    ]  # fmt: skip


def _turn_values(turn: Turn) -> list[Any]:
    alert = turn.alert
    before, after = turn.before and turn.before.value, turn.after and turn.after.value
    return [turn.at, alert.rule, alert.group, alert.severity.value, before, after, alert.sentence]


def _silence(each: Silence) -> list[Any]:
    matchers = [str(matcher) for matcher in each.matchers]
    return [each.id, matchers, each.author, each.reason, each.begins_at, each.ends_at]
