"""The exporter: one child that writes and sends what gateways hand on of requests; none where nobody asked for that.

It is started again when it dies, and reads on where it was: the supervisor holds both ends of what gateways write to. It
may hang or die without anybody noticing who is served: what gateways cannot hand on they drop and count.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.fleet.companion import Companion
from podium.fleet.host.logs import exporter_log
from podium.fleet.host.memory_files import as_file
from podium.fleet.site import Site
from podium.fleet.workers.children import Child, spawn
from podium.settings.exports import ExportSettings
from podium.telemetry.backlog import open_channel
from podium.telemetry.seen import ToldMetrics, tell

_LAST_S = 5.0


class Exporter:
    """The process, and the socket between it and all gateways.

    Args:
        site: The server's.
        slots: Descriptor of the server's counters.

    Attributes:
        process: It, started again when it dies.
        for_gateways: The descriptor that each gateway inherits, by its flag; nothing where nothing is exported.
    """

    def __init__(self, site: Site, slots: int) -> None:
        self.for_gateways: dict[str, int] = {}
        self._site = site
        self._slots = slots
        self._settings = site.settings.exports
        self._started_at = time.time()
        self._is_told = bool(self._settings) and ExportSettings.from_json(self._settings).has_metrics
        self._told: ToldMetrics | None = None
        self._is_taken = False
        self.process = Companion(site, "exporter", exporter_log(site.logs), self._start)
        self._channel = open_channel() if self._settings else None
        if self._channel is not None:
            self.for_gateways["--exports-fd"] = self._channel[0].fileno()

    def tell(self, metrics: Mapping[str, list[dict[str, Any]]], series: list[dict[str, str]]) -> None:
        """What gateways were told of metrics; for whoever is sent them. Never waits: what is not taken is told again."""
        if self._channel is None or not self._is_told:
            return
        told = ToldMetrics(self._started_at, series, [each for of in metrics.values() for each in of])
        if told != self._told:
            self._told, self._is_taken = told, False
        if not self._is_taken and self.process.child is not None:
            self._is_taken = tell(self._channel[0], told)

    async def run(self) -> None:
        """Keep it alive until the server stops."""
        if self._channel is not None:
            await self.process.run()

    async def close(self) -> None:
        """Let it finish what gateways have handed on; they have ended."""
        for end in self._channel or ():
            end.close()
        self._channel = None
        await self.process.close(_LAST_S)

    def _start(self, log: Path) -> Child:
        assert self._channel is not None
        with as_file(self._settings) as settings:
            reading = self._channel[1].fileno()
            given = {"--records-fd": reading, "--slots-fd": self._slots, "--settings-fd": settings}
            child = spawn(self._site.programs.exporter, given, log)
        self._is_taken = False
        return child
