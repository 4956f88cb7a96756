"""From what is known of models now to facts: each rule of each model is asked once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from podium.domain.monitoring.alerting.default_rules import CLOCK_RULES, COLUMN_RULES, burn_rule_name
from podium.domain.monitoring.alerting.judging import (
    Fact,
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
from podium.domain.monitoring.alerting.rules import Rule
from podium.domain.monitoring.findings import Check, Role
from podium.domain.monitoring.growth import Growth
from podium.domain.monitoring.objectives import BURN_WINDOWS
from podium.domain.monitoring.quality.baseline import Shortfall
from podium.domain.monitoring.staleness import Age, Clock, Times, ages
from podium.domain.monitoring.standing import overview
from podium.monitoring.store.reading import StoredFinding
from podium.monitoring.store.writing import VersionKey
from podium.monitoring.traffic_lines import TrafficLines
from podium.settings.alerts import AlertSettings, ModelAlerts

_REJECTED_S = 300.0
DROPPED_S = 600.0


@dataclass(frozen=True, slots=True)
class VersionValues:
    """What is known now of one version that is served.

    Args:
        key: Which.
        times: When what happened to it. `requested_at` and `evaluated_at` are known here; they are filled in.
        profile_id: What its data are measured against; None where there is nothing.
        findings: Of its last window, and what stands after it; empty before there was one.
        environment: What the audit at load found: how many of each severity.
        shortfalls: Figures of quality that have a baseline, by variant.
        is_asked: Whether requests are expected; else its clock of traffic stands still.
    """

    key: VersionKey
    times: Times = field(default_factory=Times)
    profile_id: str | None = None
    findings: Sequence[StoredFinding] = ()
    environment: Mapping[str, int] = field(default_factory=dict)
    shortfalls: Sequence[tuple[str, Shortfall]] = ()
    is_asked: bool = True


@dataclass(frozen=True, slots=True)
class Judged:
    """What all rules found, and what the clocks showed on the way.

    Args:
        facts: As `alerts.step` takes them.
        ages: Of each version.
    """

    facts: list[Fact]
    ages: dict[VersionKey, Mapping[Clock, Age]]


def judged(
    versions: Iterable[VersionValues],
    settings: AlertSettings,
    lines: TrafficLines,
    dropped: Mapping[str, tuple[int, int]],
    evaluated_at: float | None,
    now: float,
) -> Judged:
    """Ask every rule of every model that is served.

    Args:
        versions: All that are served.
        settings: Which rules, objectives and bounds each model has.
        lines: What was asked.
        dropped: Of each model: rows that were seen in the last ten minutes, and those of them that were not counted.
        evaluated_at: When this was done last.
        now: The time of all of it.
    """
    of_models: dict[str, list[VersionValues]] = {}
    for version in versions:
        of_models.setdefault(version.key.model, []).append(version)
    facts: list[Fact] = []
    clocks: dict[VersionKey, Mapping[Clock, Age]] = {}
    for model, its in of_models.items():
        own = settings.of_model(model)
        rules = {rule.name: rule for rule in own.rules()}
        facts += _of_model(model, own, rules, lines, dropped.get(model), now)
        for version in its:
            requested = lines.requested_at.get(version.key)
            times = replace(
                version.times,
                requested_at=requested if version.times.requested_at is None else version.times.requested_at,
                evaluated_at=evaluated_at if version.times.evaluated_at is None else version.times.evaluated_at,
            )
            read = ages(times, now, own.clocks)
            if not version.is_asked:
                read[Clock.TRAFFIC] = ages(Times(), now, own.clocks)[Clock.TRAFFIC]
            clocks[version.key] = read
            facts += _of_version(version, rules, read)
    return Judged(facts, clocks)


def _of_model(
    model: str,
    own: ModelAlerts,
    rules: Mapping[str, Rule],
    lines: TrafficLines,
    dropped: tuple[int, int] | None,
    now: float,
) -> Iterator[Fact]:
    for objective in own.objectives:
        line = lines.line(model, objective, now)
        for windows in BURN_WINDOWS:
            if rule := rules.get(burn_rule_name(objective, windows)):
                yield fact_of_burn(rule, model, objective, line, now)
    if rule := rules.get("requests-rejected"):
        yield fact_of_rejections(rule, model, lines.rejections(model, now - _REJECTED_S, now))
    if rule := rules.get("rows-dropped"):
        total, bad = dropped or (0, 0)
        # Without a row that was seen nothing is known to have gone by.
        yield fact_of_dropped_rows(rule, model, Growth(total, bad, DROPPED_S if dropped is not None else 0.0))


def _of_version(version: VersionValues, rules: Mapping[str, Rule], clocks: Mapping[Clock, Age]) -> Iterator[Fact]:
    where = {"model": version.key.model, "version": version.key.version}
    if rule := rules.get("no-profile"):
        yield fact_of_profile(rule, version.profile_id, **where)
    if rule := rules.get("environment"):
        yield fact_of_environment(rule, version.environment, **where)
    for clock, name in CLOCK_RULES.items():
        if rule := rules.get(name):
            yield fact_of_age(rule, clocks[clock], **where)
    if rule := rules.get("quality"):
        for variant, found in version.shortfalls:
            yield fact_of_quality(rule, found, variant=variant, metric=found.figure.metric, **where)
    if version.findings:
        yield from _of_findings(version, rules, where)


def _of_findings(version: VersionValues, rules: Mapping[str, Rule], where: Mapping[str, str]) -> Iterator[Fact]:
    drifting = {
        (each.finding.role, each.finding.name)
        for each in version.findings
        if each.is_standing and each.finding.check is Check.DRIFT
    }
    seen = overview([each.finding for each in version.findings], drifting)
    if rule := rules.get("drift-many"):
        yield fact_of_spread(rule, seen.spread, len(seen.drifted), seen.judged, len(seen.predictions), **where)
    for each in version.findings:
        finding = each.finding
        if finding.role is Role.FEATURE:
            name = COLUMN_RULES.get(finding.check)
        elif finding.role is Role.TOGETHER:
            name = "drift-together"
        else:
            name = "drift-prediction" if finding.check is Check.DRIFT else None
        if name and (rule := rules.get(name)):
            yield fact_of_column(rule, finding, stands=each.is_standing, column=finding.name, **where)
