"""What a version's counters say of it."""

import os

import pytest

from podium.domain.rollouts.evidence import SKETCH_CELLS, Evidence
from podium.telemetry.evidence import evidence_of
from podium.telemetry.metrics import (
    CELLS,
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
from podium.telemetry.slots import Slots, create_slots


@pytest.fixture
def slots():
    descriptor = create_slots(2)
    yield Slots(descriptor)
    os.close(descriptor)


def test_a_version_that_never_answered_has_none():
    """As many cells as others have, all of them zero."""
    empty = evidence_of([0] * CELLS)

    assert (empty.requests, empty.errors, empty.compared) == (0, 0, 0)
    assert (len(empty.latency), len(empty.predictions)) == (len(LATENCY.bounds) + 1, SKETCH_CELLS)


def test_it_is_the_sum_over_gateways_and_of_what_came_after_a_restart(slots):
    """A gateway that takes a slot over counts on where the one before it ended."""
    for slot in (0, 1, 1):
        block = slots.block(slot, 3)
        block[REQUESTS.cell("200")] += 10
        block[LATENCY.bucket(700)] += 10
        block[PREDICTIONS.offset + 4] += 7
        slots.reset_gauges(slot)

    found = evidence_of(slots.totals(3))

    assert (found.requests, found.latency[6], found.predictions[4]) == (30, 30, 21)


def test_what_is_to_be_blamed_on_a_version():
    """Its own errors and what it died of; not what clients did wrong or gave up."""
    cells = [0] * CELLS
    for code, count in (("200", 100), ("400", 8), ("499", 5), ("504", 1)):
        cells[REQUESTS.cell(code)] = count
    for kind, count in (("client", 6), ("model", 2), ("timeout", 1)):
        cells[ERRORS.cell(kind)] = count
    cells[CRASHES.offset] = 3

    assert (evidence_of(cells).requests, evidence_of(cells).errors) == (112, 6)


def test_a_copy_without_an_answer_disagrees():
    """A shadow that dies or is too slow did not say the same; one that was never sent says nothing."""
    cells = [0] * CELLS
    cells[COMPARED.cell("agreed")], cells[COMPARED.cell("disagreed")] = 90, 4
    cells[SHADOW_REQUESTS.cell("failed")], cells[SHADOW_REQUESTS.cell("dropped")] = 6, 1000

    found = evidence_of(cells)

    assert (found.compared, found.disagreed) == (100, 10)
    assert found.rewards == Evidence().rewards


def test_a_reward_between_is_a_part_of_a_good_answer_and_a_part_of_a_bad_one():
    cells = [0] * CELLS
    for reward in (0.0, 0.25, 1.0, 1.0):
        cells[REWARD.bucket(round(reward * REWARD_SCALE))] += 1
        cells[REWARD.sum] += round(reward * REWARD_SCALE)

    found = evidence_of(cells)

    assert (found.rewards, found.penalties) == (2.25, 1.75)
