"""A Grafana dashboard of a server's models, in the classic JSON, with the rules' thresholds drawn in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from podium.domain.monitoring.objectives import ObjectiveKind, Slo

UID = "podium-models"
_SCHEMA = 39
_WIDE, _HALF, _HIGH = 24, 12, 8
_SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
_HERE = 'model=~"$model",version=~"$version"'
_MODEL = 'model=~"$model"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart or table.

    Args:
        title: Above it.
        unit: Grafana's word for the unit.
        queries: PromQL and the legend of each.
        kind: `timeseries`, `heatmap`, `table`, `stat`.
        width: Of 24 columns.
        threshold: Where a line is drawn.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    width: int = _HALF
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...] = field(default=())


def dashboard(objectives: Sequence[Slo] = (Slo(),), drift_threshold: float = 0.2) -> dict[str, Any]:
    """The dashboard's JSON.

    Args:
        objectives: Their budgets and thresholds are drawn as lines.
        drift_threshold: From which score on a column drifts.
    """
    panels: list[dict[str, Any]] = []
    y = 0
    for row in rows(objectives, drift_threshold):
        panels.append({"id": len(panels) + 1, "type": "row", "title": row.title, "collapsed": False, "panels": []})
        panels[-1]["gridPos"] = {"h": 1, "w": _WIDE, "x": 0, "y": y}
        y, x = y + 1, 0
        for panel in row.panels:
            if x + panel.width > _WIDE:
                x, y = 0, y + _HIGH
            panels.append(_panel(panel, len(panels) + 1, {"h": _HIGH, "w": panel.width, "x": x, "y": y}))
            x += panel.width
        y += _HIGH
    return {
        "uid": UID,
        "title": "podium: models",
        "tags": ["podium"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": panels,
    }


def rows(objectives: Sequence[Slo], drift_threshold: float) -> tuple[Row, ...]:
    """What is shown: requests, errors and durations first, then why, then whether the model is still good."""
    of_kind = {objective.kind: objective for objective in objectives}
    return (
        _requests(of_kind.get(ObjectiveKind.AVAILABILITY), of_kind.get(ObjectiveKind.LATENCY)),
        _why(),
        _goodness(drift_threshold),
        Row(
            "Alerts and models",
            (
                Panel("Firing", "none", (("podium_alert_firing", ""),), "table"),
                Panel("Models", "none", ((f"podium_model_info{{{_MODEL}}}", ""),), "table"),
            ),
        ),
    )


def _requests(available: Slo | None, latency: Slo | None) -> Row:
    bucket = f"podium_request_duration_seconds_bucket{{{_HERE}}}"
    quantiles = tuple(
        (f"histogram_quantile({share}, sum by (model, le) (rate({bucket}[$__rate_interval])))", f"p{name} {{{{model}}}}")
        for share, name in ((0.5, "50"), (0.95, "95"), (0.99, "99"))
    )
    failed = _per_second("podium_requests_total", "model", 'code=~"5..",')
    failures = ((f"({failed}) / ({_per_second('podium_requests_total', 'model')})", "{{model}}"),)
    budget = available.budget if available else None
    return Row(
        "Requests, errors, durations",
        (
            Panel("Requests a second", "reqps", ((_per_second("podium_requests_total", "model, version"), _BOTH),)),
            Panel("Share of errors", "percentunit", failures, threshold=budget),
            Panel("Duration", "s", quantiles, threshold=latency.threshold_s if latency else None),
            Panel("Durations", "s", ((f"sum by (le) (rate({bucket}[$__rate_interval]))", "{{le}}"),), "heatmap"),
        ),
    )


def _why() -> Row:
    phases = tuple(
        (_mean(f"podium_{phase}_duration_seconds"), f"{phase} {{{{model}}}}") for phase in ("queue", "predict", "request")
    )
    turned_away = (_per_second("podium_rejected_total", "model, reason"), "{{model}} {{reason}}")
    return Row(
        "Why",
        (
            Panel("Mean time by phase", "s", phases),
            Panel("Mean batch", "rows", ((_mean("podium_batch_rows"), "{{model}}"),)),
            Panel("In flight", "short", ((f"sum by (model) (podium_requests_in_flight{{{_HERE}}})", "{{model}}"),)),
            Panel("Turned away", "reqps", (turned_away,)),
        ),
    )


def _goodness(drift_threshold: float) -> Row:
    scores = f"podium_drift_score{{{_HERE}}}"
    quality = (
        (f"podium_quality{{{_HERE}}}", "{{model}} {{metric}}"),
        (f"podium_quality_baseline{{{_HERE}}}", "{{model}} {{metric}} baseline"),
    )
    of_predictions = ((f"podium_prediction_drift_score{{{_HERE}}}", _BOTH),)
    return Row(
        "Drift and quality",
        (
            Panel("Drift by column", "none", ((f"topk(20, {scores})", "{{model}} {{column}}"),), threshold=drift_threshold),
            Panel("Drift now", "none", ((scores, ""),), "table"),
            Panel("Quality beside its baseline", "none", quality),
            Panel("Drift of predictions", "none", of_predictions, threshold=drift_threshold),
        ),
    )


_BOTH = "{{model}} {{version}}"


def _per_second(metric: str, by: str, also: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{also}{_HERE}}}[$__rate_interval]))"


def _mean(histogram: str) -> str:
    return f"({_per_second(f'{histogram}_sum', 'model')}) / ({_per_second(f'{histogram}_count', 'model')})"


def _variables() -> list[dict[str, Any]]:
    source = {"name": "DS_PROMETHEUS", "label": "Data source", "type": "datasource", "query": "prometheus"}
    found: list[dict[str, Any]] = [source]
    for name, query in (
        ("model", "label_values(podium_model_info, model)"),
        ("version", f"label_values(podium_model_info{{{_MODEL}}}, version)"),
    ):
        variable = {"name": name, "type": "query", "datasource": _SOURCE, "query": {"query": query, "refId": name}}
        found.append({**variable, "definition": query, "includeAll": True, "multi": True, "allValue": ".*", "refresh": 2})
    return found


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    shown = {"timeseries": "time_series", "heatmap": "heatmap", "table": "table", "stat": "time_series"}[panel.kind]
    targets = [
        {"refId": chr(ord("A") + order), "datasource": _SOURCE, "expr": query, "legendFormat": legend, "format": shown}
        | ({"instant": True} if panel.kind == "table" else {})
        for order, (query, legend) in enumerate(panel.queries)
    ]
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    custom: dict[str, Any] = {}
    if panel.threshold is not None:
        steps.append({"color": "red", "value": panel.threshold})
        custom = {"thresholdsStyle": {"mode": "line"}}
    defaults = {"unit": panel.unit, "custom": custom, "thresholds": {"mode": "absolute", "steps": steps}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
        "targets": targets,
    }
