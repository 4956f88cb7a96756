"""How each served model is doing, in a few figures: from the monitor's store, for the first page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from podium.dashboard.budgets import Budget, objectives_of, period_of
from podium.dashboard.charts.sparks import spark
from podium.dashboard.sources import DashboardSources, ServedEndpoint
from podium.domain.monitoring.findings import Check, Role
from podium.domain.monitoring.growth import Growth
from podium.domain.monitoring.objectives import ObjectiveKind, budget_left
from podium.domain.monitoring.quantiles import quantile
from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.errors import NotFound
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.reading import Served, StoredFinding, TrafficPoint
from podium.telemetry.traffic import LATENCY_EDGES_S, TrafficCounts

_NOW_S = 900


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is said of a model; None where nobody knows.

    Attributes:
        rate: Requests a second in the last quarter of an hour, of all versions.
        errors: Which share of them had a 5xx status.
        p99_s: What 99 of 100 of them took at most.
        spark: Requests of the last day.
        columns, drifted: How many are watched, and of how many an alert stands.
        predictions: Whether an alert stands of what it answers.
        budget: What its availability may cost, and how much of that is left; None without such an objective.
    """

    rate: float | None
    errors: float | None
    p99_s: float | None
    spark: Markup | None
    columns: int
    drifted: int
    predictions: bool
    budget: Budget | None = None

    @property
    def values(self) -> list[Any]:
        """For programs."""
        left = None if self.budget is None else self.budget.left
        return [self.rate, self.errors, self.p99_s, self.columns, self.drifted, left]


def pulses_of(sources: DashboardSources, endpoints: Sequence[ServedEndpoint], now: float) -> dict[str, Pulse]:
    """Of each endpoint, by name; none where no monitor has written anything.

    Args:
        sources: Where to read.
        endpoints: Those that are served.
        now: Seconds of the Unix epoch.

    Raises:
        MonitorStoreError: It cannot be read.
    """
    try:
        with sources.monitor.reading() as connection:
            known = reading.served(connection)
            end = int(now // 60) * 60
            recent, day = Span(end - _NOW_S, end), _day(now)
            found = {}
            for each in endpoints:
                versions = [version for version in known if version.key.model == each.name]
                lately = [reading.traffic(connection, version.key, recent, 60) for version in versions]
                hours = [reading.traffic(connection, version.key, day, HOUR_S) for version in versions]
                serving = next((version for version in versions if version.key.version == each.facts.get("serving")), None)
                findings = [] if serving is None else reading.latest_findings(connection, serving.key)
                if versions:
                    budget = _budget(connection, each, versions, now)
                    found[each.name] = replace(_pulse(each.name, lately, hours, findings), budget=budget)
            return found
    except NotFound:
        return {}


def _budget(connection: StoreConnection, endpoint: ServedEndpoint, versions: Sequence[Served], now: float) -> Budget | None:
    """Of its availability: that needs two sums of each version, where a latency's would need all its buckets."""
    objective = next((each for each in objectives_of(endpoint) if each.kind is ObjectiveKind.AVAILABILITY), None)
    if objective is None:
        return None
    counted = [reading.errors(connection, each.key, period_of(objective, now)) for each in versions]
    growth = Growth(sum(total for total, _ in counted), sum(bad for _, bad in counted), 0.0)
    return Budget(objective, growth, budget_left(growth, objective), None)


def _day(now: float) -> Span:
    end = -int(-now // HOUR_S) * HOUR_S
    return Span(end - DAY_S, end)


def _pulse(
    name: str,
    lately: Sequence[Sequence[TrafficPoint]],
    hours: Sequence[Sequence[TrafficPoint]],
    findings: Sequence[StoredFinding],
) -> Pulse:
    total = sum((point.traffic for points in lately for point in points), TrafficCounts())
    watched_s = sum(point.watched_s for point in lately[0])
    slowest = quantile(LATENCY_EDGES_S, total.cumulative, 0.99)
    rates = [
        sum(point.traffic.requests for point in together) / together[0].watched_s if together[0].watched_s else None
        for together in zip(*hours, strict=True)
    ]
    drift = [each for each in findings if each.finding.check is Check.DRIFT and each.finding.role is Role.FEATURE]
    standing = {(each.finding.role, each.finding.name) for each in findings if each.is_standing}
    return Pulse(
        rate=round(total.requests / watched_s, 3) if watched_s else None,
        errors=total.server_errors / total.requests if total.requests else None,
        p99_s=LATENCY_EDGES_S[-1] if slowest is not None and math.isinf(slowest) else slowest,
        spark=spark(rates, f"Requests of {name} in the last day") if any(rates) else None,
        columns=len(drift),
        drifted=sum(role is Role.FEATURE for role, _ in standing),
        predictions=any(role is Role.PREDICTION for role, _ in standing),
    )
