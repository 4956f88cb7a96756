"""The same rules in other people's words: Prometheus' own tools take them and find what podium finds."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml

from podium.domain.monitoring.alerting.default_rules import rules_of
from podium.domain.monitoring.alerting.exports import datadog, grafana
from podium.domain.monitoring.alerting.exports.prometheus import alert_name, rules_file
from podium.domain.monitoring.alerting.exports.promql import duration, expression_of, metrics_of, number, quoted
from podium.domain.monitoring.alerting.rules import RuleChange, changed
from podium.domain.monitoring.objectives import ObjectiveKind, Slo

OBJECTIVES = (Slo(), Slo(ObjectiveKind.LATENCY, 0.99, 0.25))
RULES = rules_of(OBJECTIVES)
HOSTILE = 'a,}b{"\\x\n  - alert: X {{ .X }} ${burn_rate} é😀\x00\x7f\ud800'
LAX = rules_of((Slo(target=0.9), Slo(ObjectiveKind.LATENCY, 0.99, 1.0)))
OTHERWISE = {
    "lax": LAX,
    HOSTILE: changed(RULES, {"quality": RuleChange(is_enabled=False), "drift-many": RuleChange(for_s=90.0)}),
}


def in_file(text):
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def known_metrics():
    page = (Path(__file__).parents[3] / "docs/reference/metrics.md").read_text()
    return set(re.findall(r"podium_[a-z_]+", page))


def without_suffix(names):
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}


def test_the_file_has_each_rule_once():
    """With its severity, its time and its runbook."""
    found = {rule["alert"]: rule for rule in in_file(rules_file(RULES, runbooks="https://docs.example/runbooks"))}

    assert set(found) == {alert_name(rule) for rule in RULES}
    assert found["PodiumRequestsRejected"]["for"] == "5m"
    assert found["PodiumErrorBudgetFast"]["labels"] == {"severity": "page", "rule": "error-budget-fast"}
    assert found["PodiumQuality"]["annotations"]["runbook_url"] == "https://docs.example/runbooks/quality.md"


def test_a_model_that_has_a_rule_otherwise_is_left_out_of_the_others():
    """And has its own; where both are alike there is one."""
    found = in_file(rules_file(RULES, {"lax": LAX}))
    fast = [rule["expr"] for rule in found if rule["alert"] == "PodiumErrorBudgetFast"]

    assert len(fast) == 2
    assert all(part.count('model!="lax"') == 1 for part in re.findall(r"\{[^}]*\}", fast[0]))
    assert all(part.count('model="lax"') == 1 for part in re.findall(r"\{[^}]*\}", fast[1]))
    assert len([rule for rule in found if rule["alert"] == "PodiumQuality"]) == 1


def test_a_rule_that_a_model_has_switched_off_does_not_speak_of_it():
    """And there is none for it alone."""
    found = [rule for rule in in_file(rules_file(RULES, OTHERWISE)) if rule["alert"] == "PodiumQuality"]

    assert len(found) == 1
    assert "model!=" in found[0]["expr"]


def test_a_model_may_be_called_anything():
    """Its name stays within its quotes, as text, and is no template."""
    own = [rule for rule in in_file(rules_file(RULES, OTHERWISE)) if rule["alert"] == "PodiumDriftMany" and "for" in rule]

    assert len(own) == 1
    assert own[0]["for"] == "90s"
    assert quoted(HOSTILE) in own[0]["expr"]
    assert own[0]["labels"]["model"] == HOSTILE.replace("{{", '{{"{{"}}').replace("\ud800", "\ufffd")


def test_the_same_rules_give_the_same_text():
    """So that it can be kept beside code."""
    assert rules_file(RULES, OTHERWISE) == rules_file(RULES, dict(reversed(OTHERWISE.items())))


@pytest.mark.parametrize("rule", rules_of(OBJECTIVES), ids=lambda rule: rule.name)
def test_every_metric_of_a_rule_is_one_that_podium_shows(rule):
    """And each is asked for the models that the rule is for."""
    expression = expression_of(rule, only="fraud")

    assert without_suffix(metrics_of(expression)) <= known_metrics()
    assert expression.count('model="fraud"') == len(re.findall(r"\bpodium_[a-z_]+", expression))
    assert "$" not in expression


def test_every_expression_is_promql():
    """By a parser that is not ours, for all models, for one and for all but some."""
    for rule in (*RULES, *LAX):
        for whom in ({}, {"only": HOSTILE}, {"without": ("a", HOSTILE)}):
            promql_parser.parse(expression_of(rule, **whom))
    for row in grafana.rows(OBJECTIVES, 0.2):
        for panel in row.panels:
            for query, _ in panel.queries:
                promql_parser.parse(query.replace("$__rate_interval", "5m"))


needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus' promtool is not installed")


def promtool(*words):
    return subprocess.run(["promtool", *words], check=False, capture_output=True, text=True, timeout=60)


@needs_promtool
def test_promtool_finds_nothing_wrong_with_the_file(tmp_path):
    """Neither with its form, nor its templates, nor two rules that are alike."""
    place = tmp_path / "rules.yml"
    place.write_text(rules_file(RULES, OTHERWISE))

    done = promtool("check", "rules", place)

    assert (done.returncode, "SUCCESS" in done.stdout) == (0, True), done.stdout + done.stderr


# Of each made-up model: the rule, what its counters and gauges are for two hours, a value a minute, and whether it fires.
WORLD = {
    "two-percent-fail": (
        "ErrorBudgetFast",
        {'requests_total{code="200"}': "0+98x120", 'requests_total{code="503"}': "0+2x120"},
        1,
    ),
    "one-percent-fails": (
        "ErrorBudgetFast",
        {'requests_total{code="200"}': "0+99x120", 'requests_total{code="503"}': "0+1x120"},
        0,
    ),
    "hardly-asked": (
        "ErrorBudgetFast",
        {'requests_total{code="200"}': "0+1x120", 'requests_total{code="503"}': "0+0.5x120"},
        0,
    ),
    "mended": (
        "ErrorBudgetFast",
        {'requests_total{code="200"}': "0+90x100 9090+100x20", 'requests_total{code="503"}': "0+10x100 1000+0x20"},
        0,
    ),
    "client-errors": (
        "ErrorBudgetFast",
        {'requests_total{code="200"}': "0+9x120", 'requests_total{code="400"}': "0+9x120"},
        0,
    ),
    "a-fifth-is-slow": (
        "LatencyBudgetFast",
        {"request_duration_seconds_count": "0+100x120", 'request_duration_seconds_bucket{le="0.25"}': "0+80x120"},
        1,
    ),
    "a-tenth-is-slow": (
        "LatencyBudgetFast",
        {"request_duration_seconds_count": "0+100x120", 'request_duration_seconds_bucket{le="0.25"}': "0+90x120"},
        0,
    ),
    "full": ("RequestsRejected", {"requests_total": "0+100x120", 'rejected_total{reason="queue_full"}': "0+2x120"}, 1),
    "unseen": ("ColumnUnseen", {'column_alert{column="plan",check="unseen"}': "1x120"}, 1),
    "missing": ("ColumnMissing", {'column_alert{column="plan",check="missing"}': "1x120"}, 1),
    "known": ("ColumnUnseen", {'column_alert{column="plan",check="unseen"}': "0x120"}, 0),
    "half-drifts": ("DriftMany", {"drifted_columns": "10x120", "monitored_columns": "20x120"}, 1),
    "the-only-column-drifts": ("DriftMany", {"drifted_columns": "1x120", "monitored_columns": "1x120"}, 0),
    "both-drift": (
        "DriftMany",
        {"drifted_columns": "1x120", "monitored_columns": "9x120", "prediction_drift_alert": "1x120"},
        1,
    ),
    "worse": ("Quality", {'quality_is_worse{metric="accuracy"}': "1x120"}, 1),
    "as-good": ("Quality", {'quality_is_worse{metric="accuracy"}': "0x120"}, 0),
    "old": (
        "ModelOld",
        {'clock_started_timestamp_seconds{clock="model"}': "0x120", 'clock_limit_seconds{clock="model"}': "3600x120"},
        1,
    ),
    "another-environment": ("Environment", {'environment_findings{severity="high"}': "1x120"}, 1),
    "small-findings": ("Environment", {'environment_findings{severity="low"}': "5x120"}, 0),
}


def of_model(series, model):
    return series.replace("{", f'{{model="{model}",') if "{" in series else f'{series}{{model="{model}"}}'


@needs_promtool
def test_prometheus_finds_what_podium_means(tmp_path):
    """Its own engine over two hours of made-up models: each rule finds its own and no other."""
    (tmp_path / "rules.yml").write_text(rules_file(RULES))
    inputs = [
        {"series": f"podium_{of_model(name, model)}", "values": values}
        for model, (_, series, _) in WORLD.items()
        for name, values in series.items()
    ]
    asked = [{"eval_time": "2h", "alertname": f"Podium{name}"} for name in sorted({rule for rule, _, _ in WORLD.values()})]
    tests = [{"interval": "1m", "input_series": inputs, "alert_rule_test": asked}]
    (tmp_path / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests})
    )

    # Told that nothing fires, it says what does.
    said = promtool("test", "rules", tmp_path / "test.yml")

    found = set()
    for part in (said.stdout + said.stderr).split("alertname: ")[1:]:
        name = part.partition(",")[0].strip()
        found |= {(name, model) for model in re.findall(r'model="([^"]+)"', part)}
    assert found == {(f"Podium{rule}", model) for model, (rule, _, fires) in WORLD.items() if fires}


def test_datadogs_monitors_can_be_created_one_after_the_other():
    """A composite names only those before it; parts tell nobody."""
    made = datadog.monitors(RULES, OBJECTIVES, {"Fraud Bä": (LAX, OBJECTIVES)}, "@slack-models")
    seen = set()
    for key, monitor in made.items():
        named = set(re.findall(r"\$\{([^}]+)\}", monitor["query"]))
        assert named <= seen
        assert bool(named) is (monitor["type"] == "composite")
        seen.add(key)
    parts = {key for key in made if key.endswith((".long", ".short", ".requests", ".bad"))}

    assert {key for key in made if "@slack-models" in made[key]["message"]} == set(made) - parts
    assert {rule.name for rule in RULES} <= set(made)
    assert json.loads(json.dumps(made)) == made


def test_datadogs_burn_rate_is_a_share_of_counts():
    """Of a counter that the agent has without _total, in a tag as Datadog writes it."""
    made = datadog.monitors(RULES, OBJECTIVES, {"Fraud Bä": (LAX, (Slo(target=0.9), OBJECTIVES[1]))})

    assert made["error-budget-fast.long"]["query"] == (
        "sum(last_1h):sum:podium.requests.count{code:5*,!model:fraud_b_} by {model}.as_count()"
        " / sum:podium.requests.count{!model:fraud_b_} by {model}.as_count() > 0.0144"
    )
    assert made["error-budget-slow.long"]["query"].startswith("sum(last_72h):")
    assert "upper_bound:0.25" in made["latency-budget-fast.short"]["query"]
    assert made["error-budget-fast.fraud_b_.long"]["query"].endswith("> 0.9")


def test_every_metric_of_a_datadog_monitor_is_one_that_the_agent_brings():
    """And no other is paid for."""
    (instance,) = datadog.agent_check("http://localhost:9090/metrics")["instances"]
    brought = {f"podium.{name}" for each in instance["metrics"] for name in each.values()}
    asked = {
        re.sub(r"\.(count|bucket)$", "", name)
        for monitor in datadog.monitors(RULES, OBJECTIVES).values()
        for name in re.findall(r"podium\.[a-z_.]+", monitor["query"])
    }

    assert asked == brought
    assert {name.replace("podium.", "podium_") for name in brought} <= {
        name.removesuffix("_total") for name in known_metrics()
    }


def test_the_dashboard_is_what_grafana_imports():
    """A uid, a data source to choose, and a panel for requests, errors and durations."""
    made = grafana.dashboard(OBJECTIVES)
    titles = [panel["title"] for panel in made["panels"]]

    assert (made["uid"], made["schemaVersion"]) == ("podium-models", 39)
    assert {"Requests a second", "Share of errors", "Duration"} <= set(titles)
    assert [variable["name"] for variable in made["templating"]["list"]] == ["DS_PROMETHEUS", "model", "version"]
    assert len({panel["id"] for panel in made["panels"]}) == len(titles)
    assert json.loads(json.dumps(made)) == made


def test_no_panel_lies_over_another():
    """Each has its place on the grid of 24 columns."""
    taken = set()
    for panel in grafana.dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_every_metric_of_the_dashboard_is_one_that_podium_shows():
    """Or an empty panel would look like a quiet model."""
    panels = [panel for row in grafana.rows(OBJECTIVES, 0.2) for panel in row.panels]
    queried = {name for panel in panels for query, _ in panel.queries for name in metrics_of(query)}

    assert queried
    assert without_suffix(queried) <= known_metrics()


def test_objectives_are_drawn_as_lines():
    """The budget and the threshold."""
    panels = {panel["title"]: panel for panel in grafana.dashboard(OBJECTIVES)["panels"]}
    lines = {
        title: [step["value"] for step in panels[title]["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        for title in ("Share of errors", "Duration", "Requests a second")
    }

    assert lines == {"Share of errors": [None, 0.001], "Duration": [None, 0.25], "Requests a second": [None]}


@pytest.mark.parametrize(
    ("seconds", "expected"), [(300, "5m"), (3600, "1h"), (259_200, "3d"), (90, "90s"), (0.2, "1s"), (5400, "90m")]
)
def test_durations_are_written_as_prometheus_reads_them(seconds, expected):
    """Whole, in one unit."""
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(14.4, "14.4"), (6.0, "6"), (0.001, "0.001"), (1e-9, "1e-09"), (1e20, "1e+20")]
)
def test_numbers_are_written_shortly(value, expected):
    """And read back as the same."""
    assert (number(value), float(number(value))) == (expected, value)
