"""The monitor's process, as the supervisor has it: started, watched, started again, and never waited for.

It asks (`Look`) and is answered; what it has to tell for `/metrics` comes along. Nothing else is sent to it, so that one
that hangs holds up nobody. What workers count lies in memory of which the supervisor keeps the descriptors, also those of
workers that have ended, until the monitor says that all of it is written down: whoever dies, nothing is lost or counted
twice.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.fleet.companion import Companion
from podium.fleet.host.logs import monitor_log
from podium.fleet.host.memory_files import as_file
from podium.fleet.site import Site
from podium.fleet.telling.series import SeriesBook
from podium.fleet.workers.children import Child, spawn
from podium.settings.serve import ServeSettings
from podium.telemetry.backlog import open_channel
from podium.telemetry.remembered import BUFFER_BYTES
from podium.transport.messages import Drain, Message
from podium.transport.monitor_messages import Look, Sight

_HANGS_S = 120.0
_LAST_S = 10.0
_AT_ONCE = 8
_MOST_GAUGES = 20_000
_PATIENCE_S = 10.0

Gauges = Mapping[str, list[dict[str, Any]]]
"""By endpoint; of the whole server under the empty name."""


class MonitorProcess:
    """The process and what it is told. `run` is awaited by one task; the rest is called from the same loop.

    Args:
        site: The server's.
        slots: Descriptor of the server's counters.
        series: Which of them are whose.
        facts: What is served now.

    Attributes:
        process: It, started again when it dies.
        for_gateways: The descriptor that each gateway inherits, by its flag: where it hands on answers and labels.
    """

    def __init__(self, site: Site, slots: int, series: SeriesBook, facts: Callable[[], list[dict[str, Any]]]) -> None:
        self._gauges: Gauges = {}
        self._site = site
        self._slots = slots
        self._series = series
        self._facts = facts
        self._heard_at = 0.0
        self.process = Companion(site, "monitor", monitor_log(site.logs), self._start, self._hear)
        self.for_gateways: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        if site.settings.has_monitor:
            writing, reading = (end.detach() for end in open_channel(BUFFER_BYTES))
            self.for_gateways = {"--remembered-fd": writing}
            # What one monitor took and did not write down, the next does.
            self._kept = {"--records-fd": reading, "--spool-fd": os.memfd_create("podium-spool", os.MFD_CLOEXEC)}

    @property
    def gauges(self) -> Gauges:
        """What the monitor that lives had to tell last."""
        return {} if self.process.child is None else self._gauges

    async def run(self) -> None:
        """Keep it alive from when there is something to watch until the server stops."""
        if not self._site.settings.has_monitor:
            return
        try:
            await self._site.bell.until(lambda: self.process.is_stopping or bool(self._site.slabs), _PATIENCE_S)
            await self.process.run()
        finally:
            for descriptor in (*self.for_gateways.values(), *self._kept.values()):
                os.close(descriptor)

    def check_hang(self, now: float) -> None:
        """Kill one that has not asked for long; it goes on where it was."""
        if self.process.child is not None and now - self._heard_at > _HANGS_S:
            self.process.child.kill()

    async def close(self) -> None:
        """The workers have ended: let it write down what is left, for a moment."""
        if self.process.child is not None:
            self.process.child.send(Drain(_LAST_S))
        await self.process.close(_LAST_S)
        self._site.slabs.close()

    def _start(self, log: Path) -> Child:
        said = self._site.settings
        module = (*self._site.programs.monitor, "--home", str(self._site.home.root), *_terms(said))
        with as_file(said.alerts) as alerts, as_file(said.monitor_store or "") as address:
            given = {"--slots-fd": self._slots, "--alerts-fd": alerts, "--address-fd": address, **self._kept}
            child = spawn(module, given, log)
        self._gauges, self._heard_at = {}, time.monotonic()
        return child

    def _hear(self, child: Child, message: Message) -> None:
        match message:
            case Look(known, settled, gauges):
                self._heard_at = time.monotonic()
                self._site.slabs.settle(settled)
                self._gauges = grouped(gauges)
                new = self._site.slabs.unknown(known)[:_AT_ONCE]
                over = [number for number in known if self._site.slabs.is_over(number)]
                sight = Sight(self._series.labels(), self._facts(), [each.told() for each in new], over)
                child.send(sight, [each.descriptor for each in new])
            case _:
                pass


def _terms(settings: ServeSettings) -> tuple[str, ...]:
    retention_s = 86_400 * settings.monitor_retention_days
    kept = "--retention", str(retention_s), "--predictions", str(settings.quality_predictions)
    alerts = ("--alerts-from", settings.config) if settings.config else ()
    return "--window", str(int(settings.drift_window_s)), *kept, *alerts


def grouped(gauges: Sequence[Mapping[str, Any]]) -> Gauges:
    """Gauges by the endpoint that they are about; those of no proper form are left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for gauge in gauges[:_MOST_GAUGES]:
        name, labels, value = gauge.get("name"), gauge.get("labels"), gauge.get("value")
        if not isinstance(name, str) or not isinstance(value, int | float) or not isinstance(labels, dict):
            continue
        if all(isinstance(each, str) for each in labels.values()):
            found.setdefault(labels.get("model", ""), []).append({"name": name, "labels": labels, "value": value})
    return found
