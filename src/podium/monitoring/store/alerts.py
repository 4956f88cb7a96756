"""What the monitor's database keeps of alerts: their book, what became of them, who is to be left in peace, who was told.

Each function is called within one transaction of `MonitorStore.writing` or one view of `MonitorStore.reading`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from podium.domain.monitoring.alerting.alert_memory import (
    dumped_alert,
    dumped_notification,
    loaded_alert,
    loaded_notification,
)
from podium.domain.monitoring.alerting.alerts import Alert, AlertBook, AlertState
from podium.domain.monitoring.alerting.deliveries import Delivery, DeliveryResult
from podium.domain.monitoring.alerting.history import Turn
from podium.domain.monitoring.alerting.silences import Silence, parse_matchers
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.monitoring.store.contract import StoreConnection, put
from podium.monitoring.store.writing import MINUTE_S, VersionKey

MOST_EVENTS = 100_000
MOST_DELIVERIES = 20_000
_PUT_ALERT = put("alerts", "fingerprint", "rule model state severity json")
_KNOWN_TURN = (
    "SELECT 1 FROM alert_events WHERE at = ? AND fingerprint = ? AND coalesce(before, '') = coalesce(?, '') "
    "AND coalesce(after, '') = coalesce(?, '')"
)
_PUT_BOOK = put("alert_book", '"only"', "at due left_out")


def put_book(connection: StoreConnection, before: AlertBook | None, after: AlertBook) -> None:
    """Keep the alerts as they are now.

    Args:
        connection: Of a transaction.
        before: What is kept; None where nobody knows.
        after: What is to be.
    """
    known = {} if before is None else before.alerts
    if before is None:
        connection.execute("DELETE FROM alerts")
    connection.executemany(
        "DELETE FROM alerts WHERE fingerprint = ?", [[print_] for print_ in known if print_ not in after.alerts]
    )
    connection.executemany(
        _PUT_ALERT,
        [
            [print_, alert.rule, alert.group, alert.state.value, alert.severity.value, json.dumps(dumped_alert(alert))]
            for print_, alert in after.alerts.items()
            if known.get(print_) != alert
        ],
    )
    connection.execute(_PUT_BOOK, [1, after.at, json.dumps(dict(after.due)), after.left_out])


def book_of(connection: StoreConnection) -> AlertBook:
    """The alerts as they were kept last.

    Raises:
        InvalidInput: What is kept is no alert of this podium's.
    """
    alerts = [loaded_alert(json.loads(text)) for (text,) in connection.execute("SELECT json FROM alerts")]
    at, due, left_out = connection.execute("SELECT at, due, left_out FROM alert_book").fetchone() or (None, "{}", 0)
    return AlertBook(at, {alert.fingerprint: alert for alert in alerts}, json.loads(due), left_out)


def put_turns(connection: StoreConnection, turns: Iterable[Turn]) -> None:
    """Note what became of alerts; what is noted already stays as it is."""
    for turn in turns:
        place = [turn.at, turn.alert.fingerprint, turn.before and turn.before.value, turn.after and turn.after.value]
        known = connection.execute(_KNOWN_TURN, place).fetchone()
        if known is None:
            connection.execute(
                "INSERT INTO alert_events (at, fingerprint, before, after, rule, model, json) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [*place, turn.alert.rule, turn.alert.group, json.dumps(dumped_alert(turn.alert))],
            )


def turns_of(connection: StoreConnection, model: str | None = None, most: int = 1000) -> list[Turn]:
    """What became of alerts, newest first.

    Args:
        connection: Of a view.
        model: Of one model alone; empty: of the server.
        most: So many at most.
    """
    rows = connection.execute(
        "SELECT at, before, after, json FROM alert_events WHERE ?1 IS NULL OR model = ?1 ORDER BY number DESC LIMIT ?2",
        [model, most],
    )
    return [
        Turn(at, before and AlertState(before), after and AlertState(after), loaded_alert(json.loads(text)))
        for at, before, after, text in rows
    ]


def alerts_of(connection: StoreConnection, model: str | None = None) -> list[Alert]:
    """All alerts that are not forgotten: those that fire first, pages before tickets, then oldest first."""
    book = book_of(connection)
    firing = book.firing()
    others = sorted(
        (alert for alert in book.alerts.values() if alert.state is not AlertState.FIRING),
        key=lambda alert: (alert.state is AlertState.RESOLVED, alert.since, alert.fingerprint),
    )
    return [alert for alert in (*firing, *others) if model is None or alert.group == model]


def put_deliveries(connection: StoreConnection, deliveries: Iterable[Delivery]) -> None:
    """Note who is to be told, or was; what is known to be later than that stays."""
    connection.executemany(
        "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (notification, channel) DO UPDATE SET "
        "result = excluded.result, tries = excluded.tries, at = excluded.at, error = excluded.error "
        "WHERE deliveries.result = 'waiting' AND excluded.tries >= deliveries.tries",
        [
            [
                each.notification.id, each.channel, each.notification.group, each.notification.at, each.result.value,
                each.tries, each.at, each.error, json.dumps(dumped_notification(each.notification)),
            ]
            for each in deliveries
        ],
    )  # fmt: skip


def deliveries_of(connection: StoreConnection, result: DeliveryResult | None = None, most: int = 1000) -> list[Delivery]:
    """Who was told, or is to be, newest first.

    Args:
        connection: Of a view.
        result: What became of it; None: whatever did.
        most: So many at most.
    """
    rows = connection.execute(
        "SELECT channel, json, result, tries, at, error FROM deliveries WHERE ?1 IS NULL OR result = ?1 "
        "ORDER BY decided_at DESC, notification, channel LIMIT ?2",
        [result and result.value, most],
    )
    return [
        Delivery(channel, loaded_notification(json.loads(text)), DeliveryResult(became), tries, at, error)
        for channel, text, became, tries, at, error in rows
    ]


def put_silence(connection: StoreConnection, silence: Silence) -> None:
    """Leave somebody in peace."""
    matchers = json.dumps([str(matcher) for matcher in silence.matchers])
    connection.execute(
        "INSERT INTO silences VALUES (?, ?, ?, ?, ?, ?)",
        [silence.id, matchers, silence.author, silence.reason, silence.begins_at, silence.ends_at],
    )


def end_silence(connection: StoreConnection, id_: str, now: float) -> bool:
    """End one, or see that it never begins; False where there is none that could be ended."""
    found = connection.execute("SELECT begins_at FROM silences WHERE id = ? AND ends_at > ?", [id_, now]).fetchone()
    if found is None:
        return False
    if found[0] >= now:
        connection.execute("DELETE FROM silences WHERE id = ?", [id_])
    else:
        connection.execute("UPDATE silences SET ends_at = ? WHERE id = ?", [now, id_])
    return True


def silences_of(connection: StoreConnection, now: float | None = None) -> list[Silence]:
    """Those that are not over yet; all that are remembered where `now` is None. Those that end first come first."""
    rows = connection.execute(
        "SELECT id, matchers, author, reason, begins_at, ends_at FROM silences WHERE ?1 IS NULL OR ends_at > ?1 "
        "ORDER BY ends_at, id",
        [now],
    )
    return [Silence(id_, parse_matchers(json.loads(matchers)), *rest) for id_, matchers, *rest in rows]


def put_waits(connection: StoreConnection, waits: Mapping[str, tuple[str, float]]) -> None:
    """Note of which models a newer version waits to be served, and since when."""
    connection.execute("DELETE FROM waiting_versions")
    connection.executemany(
        "INSERT INTO waiting_versions VALUES (?, ?, ?)", [[model, newer, since] for model, (newer, since) in waits.items()]
    )


def waits_of(connection: StoreConnection) -> dict[str, tuple[str, float]]:
    """What `put_waits` noted last."""
    rows = connection.execute("SELECT model, newer, since FROM waiting_versions")
    return {model: (newer, since) for model, newer, since in rows}


def forget_alerts(connection: StoreConnection, now: float, retention_s: float) -> None:
    """Give up what is too old, and the oldest of what is too much."""
    gone = now - retention_s
    connection.execute("DELETE FROM alert_events WHERE at < ?", [gone])
    connection.execute("DELETE FROM deliveries WHERE decided_at < ? AND result != 'waiting'", [gone])
    connection.execute("DELETE FROM silences WHERE ends_at < ?", [gone])
    connection.execute("DELETE FROM alert_events WHERE number <= (SELECT max(number) FROM alert_events) - ?", [MOST_EVENTS])
    connection.execute(
        "DELETE FROM deliveries WHERE (notification, channel) IN (SELECT notification, channel FROM deliveries "
        "ORDER BY decided_at DESC, notification, channel LIMIT 1000000000 OFFSET ?)",
        [MOST_DELIVERIES],
    )


def traffic_since(connection: StoreConnection, minutes: int, hours: int) -> list[tuple[VersionKey, Span, Sequence[Any]]]:
    """What all versions were asked, in stretches that do not overlap: hours from `hours` on, minutes from `minutes` on.

    Returns: Whose, when, and requests, server errors, rejections and the buckets' JSON.
    """
    rows = connection.execute(
        "SELECT model, version, start, start + length_s, requests, server_errors, rejected, latency FROM traffic "
        "WHERE (length_s = ?1 AND start >= ?2) OR (length_s = ?3 AND start >= ?4 AND start < ?2)",
        [MINUTE_S, minutes, HOUR_S, hours],
    )
    return [(VersionKey(model, version), Span(start, end), rest) for model, version, start, end, *rest in rows]


def watched_since(connection: StoreConnection, minutes: int, hours: int) -> list[Span]:
    """Stretches in which the monitor was there at all, as `traffic_since` has them."""
    rows = connection.execute(
        "SELECT DISTINCT start, start + length_s FROM watched WHERE watched_s > 0 "
        "AND ((length_s = ?1 AND start >= ?2) OR (length_s = ?3 AND start >= ?4 AND start < ?2))",
        [MINUTE_S, minutes, HOUR_S, hours],
    )
    return [Span(start, end) for start, end in rows]


def last_requests(connection: StoreConnection) -> dict[VersionKey, int]:
    """The end of the last stretch in which each version was asked anything: a minute, or an hour long ago."""
    rows = connection.execute(
        "SELECT model, version, coalesce(max(CASE length_s WHEN ? THEN start + length_s END), max(start + length_s)) "
        "FROM traffic WHERE requests > 0 GROUP BY 1, 2",
        [MINUTE_S],
    )
    return {VersionKey(model, version): int(end) for model, version, end in rows}


def dropped_rows(connection: StoreConnection, since: int) -> dict[str, tuple[int, int]]:
    """Rows of each model that were seen since then, and how many of them went by uncounted."""
    rows = connection.execute(
        "SELECT model, sum(rows), sum(dropped) FROM windows WHERE length_s < ?1 AND start + length_s > ?2 GROUP BY model",
        [HOUR_S, since],
    )
    return {model: (int(counted + dropped), int(dropped)) for model, counted, dropped in rows}
