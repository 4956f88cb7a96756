"""What receivers get: Alertmanager's own form, Slack's without markup of strangers, podium's with everything."""

import json

from alert_world import QUIET, fact, play, rule

from podium.domain.monitoring.alerting.alerts import AlertBook, step
from podium.domain.monitoring.alerting.payloads import alertmanager_alerts, alertmanager_webhook, plain, slack_message
from podium.domain.monitoring.alerting.rules import AlertSeverity

ADDRESS, RUNBOOKS = "https://podium.example:9000", "https://docs.example/runbooks/"
HOSTILE = "<!channel> & <https://evil.example|fraud>"


def notified(*facts, now=1_700_000_000.0, book=None):
    book, told = step(book or AlertBook(), facts, now, (), QUIET)
    return book, told[0]


def test_alertmanagers_webhook_gets_what_alertmanager_would_send():
    """Version 4, with what is common apart, and the fingerprint of before."""
    its = rule(severity=AlertSeverity.PAGE, labels=("model", "column"))
    _, notification = notified(fact(its, model="fraud", column="age"), fact(its, model="fraud", column="plan"))
    body = alertmanager_webhook(notification, "hooks", ADDRESS, RUNBOOKS)

    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "hooks")
    assert body["groupKey"] == "podium:fraud"
    assert body["groupLabels"] == {"model": "fraud"}
    assert body["commonLabels"] == {"alertname": "drift-column", "model": "fraud", "severity": "page"}
    assert body["commonAnnotations"]["runbook_url"] == "https://docs.example/runbooks/drift-column.md"
    assert [alert["labels"]["column"] for alert in body["alerts"]] == ["age", "plan"]
    assert body["alerts"][0]["startsAt"] == "2023-11-14T22:13:20.000Z"
    assert body["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert body["truncatedAlerts"] == 0
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_an_alert_has_one_fingerprint_from_beginning_to_end():
    """And after a restart, and another day."""
    book, begun = notified(fact())
    _, ended = notified(fact(condition="g"), now=1_700_000_100.0, book=book)
    _, another = notified(fact(value=7.0), now=1_800_000_000.0)
    bodies = [alertmanager_webhook(each, "hooks", ADDRESS, RUNBOOKS) for each in (begun, ended, another)]

    assert len({body["alerts"][0]["fingerprint"] for body in bodies}) == 1
    assert [body["status"] for body in bodies] == ["firing", "resolved", "firing"]
    assert bodies[1]["alerts"][0]["endsAt"] == "2023-11-14T22:15:00.000Z"


def test_what_fires_is_said_to_alertmanager_until_when_and_what_ended_when_it_did():
    """It takes for resolved what is not said again."""
    firing = list(play("b")[0].alerts.values())
    resolved = list(play("bg")[0].alerts.values())

    said = alertmanager_alerts([*firing, *resolved], 600.0, ADDRESS, RUNBOOKS)

    assert [each["endsAt"] for each in said] == ["1970-01-01T00:10:00.000Z", "1970-01-01T00:01:00.000Z"]
    assert all(set(each) == {"labels", "annotations", "startsAt", "endsAt", "generatorURL"} for each in said)


def test_nothing_in_a_message_calls_the_channel():
    """A column may be called anything."""
    its = rule(labels=("model", "column"))
    _, notification = notified(fact(its, model=HOSTILE, column="<@everyone>"))
    message = json.dumps(slack_message(notification, ADDRESS, RUNBOOKS))

    assert "<" not in message
    assert ">" not in message
    assert "&lt;!channel&gt; &amp; &lt;https" in message


def test_a_message_says_how_many_began_and_ended():
    """Colours too; what does not fit is counted."""
    _, notification = notified(*(fact(model="fraud", column=str(number)) for number in range(23)))
    message = slack_message(notification, ADDRESS, RUNBOOKS)

    assert message["text"] == "podium, fraud: 23 firing (3 more at https://podium.example:9000)"
    assert len(message["attachments"]) == 20
    assert message["attachments"][0]["title_link"] == "https://docs.example/runbooks/drift-column.md"
    assert "title_link" not in slack_message(notification, ADDRESS, "docs/runbooks")["attachments"][0]


def test_podiums_own_form_has_all_that_is_known():
    """As JSON without infinities, at most a hundred alerts."""
    _, notification = notified(*(fact(model="fraud", column=f"{number:03}", value=float("inf")) for number in range(103)))
    body = plain(notification, ADDRESS, "docs/runbooks")

    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert (len(body["alerts"]), body["left_out"], body["id"]) == (100, 3, notification.id)
    assert body["alerts"][0] == {
        "news": "firing",
        "rule": "drift-column",
        "severity": "ticket",
        "labels": {"model": "fraud", "column": "000"},
        "meaning": "Something is wrong.",
        "sentence": "It is so.",
        "value": None,
        "threshold": 0.5,
        "fingerprint": notification.items[0][1].fingerprint,
        "since": "2023-11-14T22:13:20.000Z",
        "fired_at": "2023-11-14T22:13:20.000Z",
        "resolved_at": None,
        "runbook": "docs/runbooks/drift-column.md",
    }
