"""Counters that outlive the process that counts."""

import mmap
import os
import subprocess
import sys

import pytest

from podium.errors import Misconfigured
from podium.telemetry.metrics import IN_FLIGHT, REQUESTS
from podium.telemetry.slots import SERIES, UNROUTED, Slots, create_slots

COUNT = """
import sys
from podium.telemetry.slots import Slots
block = Slots(int(sys.argv[1])).block(int(sys.argv[2]), 3)
for _ in range(int(sys.argv[3])):
    block[0] += 1
"""


@pytest.fixture
def descriptor():
    fd = create_slots(3)
    yield fd
    os.close(fd)


def count(descriptor: int, slot: int, times: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", COUNT, str(descriptor), str(slot), str(times)], pass_fds=(descriptor,))


def test_totals_are_the_exact_sums_of_processes_that_count_at_once_and_are_gone(descriptor):
    """Three processes count side by side, a fourth goes on where one of them ended."""
    processes = [count(descriptor, slot, 20_000) for slot in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert count(descriptor, 1, 5).wait(120) == 0

    assert Slots(descriptor).totals(3)[0] == 60_005


def test_resetting_gauges_leaves_counters_and_other_slots_alone(descriptor):
    slots = Slots(descriptor)
    for slot in (0, 1):
        slots.block(slot, 7)[IN_FLIGHT.offset] = 5
        slots.block(slot, 7)[REQUESTS.offset] = 9

    slots.reset_gauges(0)

    assert [slots.totals(7)[IN_FLIGHT.offset], slots.totals(7)[REQUESTS.offset]] == [5, 18]


def test_clearing_a_series_leaves_the_others_alone(descriptor):
    """An index can be used for another version."""
    slots = Slots(descriptor)
    for series in (4, 5, UNROUTED):
        slots.block(2, series)[0] = 1

    slots.clear(5)

    assert [slots.totals(series)[0] for series in (4, 5, UNROUTED)] == [1, 0, 1]


def test_a_new_table_takes_little_memory(descriptor):
    """A thousand series for each gateway are there, but only those that count take pages."""
    slots = Slots(descriptor)
    slots.block(1, 5)[0] = 1
    slots.reset_gauges(1)

    assert os.fstat(descriptor).st_blocks * 512 <= 16 * mmap.PAGESIZE


@pytest.mark.parametrize(("slot", "series"), [(-1, 0), (3, 0), (0, -1), (0, SERIES + 1)])
def test_there_is_no_block_outside_the_table(descriptor, slot, series):
    with pytest.raises(IndexError):
        Slots(descriptor).block(slot, series)


def test_access_log_lines_dropped_are_summed_over_gateways(descriptor):
    slots = Slots(descriptor)
    slots.add_lines_dropped(0, 2)
    slots.add_lines_dropped(2, 3)

    assert slots.lines_dropped() == 5


@pytest.mark.parametrize("size", [0, 64, 4096])
def test_another_file_is_not_taken_for_a_table(size):
    descriptor = os.memfd_create("other")
    os.ftruncate(descriptor, size)
    try:
        with pytest.raises(Misconfigured):
            Slots(descriptor)
    finally:
        os.close(descriptor)


def test_a_table_cannot_be_made_smaller_under_its_readers(descriptor):
    """A truncated mapping would kill whoever reads it."""
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 10)
