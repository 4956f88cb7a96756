"""What the monitor has seen of a model is told out of its database, to people and to programs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from profile_world import counted, profile_of

from podium.api.reporting import monitor_report
from podium.cli.main import podium
from podium.domain.monitoring.columns import Privacy
from podium.domain.monitoring.quality.reference import measured
from podium.domain.monitoring.standing import StandingFinding
from podium.errors import NotFound
from podium.monitoring.gauges import gauges_of
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import Counted, VersionKey
from podium.monitoring.watching import judge_version
from podium.settings.home import Home
from podium.telemetry.traffic import LATENCY_EDGES_S, TrafficCounts

NOW = 1_800_000_000
KEY = VersionKey("fraud", "7")
RNG = np.random.default_rng(2)
PROFILE = profile_of({"amount": RNG.normal(size=2000), "age": RNG.normal(size=2000)}, value=RNG.normal(size=2000))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two versions: one whose amount has moved, and one that nobody watches."""
    home = Home(tmp_path)
    rows = {"amount": RNG.normal(size=3000) + 1, "age": RNG.normal(size=3000)}
    window = counted(PROFILE, rows, {"value": RNG.normal(size=3000)})
    quick = tuple(50 * (place == 3) for place in range(len(LATENCY_EDGES_S) + 1))
    with MonitorStore(home.monitor).writing() as connection:
        writing.see_version(connection, VersionKey("fraud", "6"), "Archived", None, NOW - 7200)
        writing.see_version(connection, KEY, "Production", PROFILE, NOW - 3600)
        writing.see_version(connection, KEY, "Production", PROFILE, NOW)
        writing.watch(connection, NOW - 600, NOW)
        writing.add_traffic(connection, KEY, NOW - 300, TrafficCounts(requests=50, server_errors=2, latency=quick))
        writing.add_window(connection, KEY, NOW, Counted(window, dropped=5))
        judge_version(connection, KEY, PROFILE, NOW, 3600)
    return home


def test_a_report_says_what_drifts_and_of_how_much_that_is_known(home: Home) -> None:
    found = monitor_report("fraud", home=home, clock=lambda: NOW)

    newest, older = found["versions"]
    assert (newest["version"], newest["stage"], older["version"], older["profile"]) == ("7", "Production", "6", None)
    assert newest["profile"] == {"id": PROFILE.profile_id, "kind": "training", "rows": 2000, "columns": 2}
    assert newest["traffic"]["requests"] == 50
    assert newest["traffic"]["server_errors"] == 2
    assert newest["traffic"]["watched_s"] == 600
    assert 0.0005 < newest["traffic"]["latency_s"]["p50"] <= 0.001
    assert (newest["window"]["rows"], newest["window"]["dropped"]) == (3000, 5)
    assert newest["columns"][0]["name"] == "amount"
    assert newest["columns"][0]["checks"]["drift"]["verdict"] == "alert"
    assert newest["columns"][0]["checks"]["drift"]["is_standing"] is False
    assert newest["drift"]["judged"] == 2
    assert newest["drift"]["state"] == "pending"
    assert newest["drift"]["pending"] == [{"name": "amount", "role": "feature"}]
    assert (newest["estimated"]["figures"], newest["estimated"]["task"]) == ([], None)
    assert "regression" in newest["estimated"]["why_not"]
    assert older["estimated"] is None
    assert older["columns"] == []
    assert older["drift"]["state"] == "unknown"


def test_what_stands_has_a_beginning(home: Home) -> None:
    with MonitorStore(home.monitor).writing() as connection:
        judged = judge_version(connection, KEY, PROFILE, NOW + 300, 3600)
        assert judged is not None
        held = {finder: StandingFinding(finder[1] == "amount", NOW - 7200) for finder in judged.standing}
        writing.put_findings(connection, KEY, PROFILE.profile_id, judged.findings, held)

    (newest,) = monitor_report("fraud", "7", home=home, clock=lambda: NOW)["versions"]

    assert newest["drift"]["state"] == "some"
    assert newest["drift"]["columns"] == ["amount"]
    assert newest["columns"][0]["checks"]["drift"]["since"] == "2027-01-15T06:00:00Z"


