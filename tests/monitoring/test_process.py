"""The monitor writes down exactly what was counted, whoever dies and whatever cannot be written for a while."""

import os
import subprocess
from contextlib import closing

import pytest
from counting_world import KEY, NOON, PROFILE, World

from podium.domain.monitoring.findings import Check, Role
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.monitoring.store import reading
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.postgresql import PostgresqlHistory
from podium.telemetry.metrics import SUPERVISOR_METRICS


@pytest.fixture
def file_world(tmp_path):
    with closing(World(tmp_path)) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request, tmp_path):
    """The laws of counting are those of both histories."""
    if request.param == "sqlite":
        yield request.getfixturevalue("file_world")
        return
    history = PostgresqlHistory(request.getfixturevalue("address"), 60.0)
    with closing(history), closing(World(tmp_path, history)) as made:
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


def test_a_server_that_ends_while_its_monitor_looks_loses_nothing(file_world):
    """What was not written down yet is, and the monitor ends."""
    expected = file_world.worker().answer(100)
    file_world.request(3)
    file_world.tick()

    file_world.end_while_it_looks()

    (all_of_it,) = file_world.data()
    assert all_of_it.window.counts == expected
    assert sum(file_world.requests().values()) == 3


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


def test_a_slab_that_makes_no_sense_is_no_row(file_world):
    honest, other = file_world.worker(), file_world.worker()
    expected = honest.answer(100)
    other.scribble()
    file_world.turn()

    (all_of_it,) = file_world.data()
    assert all_of_it.window.counts == expected


def test_a_locked_database_delays_what_is_written_and_loses_nothing(file_world, caplog):
    worker = file_world.worker()
    expected = worker.answer(10)
    file_world.request(1)
    file_world.turn()
    with file_world.store.writing():
        for _ in range(4):
            expected += worker.answer(10)
            file_world.request(1)
            file_world.turn(60)
    expected += worker.answer(10)
    file_world.request(1)
    file_world.turn(60)

    (all_of_it,) = file_world.data()
    assert all_of_it.window.counts == expected
    # Each in the minute in which it was counted.
    assert file_world.requests() == dict.fromkeys(range(0, 360, 60), 1)
    assert ["kept and written later" in caplog.messages[0], "can be written again" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2


def test_a_database_that_cannot_even_be_read_at_the_start_delays_counting(file_world, caplog):
    expected = file_world.worker().answer(10)
    with file_world.store.writing():
        file_world.turn()
        file_world.turn()
    file_world.turn()

    (all_of_it,) = file_world.data()
    assert all_of_it.window.counts == expected
    assert ["Nothing is counted until" in each for each in caplog.messages] == [True, False]
    assert "can be written again; before: " in caplog.messages[1]


def test_for_how_long_nothing_could_be_written_is_told(file_world):
    file_world.worker().answer(10)
    file_world.turn()
    with file_world.store.writing():
        file_world.turn(60)
        # What is told with a look was known at the turn before.
        away = file_world.gauges()["podium_monitor_unwritten_seconds", None, None]
    file_world.turn()
    back = file_world.gauges()["podium_monitor_unwritten_seconds", None, None]

    assert (away, back) == (60, 0)


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


def test_a_removed_database_is_made_anew(file_world):
    worker = file_world.worker()
    worker.answer(10)
    file_world.turn()
    file_world.store.path.unlink()
    expected = worker.answer(30)
    file_world.turn()

    (all_of_it,) = file_world.data()
    assert all_of_it.window.counts == expected
    with file_world.store.reading() as connection:
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


def test_too_few_rows_are_no_verdict(file_world):
    file_world.worker().answer(100, shift=5.0)
    file_world.turn()

    gauges = file_world.gauges()
    assert ("podium_drift_score", "amount", None) not in gauges
    assert gauges["podium_monitored_columns", None, None] == 0


def test_a_full_disk_delays_what_is_written_and_loses_nothing(file_world, tmp_path, caplog):
    """One that really is full, where one may be made."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        file_world.store = MonitorStore(place / "monitor.db", busy_timeout_s=0.01)
        file_world.begin()
        expected = file_world.worker().answer(100)
        file_world.turn()
        filler = place / "filler"
        filler.write_bytes(bytes(os.statvfs(place).f_bavail * os.statvfs(place).f_frsize))
        expected += file_world.workers[0].answer(100)
        file_world.turn()
        filler.unlink()
        file_world.turn()

        (all_of_it,) = file_world.data()
        assert all_of_it.window.counts == expected
        assert "the disk is full" in caplog.messages[0]
    finally:
        subprocess.run(["umount", str(place)], check=True)
