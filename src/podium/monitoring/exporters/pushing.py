"""Who is sent metrics, and how often: Datadog's agent and OpenTelemetry's collector."""

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from podium.monitoring.exporters.dogstatsd import DogStatsD
from podium.settings.exports import ExportSettings
from podium.telemetry.exposition import Family, series_families, supervisor_families
from podium.telemetry.metrics import PREDICTIONS, SERIES_METRICS
from podium.telemetry.seen import ToldMetrics
from podium.telemetry.slots import UNROUTED, Slots

if TYPE_CHECKING:
    from podium.monitoring.exporters.otlp_metrics import MetricsSender

_STATSD_S = 10.0
_OTLP_S = 60.0
_LAST_S = 1.0
# Too fine for anybody but whoever judges a rollout: a series for each cell of a sketch.
_PUSHED = tuple(metric for metric in SERIES_METRICS if metric is not PREDICTIONS)


class Pushing:
    """Sends metrics when it is time to.

    Args:
        settings: To whom.
        slots: The server's counters.
        clock: Seconds, monotonic.
        environ: OTEL_METRIC_EXPORT_INTERVAL says how often the collector is told, in milliseconds.
    """

    def __init__(
        self,
        settings: ExportSettings,
        slots: Slots,
        clock: Callable[[], float] = time.monotonic,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._slots = slots
        self._clock = clock
        self._told: ToldMetrics | None = None
        address = settings.statsd_address
        self._statsd = None if address is None else DogStatsD(address)
        self._statsd_at = clock() + _STATSD_S
        self._otlp = _collector(settings)
        self._otlp_s = _interval(environ.get("OTEL_METRIC_EXPORT_INTERVAL", ""))
        self._otlp_at = clock() + self._otlp_s

    def tell(self, told: ToldMetrics) -> None:
        """Take what the supervisor says of series; the first time begin to count from what stands there."""
        is_first, self._told = self._told is None, told
        if is_first and self._statsd is not None:
            self._statsd.send(self.families())

    def turn(self) -> None:
        """Send what is due. Call it several times a minute."""
        if self._told is None:
            return
        now = self._clock()
        if self._statsd is not None and now >= self._statsd_at:
            self._statsd_at = now + _STATSD_S
            self._statsd.send(self.families())
        if self._otlp is not None and now >= self._otlp_at:
            self._otlp_at = now + self._otlp_s
            self._otlp.send(self.families(), self._told.started_at)

    def close(self) -> None:
        """Send how it ended."""
        if self._statsd is not None:
            if self._told is not None:
                self._statsd.send(self.families())
            self._statsd.close()
        if self._otlp is not None:
            if self._told is not None:
                self._otlp.send(self.families(), self._told.started_at)
            self._otlp.close(_LAST_S)

    def families(self) -> list[Family]:
        """What `/metrics` shows of models: the sums over all gateways, and what the supervisor says."""
        if self._told is None:
            return []
        known = [(index, labels) for index, labels in enumerate(self._told.series) if labels and index < UNROUTED]
        series = [(labels, self._slots.totals(index)) for index, labels in known]
        unrouted = self._slots.totals(UNROUTED)
        if any(unrouted):
            series.append(({"model": "", "version": ""}, unrouted))
        return [*series_families(_PUSHED, series), *supervisor_families(self._told.metrics)]


def _collector(settings: ExportSettings) -> "MetricsSender | None":
    if settings.otlp_endpoint is None or not settings.otlp_metrics:
        return None
    from podium.monitoring.exporters.otlp_metrics import MetricsSender  # noqa: PLC0415 - nobody else needs the library

    return MetricsSender(settings.otlp_endpoint)


def _interval(text: str) -> float:
    return int(text) / 1000 if text.isascii() and text.isdecimal() and int(text) else _OTLP_S
