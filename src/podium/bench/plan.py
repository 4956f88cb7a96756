"""What a measurement does: its phases, when each request is due, what is wanted of it. Pure.

An open loop: the schedule is fixed before the first request and does not wait for the server. A latency counts from when
its request was due, so a pause is charged to everything that waited in it (no coordinated omission; Gil Tene, "How NOT to
Measure Latency", 2015).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from podium.errors import Misconfigured

MOST_REQUESTS = 5_000_000
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of even arrivals.

    Args:
        name: As in the table.
        begins_s: After the start of the whole.
        rate: Requests a second.
        count: Requests; request k is due at `begins_s + k / rate`.
        is_judged: Whether an objective applies: not to the warm-up.
    """

    name: str
    begins_s: float
    rate: float
    count: int
    is_judged: bool

    @property
    def ends_s(self) -> float:
        return self.begins_s + self.count / self.rate


@dataclass(frozen=True, slots=True)
class Objective:
    """What must hold in each judged phase: seconds at a share (0 to 1) of the requests, and how many may fail."""

    limits: tuple[tuple[float, float], ...] = ()
    failed_share: float = 0.0


def phases(rates: Sequence[float], warm_up_s: float, duration_s: float) -> tuple[Phase, ...]:
    """The warm-up at the first rate, then each rate for `duration_s`.

    Raises:
        Misconfigured: No rate, one that is not positive, a phase without a request, or more requests than one run may send.
    """
    if not rates or min(rates) <= 0:
        raise Misconfigured("--rate: at least one rate, each more than 0 requests a second.")
    planned: list[Phase] = []
    begins = 0.0
    if warm_up_s > 0:
        planned.append(Phase("warm-up", 0.0, rates[0], max(1, round(rates[0] * warm_up_s)), is_judged=False))
        begins = planned[0].ends_s
    for rate in rates:
        name = "steady" if len(rates) == 1 else f"{rate:g}/s"
        phase = Phase(name, begins, rate, round(rate * duration_s), is_judged=True)
        if phase.count < 1:
            raise Misconfigured(f"{rate:g} requests a second for {duration_s:g} s is not one request; give it longer.")
        planned.append(phase)
        begins = phase.ends_s
    total = sum(phase.count for phase in planned)
    if total > MOST_REQUESTS:
        raise Misconfigured(f"{total} requests: one run sends {MOST_REQUESTS} at most; ask for less --rate or --duration.")
    return tuple(planned)


def schedule(planned: Sequence[Phase]) -> Iterator[tuple[float, int]]:
    """`(due_s, phase index)` of each request, ascending; computed from the phase's begin, so that no error adds up."""
    for index, phase in enumerate(planned):
        for k in range(phase.count):
            yield phase.begins_s + k / phase.rate, index


def parse_seconds(text: str, what: str) -> float:
    """`20ms`, `1.5s`, `250us`, `2m` in seconds.

    Raises:
        Misconfigured: Anything else, a number without a unit included: 20 may be milliseconds or seconds.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(us|ms|s|m)", text.strip())
    if not found:
        raise Misconfigured(f"{what} {text}: write a number with its unit, such as 20ms, 1.5s or 2m.")
    return float(found[1]) * _UNITS[found[2]]
