"""The rules that every model has, how a model has them otherwise, and how each is judged."""

import pytest
from reading_world import Reading, line_of

from podium.domain.audits import audit
from podium.domain.audits.facts import AuditedPython, Severity, WantedRequirement
from podium.domain.monitoring.alerting.default_rules import CLOCK_RULES, COLUMN_RULES, rules_of
from podium.domain.monitoring.alerting.judging import (
    Condition,
    fact_of_age,
    fact_of_burn,
    fact_of_column,
    fact_of_dropped_rows,
    fact_of_environment,
    fact_of_profile,
    fact_of_quality,
    fact_of_rejections,
    fact_of_spread,
)
from podium.domain.monitoring.alerting.rules import AlertSeverity, RuleChange, changed
from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role
from podium.domain.monitoring.growth import Growth
from podium.domain.monitoring.objectives import ObjectiveKind, Slo
from podium.domain.monitoring.quality.baseline import held_against
from podium.domain.monitoring.quality.figures import Figure
from podium.domain.monitoring.staleness import Clock, Times, ages
from podium.domain.monitoring.standing import Spread, StandingFinding
from podium.domain.monitoring.windows import Span
from podium.errors import InvalidInput

LATENCY = Slo(ObjectiveKind.LATENCY, 0.99, 0.25)
RULES = {rule.name: rule for rule in rules_of((Slo(), LATENCY))}
HERE = {"model": "fraud", "version": "7"}
COLUMN = {**HERE, "column": "age"}


def test_every_model_is_watched_by_these():
    """Pages are for what cannot wait."""
    pages = {name for name, rule in RULES.items() if rule.severity is AlertSeverity.PAGE}

    assert pages == {
        "error-budget-fast", "error-budget-medium", "latency-budget-fast", "latency-budget-medium", "requests-rejected",
        "drift-many",
    }  # fmt: skip
    assert set(RULES) - pages == {
        "error-budget-slow", "latency-budget-slow", "environment", "drift-column", "drift-prediction", "drift-together",
        "column-missing", "column-unseen", "column-out-of-range", "quality", "model-old", "deployment-old", "superseded",
        "profile-old", "no-traffic", "labels-late", "monitor-late", "rows-dropped", "no-profile",
    }  # fmt: skip


def test_each_rule_says_what_is_wrong_and_where_that_is_explained():
    """One sentence, one page; names are what addresses and silences can hold."""
    assert all(rule.meaning.endswith(".") and rule.meaning[0].isupper() for rule in RULES.values())
    assert RULES["quality"].runbook == "docs/runbooks/quality.md"
    assert all(name.replace("-", "").isalpha() and name.islower() for name in RULES)


def test_each_rule_is_kept_quiet_only_by_rules_that_there_are():
    """And never by itself."""
    assert all(set(rule.inhibited_by) <= set(RULES) - {name} for name, rule in RULES.items())


def test_every_check_of_a_column_has_a_rule():
    """Four of them."""
    assert set(COLUMN_RULES) == set(Check)
    assert set(COLUMN_RULES.values()) <= set(RULES)


def test_every_clock_has_a_rule():
    """Seven of them."""
    assert set(CLOCK_RULES) == set(Clock)
    assert set(CLOCK_RULES.values()) <= set(RULES)


def test_a_model_has_a_rule_otherwise():
    """The others stay."""
    changes = {
        "requests-rejected": RuleChange(severity=AlertSeverity.TICKET, for_s=0.0, parameters={"share": 0.2}),
        "quality": RuleChange(is_enabled=False),
    }
    own = {rule.name: rule for rule in changed(RULES.values(), changes)}

    assert (own["requests-rejected"].severity, own["requests-rejected"].for_s) == (AlertSeverity.TICKET, 0.0)
    assert own["requests-rejected"].parameters == {"share": 0.2, "least_rejected": 5}
    assert set(RULES) - set(own) == {"quality"}
    assert own["drift-many"] == RULES["drift-many"]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("qualitty", RuleChange(), "There is no alert rule 'qualitty'. There are: error-budget-fast"),
        ("requests-rejected", RuleChange(parameters={"shar": 0.1}), "no parameter 'shar'; it has: share, least_rejected"),
        ("drift-column", RuleChange(parameters={"psi": 0.1}), "it has: none"),
        ("rows-dropped", RuleChange(parameters={"rows": float("nan")}), "rows of the alert rule rows-dropped"),
        ("rows-dropped", RuleChange(parameters={"rows": -1}), "rows of the alert rule rows-dropped"),
        ("quality", RuleChange(for_s=-1.0), "for_s of the alert rule quality"),
        ("quality", RuleChange(keep_s=float("inf")), "keep_s of the alert rule quality"),
    ],
)
def test_what_cannot_be_otherwise_is_refused(name, change, said):
    """A slip in a name would leave a model unwatched."""
    with pytest.raises(InvalidInput, match=said):
        changed(RULES.values(), {name: change})


