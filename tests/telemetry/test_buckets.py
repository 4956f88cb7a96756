"""Token buckets in memory that processes share."""

import os
import subprocess
import sys

import pytest

from podium.telemetry.buckets import CELLS, SETS, Buckets
from podium.telemetry.slots import Slots, create_slots


@pytest.fixture
def buckets() -> Buckets:
    return Buckets(memoryview(bytearray(8 * CELLS)).cast("Q"), 7)


def beside(mark: int, count: int) -> list[int]:
    """Marks that share a set with this one."""
    return [mark + SETS * step for step in range(1, count + 1)]


def test_a_bucket_is_found_again(buckets):
    mark = buckets.mark_of("address 10.0.0.1")
    buckets.cells[buckets.place_of(mark)] = 500

    assert buckets.cells[buckets.place_of(mark)] == 500
    assert buckets.cells[buckets.place_of(mark) - 1] == mark


def test_who_stands_beside_whom_cannot_be_known_from_outside(buckets):
    """Another server's seed gives other marks."""
    other = Buckets(memoryview(bytearray(8 * CELLS)).cast("Q"), 8)

    assert buckets.mark_of("a") != other.mark_of("a")


def test_eight_that_fall_together_keep_their_own_times(buckets):
    marks = [5, *beside(5, 7)]
    for number, mark in enumerate(marks):
        buckets.cells[buckets.place_of(mark)] = 1000 + number

    assert [buckets.cells[buckets.place_of(mark)] for mark in marks] == [1000 + number for number in range(8)]


def test_a_ninth_takes_the_place_of_whoever_has_taken_least(buckets):
    """It starts full; the others keep theirs."""
    marks = [5, *beside(5, 7)]
    for number, mark in enumerate(marks):
        buckets.cells[buckets.place_of(mark)] = 1000 + number
    [*_, ninth] = beside(5, 8)

    place = buckets.place_of(ninth)

    assert buckets.cells[place] == 0
    assert [buckets.cells[buckets.place_of(mark)] for mark in marks[1:]] == [1000 + number for number in range(1, 8)]


def test_processes_of_a_server_see_the_same_bucket():
    """What one gateway takes, another one knows of at once."""
    descriptor = create_slots(2)
    slots = Slots(descriptor)
    code = (
        "import sys; from podium.telemetry.slots import Slots; b = Slots(int(sys.argv[1])).buckets;"
        " b.cells[b.place_of(b.mark_of('key'))] = 4711"
    )
    try:
        subprocess.run([sys.executable, "-c", code, str(descriptor)], pass_fds=[descriptor], check=True, timeout=240)

        buckets = slots.buckets
        assert buckets.cells[buckets.place_of(buckets.mark_of("key"))] == 4711
    finally:
        slots.close()
        os.close(descriptor)
