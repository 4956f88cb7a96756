"""Notifications as bodies for receivers: Alertmanager's webhook and API, Slack, and podium's own JSON."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from podium.domain.monitoring.alerting.alerts import Alert, AlertState, News, Notification
from podium.domain.monitoring.alerting.rules import AlertSeverity

_NEVER = "0001-01-01T00:00:00Z"
_MOST = 100
_LONGEST = 2000
_COLOURS = {AlertSeverity.PAGE: "#c0392b", AlertSeverity.TICKET: "#d68910"}
_GOOD = "#1e8449"


def alertmanager_webhook(notification: Notification, receiver: str, address: str, runbooks: str) -> dict[str, Any]:
    """What Alertmanager posts to a webhook, version 4 of it, so that what was made for that takes it.

    Args:
        notification: What is told.
        receiver: Its name.
        address: Where people find podium; empty where they do not.
        runbooks: Address or folder of the runbooks.
    """
    shown = notification.items[:_MOST]
    alerts = [_of_alertmanager(alert, address, runbooks) for _, alert in shown]
    group = {"model": notification.group} if notification.group else {}
    is_firing = any(alert["status"] == "firing" for alert in alerts)
    return {
        "version": "4",
        "groupKey": f"podium:{notification.group}",
        "status": "firing" if is_firing else "resolved",
        "receiver": receiver,
        "groupLabels": group,
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": address,
        "alerts": alerts,
        "truncatedAlerts": len(notification.items) - len(shown),
    }


def alertmanager_alerts(alerts: Sequence[Alert], until: float, address: str, runbooks: str) -> list[dict[str, Any]]:
    """The body of `POST /api/v2/alerts`; to be said again before `until`, or Alertmanager takes what fires for resolved.

    Args:
        alerts: What fires, and what was resolved since this was said last.
        until: When what fires counts as resolved unless it is said again.
        address: Where people find podium.
        runbooks: Address or folder of the runbooks.
    """
    said = []
    for alert in alerts:
        one = _of_alertmanager(alert, address, runbooks)
        ends = time_text(until) if alert.state is AlertState.FIRING else one["endsAt"]
        kept = {name: one[name] for name in ("labels", "annotations", "startsAt", "generatorURL")}
        said.append({**kept, "endsAt": ends})
    return said


def slack_message(notification: Notification, address: str, runbooks: str) -> dict[str, Any]:
    """A message for Slack's incoming webhooks. Nothing in it is read as markup: names may be anybody's.

    Args:
        notification: What is told.
        address: Where people find podium.
        runbooks: Address of the runbooks; a title is a link only where that is one.
    """
    shown = notification.items[:20]
    left = len(notification.items) - len(shown)
    model = slack_text(notification.group or "the server")
    counts = [(news, sum(each is news for each, _ in notification.items)) for news in News]
    told = {News.FIRING: "firing", News.REPEAT: "still firing", News.RESOLVED: "resolved"}
    said = ", ".join(f"{count} {told[news]}" for news, count in counts if count)
    attachments = []
    for news, alert in shown:
        runbook = f"{runbooks.rstrip('/')}/{alert.rule}.md"
        attachment = {
            "color": _GOOD if news is News.RESOLVED else _COLOURS[alert.severity],
            "title": slack_text(f"{told[news]}: {alert.rule}"),
            "text": slack_text(f"{alert.meaning} {alert.sentence}".strip()),
            "fields": [{"title": name, "value": slack_text(value), "short": True} for name, value in alert.labels],
        }
        attachments.append(attachment | ({"title_link": runbook} if runbook.startswith("https://") else {}))
    more = f" ({left} more at {slack_text(address)})" if left else ""
    return {"text": f"podium, {model}: {said}{more}", "attachments": attachments}


def plain(notification: Notification, address: str, runbooks: str) -> dict[str, Any]:
    """Podium's own JSON: everything that is known of what is told.

    Args:
        notification: What is told.
        address: Where people find podium.
        runbooks: Address or folder of the runbooks.
    """
    return {
        "podium_notification": 1,
        "id": notification.id,
        "model": notification.group,
        "at": time_text(notification.at),
        "url": address,
        "alerts": [
            {
                "news": news.value,
                "rule": alert.rule,
                "severity": alert.severity.value,
                "labels": dict(alert.labels),
                "meaning": alert.meaning,
                "sentence": alert.sentence,
                "value": _finite(alert.value),
                "threshold": _finite(alert.threshold),
                "fingerprint": alert.fingerprint,
                "since": time_text(alert.since),
                "fired_at": time_text(alert.fired_at),
                "resolved_at": time_text(alert.resolved_at) if news is News.RESOLVED else None,
                "runbook": f"{runbooks.rstrip('/')}/{alert.rule}.md",
            }
            for news, alert in notification.items[:_MOST]
        ],
        "left_out": max(0, len(notification.items) - _MOST),
    }


def slack_text(text: str) -> str:
    """Text that Slack shows as it is: `<!channel>` calls nobody. At most 2,000 characters of it."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def time_text(at: float | None) -> str | None:
    """RFC 3339, in UTC, to the millisecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _of_alertmanager(alert: Alert, address: str, runbooks: str) -> dict[str, Any]:
    is_firing = alert.state is AlertState.FIRING
    labels = {**dict(alert.labels), "alertname": alert.rule, "severity": alert.severity.value}
    return {
        "status": "firing" if is_firing else "resolved",
        # Prometheus has no empty labels.
        "labels": {name: value for name, value in sorted(labels.items()) if value},
        "annotations": {
            "summary": alert.meaning,
            "description": alert.sentence,
            "runbook_url": f"{runbooks.rstrip('/')}/{alert.rule}.md",
        },
        "startsAt": time_text(alert.fired_at if alert.fired_at is not None else alert.since),
        "endsAt": _NEVER if is_firing else time_text(alert.resolved_at),
        "generatorURL": address,
        # Alertmanager's are 16 hexadecimal digits.
        "fingerprint": alert.fingerprint[:16],
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What is the same in all of them."""
    first, *others = maps or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
