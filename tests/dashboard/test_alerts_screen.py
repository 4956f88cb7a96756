"""Alerts on the page: what fires is on top, everything is named, and nothing of it becomes markup."""

import json
import re
import shlex
import time

import pytest
from alerted import write_alerts
from click.testing import CliRunner
from dashboard_home import HOSTILE, SCRIPT, endpoint, running
from site_asking import ask

from podium.cli.monitor import monitor
from podium.dashboard.app import site
from podium.dashboard.doors import Doorkeeper
from podium.dashboard.sources import DashboardSources
from podium.monitoring.store import alerts as kept
from podium.monitoring.store.database import MonitorStore
from podium.settings.home import Home

NOW = time.time()


@pytest.fixture(scope="module")
def alerted(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("alerted"))
    folder = running(home, endpoint("fraud", "models:/fraud/production"))
    write_alerts(home, NOW)
    yield home, site(DashboardSources(home, lambda: NOW), Doorkeeper(None, lambda: 0.0))
    folder.remove()


def test_what_fires_is_said_with_its_place_its_runbook_and_who_was_told(alerted):
    """Pages first; a label that is hostile stands there as text."""
    text = ask(alerted[1], "/alerts").text

    assert text.index("<b>error-budget-fast</b>") < text.index("<b>drift-column</b>")
    assert "docs/runbooks/error-budget-fast.md" in text
    assert "Silenced by" in text
    assert ">failed<" in text
    assert not re.search(r"<(img|script)(?! src=\"/static/)", text)


def test_the_panels_hold_what_the_store_holds(alerted):
    """Alerts, their history, silences, deliveries."""
    rows = {
        panel: json.loads(ask(alerted[1], f"/alerts?panel={panel}&as=json").text)["rows"]
        for panel in ("alerts", "history", "silences", "deliveries")
    }

    assert [row["state"] for row in rows["alerts"]] == ["firing", "firing", "firing", "pending", "resolved"]
    assert len(rows["history"]) == 5
    assert rows["silences"][0]["reason"] == HOSTILE
    assert {row["channel"]: row["result"] for row in rows["deliveries"]} == {"oncall": "sent", "chat": "failed"}


def test_what_fires_needs_attention_on_the_first_page_and_is_counted_in_the_navigation(alerted):
    """Before whatever else is wrong."""
    text = ask(alerted[1], "/").text

    assert "Needs attention" in text
    assert text.index("error-budget-fast") < text.index("Models</h2>")
    assert '<small class="count">3</small>' in text


def test_the_command_that_silences_is_one(alerted, monkeypatch):
    """Pasted as it stands it silences exactly this alert, whatever a column is called."""
    home, app = alerted
    monkeypatch.setenv("PODIUM_HOME", str(home.root))
    text = ask(app, "/alerts").text
    commands = [each for each in re.findall(r'<code class="command">(.*?)</code>', text) if "drift-column" in each]
    [command] = [shlex.split(_plain(each)) for each in commands]

    done = CliRunner().invoke(monitor, command[2:])

    assert done.exit_code == 0, done.output
    with MonitorStore(home.monitor).reading() as connection:
        [silence] = [each for each in kept.silences_of(connection, NOW) if each.id != "s1"]
        covered = [each.rule for each in kept.alerts_of(connection) if silence.covers(each.all_labels(), time.time() + 60)]
    assert covered == ["drift-column"]


def test_alerts_of_one_model_are_asked_for_by_its_name(alerted):
    """Another's are not there."""
    assert json.loads(ask(alerted[1], "/alerts?model=other&panel=alerts&as=json").text)["rows"] == []
    assert SCRIPT not in ask(alerted[1], "/alerts?model=fraud").text


def _plain(text: str) -> str:
    for written, meant in (("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"'), ("&#39;", "'"), ("&amp;", "&")):
        text = text.replace(written, meant)
    return text
