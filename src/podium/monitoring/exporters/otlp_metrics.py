"""Metrics as OpenTelemetry has them: cumulative since the server began, so that one that is lost is made up by the next.

Needs opentelemetry-proto.
"""

import os
import threading
import time
from collections.abc import Iterable, Mapping

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from podium._version import __version__
from podium.monitoring.exporters.otlp import PROTOBUF, pairs, resource_of
from podium.monitoring.exporters.traces import attributes
from podium.monitoring.kept_connection import KeptConnection
from podium.telemetry.exposition import Family
from podium.telemetry.metrics import MetricKind

_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_UNITS = (("_seconds", "s"), ("_bytes", "By"), ("_ratio", "1"))


class MetricsSender:
    """Sends metrics to a collector; the newest counts, so that none waits in a line.

    Args:
        endpoint: The collector's; metrics go to `/v1/metrics` below it.
        environ: As in `otlp.Traces`.
    """

    def __init__(self, endpoint: str, environ: Mapping[str, str] = os.environ) -> None:
        self._connection = KeptConnection(endpoint.rstrip("/") + "/v1/metrics")
        self._headers = {**pairs(environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")), **PROTOBUF}
        self._resource = resource_of(environ)
        self._newest: bytes | None = None
        self._is_over = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="otlp-metrics", daemon=True)
        self._thread.start()

    def send(self, families: Iterable[Family], started_at: float) -> None:
        """Send what these say, as counted since then. Never waits."""
        message = message_of(families, self._resource, started_at, time.time())
        with self._changed:
            self._newest = message
            self._changed.notify()

    def close(self, limit_s: float) -> None:
        """Send what waits, for so long at most."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(limit_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._is_over)
                message, self._newest = self._newest, None
            if message is None:
                self._connection.close()
                return
            self._connection.post(self._headers, message)


def message_of(families: Iterable[Family], resource: Mapping[str, str], started_at: float, now: float) -> bytes:
    """The body of an export of OTLP; times in seconds since 1970."""
    span = int(started_at * 1e9), int(now * 1e9)
    metrics = [_metric(family, *span) for family in families if family.samples or family.histograms]
    scope = ScopeMetrics(scope=InstrumentationScope(name="podium", version=__version__), metrics=metrics)
    told = ResourceMetrics(resource=Resource(attributes=attributes(resource)), scope_metrics=[scope])
    message: bytes = MetricsData(resource_metrics=[told]).SerializeToString()
    return message


def _metric(family: Family, start: int, end: int) -> Metric:
    metric = family.metric
    name = metric.name.removesuffix("_total")
    made = Metric(name=name, description=metric.help, unit=_unit(name))
    if metric.kind is MetricKind.HISTOGRAM:
        made.histogram.CopyFrom(Histogram(aggregation_temporality=_CUMULATIVE))
        for labels, cells in family.histograms:
            counts = cells[: len(metric.bounds) + 1]
            point = HistogramDataPoint(
                attributes=attributes(labels),
                start_time_unix_nano=start,
                time_unix_nano=end,
                count=sum(counts),
                sum=cells[len(metric.bounds) + 1] / metric.scale,
                bucket_counts=list(counts),
                explicit_bounds=[bound / metric.scale for bound in metric.bounds],
            )
            made.histogram.data_points.append(point)
        return made
    is_counter = metric.kind is MetricKind.COUNTER
    points = [
        NumberDataPoint(
            attributes=attributes(sample.labels),
            start_time_unix_nano=start if is_counter else 0,
            time_unix_nano=end,
            as_double=sample.value,
        )
        for sample in family.samples
    ]
    if is_counter:
        made.sum.CopyFrom(Sum(data_points=points, aggregation_temporality=_CUMULATIVE, is_monotonic=True))
    else:
        made.gauge.CopyFrom(Gauge(data_points=points))
    return made


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")
