"""What a version's counters say of it, for whoever judges it: exact over all gateways and through their restarts."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from podium.domain.monitoring.quality.experiments import VariantSums
from podium.domain.monitoring.quality.sums import halvings_of, total
from podium.domain.rollouts.evidence import SKETCH_CELLS, Evidence
from podium.telemetry.metrics import (
    COMPARED,
    CRASHES,
    ERRORS,
    IN_FLIGHT,
    LATENCY,
    PREDICTIONS,
    REQUESTS,
    REWARD,
    REWARD_SCALE,
    REWARD_SQUARES,
    SHADOW_REQUESTS,
)

_GIVEN_UP = REQUESTS.cell("499")
_FAULTS = tuple(ERRORS.cell(kind) for kind in ("model", "timeout", "internal"))
_AGREED, _DISAGREED = COMPARED.cell("agreed"), COMPARED.cell("disagreed")
_FAILED = SHADOW_REQUESTS.cell("failed")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was reported of a version's answers, beside how many there were. Two of one version may be subtracted.

    Args:
        requests: That it answered, whatever the answer was.
        waiting: Those that it has not answered yet: they were assigned as well.
        rated: Reports with a reward.
        rewards, squares: Sums of these and of their squares, in parts of `REWARD_SCALE`.
    """

    requests: int = 0
    waiting: int = 0
    rated: int = 0
    rewards: int = 0
    squares: int = 0

    def __sub__(self, earlier: "Outcomes") -> "Outcomes":
        return Outcomes(
            self.requests - earlier.requests,
            self.waiting - earlier.waiting,
            self.rated - earlier.rated,
            self.rewards - earlier.rewards,
            self.squares - earlier.squares,
        )

    def __lt__(self, earlier: "Outcomes") -> bool:
        """Whether it was begun anew: counters only grow."""
        return self.requests < earlier.requests or self.rated < earlier.rated

    @property
    def assigned(self) -> int:
        """Requests that were sent to it."""
        return max(self.requests + self.waiting, 0)

    @property
    def sums(self) -> VariantSums:
        parts = [total([halvings_of(float(Fraction(each, REWARD_SCALE)))]) for each in (self.rewards, self.squares)]
        return VariantSums(self.rated, *parts)


def outcomes_of(cells: Sequence[int]) -> Outcomes:
    """The outcomes in a series' cells, summed over all gateways (`Slots.totals`)."""
    return Outcomes(
        requests=sum(cells[REQUESTS.offset : REQUESTS.offset + REQUESTS.cells]),
        waiting=cells[IN_FLIGHT.offset],
        rated=sum(cells[REWARD.offset : REWARD.sum]),
        rewards=cells[REWARD.sum],
        squares=cells[REWARD_SQUARES.offset],
    )


def evidence_of(cells: Sequence[int]) -> Evidence:
    """The evidence in a series' cells, summed over all gateways (`Slots.totals`).

    A request that a worker died of counts as an error of its version, also where another one answered it in the end. A
    copy without an answer counts as one that disagrees. A reward of 0.7 is seven tenths of a good answer and three of a
    bad one.
    """
    answered = sum(cells[REQUESTS.offset : REQUESTS.offset + REQUESTS.cells]) - cells[_GIVEN_UP]
    crashed = cells[CRASHES.offset]
    errors = sum(cells[cell] for cell in _FAULTS) + crashed
    disagreed = cells[_DISAGREED] + cells[_FAILED]
    rated, rewards = sum(cells[REWARD.offset : REWARD.sum]), cells[REWARD.sum] / REWARD_SCALE
    return Evidence(
        requests=answered + crashed,
        errors=errors,
        latency=tuple(cells[LATENCY.offset : LATENCY.sum]),
        predictions=tuple(cells[PREDICTIONS.offset : PREDICTIONS.offset + SKETCH_CELLS]),
        compared=cells[_AGREED] + disagreed,
        disagreed=disagreed,
        rewards=rewards,
        penalties=max(0.0, rated - rewards),
    )
