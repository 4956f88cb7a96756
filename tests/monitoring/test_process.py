"""The monitor writes down exactly what was counted, whoever dies and whatever cannot be written for a while."""

import os
import socket
import subprocess
from contextlib import closing

import numpy as np
import pytest
from profile_world import counted, profile_of

from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.findings import Check, Role
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.monitoring.process import Monitor, MonitorTerms
from podium.monitoring.store import reading
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import VersionKey
from podium.telemetry.metrics import DURATION, REQUESTS, SUPERVISOR_METRICS
from podium.telemetry.slots import Slots, create_slots
from podium.transport.control import ControlSocket
from podium.transport.messages import Look, Sight
from podium.transport.slab import SlabWriter, create_slab

KEY = VersionKey("fraud", "7")
NOON = 1_799_971_200 + 43_200
RNG = np.random.default_rng(4)
PROFILE = profile_of({"amount": RNG.normal(size=2000), "age": RNG.normal(size=2000)}, value=RNG.normal(size=2000))
FACTS = [{"model": "fraud", "version": "7", "stage": "Production"}]


class Worker:
    """Counts rows into a slab, as a worker's tap does."""

    def __init__(self, number):
        self.number, self.is_over = number, False
        self.descriptor = create_slab(PROFILE.profile_id, Layout(PROFILE).size)
        self._slab = SlabWriter(self.descriptor)
        self._counter = BatchCounter(Layout(PROFILE), np.frombuffer(self._slab.cells, np.int64))

    def scribble(self):
        """What a model's own code may do to its worker's memory."""
        self._slab.cells[3] = -(2**60)
        self._slab.cells[0] = 2**62

    def answer(self, rows, shift=0.0, lost=0):
        columns = {"amount": RNG.normal(size=rows) + shift, "age": RNG.normal(size=rows)}
        predictions = {"value": RNG.normal(size=rows)}
        self._slab.see(rows + lost)
        self._counter.add(rows, columns, predictions)
        return counted(PROFILE, columns, predictions)

    def drop(self, rows):
        self._slab.see(rows)
        self._slab.drop(rows)


class World:
    """A server's counters and slabs, and monitors that watch them, by a clock that is set."""

    def __init__(self, folder):
        self.now, self.store = float(NOON), MonitorStore(folder / "monitor.db", busy_timeout_s=0.01)
        self.profile = folder / "profile.json"
        self.profile.write_text(PROFILE.to_json())
        self._slots_fd = create_slots(1)
        self.slots = Slots(self._slots_fd)
        self.workers = []
        self.looks = []
        self.monitor = None
        self.begin()

    def begin(self):
        """A monitor; the one before it is gone without a word."""
        if self.monitor is not None:
            self._ours.close()
            self._theirs.close()
        ours, theirs = socket.socketpair()
        self._ours, self._theirs = ControlSocket(ours), ControlSocket(theirs)
        terms = MonitorTerms(self.store)
        self.monitor = Monitor(self._theirs, self.slots, terms, lambda: self.now)
        self._known = []

    def worker(self):
        made = Worker(len(self.workers) + 1)
        self.workers.append(made)
        return made

    def request(self, times=1, code="200"):
        block = self.slots.block(0, 0)
        block[REQUESTS.cell(code)] += times
        block[DURATION.bucket(700)] += times

    def tick(self, seconds=10.0):
        """Time passes, and the monitor looks and reads."""
        self.now += seconds
        settled = self.looks[-1].settled if self.looks else []
        new = [each for each in self.workers if each.number not in self._known and each.number not in settled]
        slabs = [{"number": each.number, "model": "fraud", "version": "7", "profile": str(self.profile)} for each in new]
        over = [each.number for each in self.workers if each.is_over]
        self._ours.send(Sight([{"model": "fraud", "version": "7"}], FACTS, slabs, over), [each.descriptor for each in new])
        assert self.monitor.look()
        ((look, _),) = self._ours.receive()
        assert isinstance(look, Look)
        self.looks.append(look)
        self._known = [*look.known, *(each.number for each in new)]
        self.workers = [each for each in self.workers if each.number not in look.settled]
        self.monitor.take()

    def turn(self, seconds=10.0):
        self.tick(seconds)
        self.monitor.turn()

    def data(self, since=NOON - HOUR_S, until=NOON + 2 * HOUR_S, step_s=None):
        with self.store.reading() as connection:
            return reading.data(connection, KEY, PROFILE.profile_id, Span(since, until), step_s)

    def requests(self):
        with self.store.reading() as connection:
            points = reading.traffic(connection, KEY, Span(NOON - HOUR_S, NOON + 2 * HOUR_S), 60)
        return {each.span.start - NOON: each.traffic.requests for each in points if each.traffic.requests}

    def gauges(self):
        self.tick()
        return {
            (each["name"], each["labels"].get("column"), each["labels"].get("check")): each["value"]
            for each in self.looks[-1].gauges
        }

    def close(self):
        self._ours.close()
        self._theirs.close()
        self.slots.close()
        os.close(self._slots_fd)


