"""How good one version is by labels, through time and in all, and what is estimated where labels are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

from markupsafe import Markup

from podium.dashboard import wording
from podium.dashboard.charts.confusion import confusion
from podium.dashboard.charts.lines import ChartLimit, LineChart, Series, legend, line_chart
from podium.dashboard.charts.reliability import reliability
from podium.dashboard.pages import Page, Question
from podium.dashboard.quality_wording import TONES, WORDS, form_of, title_of
from podium.dashboard.screens.model_page import ModelPage, moves, open_page
from podium.dashboard.screens.quality_tables import (
    calibration_table,
    confusion_cells,
    confusion_table,
    figures_table,
    labels_table,
    series_table,
)
from podium.dashboard.sources import DashboardSources
from podium.domain.monitoring.profile import Profile
from podium.domain.monitoring.quality.baseline import Shortfall, shortfalls
from podium.domain.monitoring.quality.calibration import reliability_curve
from podium.domain.monitoring.quality.figures import Figure, error_quantiles, figures
from podium.domain.monitoring.quality.tallies import ClassTally, LabelTally, NumberTally
from podium.domain.monitoring.quality.tasks import LAWS
from podium.domain.monitoring.quality.unlabelled import WindowEstimates, estimates_of
from podium.domain.monitoring.windows import DAY_S, HOUR_S, SLOT_S, Span
from podium.errors import NotFound
from podium.monitoring.store import quality as kept
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.quality import KeptTask, QualityPoint
from podium.monitoring.store.reading import DataPoint, Served

_POINTS, _FEWEST, _TILES = 72, 100, 4
_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of a version in a span."""

    version: str | None = None
    profile: Profile | None = None
    task: KeptTask = field(default_factory=KeptTask)
    steps: Sequence[Span] = ()
    points: Sequence[QualityPoint] = ()
    data: Sequence[DataPoint] = ()

    def variants(self) -> list[str]:
        """Those with labels."""
        return sorted({each.variant for each in self.points if each.tally is not None})

    def tally(self, variant: str | None = None) -> ClassTally | NumberTally | None:
        """Of the whole span, of one variant or of all together."""
        found = [each.tally for each in self.points if each.tally is not None and variant in {None, each.variant}]
        return reduce(add, found) if found else None

    @property
    def labels(self) -> LabelTally:
        return sum((each.labels for each in self.points), LabelTally())

    @property
    def baseline(self) -> dict[str, float]:
        return {} if self.profile is None else {name: value for name, value in self.profile.quality.items() if name in LAWS}

    @property
    def estimates(self) -> WindowEstimates:
        """Of the whole span."""
        counts = [each.window.counts for each in self.data if each.window.counts is not None]
        if self.profile is None or not counts:
            return WindowEstimates()
        return estimates_of(self.profile, reduce(add, counts))


def quality(sources: DashboardSources, asked: Question) -> Page:
    """The screen."""
    try:
        with sources.monitor.reading() as connection:
            page = open_page(sources, asked, connection)
            seen = _seen(page, asked, connection)
    except NotFound:
        page, seen = open_page(sources, asked, None), _Seen()
    estimates, total = seen.estimates, seen.tally()
    names = _metrics(seen, estimates)
    metric = asked.query.get("metric", "")
    metric = metric if metric in names else next(iter(names), "")
    entries = _entries(seen, estimates)
    series = _measured(seen, metric) + _estimated(seen, metric)
    content = {
        **page.frame("quality"),
        "version_seen": seen.version,
        "task": seen.task,
        "metrics": names,
        "metric": metric,
        "titles": title_of,
        "forms": lambda name, value: form_of(name)(value),
        "tiles": _tiles(seen, entries, metric),
        "chart": _chart(sources, asked, page.name, seen, metric, series),
        "labels": _labels_chart(asked, page.name, seen),
        "entries": entries,
        "confusion": _confusion(total, page.name) if isinstance(total, ClassTally) else None,
        "calibration": _calibration(total, page.name) if isinstance(total, ClassTally) else None,
        "errors": _errors(total) if isinstance(total, NumberTally) else [],
        "has_labels": total is not None,
        "kept": seen.labels.predicted,
        "estimates": estimates,
        "has_profile": seen.profile is not None,
    }
    tables = [
        figures_table(entries), series_table(series, metric), labels_table(seen.points), confusion_table(total),
        calibration_table(total),
    ]  # fmt: skip
    return Page("quality.html", f"{page.name}: quality", "overview", content, tables, True)


