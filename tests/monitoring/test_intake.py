"""What gateways hand on is written down once the monitor can, whoever dies before, and hinders nothing else."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import msgspec
import pytest

from podium.monitoring.intake import Intake
from podium.monitoring.quality.joining import Joining
from podium.monitoring.store.database import MonitorStore
from podium.telemetry.backlog import open_channel
from podium.telemetry.remembered import Labelled, Remembered, hand_on


def label(number, text="1"):
    return Labelled(2.5, f"r{number}", "iris", None, text)


class World:
    """A socket and a spool that outlive monitors."""

    def __init__(self, folder):
        self.store = MonitorStore(folder / "monitor.db", busy_timeout_s=0.01)
        self.writing, self.reading = open_channel(1 << 20)
        self.spool = os.memfd_create("spool")
        self.seen = []

    def begin(self, **terms):
        """A monitor's intake; the one before it is gone without a word."""
        return Intake(self.reading, self.spool, **terms)

    def keep(self, connection, records, now):
        assert isinstance(connection, sqlite3.Connection)
        self.seen += records

    def write_down(self, intake, sink=None):
        intake.write_down(self.store, sink or self.keep, 5.0)

    def close(self):
        self.writing.close()
        self.reading.close()
        os.close(self.spool)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def test_each_record_is_shown_once_in_order(world):
    intake = world.begin()
    answer = Remembered(1.0, "r1", "iris", "1", "", "/invocations", "application/json", b"{}")
    world.writing.send(msgspec.msgpack.encode([answer]))
    hand_on(world.writing, [label(1), label(2, '"' + "x" * 100_000 + '"')])
    intake.drain()
    hand_on(world.writing, [label(3)])
    for _ in range(3):
        world.write_down(intake)

    assert world.seen == [answer, label(1), label(2, '"' + "x" * 100_000 + '"'), label(3)]


def test_what_a_monitor_took_before_it_died_the_next_one_writes_down(world):
    hand_on(world.writing, [label(1)])
    world.begin().drain()
    hand_on(world.writing, [label(2)])
    intake = world.begin()
    intake.drain()
    hand_on(world.writing, [label(3)])
    world.write_down(world.begin())

    assert world.seen == [label(1), label(2), label(3)]


def test_one_that_dies_while_it_writes_shows_all_of_it_again_to_the_next(world):
    hand_on(world.writing, [label(1)])

    def die(connection, records, now):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.write_down(world.begin(), die)
    world.write_down(world.begin())

    assert world.seen == [label(1)]


def test_a_message_that_was_half_copied_is_copied_again_whole(world):
    """Killed between its bytes and the note of where they end."""
    hand_on(world.writing, [label(1)])
    world.begin().drain()
    size = os.fstat(world.spool).st_size
    os.pwrite(world.spool, b"\xff" * 7, size)
    hand_on(world.writing, [label(2)])
    world.write_down(world.begin())

    assert world.seen == [label(1), label(2)]


def test_a_database_that_cannot_be_written_loses_nothing(world):
    intake = world.begin()
    world.write_down(intake)
    hand_on(world.writing, [label(1)])
    with world.store.writing():
        pass  # it is made
    blocking = sqlite3.connect(world.store.path, isolation_level=None)
    blocking.execute("BEGIN IMMEDIATE")
    for _ in range(6):  # more often than a record may be at fault
        world.write_down(intake)
    assert world.seen == []
    blocking.execute("ROLLBACK")
    blocking.close()
    world.write_down(intake)

    assert world.seen == [label(1)]


def test_records_at_fault_are_left_out_with_what_they_changed_and_the_others_are_written(world):
    intake = world.begin()
    for number in (1, 2, 3):
        hand_on(world.writing, [label(number)])
    world.writing.send(b"\xc1 no message")

    def write(connection, records, now):
        connection.execute("CREATE TABLE IF NOT EXISTS tried (id TEXT)")
        connection.execute("INSERT INTO tried VALUES (?)", (records[0].request_id,))
        if records[0].request_id == "r2":
            raise OverflowError("too large")

    world.write_down(intake, write)
    with world.store.reading() as connection:
        found = [each for (each,) in connection.execute("SELECT id FROM tried ORDER BY id")]

    assert found == ["r1", "r3"]


def test_what_monitors_die_of_again_and_again_is_given_up(world):
    hand_on(world.writing, [label(1)])

    def die(connection, records, now):
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            world.write_down(world.begin(), die)
    intake = world.begin()
    world.write_down(intake, die)
    hand_on(world.writing, [label(2)])
    world.write_down(intake)

    assert world.seen == [label(2)]


def test_what_is_long_is_written_in_portions_between_which_others_have_their_turn(world):
    intake = world.begin(portion_bytes=100)
    for number in range(50):
        hand_on(world.writing, [label(number)])
    turns = []

    def write(connection, records, now):
        world.keep(connection, records, now)
        with closing(sqlite3.connect(world.store.path)) as other:
            [known] = other.execute("SELECT count(*) FROM noted").fetchone()
        turns.append(known)
        connection.execute("INSERT INTO noted VALUES (1)")

    with world.store.writing() as connection:
        connection.execute("CREATE TABLE noted (number INTEGER)")
    world.write_down(intake, write)

    assert world.seen == [label(number) for number in range(50)]
    assert 10 < len(set(turns)) < 50
    assert os.fstat(world.spool).st_size < 100


