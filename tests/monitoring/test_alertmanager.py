"""A real Alertmanager takes what podium says, and forgets what it no longer says."""

import json
import shutil
import subprocess
import urllib.request
from datetime import UTC, datetime

import pytest
from ports import free_port
from receivers import PATIENT, channel, firing, receiving, send, standing, told

from podium.domain.monitoring.alerting.alerts import AlertState
from podium.monitoring.alerting import alerting_of
from podium.monitoring.channels.contract import AllFiring
from podium.monitoring.store.database import MonitorStore
from podium.settings.alerts import alert_settings

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus-alertmanager") is None, reason="Prometheus' Alertmanager is not installed"
)
_CONFIG = """
route: {receiver: podium, group_by: [model], group_wait: 0s, group_interval: 1s}
receivers: [{name: podium, webhook_configs: [{url: "%s/hook"}]}]
"""
_WAIT_S = 60


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory):
    """Its address, and a mailbox that it tells."""
    folder, port = tmp_path_factory.mktemp("alertmanager"), free_port()
    with receiving() as box:
        (folder / "config.yml").write_text(_CONFIG % box.url)
        process = subprocess.Popen(
            [
                "prometheus-alertmanager", "--config.file=config.yml", "--storage.path=data", "--cluster.listen-address=",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "Listening on" in line:
                    break
            assert process.poll() is None, "".join(lines)
            yield f"http://127.0.0.1:{port}", box
        finally:
            process.kill()
            process.wait(_WAIT_S)
            process.stderr.close()


def asked(url, path):
    with urllib.request.urlopen(f"{url}/api/v2/{path}", timeout=_WAIT_S) as answer:
        return json.loads(answer.read())


def test_what_fires_is_there_with_its_labels_until_it_is_not_said_again(alertmanager):
    """And told on to whom Alertmanager tells."""
    url, box = alertmanager
    at = datetime.now(UTC).timestamp()
    message = standing(told("b", start=at), until=at + 240)
    send(channel("alertmanager", url=url), message)
    send(channel("alertmanager", url=url), message)
    (found,) = asked(url, "alerts")
    heard = json.loads(box.next()[2])

    assert found["labels"] == {"alertname": "drift-column", "model": "fraud", "severity": "ticket"}
    assert found["annotations"]["runbook_url"] == "https://runbooks.example/drift-column.md"
    assert found["status"]["state"] == "active"
    assert datetime.fromisoformat(found["endsAt"]).timestamp() == pytest.approx(at + 240, abs=0.01)
    assert [each["status"] for each in heard["alerts"]] == ["firing"]


def test_what_ended_is_resolved_there(alertmanager):
    """By its own fingerprint: no second alert is made."""
    url, box = alertmanager
    at = datetime.now(UTC).timestamp()
    ((_, alert),) = told("b", model="churn", start=at - 60).notification.items
    send(channel("alertmanager", url=url), AllFiring((alert,), at + 240, "am", "", ""))
    while json.loads(box.next()[2])["groupLabels"] != {"model": "churn"}:
        pass
    ended = firing(alert.fingerprint, labels=alert.labels, state=AlertState.RESOLVED, fired_at=at - 60, resolved_at=at)
    send(channel("alertmanager", url=url), AllFiring((ended,), at + 240, "am", "", ""))
    heard = json.loads(box.next()[2])

    assert heard["groupLabels"] == {"model": "churn"}
    assert [each["status"] for each in heard["alerts"]] == ["resolved"]
    assert [each["labels"]["model"] for each in asked(url, "alerts")] == ["fraud"]


def test_what_a_monitor_finds_and_what_is_mended_is_told_on(alertmanager, tmp_path):
    """From the monitor's steps, by the clock that both share, to whom Alertmanager tells: it fires, and is resolved."""
    url, box = alertmanager
    table = {
        "group_wait": 0,
        "rules": {"environment": {"keep": 0}},
        "channels": {"am": {"kind": "alertmanager", "url": url}},
    }
    settings = alert_settings({"alerts": table}, {}, "podium.toml")
    store = MonitorStore(tmp_path / "monitor.db", busy_timeout_s=60.0)
    alerting = alerting_of(store, settings, pytest.fail, 1e9, terms=PATIENT)
    facts = {"model": "tumor", "version": "1", "weight": 100, "findings": {"high": 1}}

    def heard(status):
        while True:
            told = json.loads(box.next()[2])
            if told["groupLabels"] == {"model": "tumor"} and told["status"] == status:
                return [(each["labels"]["alertname"], each["status"]) for each in told["alerts"]]

    alerting.begin()
    try:
        alerting.turn(datetime.now(UTC).timestamp(), [facts], {})
        fired = heard("firing")
        alerting.turn(datetime.now(UTC).timestamp(), [{**facts, "findings": {}}], {})
        ended = heard("resolved")
    finally:
        alerting.close(_WAIT_S)

    assert fired == [("environment", "firing")]
    assert ended == [("environment", "resolved")]
