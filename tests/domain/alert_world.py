"""A day in which rules find what a text says, and what people hear of it."""

import json

from podium.domain.monitoring.alerting.alert_memory import dumped_alert, loaded_alert
from podium.domain.monitoring.alerting.alerts import AlertBook, AlertPolicy, step
from podium.domain.monitoring.alerting.judging import Condition, Fact
from podium.domain.monitoring.alerting.rules import AlertSeverity, Rule

CONDITIONS = {"b": Condition.BAD, "g": Condition.GOOD, "~": Condition.BETWEEN, "?": Condition.UNKNOWN}
QUIET = AlertPolicy(group_wait_s=0, flapping=1_000)


def rule(name="drift-column", **terms):
    given = {"severity": AlertSeverity.TICKET, "keep_s": 0.0, "labels": ("model",)} | terms
    return Rule(name, "Something is wrong.", given.pop("severity"), "up == 0", **given)


def fact(its=None, condition="b", value=1.0, **labels):
    labels = labels or {"model": "fraud"}
    return Fact(its or rule(), tuple(sorted(labels.items())), CONDITIONS[condition], value, 0.5, "It is so.")


def play(text, its=None, every_s=60.0, policy=QUIET, silences=(), book=None, start=0.0):
    """`bbg?~.`: what the rule finds each minute (`.`: nothing at all), and what is told of it: a list of (minute, news)."""
    book, heard = book or AlertBook(), []
    for turn, letter in enumerate(text):
        facts = [] if letter == "." else [fact(its, letter)]
        book, told = step(book, facts, start + turn * every_s, silences, policy)
        heard += [(turn, news.value) for notification in told for news, _ in notification.items]
    return book, heard


def through_json(book):
    """As it is after a restart."""
    kept = json.dumps([[dumped_alert(alert) for alert in book.alerts.values()], dict(book.due)])
    alerts, due = json.loads(kept)
    return AlertBook(book.at, {alert.fingerprint: alert for alert in map(loaded_alert, alerts)}, due, book.left_out)
