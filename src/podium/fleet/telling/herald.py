"""Telling what is: the status for people and programs, on disk and through the gateways, when it has changed."""

import logging
import time
from collections.abc import Callable
from typing import Any

from podium.fleet.exporter import Exporter
from podium.fleet.gateways import Gateways
from podium.fleet.host.runfiles import RunFolder
from podium.fleet.monitor import Gauges
from podium.fleet.telling.series import SeriesBook
from podium.fleet.telling.status import Overview, ToldStatus, metrics_of, status_of

_FEW = 20
_PAUSES = 20


class Herald:
    """Rewrites `server.json` and tells the gateways.

    Args:
        folder: Where the status is written.
        gateways: Who are told.
        series: Whose labels they are told.
        exporter: Is told of metrics, too.
        gauges: What the monitor adds to the metrics, by endpoint.

    Attributes:
        status: The document as it was told last; see `fleet/telling/status.py`.
    """

    def __init__(
        self,
        folder: RunFolder,
        gateways: Gateways,
        series: SeriesBook,
        exporter: Exporter,
        gauges: Callable[[], Gauges],
    ) -> None:
        self.status: dict[str, Any] = {}
        self._told = ToldStatus()
        self._write_again_at = 0.0
        self._folder = folder
        self._gateways = gateways
        self._exporter = exporter
        self._series = series
        self._gauges = gauges
        self._is_written = False
        self._write_errno: int | None = None

    def tell(self, overview: Overview) -> bool:
        """Tell it to all, if anything that people see has changed; whether it has."""
        status = status_of(overview, self._told)
        has_changed = status != self.status
        if has_changed:
            self.status, self._is_written = status, False
        self._write()
        metrics, series = metrics_of(overview, self._told), self._series.labels()
        for name, gauges in self._gauges().items():
            if name in metrics:
                metrics[name] = [*metrics[name], *gauges]
        self._gateways.tell(status, metrics, series)
        self._exporter.tell(metrics, series)
        return has_changed

    def _write(self) -> None:
        """Rewrite `server.json`; where the disk takes nothing now, it is tried again at the next tick.

        A thousand models make a document that takes its time: writing it takes a twentieth of it at most.
        """
        began = time.monotonic()
        if self._is_written or began < self._write_again_at:
            return
        try:
            self._folder.write_server(self.status)
            if len(self.status["endpoints"]) > _FEW:
                ended = time.monotonic()
                self._write_again_at = ended + _PAUSES * (ended - began)
        except OSError as error:
            if error.errno != self._write_errno:
                logging.getLogger("podium.fleet").error("the status cannot be written, and is tried again: %s", error)
            self._write_errno = error.errno
        else:
            self._is_written, self._write_errno = True, None
