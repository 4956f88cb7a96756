"""When a model was used last, by what gateways have counted."""

import os

import pytest

from podium.fleet.capacity.use import Use
from podium.fleet.telling.series import SeriesBook
from podium.telemetry.metrics import CACHE, CRASHES, IN_FLIGHT, REQUESTS
from podium.telemetry.slots import Slots, create_slots


@pytest.fixture
def series():
    descriptor = create_slots(2)
    slots = Slots(descriptor)
    yield SeriesBook(slots)
    slots.close()
    os.close(descriptor)


@pytest.mark.parametrize(
    ("cell", "is_use"),
    [
        (REQUESTS.cell("200"), True),
        (REQUESTS.cell("503"), True),
        (CACHE.cell("hit"), True),
        (IN_FLIGHT.offset, True),
        (CACHE.cell("miss"), False),  # the request itself is counted once it is answered
        (CRASHES.offset, False),
    ],
    ids=["answered", "refused", "answered again", "in flight", "missed", "crashed"],
)
def test_a_model_is_used_by_whoever_gets_an_answer(series, cell, is_use):
    """On whichever gateway, also by an answer that was kept: else the most asked for would sleep first."""
    index, use = series.index(("wine", "1")), Use(series)
    use.look("wine", ["1"], now=10.0)

    series.slots.block(1, index)[cell] += 1
    use.look("wine", ["1"], now=20.0)

    assert use.last("wine") == (20.0 if is_use else 10.0)
