"""Drift of one version: every column beside its reference, and one of them bin by bin."""

from collections.abc import Mapping, Sequence
from typing import Any

from podium.dashboard import wording
from podium.dashboard.charts.histograms import overlay
from podium.dashboard.charts.lines import LineChart, legend, line_chart
from podium.dashboard.charts.sparks import meter, spark
from podium.dashboard.columns import bins_of, kind_of, quantile_words
from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.screens.model_page import moves, open_page
from podium.dashboard.screens.together import TOGETHER_COLUMNS, TONES, WORDS, score_history, together_panel
from podium.dashboard.sources import DashboardSources
from podium.domain.monitoring.drift.contract import Thresholds
from podium.domain.monitoring.findings import Check, Choice, ColumnFinding, ColumnVerdict, Role, judge, watch
from podium.domain.monitoring.multivariate import found_together
from podium.domain.monitoring.profile import SHARES, ColumnProfile, NumberProfile, Profile, TextProfile
from podium.domain.monitoring.windows import DAY_S, HOUR_S, SLOT_S, WEEK_S, Span
from podium.errors import NotFound
from podium.monitoring.drift_methods import known_methods
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.reading import DataPoint, Served, StoredFinding
from podium.monitoring.store.writing import VersionKey

WINDOWS: Mapping[str, int] = {"1h": HOUR_S, "6h": 6 * HOUR_S, "24h": DAY_S, "7d": WEEK_S}
_SPARK_POINTS, _PAGE = 28, 50
_ORDER = list(TONES)
_COLUMNS = (
    "column", "role", "kind", "verdict", "is_standing", "method", "score", "warn", "alert", "psi", "critical_psi",
    "p_value", "rows", "missing", "unseen", "out_of_range",
)  # fmt: skip


def drift(sources: DashboardSources, asked: Question) -> Page:
    """The screen."""
    try:
        with sources.monitor.reading() as connection:
            page = open_page(sources, asked, connection)
            seen = page.chosen or next((each for each in page.versions if each.profile_id), None)
            look = None if seen is None or seen.profile_id is None else _look(connection, seen, asked)
    except NotFound:
        page, look = open_page(sources, asked, None), None
    frame = page.frame("drift") | {"problem": None}
    if look is None:
        return Page("drift.html", f"{page.name}: drift", "overview", {**frame, "look": None}, (), True)
    rows = look["rows"]
    chosen = next((row for row in rows if row["id"] == asked.query.get("column")), rows[0] if rows else None)
    shown = rows if "all" in asked.query else rows[:_PAGE]
    with sources.monitor.reading() as connection:
        drawn = [row | _pictures(connection, look["key"], row, asked) for row in shown]
        together = together_panel(connection, look["key"], look["together"], look["stored"], asked)
    content = {
        **frame,
        "chosen": look["version"],
        "windows": list(WINDOWS),
        "window": asked.query.get("window") if asked.query.get("window") in WINDOWS else None,
        "look": look,
        "rows": drawn,
        "hidden": len(rows) - len(shown),
        "detail": None if chosen is None else _detail(sources, asked, look, chosen),
        "together": together,
    }
    tables = [Table("columns", _COLUMNS, [[row[key] for key in _COLUMNS] for row in rows])]
    if chosen is not None:
        bins = [[each.label, each.reference, each.current, each.contribution] for each in content["detail"]["bins"]]
        tables.append(Table("bins", ("bin", "reference", "current", "psi"), bins))
    if together is not None:
        tables.append(Table("together", TOGETHER_COLUMNS, [[together[key] for key in TOGETHER_COLUMNS]]))
    return Page("drift.html", f"{page.name}: drift", "overview", content, tables, True)


def _look(connection: StoreConnection, seen: Served, asked: Question) -> dict[str, Any] | None:
    """One version in one window: what was counted, what it shows, and how that went."""
    profile_id = seen.profile_id
    profile = reading.profile_of(connection, seen.key, profile_id)
    if profile is None or profile_id is None:
        return None
    stored = reading.latest_findings(connection, seen.key)
    window = _window(asked, stored[0].finding.span if stored else None)
    [point] = reading.data(connection, seen.key, profile_id, window)
    counts = point.window.counts
    found = (
        []
        if counts is None
        else judge(watch(profile, counts, choices=_choices(stored), length_s=window.end - window.start), window)
    )
    rows = [] if counts is None else _rows(profile, found, stored)
    return {
        "version": seen.key.version,
        "key": seen.key,
        "profile": profile,
        "profile_id": profile_id,
        "counts": counts,
        "point": point,
        "rows": rows,
        "tiles": _tiles(profile, point, rows),
        "together": None if counts is None else found_together(profile, counts, window),
        "stored": stored,
    }