def column(check, score, is_alert, role=Role.FEATURE):
    verdict = ColumnVerdict.INSUFFICIENT_DATA
    if score is not None:
        verdict = ColumnVerdict.ALERT if score >= 0.2 else ColumnVerdict.OK
    finding = ColumnFinding("age", role, check, Span(0, 3600), "psi", score, 0.1, 0.2, 900, 5000, verdict)
    return fact_of_column(RULES[COLUMN_RULES[check]], finding, stands=StandingFinding(is_alert).is_alert, **COLUMN)


def spread(how, drifted=(), predictions=(), judged=20):
    return fact_of_spread(RULES["drift-many"], how, len(drifted), judged, len(predictions), **HERE)


def quality(value, interval, baseline, rows=1000, metric="accuracy"):
    found = held_against(Figure(metric, value, interval, rows), baseline)
    return fact_of_quality(RULES["quality"], found, **HERE, variant="", metric=metric)


def rejected(requests, turned_away, covered_s=300.0):
    return fact_of_rejections(RULES["requests-rejected"], "fraud", Growth(requests, turned_away, covered_s))


def clock(clock, **times):
    return fact_of_age(RULES[CLOCK_RULES[clock]], ages(Times(**times), 1e9)[clock], **HERE)


def environment(**findings):
    return fact_of_environment(RULES["environment"], findings, **HERE)


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (column(Check.DRIFT, 0.3, True), "bad"),
        (column(Check.DRIFT, 0.3, False), "good"),
        (column(Check.DRIFT, 0.1, True), "between"),
        (column(Check.DRIFT, None, True), "unknown"),
        (column(Check.DRIFT, None, False), "unknown"),
        (column(Check.MISSING, 0.3, True), "bad"),
        (column(Check.UNSEEN, 0.3, True), "bad"),
        (column(Check.OUT_OF_RANGE, 0.0, False), "good"),
        (column(Check.DRIFT, 0.3, True, Role.PREDICTION), "bad"),
        (spread(Spread.WIDE, ("age", "plan"), (), 4), "bad"),
        (spread(Spread.WIDE, ("age",), ("score",)), "bad"),
        (spread(Spread.SOME, ("age",)), "good"),
        (spread(Spread.NONE), "good"),
        (spread(Spread.NONE, judged=0), "unknown"),
        (quality(0.84, (0.82, 0.86), 0.9), "bad"),
        (quality(0.84, (0.78, 0.91), 0.9), "good"),
        (quality(0.87, (0.86, 0.88), 0.9), "good"),
        (quality(0.5, (0.4, 0.6), 0.9, rows=499), "unknown"),
        (quality(None, None, 0.9), "unknown"),
        (quality(2.2, (2.1, 2.3), 2.0, metric="mae"), "bad"),
        (quality(2.2, (1.9, 2.5), 2.0, metric="mae"), "good"),
        (quality(1.0, (0.9, 1.1), 2.0, metric="mae"), "good"),
        (rejected(1000, 11), "bad"),
        (rejected(1000, 9), "between"),
        (rejected(1000, 8), "good"),
        (rejected(4, 4), "good"),
        (rejected(0, 0), "good"),
        (rejected(0, 0, covered_s=0.0), "unknown"),
        (clock(Clock.SUPERSEDED, superseded_at=1e9 - 8 * 86_400), "bad"),
        (clock(Clock.SUPERSEDED, superseded_at=1e9 - 2 * 86_400), "good"),
        (clock(Clock.SUPERSEDED), "good"),
        (environment(critical=0, high=1), "bad"),
        (environment(critical=1), "bad"),
        (environment(medium=7, low=2), "good"),
        (environment(), "good"),
        (fact_of_profile(RULES["no-profile"], None, **HERE), "bad"),
        (fact_of_profile(RULES["no-profile"], "sha256:1", **HERE), "good"),
        (fact_of_dropped_rows(RULES["rows-dropped"], "fraud", Growth(1000, 1, 600)), "bad"),
        (fact_of_dropped_rows(RULES["rows-dropped"], "fraud", Growth(1000, 0, 600)), "good"),
        (fact_of_dropped_rows(RULES["rows-dropped"], "fraud", Growth(0, 0, 0)), "unknown"),
    ],
    ids=lambda given: given.sentence if hasattr(given, "sentence") else given,
)
def test_how_a_rule_is_judged(fact, expected):
    """One row, one sentence: the fact's own."""
    assert fact.condition == expected
    assert fact.sentence


