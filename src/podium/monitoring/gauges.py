"""What the monitor has `/metrics` show: names, labels and values, of a bounded number of columns.

Columns that are in the worst state come first: those whose alert stands, then those whose score is nearest to its limit.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from podium.domain.monitoring.findings import Check, ColumnFinding, Role
from podium.monitoring.counters import Totals
from podium.monitoring.store.writing import VersionKey
from podium.monitoring.watching import JudgedVersion

MOST_COLUMNS = 50
_SHARES = {
    Check.MISSING: "podium_column_missing_ratio",
    Check.UNSEEN: "podium_column_unseen_ratio",
    Check.OUT_OF_RANGE: "podium_column_out_of_range_ratio",
}

Gauge = dict[str, Any]


def gauges_of(judged: JudgedVersion) -> list[Gauge]:
    """What is held of a version's columns and predictions, and how good it is estimated to be."""
    own = _labels(judged.key)
    summary = judged.summary
    found = [
        _gauge("podium_drifted_columns", own, len(summary.drifted)),
        _gauge("podium_monitored_columns", own, summary.judged),
        _gauge("podium_drift_window_rows", own, judged.rows),
        _gauge("podium_drift_last_evaluation_timestamp_seconds", own, judged.at),
        _gauge("podium_prediction_drift_alert", own, int(bool(summary.predictions))),
    ]
    drift = [each for each in judged.findings if each.check is Check.DRIFT]
    scores = [each.score for each in drift if each.role is Role.PREDICTION and each.score is not None]
    if scores:
        found.append(_gauge("podium_prediction_drift_score", own, max(scores)))
    for figure in judged.estimates.figures:
        if figure.estimate.value is not None:
            metric = {**own, "metric": figure.estimate.metric}
            found.append(_gauge("podium_estimated_quality", metric, figure.estimate.value))
    shown = _worst(judged)
    for finding in judged.findings:
        if finding.role is Role.FEATURE and finding.name in shown:
            found += _of_column(finding, {**own, "column": finding.name}, stands=judged.stands(finding))
        if finding.role is Role.TOGETHER:
            found += _together(finding, {**own, "method": finding.method}, stands=judged.stands(finding))
    return found


def monitor_gauges(
    totals: Mapping[VersionKey, Totals], waiting: Mapping[VersionKey, int], unwritten_s: float = 0.0
) -> list[Gauge]:
    """How much of the rows is watched, and whether it is kept.

    Args:
        totals: By version, since the server began.
        waiting: Rows that were answered and are to be counted yet.
        unwritten_s: For how long the history could not be written.
    """
    found = [_gauge("podium_monitor_unwritten_seconds", {}, unwritten_s)]
    for key, each in totals.items():
        own = _labels(key)
        found += [
            _gauge("podium_monitor_rows_total", own, each.rows),
            _gauge("podium_monitor_dropped_rows_total", own, each.dropped),
            _gauge("podium_monitor_queue_rows", own, waiting.get(key, 0)),
            _gauge("podium_monitor_sampling_ratio", own, each.rows / each.seen if each.seen else 1.0),
        ]
    return found


def _together(finding: ColumnFinding, labels: Mapping[str, str], *, stands: bool) -> Iterator[Gauge]:
    if finding.score is not None:
        yield _gauge("podium_multivariate_drift_score", labels, finding.score)
    yield _gauge("podium_multivariate_drift_threshold", labels, finding.alert)
    yield _gauge("podium_multivariate_drift_alert", labels, int(stands))


def _of_column(finding: ColumnFinding, labels: Mapping[str, str], *, stands: bool) -> Iterator[Gauge]:
    if finding.check is Check.DRIFT:
        if finding.score is not None:
            yield _gauge("podium_drift_score", {**labels, "method": finding.method}, finding.score)
        yield _gauge("podium_drift_threshold", labels, finding.alert)
        yield _gauge("podium_drift_alert", labels, int(stands))
        return
    if finding.score is not None:
        yield _gauge(_SHARES[finding.check], labels, finding.score)
    yield _gauge("podium_column_alert", {**labels, "check": finding.check.value}, int(stands))


def _worst(judged: JudgedVersion) -> frozenset[str]:
    """The columns that are shown each by itself; the others are in the report and on the dashboard."""
    ranks: dict[str, tuple[bool, float]] = {}
    for finding in judged.findings:
        if finding.role is Role.FEATURE:
            near = 0.0 if finding.score is None else finding.score / finding.alert if finding.alert else 1.0
            rank = (judged.stands(finding), near)
            ranks[finding.name] = max(ranks.get(finding.name, rank), rank)
    return frozenset(sorted(ranks, key=lambda name: ranks[name], reverse=True)[:MOST_COLUMNS])


def _labels(key: VersionKey) -> dict[str, str]:
    return {"model": key.model, "version": key.version}


def _gauge(name: str, labels: Mapping[str, str], value: float) -> Gauge:
    return {"name": name, "labels": dict(labels), "value": value}


def sorted_gauges(gauges: Iterable[Gauge]) -> list[Gauge]:
    """In an order of their own, so that what did not change is told in the same words."""
    return sorted(gauges, key=lambda gauge: (gauge["name"], sorted(gauge["labels"].items())))
