"""What `/metrics` shows of quality. Figures that are not defined are not there."""

from collections.abc import Iterator

from podium.monitoring.gauges import Gauge
from podium.monitoring.quality.judging import JudgedQuality


def gauges_of(judged: JudgedQuality) -> Iterator[Gauge]:
    """What is held of a version's quality."""
    own = {"model": judged.key.model, "version": judged.key.version}
    for metric, value in judged.baseline.items():
        yield _gauge("podium_quality_baseline", {**own, "metric": metric}, value)
    for each in judged.variants:
        labels = {**own, "variant": each.variant}
        for figure in each.figures:
            if figure.value is not None:
                yield _gauge("podium_quality", {**labels, "metric": figure.metric}, figure.value)
                yield _gauge("podium_quality_window_rows", {**labels, "metric": figure.metric}, figure.rows)
        for found in each.shortfalls:
            of_metric = {**labels, "metric": found.figure.metric}
            yield _gauge("podium_quality_is_worse", of_metric, int(found.verdict == "alert"))
    coverage = judged.coverage
    if coverage.predicted:
        yield _gauge("podium_label_coverage_ratio", own, coverage.labelled / coverage.predicted)
    for quantile, delay_s in (("0.5", coverage.delay_p50_s), ("0.95", coverage.delay_p95_s)):
        if delay_s is not None:
            yield _gauge("podium_label_delay_seconds", {**own, "quantile": quantile}, delay_s)


def _gauge(name: str, labels: dict[str, str], value: float) -> Gauge:
    return {"name": name, "labels": labels, "value": value}
