"""Whether a rule holds, judged by values: one function for each kind of rule. Each gives a fact, whether it is bad or not.

A fact that is missing counts as good; where nobody can say, the fact is there and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from podium.domain.audits.facts import Severity
from podium.domain.monitoring.alerting.rules import Rule
from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role
from podium.domain.monitoring.growth import Growth, Line
from podium.domain.monitoring.objectives import BurnTerms, LowTraffic, ObjectiveKind, Slo, burn
from podium.domain.monitoring.quality.baseline import Shortfall
from podium.domain.monitoring.staleness import Age, AgeStanding, spoken
from podium.domain.monitoring.standing import Spread


class Condition(StrEnum):
    """How it is with what a rule asks for."""

    GOOD = "good"
    BETWEEN = "between"
    UNKNOWN = "unknown"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Fact:
    """What a rule found in one place at one time.

    Args:
        rule: The model's own.
        labels: Where: `Rule.labels` and what is there; sorted by name.
        condition: `between`: no longer beyond the threshold and not below it by enough, or for long enough: whatever is so
            stays so, and is no news.
        value, threshold: What was held against what; None where it is no number, or not known.
        sentence: For people. May quote names of columns, as they were sent.
    """

    rule: Rule
    labels: tuple[tuple[str, str], ...]
    condition: Condition
    value: float | None = None
    threshold: float | None = None
    sentence: str = field(default="", compare=False)


def fact_of_burn(rule: Rule, model: str, objective: Slo, line: Line, now: float) -> Fact:
    """How fast an error budget burns, by the rule's own terms; the value is the burn rate of the long window.

    Args:
        rule: One of the objective's.
        model: Whose budget.
        objective: Says what is bad.
        line: Of the requests that it counts.
        now: Until when.
    """
    terms = _burn_terms(rule)
    found = burn(line, terms, now)
    condition = Condition.BAD if found.is_too_fast else Condition.GOOD if found.is_known else Condition.UNKNOWN
    what = "failed" if objective.kind is ObjectiveKind.AVAILABILITY else f"took longer than {objective.threshold_s:g} s"
    sentence = (
        f"{found.long.share or 0.0:.2%} of {found.long.total:.0f} requests {what} in the last {spoken(terms.long_s)}, "
        f"{found.short.share or 0.0:.2%} in the last {spoken(terms.short_s)}: the error budget of {terms.budget:.4g} "
        f"burns {found.long_rate:.1f} times as fast as evenly; up to {terms.rate:.3g} is allowed."
    )
    return Fact(rule, _labels(rule, model=model), condition, found.long_rate, found.rate, sentence)


def _burn_terms(rule: Rule) -> BurnTerms:
    its = rule.parameters
    least = LowTraffic(its["least_requests"], its["least_bad"])
    return BurnTerms(its["budget"], its["burn_rate"], its["long_s"], its["short_s"], least)


def fact_of_rejections(rule: Rule, model: str, requests: Growth) -> Fact:
    """Requests of the last five minutes, of which the bad ones were turned away."""
    share, threshold = requests.share, rule.parameters["share"]
    condition = _beyond(share or 0.0, threshold, rule)
    if condition is Condition.BAD and requests.bad < rule.parameters["least_rejected"]:
        condition = Condition.GOOD
    if not requests.covered_s:
        condition = Condition.UNKNOWN
    sentence = f"{share or 0.0:.1%} of {requests.total:.0f} requests were turned away; {threshold:.1%} is allowed."
    return Fact(rule, _labels(rule, model=model), condition, share, threshold, sentence)


def fact_of_column(rule: Rule, finding: ColumnFinding, *, stands: bool, **where: str) -> Fact:
    """What is held of one check of a column, or of the predictions; `findings.py` and `standing.py` decide, this says it.

    Args:
        rule: `COLUMN_RULES` has which one asks the check.
        finding: Of the last window.
        stands: Whether its alert stands after that (`StandingFinding.is_alert`).
        where: `model`, `version` and, of a column, `column`.
    """
    if finding.score is None:
        condition = Condition.UNKNOWN
    elif stands:
        condition = Condition.BAD if finding.verdict is ColumnVerdict.ALERT else Condition.BETWEEN
    else:
        condition = Condition.GOOD
    side = "from" if finding.alert < finding.usual else "up to"
    score = "too few to say" if finding.score is None else f"{finding.score:.3g}, and {side} {finding.alert:.3g} is allowed"
    check = f"drift by {finding.method}" if finding.check is Check.DRIFT else _CHECKS[finding.check]
    subject = {
        Role.FEATURE: f"Column {finding.name}",
        Role.PREDICTION: f"Prediction {finding.name}",
        Role.TOGETHER: "All columns together",
    }[finding.role]
    was = "; it was beyond that, and is over after two good windows" if condition is Condition.BETWEEN else ""
    sentence = f"{subject}, {finding.rows} rows: {check} {score}{was}."
    return Fact(rule, _labels(rule, **where), condition, finding.score, finding.alert, sentence)


_CHECKS = {
    Check.MISSING: "missing values",
    Check.UNSEEN: "categories that the profile does not know",
    Check.OUT_OF_RANGE: "numbers beyond the profile's",
}


def fact_of_spread(rule: Rule, spread: Spread, drifted: int, judged: int, predictions: int, **where: str) -> Fact:
    """How far drift has spread over a model, as `standing.overview` says; the value is the share of the columns.

    Args:
        rule: `drift-many`.
        spread: How far.
        drifted: How many columns drift.
        judged: Of how many.
        predictions: How many of the predictions do.
        where: `model` and `version`.
    """
    conditions = {Spread.WIDE: Condition.BAD, Spread.SOME: Condition.GOOD, Spread.NONE: Condition.GOOD}
    condition = conditions[spread] if judged else Condition.UNKNOWN
    share = drifted / judged if judged else None
    beside = ", and the predictions do too" if predictions else ""
    sentence = f"{drifted} of {judged} columns drift{beside}."
    return Fact(rule, _labels(rule, **where), condition, share, None, sentence)


def fact_of_quality(rule: Rule, found: Shortfall, **where: str) -> Fact:
    """A figure of quality as `domain/monitoring/quality/baseline.py` judges it; a warning is none that anybody hears of."""
    condition = {"alert": Condition.BAD, "insufficient_data": Condition.UNKNOWN}.get(found.verdict, Condition.GOOD)
    value = "is not known" if found.figure.value is None else f"is {found.figure.value:.4g}"
    if found.figure.interval is not None:
        value += f" ({found.figure.interval[0]:.4g} to {found.figure.interval[1]:.4g})"
    sentence = (
        f"{found.figure.metric} {value} over {found.figure.rows} rows; it was {found.baseline:.4g}, and {found.limit:.4g} "
        "is allowed."
    )
    return Fact(rule, _labels(rule, **where), condition, found.figure.value, found.limit, sentence)


def fact_of_age(rule: Rule, age: Age, **where: str) -> Fact:
    """What a clock shows; a warning is none that anybody is told of."""
    condition = Condition.BAD if age.standing is AgeStanding.ALERT else Condition.GOOD
    return Fact(rule, _labels(rule, **where), condition, age.age_s, age.alert_s, age.sentence)


def fact_of_dropped_rows(rule: Rule, model: str, rows: Growth) -> Fact:
    """Rows of the last ten minutes, of which the bad ones went by unseen."""
    condition = Condition.BAD if rows.bad > rule.parameters["rows"] else Condition.GOOD
    if not rows.covered_s:
        condition = Condition.UNKNOWN
    sentence = f"{rows.bad:.0f} of {rows.total:.0f} rows went by unseen in the last ten minutes."
    return Fact(rule, _labels(rule, model=model), condition, rows.bad, rule.parameters["rows"], sentence)


def fact_of_profile(rule: Rule, profile_id: str | None, **where: str) -> Fact:
    """Whether there is anything to measure drift against."""
    condition = Condition.GOOD if profile_id else Condition.BAD
    return Fact(rule, _labels(rule, **where), condition, sentence="The model has no profile, so drift is not known.")


def fact_of_environment(rule: Rule, findings: Mapping[str, int], **where: str) -> Fact:
    """What the audit at load found, counted by its severities (`domain/audits`); high and critical ones are wrong."""
    wrong = sum(findings.get(severity, 0) for severity in (Severity.CRITICAL, Severity.HIGH))
    condition = Condition.BAD if wrong > rule.parameters["findings"] else Condition.GOOD
    counted = ", ".join(f"{count} {severity}" for severity, count in findings.items() if count) or "nothing"
    sentence = f"The audit of its environment found: {counted}."
    return Fact(rule, _labels(rule, **where), condition, wrong, rule.parameters["findings"], sentence)


def _beyond(value: float, threshold: float, rule: Rule) -> Condition:
    if value > threshold:
        return Condition.BAD
    return Condition.BETWEEN if value > rule.clear_share * threshold else Condition.GOOD


def _labels(rule: Rule, **where: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, where.get(name, "")) for name in rule.labels))
