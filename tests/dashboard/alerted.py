"""Alerts as a monitor keeps them: what fires, what is over, silences, and who was told."""

from dashboard_home import HOSTILE, SCRIPT

from podium.domain.monitoring.alerting.alerts import Alert, AlertBook, AlertState, News, Notification
from podium.domain.monitoring.alerting.deliveries import Delivery, DeliveryResult
from podium.domain.monitoring.alerting.history import turns
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.domain.monitoring.alerting.silences import Silence, parse_matchers
from podium.monitoring.store import alerts as kept
from podium.monitoring.store.database import MonitorStore
from podium.settings.home import Home


def alert(rule: str, state: AlertState, now: float, severity: AlertSeverity = AlertSeverity.TICKET, **labels: str) -> Alert:
    named = tuple(sorted(labels.items()))
    return Alert(
        fingerprint=f"{rule}{named}", rule=rule, labels=named, severity=severity, state=state, since=now - 1800,
        fired_at=now - 1200, told=News.FIRING, told_at=now - 1100, value=0.49, threshold=0.2,
        sentence=f"{labels.get('column', 'It')} of {labels['model']} is not what it was.", meaning="Something moved.",
        resolved_at=now - 600 if state is AlertState.RESOLVED else None,
    )  # fmt: skip


def write_alerts(home: Home, now: float, model: str = "fraud") -> None:
    """A page and two tickets that fire, one of them silenced, one that is over, one that may come; a lost notification."""
    page, ticket = AlertSeverity.PAGE, AlertSeverity.TICKET
    every = [
        alert("error-budget-fast", AlertState.FIRING, now, page, model=model),
        alert("drift-column", AlertState.FIRING, now, ticket, model=model, version="3", column=HOSTILE),
        alert("column-unseen", AlertState.FIRING, now, ticket, model=model, version="3", column=SCRIPT),
        alert("no-traffic", AlertState.RESOLVED, now, ticket, model=model),
        alert("requests-rejected", AlertState.PENDING, now, page, model=model),
    ]
    book = AlertBook(now, {each.fingerprint: each for each in every}, {}, 0)
    silence = Silence("s1", parse_matchers([f"model={model}", "rule~column-*"]), SCRIPT, HOSTILE, now - 60, now + 3600)
    told = Notification("n1", model, now - 1100, ((News.FIRING, every[0]),))
    with MonitorStore(home.monitor).writing() as connection:
        kept.put_book(connection, None, book)
        kept.put_turns(connection, turns(AlertBook(now - 60, {}, {}, 0), book))
        kept.put_silence(connection, silence)
        kept.put_deliveries(
            connection,
            [
                Delivery("oncall", told).after(DeliveryResult.SENT, now - 1090),
                Delivery("chat", told).after(DeliveryResult.FAILED, now - 1000, f"404 {SCRIPT}"),
            ],
        )