def _seen(page: ModelPage, asked: Question, connection: StoreConnection) -> _Seen:
    chosen: Served | None = page.chosen or next(iter(page.versions), None)
    if chosen is None:
        return _Seen()
    span, step = asked.span.grid(asked.now, SLOT_S, 2 * DAY_S, _POINTS)
    # Hours are fewer, and added up already.
    if asked.span.length_s > 6 * HOUR_S:
        span, step = asked.span.grid(asked.now, HOUR_S, 0, _POINTS)
    profile = None if chosen.profile_id is None else reading.profile_of(connection, chosen.key, chosen.profile_id)
    data = [] if profile is None else reading.data(connection, chosen.key, profile.profile_id, span, step)
    return _Seen(
        chosen.key.version,
        profile,
        kept.kept_task(connection, chosen.key),
        [Span(start, start + step) for start in range(span.start, span.end, step)],
        kept.quality_of(connection, chosen.key, span, step),
        data,
    )


def _metrics(seen: _Seen, estimates: WindowEstimates) -> list[str]:
    """Those that anything is known of, in the order of `LAWS`."""
    total = seen.tally()
    known = {each.metric for each in figures(total) if each.value is not None} if total is not None else set()
    return [name for name in LAWS if name in known | {each.estimate.metric for each in estimates.figures}]


def _entries(seen: _Seen, estimates: WindowEstimates) -> list[dict[str, Any]]:
    """Each figure of each variant, beside what the reference had and what is estimated."""
    estimated = {each.estimate.metric: each for each in estimates.figures}
    found = []
    for variant in seen.variants():
        tally = seen.tally(variant)
        assert tally is not None
        measured = figures(tally)
        beside = {each.figure.metric: each for each in shortfalls(measured, seen.baseline)}
        found += [_entry(variant, each, beside.get(each.metric)) for each in measured if each.value is not None]
    for name, each in estimated.items():
        entry = _entry(None, Figure(name, each.estimate.value, each.estimate.interval, each.estimate.rows), None)
        found.append({**entry, "baseline": each.baseline, "is_usual": each.is_usual})
    return sorted(
        found, key=lambda entry: (list(LAWS).index(entry["metric"]), entry["variant"] is None, entry["variant"] or "")
    )


def _entry(variant: str | None, figure: Figure, beside: Shortfall | None) -> dict[str, Any]:
    low, high = figure.interval or (None, None)
    return {
        "metric": figure.metric,
        "variant": variant,
        "is_estimated": variant is None,
        "value": figure.value,
        "low": low,
        "high": high,
        "rows": figure.rows,
        "better": LAWS[figure.metric].better,
        "baseline": None if beside is None else beside.baseline,
        "limit": None if beside is None else beside.limit,
        "verdict": None if beside is None else beside.verdict,
        "tone": "quiet" if beside is None else TONES[beside.verdict],
        "word": "" if beside is None else WORDS[beside.verdict],
        "is_usual": None,
    }


