"""What one version answers: classes and scores through time, beside the reference."""

from collections.abc import Sequence
from typing import Any

from podium.dashboard import wording
from podium.dashboard.charts.histograms import overlay
from podium.dashboard.charts.lines import LineChart, Series, legend, line_chart
from podium.dashboard.columns import bins_of, labels_of, quantile_of
from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.screens.model_page import moves, open_page
from podium.dashboard.sources import DashboardSources
from podium.domain.monitoring.counts import ColumnCounts
from podium.domain.monitoring.findings import Role
from podium.domain.monitoring.profile import CategoryProfile, ColumnProfile
from podium.domain.monitoring.windows import DAY_S, HOUR_S, SLOT_S
from podium.errors import NotFound
from podium.monitoring.store import reading
from podium.monitoring.store.reading import DataPoint

_POINTS, _MOST_CLASSES = 72, 5
_TITLES = {"classes": "Classes", "score": "Score", "value": "Value"}
_BAND = ((0.05, "5 %"), (0.5, "median"), (0.95, "95 %"))


def predictions(sources: DashboardSources, asked: Question) -> Page:
    """The screen."""
    profile, points = None, []
    try:
        with sources.monitor.reading() as connection:
            page = open_page(sources, asked, connection)
            seen = page.chosen or next((each for each in page.versions if each.profile_id), None)
            if seen is not None and seen.profile_id is not None:
                profile = reading.profile_of(connection, seen.key, seen.profile_id)
                span, step = asked.span.grid(asked.now, SLOT_S, 2 * DAY_S, _POINTS)
                # Hours are fewer, and added up already.
                if asked.span.length_s > 6 * HOUR_S:
                    span, step = asked.span.grid(asked.now, HOUR_S, 0, _POINTS)
                points = reading.data(connection, seen.key, seen.profile_id, span, step)
    except NotFound:
        page, seen = open_page(sources, asked, None), None
    kinds = {} if profile is None else profile.predictions.present()
    parts = [_part(sources, asked, page.name, kind, column, points) for kind, column in kinds.items()]
    content = {
        **page.frame("predictions"),
        "parts": parts,
        "has_profile": profile is not None,
        "chosen": None if seen is None else seen.key.version,
    }
    rows = [row for part in parts for row in part["rows"]]
    table = Table("predictions", ("start", "of", "name", "value"), rows)
    return Page("predictions.html", f"{page.name}: predictions", "overview", content, [table], True)


def _part(
    sources: DashboardSources, asked: Question, name: str, kind: str, column: ColumnProfile, points: Sequence[DataPoint]
) -> dict[str, Any]:
    """One kind of prediction through time and in all."""
    counted = [(point, point.column(Role.PREDICTION, kind)) for point in points]
    known = [each for _, each in counted if each is not None]
    total = None
    for each in known:
        total = each if total is None else total + each
    is_class = isinstance(column, CategoryProfile)
    series = _shares(column, counted) if is_class else _quantiles(column, counted)
    events = moves(sources, name, asked.span.start, asked.span.end)
    form = wording.percent if is_class else wording.number
    label = f"{_TITLES[kind]} of {name}, {asked.span.label}"
    chart = LineChart(
        label, asked.span.start, asked.span.end, series, form, (), events, is_class, most_high=1.0 if is_class else None
    )
    bins = [] if total is None else bins_of(column, total)
    rows = [[int(when), kind, each.label, value] for each in series for when, value in each.points if value is not None]
    return {
        "title": _TITLES[kind],
        "rows": rows,
        "picture": line_chart(chart) if total is not None else None,
        "legend": legend(series),
        "overlay": overlay(bins, f"{_TITLES[kind]} of {name} beside the reference") if bins else None,
    }


def _shares(column: ColumnProfile, counted: Sequence[tuple[DataPoint, ColumnCounts | None]]) -> list[Series]:
    """The most frequent classes, and all others together."""
    shown = [label for label, _ in labels_of(column)[:-2]][:_MOST_CLASSES]
    found = [
        Series(label, [(_start(point), _share(each, each.bins[place]) if each else None) for point, each in counted])
        for place, label in enumerate(shown)
    ]
    rest = [
        (_start(point), _share(each, each.known - sum(each.bins[: len(shown)])) if each else None)
        for point, each in counted
    ]
    if any(value for _, value in rest):
        found.append(Series("all others", rest, "quiet"))
    return found


def _quantiles(column: ColumnProfile, counted: Sequence[tuple[DataPoint, ColumnCounts | None]]) -> list[Series]:
    """The median within nine tenths of all."""
    lines = [
        [(_start(point), None if each is None else quantile_of(column, each, share)) for point, each in counted]
        for share, _ in _BAND
    ]
    low, middle, high = lines
    return [Series("median, and nine tenths of all", middle, "s0", low=low, high=high)]


def _start(point: DataPoint) -> float:
    return float(point.window.span.start)


def _share(counts: ColumnCounts, part: int) -> float | None:
    return part / counts.known if counts.known else None
