"""Objectives of a model: how much of each one's error budget is left, and how fast it burns now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.dashboard.sources import ServedEndpoint
from podium.domain.monitoring.growth import Growth
from podium.domain.monitoring.objectives import ObjectiveKind, Slo, budget_left, burn_rate
from podium.domain.monitoring.quantiles import edge_at
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.errors import InvalidInput
from podium.monitoring.store.reading import TrafficPoint
from podium.telemetry.traffic import LATENCY_EDGES_S, TrafficCounts


@dataclass(frozen=True, slots=True)
class Budget:
    """One objective and what became of it.

    Args:
        objective: Which.
        period: What was asked in its period, as far as anybody watched.
        left: Which part of the budget is left: below 0 it is overspent; None without requests.
        burn: How many times faster than evenly it was spent in the last hour; None where that is not known.
    """

    objective: Slo
    period: Growth
    left: float | None
    burn: float | None

    @property
    def tone(self) -> str:
        """Bad where nothing is left, warn where less than a quarter is, or an hour like this one costs a fiftieth."""
        if self.left is not None and self.left <= 0:
            return "bad"
        limit = 0.02 * self.objective.period_s / HOUR_S
        return "warn" if (self.left is not None and self.left < 0.25) or (self.burn or 0.0) > limit else "ok"


def objectives_of(endpoint: ServedEndpoint | None) -> list[Slo]:
    """What an endpoint's server holds it to; nothing where no server tells."""
    if endpoint is None:
        return []
    told: Mapping[str, Sequence[Mapping[str, Any]]] = endpoint.server.facts.get("objectives") or {}
    found = []
    for each in told.get(endpoint.name, told.get("", ())):
        try:
            objective = Slo(ObjectiveKind(each["kind"]), each["target"], each.get("threshold_s"), each["period_s"])
            _bad(objective, TrafficCounts())
        except (InvalidInput, KeyError, TypeError, ValueError):
            # A server of another version may say it in other words.
            continue
        found.append(objective)
    return found


def period_of(objective: Slo, now: float) -> Span:
    """Its last period, in whole hours, the one that is not over among them."""
    end = -int(-now // HOUR_S) * HOUR_S
    return Span(end - int(objective.period_s), end)


def budget_of(objective: Slo, period: Sequence[TrafficPoint], lately: Sequence[TrafficPoint]) -> Budget:
    """What is left of an objective's budget.

    Args:
        objective: Which.
        period: The traffic of its period, all versions, in steps of any length.
        lately: Of the last hour.
    """
    growth, hour = _growth(objective, period), _growth(objective, lately)
    burn = burn_rate(hour, objective.budget) if hour.total else None
    return Budget(objective, growth, budget_left(growth, objective), burn)


def good_share(objective: Slo, counted: TrafficCounts) -> float | None:
    """Which part of some requests met the objective; None without requests."""
    bad, total = _bad(objective, counted)
    return 1 - bad / total if total else None


def _growth(objective: Slo, points: Sequence[TrafficPoint]) -> Growth:
    bad, total = _bad(objective, sum((each.traffic for each in points), TrafficCounts()))
    return Growth(total, bad, sum(each.watched_s for each in points))


def _bad(objective: Slo, counted: TrafficCounts) -> tuple[int, int]:
    """Bad requests, and all."""
    if objective.threshold_s is None:
        return counted.server_errors, counted.requests
    edge = edge_at(LATENCY_EDGES_S, objective.threshold_s)
    return sum(counted.latency[edge + 1 :]), sum(counted.latency)