def _tiles(seen: _Seen, entries: Sequence[Mapping[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Label, figure, what stands beside it, tone."""
    found = []
    order = sorted(entries, key=lambda entry: (entry["metric"] != metric, entry["is_estimated"]))
    shown: dict[str, Mapping[str, Any]] = {}
    for entry in order:
        shown.setdefault(entry["metric"], entry)
    for name, entry in list(shown.items())[:_TILES]:
        ends = "" if entry["low"] is None else f"{form_of(name)(entry['low'])} to {form_of(name)(entry['high'])}"
        label = f"{title_of(name)}, estimated" if entry["is_estimated"] else title_of(name)
        tone = {"bad": "bad", "warn": "warn"}.get(entry["tone"], "")
        found.append({"label": label, "figure": form_of(name)(entry["value"]), "beside": ends, "tone": tone})
    labels = seen.labels
    if labels.predicted:
        came = f"{wording.exact(labels.matched)} of {wording.exact(labels.predicted)}"
        found.append({"label": "Labels", "figure": wording.percent(labels.coverage), "beside": came, "tone": ""})
        late = f"95 % within {wording.seconds(labels.delay_s(0.95))}"
        delay = wording.seconds(labels.delay_s(0.5))
        found.append({"label": "Labels come after", "figure": delay, "beside": late if labels.matched else "", "tone": ""})
    return found


def _measured(seen: _Seen, metric: str) -> list[Series]:
    """A line for each variant, with its interval; a step without a label is a gap."""
    found = []
    for variant in seen.variants():
        at: dict[int, Figure] = {}
        for each in seen.points:
            if each.variant == variant and each.tally is not None:
                at[each.start] = next(figure for figure in figures(each.tally) if figure.metric == metric)
        label = f"measured, {variant}" if variant else "measured"
        found.append(_line(label, seen.steps, {start: (each.value, each.interval) for start, each in at.items()}))
    return found


def _estimated(seen: _Seen, metric: str) -> list[Series]:
    """Dashed, so that nobody takes it for measured."""
    at: dict[int, tuple[float | None, tuple[float, float] | None]] = {}
    for each in seen.data:
        if seen.profile is not None and each.window.counts is not None:
            known = estimates_of(seen.profile, each.window.counts, _FEWEST).figures
            found = next((figure.estimate for figure in known if figure.estimate.metric == metric), None)
            if found is not None:
                at[each.window.span.start] = found.value, found.interval
    if not at:
        return []
    return [_line("estimated, without labels", seen.steps, at, "s2", is_dashed=True)]


def _line(
    label: str,
    steps: Sequence[Span],
    at: Mapping[int, tuple[float | None, tuple[float, float] | None]],
    tone: str | None = None,
    *,
    is_dashed: bool = False,
) -> Series:
    nothing = (None, None)
    known = [(float(each.start), *at.get(each.start, nothing)) for each in steps]
    return Series(
        label,
        [(when, value) for when, value, _ in known],
        tone,
        is_dashed,
        low=[(when, None if ends is None else ends[0]) for when, _, ends in known],
        high=[(when, None if ends is None else ends[1]) for when, _, ends in known],
    )


def _chart(
    sources: DashboardSources, asked: Question, name: str, seen: _Seen, metric: str, series: Sequence[Series]
) -> dict[str, Any] | None:
    if not any(value is not None for each in series for _, value in each.points):
        return None
    limits = _limits(seen, metric)
    drawn = [value for each in series for line in (each.points, each.low, each.high) for _, value in line]
    known = [*[value for value in drawn if value is not None], *[each.value for each in limits]]
    low, high = min(known), max(known)
    floor = low - 0.25 * (high - low) if high > low else low - 0.05 * abs(low)
    label = f"{title_of(metric)} of {name}, {asked.span.label}"
    chart = LineChart(
        label, asked.span.start, asked.span.end, series, form_of(metric), limits,
        moves(sources, name, asked.span.start, asked.span.end), lowest=floor if low < 0 else max(floor, 0.0),
    )  # fmt: skip
    return {"picture": line_chart(chart), "legend": legend(series, limits)}


def _limits(seen: _Seen, metric: str) -> list[ChartLimit]:
    baseline = seen.baseline.get(metric)
    if baseline is None:
        return []
    found = [ChartLimit(f"reference: {form_of(metric)(baseline)}", baseline, "quiet")]
    [*beside] = shortfalls([Figure(metric, baseline, None, 0)], {metric: baseline})
    return [*found, *[ChartLimit(f"worse: {form_of(metric)(each.limit)}", each.limit) for each in beside]]


def _labels_chart(asked: Question, name: str, seen: _Seen) -> dict[str, Any] | None:
    """How many predictions were kept, and of how many the truth is known by now."""
    if not any(each.labels.predicted for each in seen.points):
        return None
    at: dict[int, LabelTally] = {}
    for each in seen.points:
        at[each.start] = at.get(each.start, LabelTally()) + each.labels
    nothing = LabelTally()
    kept_rows = [(float(each.start), float(at.get(each.start, nothing).predicted)) for each in seen.steps]
    with_label = [(float(each.start), float(at.get(each.start, nothing).matched)) for each in seen.steps]
    series = [
        Series("answers kept", kept_rows, "quiet", has_area=True),
        Series("with a label", with_label, "s1", has_area=True),
    ]
    label = f"Labels of {name} by the time of their prediction, {asked.span.label}"
    chart = LineChart(label, asked.span.start, asked.span.end, series, wording.count)
    return {"picture": line_chart(chart), "legend": legend(series)}


def _confusion(tally: ClassTally, name: str) -> Markup | None:
    names, cells = confusion_cells(tally)
    return confusion(names, cells, f"What was true of {name}'s answers, and what was said") if names else None


def _calibration(tally: ClassTally, name: str) -> dict[str, Any] | None:
    points = reliability_curve(tally)
    if not points:
        return None
    of = "the highest score" if tally.positive is None else tally.classes[tally.positive]
    drawn = reliability([(each.score, each.share, each.rows) for each in points], f"How often scores of {name} came true")
    return {"picture": drawn, "of": of}


def _errors(tally: NumberTally) -> list[tuple[str, str]]:
    """How large errors are: the prediction less what was true."""
    found = zip(_SHARES, error_quantiles(tally, _SHARES), strict=True)
    return [(wording.percent(share, 0), wording.number(value)) for share, value in found]
