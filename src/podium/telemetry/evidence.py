"""What a version's counters say of it, for whoever judges it: exact over all gateways and through their restarts."""

from collections.abc import Sequence

from podium.domain.rollouts.evidence import SKETCH_CELLS, Evidence
from podium.telemetry.metrics import (
    COMPARED,
    CRASHES,
    ERRORS,
    LATENCY,
    PREDICTIONS,
    REQUESTS,
    REWARD,
    REWARD_SCALE,
    SHADOW_REQUESTS,
)

_GIVEN_UP = REQUESTS.cell("499")
_FAULTS = tuple(ERRORS.cell(kind) for kind in ("model", "timeout", "internal"))
_AGREED, _DISAGREED = COMPARED.cell("agreed"), COMPARED.cell("disagreed")
_FAILED = SHADOW_REQUESTS.cell("failed")


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
