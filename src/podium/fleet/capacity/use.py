"""Who was used when, and how much: read from the counters that gateways keep anyway, so that no request pays for it."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from podium.fleet.telling.series import SeriesBook
from podium.telemetry.metrics import CACHE, IN_FLIGHT, REQUESTS

_REQUESTS = slice(REQUESTS.offset, REQUESTS.offset + REQUESTS.cells)
_HITS = CACHE.cell("hit")


@dataclass(frozen=True, slots=True)
class SeenUse:
    """What the counters of an endpoint's versions said at the last look.

    Args:
        at: When; the clock of `Use.look`.
        requests: Answered so far, also by answers that were kept: whoever asks for those uses the model.
        in_flight: Now, or a moment ago.
        cells: The sums over all versions and gateways, by `telemetry.metrics`.
    """

    at: float
    requests: int
    in_flight: int
    cells: Sequence[int]


class Use:
    """Remembers when each endpoint's counters last moved.

    Args:
        series: Which counters are whose.

    Attributes:
        series: The same.
    """

    def __init__(self, series: SeriesBook) -> None:
        self.series = series
        self._seen: dict[str, SeenUse] = {}
        self._used: dict[str, float] = {}

    def look(self, endpoint: str, versions: Iterable[str], now: float) -> SeenUse:
        """Read an endpoint's counters."""
        indices = [self.series.known((endpoint, version)) for version in sorted(set(versions))]
        blocks = [self.series.slots.totals(index) for index in indices if index is not None]
        cells = [sum(column) for column in zip(*blocks, strict=True)] if blocks else []
        requests = sum(cells[_REQUESTS]) + cells[_HITS] if cells else 0
        seen = SeenUse(now, requests, cells[IN_FLIGHT.offset] if cells else 0, cells)
        before = self._seen.get(endpoint)
        if seen.in_flight or before is None or before.requests != requests:
            self._used[endpoint] = now
        self._seen[endpoint] = seen
        return seen

    def seen(self, endpoint: str) -> SeenUse | None:
        """What the last look saw."""
        return self._seen.get(endpoint)

    def last(self, endpoint: str) -> float:
        """When it was used last, as far as is known; 0 where it never was."""
        return self._used.get(endpoint, 0.0)

    def in_flight(self, endpoint: str) -> int:
        """Requests that were in flight at the last look."""
        seen = self._seen.get(endpoint)
        return seen.in_flight if seen else 0

    def keep(self, endpoints: Container[str]) -> None:
        """Know nothing of any other endpoint."""
        for name in [name for name in self._seen if name not in endpoints]:
            self.forget(name)

    def forget(self, endpoint: str) -> None:
        """It sleeps or is gone."""
        self._seen.pop(endpoint, None)
        self._used.pop(endpoint, None)
