"""What models were asked lately, as lines that windows of any length are cut from; read from the store bit by bit."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from podium.domain.monitoring.growth import Growth, Line
from podium.domain.monitoring.objectives import BURN_WINDOWS, Slo
from podium.domain.monitoring.quantiles import edge_at
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.monitoring.store import alerts as kept
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.writing import MINUTE_S, VersionKey
from podium.telemetry.traffic import LATENCY_EDGES_S

_LONGEST_S = int(max(windows.long_s for windows in BURN_WINDOWS))
_MINUTES_S = 7 * HOUR_S
"""Windows up to an hour less are cut from minutes, longer ones begin with hours."""
# A minute that is not over, and those before it whose last readings may come late.
_OPEN_S = 3 * MINUTE_S


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one version was asked in one stretch."""

    requests: int
    server_errors: int
    rejected: int
    latency: tuple[int, ...]


@dataclass(slots=True)
class TrafficLines:
    """The traffic of the last three days of all models. Its size is bounded: some 500 stretches for each version.

    Attributes:
        requested_at: The end of the last stretch in which each version was asked anything.
    """

    requested_at: dict[VersionKey, int] = field(default_factory=dict)
    _asked: dict[str, dict[int, dict[str, _Asked]]] = field(default_factory=dict)
    _spans: dict[int, Span] = field(default_factory=dict)
    _hour: int | None = None
    _read_at: int = 0

    def read(self, connection: StoreConnection, now: float) -> None:
        """Take in what is new; all of it once an hour, when the oldest minutes become hours.

        Args:
            connection: Of `MonitorStore.reading`.
            now: Until when.
        """
        hour = int(now) - int(now) % HOUR_S
        minutes, hours = hour - _MINUTES_S, hour - _LONGEST_S - HOUR_S
        if hour != self._hour:
            self._asked, self._spans = {}, {}
            self.requested_at = kept.last_requests(connection)
        else:
            minutes = hours = max(minutes, self._read_at - self._read_at % MINUTE_S - _OPEN_S)
        for key, span, asked in kept.traffic_since(connection, minutes, hours):
            requests, errors, rejected, latency = asked
            counted = _Asked(requests, errors, rejected, tuple(json.loads(latency)))
            self._asked.setdefault(key.model, {}).setdefault(span.start, {})[key.version] = counted
            self._spans[span.start] = span
            if requests:
                self.requested_at[key] = max(span.end, self.requested_at.get(key, 0))
        for span in kept.watched_since(connection, minutes, hours):
            self._spans[span.start] = span
        self._hour, self._read_at = hour, int(now)

    def line(self, model: str, objective: Slo, now: float) -> Line:
        """The requests that an objective counts, good and bad, of all versions of a model together.

        Raises:
            InvalidInput: Its threshold is no edge of the buckets that durations are counted in.
        """
        if objective.threshold_s is None:
            return self._line(model, now, lambda asked: (asked.requests, asked.server_errors))
        edge = edge_at(LATENCY_EDGES_S, objective.threshold_s)
        return self._line(model, now, lambda asked: (sum(asked.latency), sum(asked.latency[edge + 1 :])))

    def rejections(self, model: str, since: float, now: float) -> Growth:
        """Requests, and those of them that were turned away."""
        line = self._line(model, now, lambda asked: (max(asked.requests, asked.rejected), asked.rejected))
        return line.within(since, now)

    def _line(self, model: str, now: float, counted: Callable[[_Asked], tuple[int, int]]) -> Line:
        asked = self._asked.get(model, {})
        ats: list[float] = []
        totals: list[float] = []
        bads: list[float] = []
        total = bad = 0
        for start in sorted(self._spans):
            end = min(float(self._spans[start].end), now)
            if end <= start:
                break
            if not ats or start > ats[-1]:
                ats.append(start)
                totals.append(total)
                bads.append(bad)
            for each in asked.get(start, {}).values():
                more, worse = counted(each)
                total, bad = total + more, bad + worse
            ats.append(end)
            totals.append(total)
            bads.append(bad)
        return Line(tuple(ats), tuple(totals), tuple(bads))