@pytest.fixture
def world(tmp_path):
    with closing(World(tmp_path)) as made:
        yield made


def test_all_that_was_counted_is_written_down_once(world):
    worker, expected = world.worker(), []
    for _ in range(5):
        expected.append(worker.answer(100))
        world.request(7)
        world.turn()

    (all_of_it,) = world.data()
    assert all_of_it.window.counts == sum(expected[1:], expected[0])
    assert (all_of_it.window.late_rows, all_of_it.dropped) == (0, 0)
    assert sum(world.requests().values()) == 35


def test_a_monitor_that_dies_before_it_wrote_loses_nothing(world):
    worker = world.worker()
    expected = worker.answer(100)
    world.request(3)
    world.turn()
    expected += worker.answer(50)
    world.request(4)
    world.tick()

    world.begin()
    expected += worker.answer(25)
    world.turn(600)

    (all_of_it,) = world.data()
    assert all_of_it.window.counts == expected
    assert all_of_it.window.late_rows == 75
    assert sum(world.requests().values()) == 7


def test_what_was_written_is_not_counted_again_by_the_next_monitor(world):
    expected = world.worker().answer(100)
    world.request(3)
    world.turn()
    for _ in range(3):
        world.begin()
        world.turn()

    (all_of_it,) = world.data()
    assert all_of_it.window.counts == expected
    assert sum(world.requests().values()) == 3


def test_a_worker_that_dies_is_read_to_its_end_and_what_it_lost_is_dropped(world):
    first, second = world.worker(), world.worker()
    expected = first.answer(100, lost=6) + second.answer(10)
    second.drop(3)
    world.turn()
    expected += first.answer(5)
    first.is_over = True
    world.turn()
    world.turn()

    (all_of_it,) = world.data()
    assert all_of_it.window.counts == expected
    assert all_of_it.dropped == 9
    assert [look.settled for look in world.looks] == [[], [], [1]]
    assert world.looks[-1].known == [1, 2]
    gauges = world.gauges()
    assert world.looks[-1].known == [2]
    assert gauges["podium_monitor_rows_total", None, None] == 115
    assert gauges["podium_monitor_dropped_rows_total", None, None] == 9
    assert gauges["podium_monitor_sampling_ratio", None, None] == 115 / 124


def test_a_worker_whose_end_was_written_is_not_counted_again_where_nobody_heard_of_it(world):
    worker = world.worker()
    expected = worker.answer(100, lost=6)
    worker.is_over = True
    world.turn()

    world.begin()
    world.turn()

    (all_of_it,) = world.data()
    assert all_of_it.window.counts == expected
    assert all_of_it.dropped == 6


def test_a_slab_that_makes_no_sense_is_no_row(world):
    honest, other = world.worker(), world.worker()
    expected = honest.answer(100)
    other.scribble()
    world.turn()

    (all_of_it,) = world.data()
    assert all_of_it.window.counts == expected


