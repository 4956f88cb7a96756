"""What `/metrics` shows of alerts and clocks. Bounded: of very many alerts those that fire longest, pages first."""

from collections.abc import Iterator, Mapping
from typing import Any

from podium.domain.monitoring.alerting.alerts import AlertBook
from podium.domain.monitoring.alerting.deliveries import DeliveryResult
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.domain.monitoring.staleness import Age, Clock
from podium.monitoring.store.writing import VersionKey

MOST_ALERTS = 500


def gauges_of(
    book: AlertBook,
    ages: Mapping[VersionKey, Mapping[Clock, Age]],
    outcomes: Mapping[tuple[str, DeliveryResult], int],
) -> list[dict[str, Any]]:
    """As `transport/monitor_messages.py` sends them.

    Args:
        book: The alerts now.
        ages: What the clocks of each version show.
        outcomes: How many deliveries of each channel came to what.
    """
    return [*_of_alerts(book), *_of_clocks(book.at or 0.0, ages), *_of_deliveries(outcomes)]


def _of_alerts(book: AlertBook) -> Iterator[dict[str, Any]]:
    firing = book.firing()
    for severity in AlertSeverity:
        count = sum(alert.severity is severity for alert in firing)
        yield _gauge("podium_alerts_firing", {"severity": severity.value}, count)
    for alert in firing[:MOST_ALERTS]:
        labels = {name: value for name, value in alert.labels if value}
        yield _gauge("podium_alert_firing", {**labels, "rule": alert.rule, "severity": alert.severity.value}, 1)


def _of_clocks(now: float, ages: Mapping[VersionKey, Mapping[Clock, Age]]) -> Iterator[dict[str, Any]]:
    """A clock that stands still, or that nobody is told of, has no series: nothing is held against nothing."""
    for key, clocks in ages.items():
        for clock, age in clocks.items():
            if age.age_s is None or age.alert_s is None:
                continue
            labels = {"model": key.model, "version": key.version, "clock": clock.value}
            yield _gauge("podium_clock_started_timestamp_seconds", labels, now - age.age_s)
            yield _gauge("podium_clock_limit_seconds", labels, age.alert_s)


def _of_deliveries(outcomes: Mapping[tuple[str, DeliveryResult], int]) -> Iterator[dict[str, Any]]:
    for (channel, result), count in sorted(outcomes.items()):
        yield _gauge("podium_notifications_total", {"channel": channel, "result": result.value}, count)


def _gauge(name: str, labels: Mapping[str, str], value: float) -> dict[str, Any]:
    return {"name": name, "labels": dict(labels), "value": value}
