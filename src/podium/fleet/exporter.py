"""The exporter: one child that writes and sends what gateways hand on of requests; none where nobody asked for that.

It is started again when it dies, and reads on where it was: the supervisor holds both ends of what gateways write to. It
may hang or die without anybody noticing who is served: what gateways cannot hand on they drop and count.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from podium.domain.planning import Crashes, restart_at
from podium.fleet.bell import Bell
from podium.fleet.host.logs import exporter_log
from podium.fleet.host.machine import oom_kills
from podium.fleet.host.memory_files import as_file
from podium.fleet.site import Site
from podium.fleet.telling.events import Event
from podium.fleet.workers.causes import cause_of_death
from podium.fleet.workers.children import Child, spawn
from podium.settings.exports import ExportSettings
from podium.telemetry.backlog import open_channel
from podium.telemetry.seen import ToldMetrics, tell

_SURVIVED_S = 60.0
_LAST_S = 5.0


class Exporter:
    """The process, and the socket between it and all gateways.

    Args:
        site: The server's.
        slots: Descriptor of the server's counters.

    Attributes:
        for_gateways: The descriptor that each gateway inherits, by its flag; nothing where nothing is exported.
    """

    def __init__(self, site: Site, slots: int) -> None:
        self.for_gateways: dict[str, int] = {}
        self._site = site
        self._slots = slots
        self._settings = site.settings.exports
        self._child: Child | None = None
        self._is_stopping = False
        self._started_at = time.time()
        self._is_told = bool(self._settings) and ExportSettings.from_json(self._settings).has_metrics
        self._told: ToldMetrics | None = None
        self._is_taken = False
        self._stopped = Bell()
        self._channel = open_channel() if self._settings else None
        if self._channel is not None:
            self.for_gateways["--exports-fd"] = self._channel[0].fileno()

    @property
    def pids(self) -> set[int]:
        """Its process, while it lives."""
        return set() if self._child is None else {self._child.pid}

    def tell(self, metrics: Mapping[str, list[dict[str, Any]]], series: list[dict[str, str]]) -> None:
        """What gateways were told of metrics; for whoever is sent them. Never waits: what is not taken is told again."""
        if self._channel is None or not self._is_told:
            return
        told = ToldMetrics(self._started_at, series, [each for of in metrics.values() for each in of])
        if told != self._told:
            self._told, self._is_taken = told, False
        if not self._is_taken and self._child is not None:
            self._is_taken = tell(self._channel[0], told)

    async def run(self) -> None:
        """Keep it alive until the server stops."""
        crashes = Crashes(0, 0.0)
        while self._channel is not None:
            born = time.monotonic()
            why = await self._live()
            if self._is_stopping:
                return
            count = 1 if time.monotonic() - born >= _SURVIVED_S else crashes.count + 1
            crashes = Crashes(count, time.monotonic())
            self._site.tell(Event("exporter_died", f"the exporter died and is started again: {why}", is_problem=True))
            if await self._stopped.until(lambda: self._is_stopping, restart_at(crashes, 1) - time.monotonic()):
                return

    async def close(self) -> None:
        """Let it finish what gateways have handed on; they have ended."""
        self._is_stopping = True
        self._stopped.ring()
        if self._channel is None:
            return
        writing, reading = self._channel
        writing.close()
        reading.close()
        child, self._channel = self._child, None
        if child is not None:
            await asyncio.wait({child.ended}, timeout=_LAST_S)
            child.kill()
            await child.ended

    async def _live(self) -> str:
        """One process, from its start to its end; why it ended."""
        assert self._channel is not None
        before, log = oom_kills(), exporter_log(self._site.logs)
        try:
            with as_file(self._settings) as settings:
                inherited = {
                    "--records-fd": self._channel[1].fileno(),
                    "--slots-fd": self._slots,
                    "--settings-fd": settings,
                }
                child = spawn(self._site.programs.exporter, inherited, log)
        except OSError as error:
            return f"It could not be started: {error.strerror}."
        self._child, self._is_taken = child, False
        try:
            while await child.receive() is not None:
                pass
            await asyncio.wait({child.ended}, timeout=_LAST_S)
        finally:
            child.kill()
            status = await child.ended
            child.close()
            self._child = None
        return cause_of_death(status, before, oom_kills(), str(log)).message