def test_a_fact_has_the_labels_of_its_rule_and_no_others():
    """Sorted; so its alert is the same one whoever finds it."""
    assert column(Check.MISSING, 0.3, True).labels == (("column", "age"), ("model", "fraud"), ("version", "7"))
    assert rejected(1000, 11).labels == (("model", "fraud"),)


def test_a_burning_budget_is_told_with_figures():
    """Share, windows, budget and rate."""
    line = line_of(Reading(30.0 * turn, 300.0 * turn, 6.0 * turn) for turn in range(121))
    fact = fact_of_burn(RULES["error-budget-fast"], "fraud", Slo(), line, 3600.0)

    assert (fact.condition, fact.value, fact.threshold) == (Condition.BAD, pytest.approx(20), 14.4)
    assert fact.sentence == (
        "2.00% of 36000 requests failed in the last 60 minutes, 2.00% in the last 5 minutes: the error budget of 0.001 "
        "burns 20.0 times as fast as evenly; up to 14.4 is allowed."
    )


def test_a_budget_that_nobody_watches_is_not_known():
    """Neither good nor bad."""
    fact = fact_of_burn(RULES["latency-budget-fast"], "fraud", LATENCY, line_of([]), 3600.0)

    assert fact.condition is Condition.UNKNOWN


def test_a_budget_burns_by_the_terms_that_the_model_has():
    """What changes a rule's expression changes what podium itself finds."""
    line = line_of(Reading(30.0 * turn, 300.0 * turn, 6.0 * turn) for turn in range(121))
    changes = [
        {"burn_rate": 21},
        {"budget": 0.01},
        {"least_bad": 1e4},
        {"least_requests": 1e6},
        {"long_s": 300},
        {"budget": 0},
    ]
    found = []
    for parameters in changes:
        (rule,) = changed([RULES["error-budget-fast"]], {"error-budget-fast": RuleChange(parameters=parameters)})
        found.append(fact_of_burn(rule, "fraud", Slo(), line, 3600.0).condition)

    assert found == ["good", "good", "good", "good", "bad", "bad"]


def test_two_objectives_of_one_kind_are_refused():
    """Their rules would have the same names."""
    with pytest.raises(InvalidInput, match="at most one objective of each kind"):
        rules_of((Slo(), Slo(target=0.99)))


@pytest.mark.parametrize(("installed", "expected"), [("1.9.1", "bad"), ("1.5.0", "good")])
def test_an_environment_is_as_wrong_as_its_audit_says(installed, expected):
    """scikit-learn 1.9.1 for a model that wants 1.5.0 is, and exactly 1.5.0 is not."""
    is_met = installed == "1.5.0"
    wanted = WantedRequirement(
        "scikit-learn", "scikit-learn==1.5.0", "requirements.txt:1", "==1.5.0", installed, is_met=is_met, is_exact=True
    )
    findings = audit.judge_wanted(wanted, AuditedPython("models:/wine/3", "/env/bin/python", "3.11.7"))

    assert environment(**audit.counted_by_severity(findings)).condition == expected


def test_the_environment_is_judged_by_the_audits_own_severities():
    """A severity that is called otherwise there would never be found here."""
    counted = {severity.value: 1 for severity in Severity}

    assert fact_of_environment(RULES["environment"], counted, **HERE).value == 2
    assert 'severity=~"critical|high"' in RULES["environment"].expression