@pytest.mark.parametrize(
    ("name", "version", "expected"), [("frud", None, "fraud"), ("fraud", "8", "version 8 of 'fraud'"), ("x", None, "'x'")]
)
def test_who_was_never_seen_is_told_so(home: Home, name: str, version: str | None, expected: str) -> None:
    with pytest.raises(NotFound, match=expected):
        monitor_report(name, version, home=home, clock=lambda: NOW)


def test_nothing_is_there_before_a_server_watched(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="podium serve"):
        monitor_report("fraud", home=Home(tmp_path))


def test_the_command_prints_json_and_tables(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODIUM_HOME", str(home.root))

    document = CliRunner().invoke(podium, ["monitor", "report", "fraud", "--json"], standalone_mode=False)
    told = CliRunner().invoke(podium, ["monitor", "report", "fraud"], standalone_mode=False)

    assert json.loads(document.stdout)["model"] == "fraud"
    assert "amount" in told.stdout
    assert "pending: amount in the last window; an alert stands after two" in told.stdout
    assert "estimated" not in told.stdout
    assert "3000 rows" in told.stdout
    assert "podium monitor baseline" in told.stdout


def test_an_estimate_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the report with its interval, in the gauges by metric; the same of both."""
    home, key = Home(tmp_path), VersionKey("fraud", "8")
    score = RNG.beta(0.6, 0.9, 3000)
    told = (score >= 0.5).astype(int)
    made = profile_of({"amount": RNG.normal(size=3000)}, value=told, score=score, is_classifier=True)
    found = measured(told, score, (RNG.random(3000) < score).astype(int), is_classes=True)
    profile = replace(made, quality=found.quality, calibration=found.calibration)
    less_sure = RNG.beta(1.2, 1.2, 3000)
    predictions = {"classes": (less_sure >= 0.5).astype(int), "score": less_sure}
    window = counted(profile, {"amount": RNG.normal(size=3000)}, predictions, b"\0")
    with MonitorStore(home.monitor).writing() as connection:
        writing.see_version(connection, key, "Production", profile, NOW)
        writing.add_window(connection, key, NOW, Counted(window))
        judged = judge_version(connection, key, profile, NOW, 3600)
    assert judged is not None

    (version,) = monitor_report("fraud", home=home, clock=lambda: NOW)["versions"]
    gauges = {
        each["labels"]["metric"]: each["value"] for each in gauges_of(judged) if each["name"] == "podium_estimated_quality"
    }
    monkeypatch.setenv("PODIUM_HOME", str(home.root))
    printed = CliRunner().invoke(podium, ["monitor", "report", "fraud"], standalone_mode=False).stdout

    assert (version["estimated"]["task"], version["estimated"]["rows"]) == ("binary", 3000)
    assert gauges == {each["metric"]: each["value"] for each in version["estimated"]["figures"]}
    [accuracy] = [each for each in version["estimated"]["figures"] if each["metric"] == "accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert accuracy["value"] < accuracy["baseline"] == profile.quality["accuracy"]
    assert not accuracy["is_usual"]
    assert f"accuracy {accuracy['value']:.3f}" in printed
    assert "without labels" in printed


def test_a_column_that_nobody_had_the_key_of_is_told_as_not_judged(tmp_path: Path) -> None:
    """With the reason, and not as one of which all is unseen."""
    home, plans = Home(tmp_path), np.repeat(["basic", "pro"], 1000).astype(object)
    columns = {"plan": plans, "age": RNG.normal(size=2000)}
    profile = profile_of(columns, privacy=Privacy(hash_key=b"a key of some length"))
    with MonitorStore(home.monitor).writing() as connection:
        writing.see_version(connection, KEY, "", profile, NOW)
        writing.watch(connection, NOW - 600, NOW)
        writing.add_window(connection, KEY, NOW, Counted(counted(profile, columns)))
        judge_version(connection, KEY, profile, NOW, 3600)

    (found,) = monitor_report("fraud", home=home, clock=lambda: NOW)["versions"]
    told = CliRunner(env={"PODIUM_HOME": str(tmp_path)}).invoke(podium, ["monitor", "report", "fraud"])

    of = {each["name"]: each for each in found["columns"]}
    assert "key" in of["plan"]["why_not"]
    assert of["age"]["why_not"] is None
    assert {check["verdict"] for check in of["plan"]["checks"].values()} == {"insufficient_data"}
    assert of["age"]["checks"]["drift"]["verdict"] == "ok"
    assert "not judged: no key" in told.output
