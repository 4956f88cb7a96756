"""Traffic of one model: how much, how good, how quick, and where the time went."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from podium.dashboard import wording
from podium.dashboard.budgets import Budget, budget_of, good_share, objectives_of, period_of
from podium.dashboard.charts.heat import heat
from podium.dashboard.charts.lines import ChartEvent, ChartLimit, LineChart, Series, legend, line_chart
from podium.dashboard.charts.sparks import meter
from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.screens.model_page import ModelPage, moves, open_page
from podium.dashboard.sources import DashboardSources
from podium.domain.monitoring.objectives import ObjectiveKind
from podium.domain.monitoring.quantiles import quantile
from podium.domain.monitoring.windows import HOUR_S, WEEK_S, Span
from podium.errors import NotFound
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.reading import TrafficPoint
from podium.monitoring.store.writing import MINUTE_S
from podium.telemetry.traffic import LATENCY_EDGES_S, TrafficCounts

_POINTS, _HEAT_COLUMNS, _MOST_VERSIONS = 240, 96, 5
_SHARES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
_COLUMNS = (
    "start", "length_s", "watched_s", "version", "requests", "client_errors", "server_errors", "rejected", "rows",
    "batches", "p50_s", "p95_s", "p99_s", "queue_s", "predict_s",
)  # fmt: skip
Points = Sequence[TrafficPoint]


def traffic(sources: DashboardSources, asked: Question) -> Page:
    """The screen."""
    try:
        with sources.monitor.reading() as connection:
            page = open_page(sources, asked, connection)
            span, step = asked.span.grid(asked.now, MINUTE_S, WEEK_S, _POINTS)
            found = {each.key.version: reading.traffic(connection, each.key, span, step) for each in page.shown}
            budgets = _budgets(sources, page, connection, asked.now)
    except NotFound:
        page, found, step, budgets = open_page(sources, asked, None), {}, MINUTE_S, []
    together = _together(list(found.values()))
    content = {
        **page.frame("traffic"),
        "tiles": _tiles(together),
        "charts": _charts(sources, page, asked, found, together, budgets) if together else [],
        "objectives": [_objective(each, together, page.name) for each in budgets],
        "heat": _heat(asked, together, page.name),
        "step": wording.seconds(float(step)),
    }
    rows = [_row(version, point) for version, points in found.items() for point in points]
    tables = [Table("traffic", _COLUMNS, rows), _budget_table(budgets)]
    return Page("traffic.html", f"{page.name}: traffic", "overview", content, tables, True)


def _budgets(sources: DashboardSources, page: ModelPage, connection: StoreConnection, now: float) -> list[Budget]:
    """Of all versions together, whichever is looked at: an objective is the model's."""
    endpoint = next((each for each in sources.served() if each.name == page.name), None)
    minute = (int(now) // MINUTE_S + 1) * MINUTE_S
    found = []
    for objective in objectives_of(endpoint):
        spans = (period_of(objective, now), HOUR_S), (Span(minute - HOUR_S, minute), MINUTE_S)
        period, lately = (
            _together([reading.traffic(connection, each.key, span, step) for each in page.versions]) for span, step in spans
        )
        found.append(budget_of(objective, period, lately))
    return found


def _objective(budget: Budget, points: Points, name: str) -> dict[str, Any]:
    """What the page says of one."""
    objective = budget.objective
    is_quick = objective.threshold_s is not None
    what = f"Answered within {wording.seconds(objective.threshold_s)}" if is_quick else "No error of the server"
    return {
        "budget": budget,
        "what": what,
        "here": good_share(objective, sum((each.traffic for each in points), TrafficCounts())),
        "meter": meter(max(budget.left or 0.0, 0.0), f"{what}: what is left of the budget of {name}", budget.tone),
    }


def _budget_table(budgets: Sequence[Budget]) -> Table:
    columns = ("kind", "target", "threshold_s", "period_s", "requests", "bad", "budget_left", "burn_rate")
    rows = [
        [
            each.objective.kind.value, each.objective.target, each.objective.threshold_s, each.objective.period_s,
            each.period.total, each.period.bad, each.left, each.burn,
        ]
        for each in budgets
    ]  # fmt: skip
    return Table("objectives", columns, rows)


def _together(every: Sequence[Points]) -> list[TrafficPoint]:
    """All versions in one."""
    return [
        TrafficPoint(points[0].span, sum((each.traffic for each in points), TrafficCounts()), points[0].watched_s)
        for points in zip(*every, strict=True)
    ]


def _tiles(points: Points) -> list[tuple[str, str, str]]:
    """Label, figure and tone."""
    total = sum((each.traffic for each in points), TrafficCounts())
    watched = sum(each.watched_s for each in points)
    errors = total.server_errors / total.requests if total.requests else None
    return [
        ("Requests", wording.exact(total.requests), ""),
        ("A second", wording.number(round(total.requests / watched, 2)) if watched else wording.DASH, ""),
        ("Server errors", wording.percent(errors, 2), "bad" if errors and errors > 0.001 else ""),
        ("Rejected", wording.exact(total.rejected), "warn" if total.rejected else ""),
        ("Median", wording.seconds(_quantile(total, 0.5)), ""),
        ("99 of 100 within", wording.seconds(_quantile(total, 0.99)), ""),
    ]


def _charts(
    sources: DashboardSources,
    page: ModelPage,
    asked: Question,
    found: dict[str, list[TrafficPoint]],
    together: Points,
    budgets: Sequence[Budget],
) -> list[dict[str, Any]]:
    events = moves(sources, page.name, asked.span.start, asked.span.end)
    rates = _rates(found)
    errors = [
        Series("server errors", _values(together, _share(lambda each: each.server_errors)), "bad", has_area=True),
        Series("client errors", _values(together, _share(lambda each: each.client_errors)), "warn"),
        Series("rejected", _values(together, _share(lambda each: each.rejected)), "s3"),
    ]
    tones = ("s4", "s0", "s3")
    latency = [
        Series(label, _values(together, _at(share)), tone) for (share, label), tone in zip(_SHARES, tones, strict=True)
    ]
    phases = [
        Series("waiting in the queue", _values(together, _mean(lambda each: each.queue_us)), "s2"),
        Series("in the model", _values(together, _model_time), "s0"),
        Series("everything else", _values(together, _rest), "quiet"),
    ]
    batches = [Series("rows a batch", _values(together, _batch), "s1", has_area=True)]
    drawn: list[tuple[str, Sequence[Series], Callable[[float | None], str], bool, ObjectiveKind | None]] = [
        ("Requests a second", rates, wording.number, True, None),
        ("Errors, of all requests", errors, lambda value: wording.percent(value, 2), False, ObjectiveKind.AVAILABILITY),
        ("Latency", latency, wording.seconds, False, ObjectiveKind.LATENCY),
        ("Where a request's time goes", phases, wording.seconds, True, None),
        ("Rows in a batch", batches, wording.number, False, None),
    ]
    return [
        _chart(asked, events, page.name, title, series, form, is_stacked, _limits(budgets, kind))
        for title, series, form, is_stacked, kind in drawn
    ]


def _limits(budgets: Sequence[Budget], kind: ObjectiveKind | None) -> list[ChartLimit]:
    """Objectives as lines across."""
    found = []
    for objective in (each.objective for each in budgets if each.objective.kind is kind):
        if objective.threshold_s is not None:
            label = f"objective: {wording.target(objective.target)} within {wording.seconds(objective.threshold_s)}"
            found.append(ChartLimit(label, objective.threshold_s))
        else:
            label = f"objective: at most {wording.target(objective.budget)} errors of the server"
            found.append(ChartLimit(label, objective.budget))
    return found


def _rates(found: dict[str, list[TrafficPoint]]) -> list[Series]:
    """The versions that were seen last, each by itself, and all before them in one."""
    named = list(found.items())[:_MOST_VERSIONS]
    rates = [Series(f"version {version}", _values(points, _rate)) for version, points in named]
    if rest := list(found.values())[_MOST_VERSIONS:]:
        rates.append(Series("all others", _values(_together(rest), _rate), "quiet"))
    return rates


def _chart(
    asked: Question,
    events: Sequence[ChartEvent],
    name: str,
    title: str,
    series: Sequence[Series],
    form: Callable[[float | None], str],
    is_stacked: bool,
    limits: Sequence[ChartLimit],
) -> dict[str, Any]:
    label = f"{title} of {name}, {asked.span.label}"
    drawn = line_chart(LineChart(label, asked.span.start, asked.span.end, series, form, limits, events, is_stacked))
    return {"title": title, "picture": drawn, "legend": legend(series, limits)}


def _heat(asked: Question, points: Points, name: str) -> Any:
    if not any(each.traffic.requests for each in points):
        return None
    width = max(1, -(-len(points) // _HEAT_COLUMNS))
    groups = [points[first : first + width] for first in range(0, len(points), width)]
    columns = []
    for group in groups:
        total = sum((each.traffic for each in group), TrafficCounts())
        columns.append((float(group[0].span.start), float(group[-1].span.end), total.latency))
    label = f"How many requests of {name} took how long, {asked.span.label}"
    return heat(asked.span.start, asked.span.end, LATENCY_EDGES_S, columns, label)


def _values(points: Points, of: Callable[[TrafficPoint], float | None]) -> list[tuple[float, float | None]]:
    """What was not watched is a gap."""
    return [(float(each.span.start), of(each) if each.watched_s else None) for each in points]


def _rate(point: TrafficPoint) -> float | None:
    return point.traffic.requests / point.watched_s


def _share(of: Callable[[TrafficCounts], int]) -> Callable[[TrafficPoint], float | None]:
    return lambda point: of(point.traffic) / point.traffic.requests if point.traffic.requests else None


def _mean(of: Callable[[TrafficCounts], int]) -> Callable[[TrafficPoint], float | None]:
    return lambda point: of(point.traffic) / 1e6 / point.traffic.requests if point.traffic.requests else None


def _model_time(point: TrafficPoint) -> float | None:
    """A request waits for its whole batch."""
    return point.traffic.predict_us / 1e6 / point.traffic.batches if point.traffic.batches else None


def _rest(point: TrafficPoint) -> float | None:
    total = _mean(lambda each: each.duration_us)(point)
    if total is None:
        return None
    queue = _mean(lambda each: each.queue_us)(point) or 0.0
    return max(total - queue - (_model_time(point) or 0.0), 0.0)


def _batch(point: TrafficPoint) -> float | None:
    return point.traffic.rows / point.traffic.batches if point.traffic.batches else None


def _at(share: float) -> Callable[[TrafficPoint], float | None]:
    return lambda point: _quantile(point.traffic, share)


def _quantile(counted: TrafficCounts, share: float) -> float | None:
    found = quantile(LATENCY_EDGES_S, counted.cumulative, share)
    # Beyond the last edge that edge is all that can be drawn.
    return LATENCY_EDGES_S[-1] if found is not None and math.isinf(found) else found


def _row(version: str, point: TrafficPoint) -> list[Any]:
    counted = point.traffic
    return [
        point.span.start, point.span.length_s, point.watched_s, version, counted.requests, counted.client_errors,
        counted.server_errors, counted.rejected, counted.rows, counted.batches,
        *[_quantile(counted, share) for share, _ in _SHARES], counted.queue_us / 1e6, counted.predict_us / 1e6,
    ]  # fmt: skip
