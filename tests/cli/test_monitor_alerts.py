"""`podium monitor alerts`, `silence`, `test` and `export`, as they are typed."""

import json
import shutil
import subprocess

import pytest
import yaml
from alert_world import fact, rule
from click.testing import CliRunner
from receivers import HOSTILE, receiving

from podium.api.endpoint import choose, server_of
from podium.cli.main import podium
from podium.domain.monitoring.alerting.alerts import AlertBook, AlertPolicy, step
from podium.domain.monitoring.alerting.deliveries import Delivery, DeliveryResult
from podium.domain.monitoring.alerting.history import turns
from podium.domain.monitoring.staleness import Times, ages
from podium.errors import InvalidInput, Misconfigured, NotFound
from podium.monitoring.alert_gauges import gauges_of
from podium.monitoring.store import alerts as kept
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import VersionKey
from podium.settings.home import Home
from podium.settings.provenance import MODELS_NAMED, Said
from podium.telemetry.metrics import SUPERVISOR_METRICS

TOML = """
[alerts.channels.oncall]
kind = "webhook"
url_env = "HOOK"
token_file = "token"

[alerts.objectives]
latency = 0.99
latency_threshold = "250ms"

[alerts.models.fraud.rules.requests-rejected]
share = 0.5
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a podium.toml, and a PODIUM_HOME of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PODIUM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PODIUM_CONFIG", raising=False)
    (tmp_path / "podium.toml").write_text(TOML)
    (tmp_path / "token").write_text("hunter2\n")
    return tmp_path


def typed(*words):
    """What the command prints; raises what it raises."""
    result = CliRunner().invoke(podium, ["monitor", *words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def watched(here, model="fraud"):
    """A home in which one alert fires and was told."""
    (here / "home").mkdir(exist_ok=True)
    store, quick = MonitorStore(here / "home" / "monitor.db"), AlertPolicy(group_wait_s=0.0)
    book, told = step(AlertBook(), [fact(rule(), model=model)], 1000.0, (), quick)
    with store.writing() as connection:
        kept.put_book(connection, None, book)
        kept.put_turns(connection, turns(AlertBook(), book))
        kept.put_deliveries(connection, [Delivery("oncall", each) for each in told])


def test_what_fires_is_printed_with_where_and_what(here):
    """For people and for programs."""
    watched(here)
    (alert,) = json.loads(typed("alerts", "--json"))

    assert (alert["rule"], alert["state"], alert["labels"]) == ("drift-column", "firing", {"model": "fraud"})
    assert "firing  ticket    drift-column  model=fraud" in typed("alerts", "fraud")
    assert json.loads(typed("alerts", "churn", "--json")) == []


def test_history_and_deliveries_are_printed(here):
    """Newest first."""
    watched(here)

    assert [(each["before"], each["after"]) for each in json.loads(typed("alerts", "--history", "--json"))] == [
        (None, "firing")
    ]
    assert [each["news"] for each in json.loads(typed("alerts", "--deliveries", "--json"))] == [
        [{"news": "firing", "rule": "drift-column"}]
    ]
    assert "ok -> firing" in typed("alerts", "--history", "-n", "1")
    assert "drift-column firing" in typed("alerts", "fraud", "--deliveries")
    with pytest.raises(InvalidInput, match="two questions"):
        typed("alerts", "--history", "--deliveries")


def test_a_hostile_name_makes_no_lines_and_no_colours(here):
    """Names are anybody's."""
    watched(here, HOSTILE + "\x1b[31m\nfiring  page  fake")
    printed = typed("alerts")

    assert len(printed.splitlines()) == 2
    assert "\x1b" not in printed


def test_a_silence_is_made_listed_shown_and_ended(here):
    """Also before any server has watched anything."""
    (made,) = json.loads(typed("silence", "model=fraud", "--for", "2h", "--reason", "upstream", "--json"))
    watched(here)
    (alert,) = json.loads(typed("alerts", "--json"))
    listed = json.loads(typed("silence", "--json"))
    typed("silence", "--end", made["id"])

    assert made["matchers"] == ["model=fraud"]
    assert made["ends_at"] - made["begins_at"] == 7200
    assert listed == [made]
    assert alert["silence"] == made["id"]
    assert json.loads(typed("silence", "--json")) == []
    with pytest.raises(NotFound, match="No silence"):
        typed("silence", "--end", made["id"])


