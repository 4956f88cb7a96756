"""Metrics for Datadog's agent: DogStatsD's lines over UDP or a unix socket, added up here and sent every few seconds.

Counters go as what was added since the last time. Histograms go as a distribution whose values are the upper bounds of
podium's buckets, each with how often, and as exact `.count` and `.sum`. An exporter that is started again begins with what
stands there: nothing is told twice, and what was counted in between is not told. Nobody answers, so that what is lost on
the way is nobody's to know.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence

from podium.telemetry.exposition import Family
from podium.telemetry.metrics import Metric, MetricKind

MOST_BYTES = 1432  # of a datagram that no network cuts
_UNSAFE = str.maketrans(dict.fromkeys(",|#:@\n\r", "_"))

Key = tuple[str, tuple[tuple[str, str], ...], str]


class DogStatsD:
    """Sends what has changed since the last time.

    Args:
        address: Of the agent: a path, or host and port.
    """

    def __init__(self, address: str | tuple[str, int]) -> None:
        self._address = address
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        if not isinstance(address, str) and ":" in address[0]:
            family = socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._before: dict[Key, float] = {}
        self._has_begun = False

    def send(self, families: Iterable[Family]) -> None:
        """Send what these say; the first time only remember it."""
        lines = list(self.lines(families))
        if self._has_begun:
            for datagram in datagrams(lines):
                try:
                    self._socket.sendto(datagram, self._address)
                except OSError:
                    return  # no agent, no such host, a full socket: the next ones are as good
        self._has_begun = True

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def lines(self, families: Iterable[Family]) -> Iterator[str]:
        """What has changed, and how gauges stand; counts as told."""
        for family in families:
            metric = family.metric
            name = name_of(metric)
            for sample in family.samples:
                if metric.kind is MetricKind.GAUGE:
                    yield f"{name}:{sample.value:.12g}|g{_tags(sample.labels)}"
                elif added := self._added(metric, sample.labels, "", sample.value):
                    yield f"{name}:{added:.12g}|c{_tags(sample.labels)}"
            for labels, cells in family.histograms:
                yield from self._histogram(metric, name, labels, cells)

    def _histogram(self, metric: Metric, name: str, labels: Mapping[str, str], cells: Sequence[int]) -> Iterator[str]:
        tags, bounds = _tags(labels), [*metric.bounds, metric.bounds[-1]]
        count = 0
        for place, bound in enumerate(bounds):
            added = round(self._added(metric, labels, str(place), cells[place]))
            count += added
            if added:
                rate = "" if added == 1 else f"|@{1 / added:.12g}"
                yield f"{name}:{bound / metric.scale:.12g}|d{rate}{tags}"
        total = self._added(metric, labels, "sum", cells[len(metric.bounds) + 1] / metric.scale)
        if count:
            yield f"{name}.count:{count}|c{tags}"
            yield f"{name}.sum:{total:.12g}|c{tags}"

    def _added(self, metric: Metric, labels: Mapping[str, str], part: str, value: float) -> float:
        key = (metric.name, tuple(sorted(labels.items())), part)
        before = self._before.get(key, 0.0)
        self._before[key] = value
        # Less than before: the version is gone, and its place another one's.
        return value - before if value >= before else value


def datagrams(lines: Iterable[str]) -> Iterator[bytes]:
    """Lines in as few datagrams as take them; one that fits none is left out."""
    some: list[bytes] = []
    size = 0
    for line in lines:
        encoded = line.encode("utf-8", "replace")
        if len(encoded) > MOST_BYTES:
            continue
        if size + len(encoded) + len(some) > MOST_BYTES:
            yield b"\n".join(some)
            some, size = [], 0
        some.append(encoded)
        size += len(encoded)
    if some:
        yield b"\n".join(some)


def name_of(metric: Metric) -> str:
    """`podium_requests_total` as Datadog has it: `podium.requests`."""
    return metric.name.removesuffix("_total").replace("_", ".", 1)


def _tags(labels: Mapping[str, str]) -> str:
    told = [f"{name}:{str(value).translate(_UNSAFE)}" for name, value in labels.items() if value != ""]
    return f"|#{','.join(told)}" if told else ""