def _window(asked: Question, judged: Span | None) -> Span:
    """Which rows are set beside the reference: the window that the monitor judged last, or one of a chosen length."""
    length_s = WINDOWS.get(asked.query.get("window", ""))
    if length_s is None and judged is not None:
        start, end = judged.start, judged.end
    else:
        end = int(asked.span.end)
        start = end - (length_s or DAY_S)
    # Short stretches are kept for two days; hours are added up more quickly.
    is_fine = end - start <= 6 * HOUR_S and start > asked.now - 2 * DAY_S + HOUR_S
    width = SLOT_S if is_fine else HOUR_S
    start = start // width * width
    return Span(start, max(start + width, -(-end // width) * width))


def _choices(stored: Sequence[StoredFinding]) -> dict[str, Choice]:
    """The methods and thresholds that the monitor judges by, as its last findings tell them."""
    methods = known_methods((each.finding.method for each in stored if each.finding.check is Check.DRIFT), lambda _: None)
    return {
        each.finding.name: Choice(methods[each.finding.method], Thresholds(each.finding.warn, each.finding.alert))
        for each in stored
        if each.finding.check is Check.DRIFT and each.finding.role is Role.FEATURE and each.finding.method in methods
    }


def _rows(
    profile: Profile,
    found: Sequence[ColumnFinding],
    stored: Sequence[StoredFinding],
) -> list[dict[str, Any]]:
    """A row for each column, the worst first."""
    by_place: dict[tuple[Role, str], dict[Check, ColumnFinding]] = {}
    for each in found:
        by_place.setdefault((each.role, each.name), {})[each.check] = each
    standing = {(each.finding.role, each.finding.name, each.finding.check) for each in stored if each.is_standing}
    rows = []
    for (role, name), checks in by_place.items():
        column = profile.columns[name] if role is Role.FEATURE else profile.predictions.present()[name]
        rows.append(_row(column, (role, name), checks, standing))
    return sorted(
        rows, key=lambda row: (not row["is_standing"], _ORDER.index(row["worst"]), -(row["score"] or 0.0), row["id"])
    )


def _row(
    column: ColumnProfile,
    place: tuple[Role, str],
    checks: Mapping[Check, ColumnFinding],
    standing: set[tuple[Role, str, Check]],
) -> dict[str, Any]:
    role, name = place
    found = checks[Check.DRIFT]
    worst = min((each.verdict for each in checks.values() if each.verdict is not ColumnVerdict.INSUFFICIENT_DATA),
                key=_ORDER.index, default=ColumnVerdict.INSUFFICIENT_DATA)  # fmt: skip
    others = {check: checks[check].score if check in checks else None for check in Check}
    is_standing = any((*place, check) in standing for check in Check)
    return {
        "id": f"{role.value}:{name}",
        "column": name,
        "role": role.value,
        "kind": kind_of(column),
        "verdict": found.verdict.value,
        "worst": worst,
        "word": _word(checks, worst),
        "tone": TONES[worst],
        "is_standing": is_standing,
        "method": found.method,
        "score": found.score,
        "warn": found.warn,
        "alert": found.alert,
        "psi": found.psi,
        "critical_psi": found.critical,
        "p_value": found.p_value,
        "rows": found.rows,
        "missing": others[Check.MISSING],
        "unseen": others[Check.UNSEEN],
        "out_of_range": others[Check.OUT_OF_RANGE],
        "checks": checks,
    }  # fmt: skip


def _pictures(connection: StoreConnection, key: VersionKey, row: Mapping[str, Any], asked: Question) -> dict[str, Any]:
    """What is drawn of a row that is shown."""
    span = Span(int(asked.span.start) - HOUR_S, int(asked.span.end) + HOUR_S)
    values = _thinned([score for _, score in reading.drift_scores(connection, key, Role(row["role"]), row["column"], span)])
    name, verdict = row["column"], ColumnVerdict(row["verdict"])
    tone = "s0" if row["worst"] is ColumnVerdict.OK else row["tone"]
    return {
        "meter": meter((row["score"] or 0.0) / (2 * row["alert"]), f"Score of {name}", TONES[verdict]),
        "trend": spark(values, f"Score of {name} through time", tone, row["alert"]) if values else None,
    }


def _word(checks: Mapping[Check, ColumnFinding], worst: ColumnVerdict) -> str:
    """What is wrong, named right: drift first, as it is the most that can be."""
    if worst is ColumnVerdict.ALERT and checks[Check.DRIFT].verdict is not ColumnVerdict.ALERT:
        wrong = [check for check, each in checks.items() if each.verdict is ColumnVerdict.ALERT]
        return wrong[0].value.replace("_", " ")
    return WORDS[worst]


def _thinned(values: Sequence[float | None]) -> list[float | None]:
    """Few enough points for a small picture: of each stretch the highest."""
    width = max(1, -(-len(values) // _SPARK_POINTS))
    groups = [values[first : first + width] for first in range(0, len(values), width)]
    return [max((value for value in group if value is not None), default=None) for group in groups]


def _tiles(profile: Profile, point: DataPoint, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Label, figure, what stands small beside it, and tone."""
    features = [row for row in rows if row["role"] == Role.FEATURE.value]
    bad = sum(row["worst"] is ColumnVerdict.ALERT for row in features)
    answers = [row for row in rows if row["role"] == Role.PREDICTION.value]
    moved = [row["column"] for row in answers if row["worst"] is ColumnVerdict.ALERT]
    watched = point.window.watched_s / point.window.span.length_s
    source = profile.source
    return [
        ("Columns with an alert", str(bad), f"/ {len(features)}", "bad" if bad else ""),
        ("Predictions", ", ".join(moved) or ("steady" if answers else wording.DASH), "", "bad" if moved else ""),
        ("Rows counted", wording.count(point.window.rows), f"{wording.count(point.dropped)} not counted", ""),
        ("Watched", wording.percent(watched, 0), "of the time", "warn" if watched < 0.9 else ""),
        ("Reference", wording.count(source.rows), f"rows, {source.kind.value.replace('_', ' ')}", ""),
    ]


def _detail(sources: DashboardSources, asked: Question, look: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """One column bin by bin, and its score through time."""
    profile, counts = look["profile"], look["counts"]
    role, name = Role(row["role"]), row["column"]
    column = profile.columns[name] if role is Role.FEATURE else profile.predictions.present()[name]
    now = (counts.columns if role is Role.FEATURE else counts.predictions)[name]
    bins = bins_of(column, now)
    with sources.monitor.reading() as connection:
        series, limits = score_history(connection, look["key"], role, name, asked)
    label = f"{name}: score through time"
    events = moves(sources, look["key"].model, asked.span.start, asked.span.end)
    chart = LineChart(label, asked.span.start, asked.span.end, series, wording.score, limits, events)
    return {
        "row": row,
        "bins": bins,
        "overlay": overlay(bins, f"{name}: the reference's rows and now's, bin by bin") if bins else None,
        "quantiles": _quantiles(column, now),
        "checks": [_check(each) for each in row["checks"].values()],
        "chart": line_chart(chart) if series[0].points else None,
        "legend": legend(series, limits),
    }


def _quantiles(column: ColumnProfile, now: Any) -> list[tuple[str, float, str]]:
    number = column.length if isinstance(column, TextProfile) else column
    if not isinstance(number, NumberProfile) or not number.quantiles:
        return []
    pairs = zip(SHARES, number.quantiles, strict=False)
    return [(f"{100 * share:g} %", before, quantile_words(column, now, share)) for share, before in pairs]


def _check(found: ColumnFinding) -> dict[str, Any]:
    is_drift = found.check is Check.DRIFT
    form = wording.score if is_drift else (lambda value: wording.percent(value, 2))
    return {
        "check": found.check.value.replace("_", " "),
        "score": form(found.score),
        "usual": form(found.usual),
        "alert": form(found.alert),
        "noise": wording.score(found.critical) if is_drift else wording.DASH,
        "verdict": WORDS[found.verdict] if is_drift else ("too many" if found.verdict is ColumnVerdict.ALERT else
                                                          WORDS[found.verdict].replace("steady", "as usual")),
        "tone": TONES[found.verdict],
        "rows": found.rows,
    }  # fmt: skip