class Deadly:
    """A history of which a monitor hears nothing any more after so many transactions, each of which is kept."""

    def __init__(self, store, after):
        self.store, self.left = store, after

    @contextmanager
    def writing(self):
        with self.store.writing() as connection:
            yield connection
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_monitor_that_dies_between_portions_shows_none_of_them_again(world):
    """Nor the one that was kept a moment before, of which the spool does not know."""
    for number in range(50):
        hand_on(world.writing, [label(number)])
    for deaths in (1, 3, 2):
        with pytest.raises(KeyboardInterrupt):
            world.begin(portion_bytes=100).write_down(Deadly(world.store, deaths), world.keep, 5.0)
    hand_on(world.writing, [label(50)])
    world.write_down(world.begin(portion_bytes=100))
    hand_on(world.writing, [label(51)])
    world.write_down(world.begin())

    assert world.seen == [label(number) for number in range(52)]


DYING = """
import contextlib, os, signal, socket, sys
from pathlib import Path
from podium.monitoring.intake import Intake
from podium.monitoring.store.database import MonitorStore

channel, spool, portions, place = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

class Store(MonitorStore):
    @contextlib.contextmanager
    def writing(self):
        global portions
        with super().writing() as connection:
            yield connection
            portions -= 1
            if portions == 0 and place == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        if portions == 0:
            os.kill(os.getpid(), signal.SIGKILL)

def keep(connection, records, now):
    connection.execute("CREATE TABLE IF NOT EXISTS kept (id TEXT)")
    connection.execute("INSERT INTO kept VALUES (?)", (records[0].request_id,))

intake = Intake(socket.socket(fileno=channel), spool, portion_bytes=100)
intake.write_down(Store(Path(sys.argv[5]), 20.0), keep, 5.0)
"""


def test_monitors_that_are_killed_for_good_write_each_record_once(world):
    """Just before a portion is kept, and just after, of which nobody heard."""
    for number in range(60):
        hand_on(world.writing, [label(number)])
    handed = world.reading.fileno(), world.spool
    ends = []
    for portions, place in ((1, "after"), (2, "before"), (3, "after"), (0, "never")):
        command = [sys.executable, "-c", DYING, *map(str, handed), str(portions), place, str(world.store.path)]
        found_as_here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        ends.append(subprocess.run(command, env=found_as_here, pass_fds=handed, timeout=120, check=False).returncode)
    with world.store.reading() as connection:
        found = [each for (each,) in connection.execute("SELECT id FROM kept")]

    assert ends == [-signal.SIGKILL] * 3 + [0]
    assert sorted(found) == sorted(f"r{number}" for number in range(60))
    assert os.fstat(world.spool).st_size < 100


def test_a_history_that_is_removed_takes_what_comes_from_then_on(world):
    intake = world.begin()
    for number in (1, 2, 3):
        hand_on(world.writing, [label(number)])
        world.write_down(intake)
        for path in world.store.path.parent.glob("monitor.db*"):
            path.unlink()

    assert world.seen == [label(1), label(2), label(3)]


def test_only_what_monitors_die_of_is_given_up_and_not_what_came_with_it(world):
    for number in range(20):
        hand_on(world.writing, [label(number)])

    def write(connection, records, now):
        if records == [label(7)]:
            raise KeyboardInterrupt
        connection.execute("CREATE TABLE IF NOT EXISTS kept (id TEXT)")
        connection.execute("INSERT INTO kept VALUES (?)", (records[0].request_id,))

    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            world.write_down(world.begin(), write)
    world.write_down(world.begin(), write)
    with world.store.reading() as connection:
        found = [each for (each,) in connection.execute("SELECT id FROM kept")]

    assert sorted(found) == sorted(f"r{number}" for number in range(20) if number != 7)


def test_a_full_spool_leaves_the_rest_in_the_socket(world):
    intake = world.begin(most_bytes=100)
    for number in range(50):
        hand_on(world.writing, [label(number)])
    intake.drain()
    assert intake.is_full
    for _ in range(50):
        world.write_down(intake)

    assert world.seen == [label(number) for number in range(50)]


def test_an_end_without_a_supervisor_is_no_message(world):
    intake = world.begin()
    world.writing.close()
    world.writing = socket.socket()
    world.write_down(intake)

    assert intake.is_full
    assert world.seen == []


def steps_of(connection, records):
    """How many thousands of steps the database takes to join records."""
    taken = []
    connection.set_progress_handler(lambda: taken.append(1), 1000)
    Joining(connection, 5.0).join(records)
    connection.set_progress_handler(None, 0)
    return len(taken)


def label_rows(connection, name, rows):
    """Steps for labels of so many rows."""
    return steps_of(connection, [Labelled(2.0, name, "iris", row, "1") for row in rows])


def test_a_label_of_one_row_costs_no_more_where_many_of_its_answer_wait(tmp_path):
    """So that nobody holds up the monitor by naming one answer again and again."""
    with MonitorStore(tmp_path / "monitor.db").writing() as connection:
        first = label_rows(connection, "one", range(100))
        label_rows(connection, "one", range(100, 600))
        last = label_rows(connection, "one", range(600, 700))

    assert last < 3 * first + 3, (first, last)


def test_a_label_of_one_row_costs_no_more_where_its_answer_has_many(tmp_path):
    with MonitorStore(tmp_path / "monitor.db").writing() as connection:
        for name, rows in (("few", 50), ("many", 1000)):
            answer = b'{"predictions": [%s]}' % b",".join([b"1"] * rows)
            steps_of(connection, [Remembered(1.0, name, "iris", "1", "", "/invocations", "application/json", answer)])
        few, many = (label_rows(connection, name, range(50)) for name in ("few", "many"))

    assert many < 3 * few + 3, (few, many)
