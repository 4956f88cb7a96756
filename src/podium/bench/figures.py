"""From latencies to what is said of them. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.bench.plan import Objective, Phase

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
_LATE_S, _LATE_SHARE, _BUSY = 0.001, 0.1, 0.9


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one phase's requests. Times in seconds.

    Args:
        phase: Which.
        latencies_s: Of the requests that were answered, with whatever status, from when each was due; ascending.
        statuses: How many answers of each.
        failures: How many requests had no answer, by reason.
        lateness_s: How late the generator itself was to take each request from its schedule; ascending.
        last_s: When the last of them was done, after the start of the whole.
    """

    phase: Phase
    latencies_s: Sequence[float]
    statuses: Mapping[int, int]
    failures: Mapping[str, int]
    lateness_s: Sequence[float]
    last_s: float

    @property
    def failed(self) -> int:
        """Answers other than 2xx, and requests without one."""
        return sum(n for status, n in self.statuses.items() if not 200 <= status < 300) + sum(self.failures.values())

    @property
    def achieved_rate(self) -> float:
        """Answers of 2xx a second, over the phase or, where that was later, until its last answer."""
        good = self.phase.count - self.failed
        return good / max(self.phase.ends_s - self.phase.begins_s, self.last_s - self.phase.begins_s)

    def latency_s(self, share: float) -> float:
        """The percentile among all requests: one without an answer waited for ever, so it is infinite there."""
        unanswered = sum(self.failures.values())
        position = _position(share, len(self.latencies_s) + unanswered)
        return self.latencies_s[position] if 0 <= position < len(self.latencies_s) else math.inf


def percentile(ascending: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; NaN of none."""
    return ascending[_position(share, len(ascending))] if ascending else math.nan


def misses(heard: Heard, objective: Objective) -> list[str]:
    """A sentence for each part of the objective that this phase missed."""
    if not heard.phase.is_judged:
        return []
    missed = [
        f"{heard.phase.name}: p{100 * share:g} is {in_words(heard.latency_s(share))}, wanted at most {in_words(limit)}"
        for share, limit in objective.limits
        if heard.latency_s(share) > limit
    ]
    if heard.failed > objective.failed_share * heard.phase.count:
        allowed = f"at most {100 * objective.failed_share:g} %" if objective.failed_share else "none"
        missed.append(f"{heard.phase.name}: {heard.failed} of {heard.phase.count} requests failed, wanted {allowed}")
    return missed


def generator_doubt(heard: Sequence[Heard], cpu_share: float) -> str | None:
    """Why the figures may be the generator's own doing, or None.

    It doubts itself when it used nearly a whole processor, or was late to its own schedule by more than a millisecond and a
    tenth of the latency that it reports.
    """
    for one in (one for one in heard if one.phase.is_judged):
        late, reported = percentile(one.lateness_s, SHARES["p99"]), one.latency_s(SHARES["p99"])
        if late > _LATE_S and late > _LATE_SHARE * reported:
            return (
                f"{one.phase.name}: the generator was up to {in_words(late)} late (p99) to its own schedule; this "
                "machine is too busy for the rate, and latencies are those of both together"
            )
    if cpu_share > _BUSY:
        return (
            f"the generator used {100 * cpu_share:.0f} % of a processor; the endpoint may be able to do more than it shows"
        )
    return None


def as_json(heard: Heard) -> dict[str, Any]:
    """One phase for a program; latencies in milliseconds, null where more than that share had no answer."""
    return {
        "phase": heard.phase.name,
        "is_judged": heard.phase.is_judged,
        "rate": heard.phase.rate,
        "achieved_rate": round(heard.achieved_rate, 3),
        "requests": heard.phase.count,
        "failed": heard.failed,
        "statuses": {str(status): count for status, count in sorted(heard.statuses.items())},
        "failures": dict(heard.failures),
        "latency_ms": {
            name: None if math.isinf(value := heard.latency_s(share)) else round(1e3 * value, 4)
            for name, share in SHARES.items()
        },
        "generator_late_p99_ms": round(1e3 * percentile(heard.lateness_s, SHARES["p99"]), 4),
    }


def in_words(seconds: float) -> str:
    """Three digits and a unit."""
    if math.isinf(seconds):
        return "never"
    if seconds < 1.0:
        return f"{1e3 * seconds:.3g} ms" if seconds < 0.1 else f"{1e3 * seconds:.0f} ms"
    return f"{seconds:.3g} s"


def _position(share: float, count: int) -> int:
    # 0.99 * 100 is a hair above 99 in binary, which must not become the hundredth.
    return max(0, math.ceil(share * count - 1e-9) - 1)
