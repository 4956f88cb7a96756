"""Having more or fewer workers of each model, by what they did in the last second and `domain/capacity/scaling.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podium.domain.capacity.scaling import Called, ScalingPolicy, Workload, call_for, decide, remembered
from podium.fleet.capacity.residency import Residency
from podium.fleet.capacity.use import SeenUse, Use
from podium.fleet.endpoint import Endpoint
from podium.telemetry.metrics import DURATION, PREDICT, QUEUE, REJECTED, Metric

_SLOW_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class _Watch:
    """What is remembered of one model: the last look, and what the looks since the last change called for."""

    seen: SeenUse
    called: tuple[Called, ...] = ()


class Scaler:
    """Keeps every model that may have more or fewer workers at as many as its load calls for.

    Args:
        use: What gateways have counted.
        residency: How much memory there is.
        endpoints: All.
        processors: Workers beyond each model's least are no more than these, all models together.
    """

    def __init__(self, use: Use, residency: Residency, endpoints: Mapping[str, Endpoint], processors: float) -> None:
        self._use = use
        self._residency = residency
        self._endpoints = endpoints
        self._processors = processors
        self._watches: dict[str, _Watch] = {}

    def keep_house(self, now: float) -> None:
        """Look once; about every second."""
        for endpoint in self._endpoints.values():
            settings = endpoint.order.settings
            seen = self._use.seen(endpoint.name)
            if settings.least == settings.most or seen is None or endpoint.is_asleep or not endpoint.is_whole:
                self._watches.pop(endpoint.name, None)
                continue
            watch = self._watches.get(endpoint.name)
            if watch is None or len(watch.seen.cells) != len(seen.cells) or seen.requests < watch.seen.requests:
                self._watches[endpoint.name] = _Watch(seen)
            elif seen.at > watch.seen.at:
                self._watches[endpoint.name] = self._judge(endpoint, watch, seen, now)

    def _judge(self, endpoint: Endpoint, watch: _Watch, seen: SeenUse, now: float) -> _Watch:
        settings, workers = endpoint.order.settings, endpoint.replicas
        windows = settings.scale_up_after_s, settings.scale_down_after_s
        policy = ScalingPolicy(settings.least, settings.most, settings.target_latency_s, *windows)
        load = load_between(watch.seen, seen, workers)
        called = remembered(watch.called, Called(now, call_for(load, workers, policy)), policy)
        wanted = decide(called, workers, now, policy, self._room(endpoint))
        if wanted == workers:
            return _Watch(seen, called)
        endpoint.scale(wanted, f"{load.busy:.1f} of {workers} busy")
        return _Watch(seen)

    def _room(self, endpoint: Endpoint) -> int:
        taken = sum(max(each.replicas - each.order.settings.least, 0) for each in self._endpoints.values())
        return min(int(self._processors) - taken, self._residency.room_for(endpoint))


def load_between(before: SeenUse, after: SeenUse, workers: int) -> Workload:
    """What the counters' growth says of the time between two looks.

    Args:
        before: The earlier look.
        after: The later one.
        workers: No more than these were busy.
    """
    grown = [max(new - old, 0) for old, new in zip(before.cells, after.cells, strict=True)]
    if not grown:
        return Workload(0.0)
    batches, answered = _count(grown, PREDICT), _count(grown, QUEUE)
    busy = grown[PREDICT.sum] / 1e6 / (after.at - before.at)
    batch_us = grown[PREDICT.sum] / batches if batches else 0.0
    wait_us = grown[QUEUE.sum] / answered if answered else 0.0
    waits = wait_us / batch_us if batch_us else 0.0
    is_turned_away = grown[REJECTED.cell("queue_full")] > 0
    return Workload(min(busy, float(workers)), waits, _slow_s(grown), is_turned_away)


def _slow_s(grown: Sequence[int]) -> float | None:
    """The upper bound of the bucket in which 95 of 100 requests have ended; None where none came."""
    counts = grown[DURATION.offset : DURATION.sum]
    left = sum(counts) * _SLOW_SHARE
    if not left:
        return None
    for count, bound in zip(counts, (*DURATION.bounds, 2 * DURATION.bounds[-1]), strict=True):
        left -= count
        if left <= 0:
            return bound / DURATION.scale
    return None


def _count(grown: Sequence[int], metric: Metric) -> int:
    return sum(grown[metric.offset : metric.sum])
