"""All columns of a version together, beside what the profile says of how they go together; and any score through time."""

from collections.abc import Mapping, Sequence
from typing import Any

from podium.dashboard import wording
from podium.dashboard.charts.lines import ChartLimit, LineChart, Series, legend, line_chart
from podium.dashboard.pages import Question
from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.reading import StoredFinding
from podium.monitoring.store.writing import VersionKey

TONES: Mapping[ColumnVerdict, str] = {
    ColumnVerdict.ALERT: "bad",
    ColumnVerdict.WARN: "warn",
    ColumnVerdict.OK: "ok",
    ColumnVerdict.INSUFFICIENT_DATA: "quiet",
}
WORDS: Mapping[ColumnVerdict, str] = {
    ColumnVerdict.ALERT: "drifted",
    ColumnVerdict.WARN: "moving",
    ColumnVerdict.OK: "steady",
    ColumnVerdict.INSUFFICIENT_DATA: "too few rows",
}
TOGETHER_COLUMNS = ("method", "verdict", "is_standing", "score", "usual", "warn", "alert", "rows", "reference_rows")

_GAP_S = 2 * HOUR_S


def together_panel(
    connection: StoreConnection,
    key: VersionKey,
    found: ColumnFinding | None,
    stored: Sequence[StoredFinding],
    asked: Question,
) -> dict[str, Any] | None:
    """What the drift screen shows of all columns together; None where the profile says nothing of that.

    Args:
        connection: Of `MonitorStore.reading`.
        key: Which version.
        found: What the window that is shown says.
        stored: What the monitor found last.
        asked: For the time that is shown.
    """
    if found is None:
        return None
    series, limits = score_history(connection, key, Role.TOGETHER, found.name, asked)
    chart = LineChart(
        "All columns together: score through time", asked.span.start, asked.span.end, series, wording.score, limits, ()
    )
    return {
        "method": found.method,
        "verdict": found.verdict.value,
        "word": WORDS[found.verdict],
        "tone": TONES[found.verdict],
        "is_standing": any(each.is_standing for each in stored if each.finding.role is Role.TOGETHER),
        "score": found.score,
        "usual": found.usual,
        "warn": found.warn,
        "alert": found.alert,
        "rows": found.rows,
        "reference_rows": found.reference_rows,
        "chart": line_chart(chart) if series[0].points else None,
        "legend": legend(series, limits),
    }


def score_history(
    connection: StoreConnection, key: VersionKey, role: Role, name: str, asked: Question
) -> tuple[list[Series], list[ChartLimit]]:
    """Drift through time, and its limits: of one column, of a prediction, or of all columns together."""
    span = Span(int(asked.span.start) - HOUR_S, int(asked.span.end) + HOUR_S)
    found = [each.finding for each in reading.findings_between(connection, key, role, name, Check.DRIFT, span)]
    points: list[tuple[float, float | None]] = []
    for each in found:
        if points and each.span.end - points[-1][0] > max(_GAP_S, 2 * each.span.length_s):
            points.append((points[-1][0] + 1, None))
        points.append((float(each.span.end), each.score))
    limits = [ChartLimit("warning", found[-1].warn, "warn"), ChartLimit("alert", found[-1].alert, "bad")] if found else []
    return [Series(found[-1].method if found else "score", points, "s0", has_area=True)], limits
