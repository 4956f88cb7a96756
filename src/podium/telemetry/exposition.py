"""Prometheus' text format 0.0.4. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podium.telemetry.metrics import SUPERVISOR_METRICS, Metric, MetricKind

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SUPERVISOR = {metric.name: metric for metric in SUPERVISOR_METRICS}
_LABEL_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One number of a counter or gauge."""

    labels: Labels
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples; or, for a histogram, with the cells of each of its series."""

    metric: Metric
    samples: list[MetricSample] = field(default_factory=list)
    histograms: list[tuple[Labels, Sequence[int]]] = field(default_factory=list)


def expose(families: Iterable[Family]) -> bytes:
    """The page; a family without samples is left out."""
    lines: list[str] = []
    for family in families:
        metric = family.metric
        if not family.samples and not family.histograms:
            continue
        lines.append(f"# HELP {metric.name} {metric.help.translate(_HELP_ESCAPES)}")
        lines.append(f"# TYPE {metric.name} {metric.kind.value}")
        lines.extend(f"{metric.name}{_labels(sample.labels)} {_number(sample.value)}" for sample in family.samples)
        for labels, cells in family.histograms:
            lines.extend(_histogram(metric, labels, cells))
    return ("\n".join(lines) + "\n").encode() if lines else b""


def series_families(metrics: Sequence[Metric], series: Iterable[tuple[Labels, Sequence[int]]]) -> list[Family]:
    """The families of the scoring path's metrics.

    Args:
        metrics: In the order they are to appear.
        series: Labels and cells of each series. A status or reason that was never counted is left out.
    """
    families = [Family(metric) for metric in metrics]
    for labels, cells in series:
        for family in families:
            _add(family, labels, cells)
    return families


def supervisor_families(entries: Sequence[Mapping[str, Any]]) -> list[Family]:
    """Families from the supervisor's `{name, labels, value}` entries; what is not declared or not a number is left out."""
    families: dict[str, Family] = {}
    for entry in entries:
        metric = _SUPERVISOR.get(entry.get("name", ""))
        value, labels = entry.get("value"), entry.get("labels") or {}
        if metric is None or not isinstance(value, int | float):
            continue
        family = families.setdefault(metric.name, Family(metric))
        family.samples.append(MetricSample({str(name): str(text) for name, text in labels.items()}, value))
    return [families[name] for name in _SUPERVISOR if name in families]


def _add(family: Family, labels: Labels, cells: Sequence[int]) -> None:
    metric = family.metric
    mine = cells[metric.offset : metric.offset + metric.cells]
    if metric.kind is MetricKind.HISTOGRAM:
        if any(mine) or not metric.is_rare:
            family.histograms.append((labels, mine))
    elif metric.label is None and (mine[0] or not metric.is_rare):
        family.samples.append(MetricSample(labels, mine[0] / metric.scale))
    elif metric.label is not None:
        counted = ((value, count) for value, count in zip(metric.values, mine, strict=True) if count)
        family.samples.extend(
            MetricSample({**labels, metric.label: value}, count / metric.scale) for value, count in counted
        )


def _histogram(metric: Metric, labels: Labels, cells: Sequence[int]) -> Iterable[str]:
    seen = 0
    bounds = [_number(bound / metric.scale) for bound in metric.bounds]
    for bound, count in zip([*bounds, "+Inf"], cells, strict=False):
        seen += count
        yield f"{metric.name}_bucket{_labels({**labels, 'le': bound})} {seen}"
    yield f"{metric.name}_sum{_labels(labels)} {_number(cells[len(metric.bounds) + 1] / metric.scale)}"
    yield f"{metric.name}_count{_labels(labels)} {seen}"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{str(value).translate(_LABEL_ESCAPES)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(value)