def test_a_locked_database_delays_what_is_written_and_loses_nothing(world, caplog):
    worker = world.worker()
    expected = worker.answer(10)
    world.request(1)
    world.turn()
    with world.store.writing():
        for _ in range(4):
            expected += worker.answer(10)
            world.request(1)
            world.turn(60)
    expected += worker.answer(10)
    world.request(1)
    world.turn(60)

    (all_of_it,) = world.data()
    assert all_of_it.window.counts == expected
    # Each in the minute in which it was counted.
    assert world.requests() == dict.fromkeys(range(0, 360, 60), 1)
    assert ["kept and written later" in caplog.messages[0], "can be written again" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2


def test_a_database_that_cannot_even_be_read_at_the_start_delays_counting(world):
    expected = world.worker().answer(10)
    with world.store.writing():
        world.turn()
    world.turn()

    (all_of_it,) = world.data()
    assert all_of_it.window.counts == expected


def test_time_in_which_nobody_read_is_a_gap(world):
    world.worker()
    world.turn()
    world.turn(50)
    world.begin()
    world.turn(600)
    world.turn(60)

    with world.store.reading() as connection:
        points = reading.traffic(connection, KEY, Span(NOON, NOON + 780), 60)
    assert [each.watched_s for each in points] == [50, *[0] * 10, 60, 0]


def test_a_removed_database_is_made_anew(world):
    worker = world.worker()
    worker.answer(10)
    world.turn()
    world.store.path.unlink()
    expected = worker.answer(30)
    world.turn()

    (all_of_it,) = world.data()
    assert all_of_it.window.counts == expected
    with world.store.reading() as connection:
        assert reading.profile_of(connection, KEY) == PROFILE


def test_a_shift_is_told_and_stands_after_a_second_window(world):
    worker = world.worker()
    worker.answer(2000, shift=1.0)
    world.turn()
    at_first = world.gauges()
    worker.answer(2000, shift=1.0)
    world.turn(HOUR_S)
    at_last = world.gauges()

    with world.store.reading() as connection:
        latest = reading.latest_findings(connection, KEY)
        history = reading.findings_between(connection, KEY, Role.FEATURE, "amount", Check.DRIFT, Span(0, 2 * NOON))
    assert {each.finding.name for each in latest if each.is_standing} == {"amount"}
    assert [each.is_standing for each in history] == [False, True]
    assert at_first["podium_drift_alert", "amount", None] == 0
    assert at_last["podium_drift_alert", "amount", None] == 1
    assert at_last["podium_drift_alert", "age", None] == 0
    assert at_last["podium_drift_score", "amount", None] > at_last["podium_drift_threshold", "amount", None]
    assert at_last["podium_drifted_columns", None, None] == 1
    assert at_last["podium_monitored_columns", None, None] == 2
    assert at_last["podium_prediction_drift_alert", None, None] == 0
    assert {name for name, _, _ in at_last} <= {metric.name for metric in SUPERVISOR_METRICS}


def test_what_is_held_outlives_the_monitor(world):
    worker = world.worker()
    for _ in range(2):
        worker.answer(2000, shift=1.0)
        world.turn(HOUR_S)
        world.begin()
        world.turn()

    assert world.gauges()["podium_drift_alert", "amount", None] == 1


def test_too_few_rows_are_no_verdict(world):
    world.worker().answer(100, shift=5.0)
    world.turn()

    gauges = world.gauges()
    assert ("podium_drift_score", "amount", None) not in gauges
    assert gauges["podium_monitored_columns", None, None] == 0


def test_a_full_disk_delays_what_is_written_and_loses_nothing(world, tmp_path, caplog):
    """One that really is full, where one may be made."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        world.store = MonitorStore(place / "monitor.db", busy_timeout_s=0.01)
        world.begin()
        expected = world.worker().answer(100)
        world.turn()
        filler = place / "filler"
        filler.write_bytes(bytes(os.statvfs(place).f_bavail * os.statvfs(place).f_frsize))
        expected += world.workers[0].answer(100)
        world.turn()
        filler.unlink()
        world.turn()

        (all_of_it,) = world.data()
        assert all_of_it.window.counts == expected
        assert "the disk is full" in caplog.messages[0]
    finally:
        subprocess.run(["umount", str(place)], check=True)
