"""What each version uses of processors, memory and GPUs, counted where gateways count its requests.

Looked at every few seconds, a fiftieth of the time at most; what a worker used between the last look and its death is not
seen. A worker that loads is counted, too, for the version that it loads.
"""

import time
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Protocol

from podium.domain.devices import DeviceUse
from podium.fleet.host.machine import cpu_seconds
from podium.fleet.telling.series import SeriesBook
from podium.telemetry.metrics import CPU_TIME, GPU_TIME, MEMORY_TIME

_LOOK_S = 2.0
_PAUSES = 50
_LONGEST_S = 60.0  # a suspended machine is not one that computes

Labels = tuple[str, str]


class Spender(Protocol):
    """A worker, as far as what it uses is concerned."""

    @property
    def id(self) -> int: ...

    @property
    def endpoint(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    @property
    def rss_bytes(self) -> int: ...

    @property
    def device(self) -> DeviceUse | None: ...


class Crewed(Protocol):
    """An endpoint, as far as it has workers."""

    @property
    def crew(self) -> "Crewing": ...


class Crewing(Protocol):
    """The workers of an endpoint by their ids."""

    @property
    def replicas(self) -> Mapping[int, Spender]: ...


class Spending:
    """Adds up what workers use. The supervisor alone writes these cells, in the first gateway's part of the slots.

    Args:
        series: Which counters are whose.
        endpoints: Whose workers are looked at; changes while it lives.
        cpu_s: What a process has computed.
        clock: Seconds that never jump; by it a look's own time is taken.
    """

    def __init__(
        self,
        series: SeriesBook,
        endpoints: Mapping[str, Crewed],
        cpu_s: Callable[[int], float] = cpu_seconds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._series = series
        self._endpoints = endpoints
        self._cpu_of = cpu_s
        self._clock = clock
        self._cpu_s: dict[int, float] = {}
        self._owed: dict[Labels, list[float]] = {}
        self._before: float | None = None
        self._again_at = 0.0

    def keep_house(self, now: float) -> None:
        """Count what was used since the last look. `now` is `time.monotonic()`."""
        if now < self._again_at:
            return
        began = self._clock()
        passed_s = 0.0 if self._before is None else min(now - self._before, _LONGEST_S)
        self._before = now
        crews = [endpoint.crew.replicas.values() for endpoint in self._endpoints.values()]
        workers = [worker for worker in chain.from_iterable(crews) if worker.pid]
        gpus = [worker.device.device for worker in workers if _has_gpu(worker.device) and worker.device is not None]
        cpu_s = {worker.id: self._cpu_of(worker.pid or 0) for worker in workers}
        for worker in workers:
            owed = self._owed.setdefault((worker.endpoint, worker.version), [0.0, 0.0, 0.0])
            owed[0] += max(0.0, cpu_s[worker.id] - self._cpu_s.get(worker.id, 0.0))
            owed[1] += worker.rss_bytes * passed_s
            if _has_gpu(worker.device) and worker.device is not None:
                owed[2] += passed_s / gpus.count(worker.device.device)
        self._cpu_s = cpu_s
        self._pay()
        self._again_at = now + max(_LOOK_S, _PAUSES * (self._clock() - began))

    def _pay(self) -> None:
        """Write down what is whole; a version that has no series yet is counted once it has one, or forgotten with it."""
        for labels, (cpu_s, byte_s, gpu_s) in list(self._owed.items()):
            index = self._series.known(labels)
            if index is None:
                continue
            cells = self._series.slots.block(0, index)
            cells[CPU_TIME.offset] += int(cpu_s * CPU_TIME.scale)
            cells[MEMORY_TIME.offset] += int(byte_s)
            cells[GPU_TIME.offset] += int(gpu_s * GPU_TIME.scale)
            del self._owed[labels]


def _has_gpu(device: DeviceUse | None) -> bool:
    return device is not None and device.device != "cpu"
