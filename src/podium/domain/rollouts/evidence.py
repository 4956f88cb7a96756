"""What is known of one version's answers since it began to serve: counts, which only grow. What a rollout is judged by."""

import math
from dataclasses import dataclass, replace
from itertools import accumulate, zip_longest

SKETCH_CELLS = 32

LATENCY_STEP = math.sqrt(2)
LATENCY_BOUNDS_US = tuple(round(100 * LATENCY_STEP**power) for power in range(37))
"""Upper bounds of `Evidence.latency`: 100 µs to 26 s, each so many times the one before; what is slower has a last cell.

Two versions are told apart by how many cells their answers moved, so the cells must be narrow against "three times slower".
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sums over all gateways of a server. Two of them of the same version may be subtracted: what happened between.

    Args:
        requests: Answered, whatever the answer was; those that the client gave up are not among them.
        errors: Of these, answered with 500 or more, or not at all within their time.
        latency: Answers by how long they took; one cell for each of `LATENCY_BOUNDS_US`, and the last beyond all.
        predictions: Answers by what was predicted, in `SKETCH_CELLS` cells that are the same for all versions.
        compared: Answers that were set beside another version's answer to the same request (shadow); `disagreed` of them
            were not the same.
        rewards, penalties: What feedback said of answers, good and bad: the sum of rewards from 0 to 1, and of what each
            lacked to 1.
    """

    requests: int = 0
    errors: int = 0
    latency: tuple[int, ...] = ()
    predictions: tuple[int, ...] = ()
    compared: int = 0
    disagreed: int = 0
    rewards: float = 0
    penalties: float = 0

    def __add__(self, other: "Evidence") -> "Evidence":
        return _joined(self, other, 1)

    def __sub__(self, earlier: "Evidence") -> "Evidence":
        """What happened since; a count that is smaller than before was begun anew, and counts from nothing."""
        return _joined(self, earlier, -1)

    def sane(self) -> "Evidence":
        """With no more errors than answers: counters are read one after the other while others write them."""
        errors, disagreed = min(self.errors, self.requests), min(self.disagreed, self.compared)
        return replace(self, errors=errors, disagreed=disagreed)


def tail(cells: tuple[int, ...]) -> list[int]:
    """How many were in each cell or beyond it."""
    return list(accumulate(reversed(cells)))[::-1]


def _joined(one: Evidence, other: Evidence, sign: int) -> Evidence:
    if sign < 0 and one.requests < other.requests:
        return one
    return Evidence(
        one.requests + sign * other.requests,
        max(0, one.errors + sign * other.errors),
        _cells(one.latency, other.latency, sign),
        _cells(one.predictions, other.predictions, sign),
        max(0, one.compared + sign * other.compared),
        max(0, one.disagreed + sign * other.disagreed),
        max(0, one.rewards + sign * other.rewards),
        max(0, one.penalties + sign * other.penalties),
    )


def _cells(ones: tuple[int, ...], others: tuple[int, ...], sign: int) -> tuple[int, ...]:
    return tuple(max(0, one + sign * other) for one, other in zip_longest(ones, others, fillvalue=0))