@pytest.mark.parametrize(
    ("words", "error", "expected"),
    [
        (["model=fraud"], InvalidInput, "Say for how long and why"),
        (["--reason", "x"], InvalidInput, "Say whose alerts"),
        (["severity!=page", "--for", "1h", "--reason", "x"], InvalidInput, "would silence everything"),
        (["rule=~x", "--for", "1h", "--reason", "x"], InvalidInput, "is no matcher"),
        (["model=a", "--for", "soon", "--reason", "x"], Misconfigured, "the time is 'soon'; expected seconds"),
        (["model=a", "--for", "400d", "--reason", "x"], InvalidInput, "at most a year"),
        (["model=a", "--end", "x"], InvalidInput, "nothing else is said with it"),
    ],
)
def test_what_no_silence_can_be_made_of_is_refused(here, words, error, expected):
    """And says what would do; nothing is written."""
    with pytest.raises(error, match=expected):
        typed("silence", *words)

    assert not (here / "home").exists()


def test_without_a_server_there_is_nothing_to_print(here):
    """And nothing is made."""
    with pytest.raises(NotFound, match="No server has watched a model here yet"):
        typed("alerts")

    assert not (here / "home").exists()


def test_a_channel_is_told_a_test(here, monkeypatch):
    """By what podium.toml says of it, with its secrets."""
    with receiving() as box:
        monkeypatch.setenv("HOOK", box.url)
        typed("test", "oncall")
        _, headers, body = box.next()

    assert headers["Authorization"] == "Bearer hunter2"
    assert json.loads(body)["alerts"][0]["meaning"] == "This is a test: nothing is wrong."
    with pytest.raises(NotFound, match="there are: oncall"):
        typed("test", "other")


def test_the_rules_are_written_for_prometheus_and_taken_by_its_own_tool(here):
    """With what podium.toml says of single models."""
    typed("export", "prometheus", "-o", "rules.yml")
    rules = [rule for group in yaml.safe_load((here / "rules.yml").read_text())["groups"] for rule in group["rules"]]

    assert {"PodiumErrorBudgetFast", "PodiumLatencyBudgetSlow"} <= {rule["alert"] for rule in rules}
    assert len([rule for rule in rules if rule["alert"] == "PodiumRequestsRejected"]) == 2
    if shutil.which("promtool") is not None:
        subprocess.run(["promtool", "check", "rules", "rules.yml"], check=True, capture_output=True, timeout=240)


def test_a_dashboard_and_monitors_are_written(here):
    """As JSON and YAML that others read."""
    assert json.loads(typed("export", "grafana"))["uid"]
    assert "quality" in {key.partition(".")[0] for key in json.loads(typed("export", "datadog", "--notify", "@slack-ml"))}
    agent = yaml.safe_load(typed("export", "datadog-agent", "--metrics-url", "http://podium:8000/metrics"))
    assert agent["instances"][0]["openmetrics_endpoint"] == "http://podium:8000/metrics"


def test_a_server_does_not_start_with_a_channel_that_cannot_tell(here):
    """A secret that is missing is known before it is needed."""
    chosen = choose([Said(MODELS_NAMED, "model", "the test")])
    with pytest.raises(Misconfigured, match=r"alerts\.channels\.oncall\.url: the variable HOOK is not set"):
        server_of(chosen, Home(here / "home"))


def test_a_server_without_a_monitor_does_not_pretend_to_tell_anybody(here, monkeypatch):
    """Channels that nobody would ever be told by are a mistake."""
    monkeypatch.setenv("HOOK", "https://hooks.example/x")
    chosen = choose([Said(MODELS_NAMED, "model", "the test"), Said("serve.monitor", False, "--no-monitor")])
    with pytest.raises(Misconfigured, match=r"names channels, and nobody would be told: .*--no-monitor"):
        server_of(chosen, Home(here / "home"))


def test_the_metrics_know_every_gauge_of_alerts(here):
    """A name that they do not know would not be shown."""
    book, _ = step(AlertBook(), [fact(rule(), model="fraud")], 1000.0, (), AlertPolicy(group_wait_s=0.0))
    clocks = {VersionKey("fraud", "7"): ages(Times(trained_at=0.0), 1000.0)}
    gauges = gauges_of(book, clocks, {("oncall", DeliveryResult.SENT): 1})

    assert {each["name"] for each in gauges} <= {metric.name for metric in SUPERVISOR_METRICS}
    assert len({each["name"] for each in gauges}) == 5


def test_a_threshold_that_nobody_counts_is_refused(here):
    """It says which are."""
    (here / "podium.toml").write_text("[alerts.objectives]\nlatency = 0.9\nlatency_threshold = '300ms'\n")
    with pytest.raises(Misconfigured, match=r"0\.3 s is no edge .* Take 0\.25 or 0\.5"):
        typed("export", "prometheus")
