"""Alerts and notifications as JSON and back, for whoever keeps them. Nothing is lost on the way."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from podium.domain.monitoring.alerting.alerts import Alert, AlertState, News, Notification
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.errors import InvalidInput


def dumped_alert(alert: Alert) -> dict[str, Any]:
    """As `json.dumps` takes it."""
    return {each.name: getattr(alert, each.name) for each in fields(Alert)}


def loaded_alert(kept: Mapping[str, Any]) -> Alert:
    """Of what `json.loads` gave.

    Raises:
        InvalidInput: It is not what `dumped_alert` made.
    """
    try:
        return Alert(
            **{
                **kept,
                "labels": tuple((str(name), str(value)) for name, value in kept["labels"]),
                "severity": AlertSeverity(kept["severity"]),
                "state": AlertState(kept["state"]),
                "told": None if kept["told"] is None else News(kept["told"]),
                "firings": tuple(map(float, kept["firings"])),
                "inhibited_by": tuple(map(str, kept["inhibited_by"])),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"The kept alerts cannot be read: {error}.") from error


def dumped_notification(notification: Notification) -> dict[str, Any]:
    """As `json.dumps` takes it."""
    items = [[news.value, dumped_alert(alert)] for news, alert in notification.items]
    return {"id": notification.id, "group": notification.group, "at": notification.at, "items": items}


def loaded_notification(kept: Mapping[str, Any]) -> Notification:
    """Of what `json.loads` gave.

    Raises:
        InvalidInput: It is not what `dumped_notification` made.
    """
    try:
        items = tuple((News(news), loaded_alert(alert)) for news, alert in kept["items"])
        return Notification(str(kept["id"]), str(kept["group"]), float(kept["at"]), items)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"A kept notification cannot be read: {error}.") from error
