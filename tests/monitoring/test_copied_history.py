"""A home's history is copied into a shared database whole or not at all, and says there what it said here."""

import sqlite3
from contextlib import closing

import pytest
from alerting_world import KEY, NOON
from click.testing import CliRunner
from filled_history import fill

from podium.api.reporting import monitor_report
from podium.cli.main import podium
from podium.errors import AlreadyExists, InvalidInput, MonitorStoreError, NotFound, Unavailable
from podium.monitoring.store import alerts, sharing, writing
from podium.monitoring.store.copying import COPIED, LEFT, copy_history
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.postgresql import PostgresqlHistory
from podium.settings.home import Home
from podium.telemetry.traffic import TrafficCounts

LATER = NOON + 1000.0


@pytest.fixture
def shared(address):
    with closing(PostgresqlHistory(address, timeout_s=60.0)) as history:
        yield history


@pytest.fixture
def file(tmp_path):
    """In a home of its own."""
    made = MonitorStore(tmp_path / "monitor.db", busy_timeout_s=60.0)
    fill(tmp_path, made)
    return made


def rows(history, table):
    """All that a table has, but for numbers that a database gives."""
    columns = '"at", fingerprint, "before", "after", json' if table == "alert_events" else "*"
    with history.reading() as connection:
        return sorted(map(repr, connection.execute(f"SELECT {columns} FROM {table}")))


def test_every_table_is_copied_or_left_on_purpose(file):
    with file.reading() as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = ?", ["table"])}
        empty = [table for table in COPIED if not connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()]

    assert tables == {*COPIED, *LEFT}
    assert empty == []


def test_what_is_copied_says_there_what_it_said_here(file, shared, address):
    counts = copy_history(file, shared, LATER)

    assert {table: rows(shared, table) for table in COPIED} == {table: rows(file, table) for table in COPIED}
    assert counts == {table: len(rows(file, table)) for table in COPIED}
    here, there = (
        monitor_report(KEY.model, home=Home(file.path.parent), store=store, clock=lambda: LATER)
        for store in (None, address)
    )
    assert here == there
    with file.reading() as ours, shared.reading() as theirs:
        assert alerts.book_of(ours) == alerts.book_of(theirs)
        assert alerts.turns_of(ours) == alerts.turns_of(theirs)


def test_servers_go_on_in_what_was_copied(file, shared):
    """Also where the database gives numbers."""
    copy_history(file, shared, LATER)
    with shared.reading() as connection:
        turns = alerts.turns_of(connection)
    with shared.writing() as connection:
        writing.add_traffic(connection, KEY, NOON, TrafficCounts(requests=5))
        connection.execute("DELETE FROM alert_events")
        alerts.put_turns(connection, reversed(turns))

    with shared.reading() as connection:
        assert alerts.turns_of(connection) == turns


def test_a_history_that_is_there_is_left_as_it_is(file, shared):
    with shared.writing() as connection:
        writing.add_traffic(connection, KEY, NOON, TrafficCounts(requests=5))

    with pytest.raises(AlreadyExists, match="holds a history already"):
        copy_history(file, shared, LATER)
    assert len(rows(shared, "traffic")) == 2


def test_what_cannot_be_copied_whole_is_not_copied(file, shared):
    """The last table holds what no other database takes."""
    with closing(sqlite3.connect(file.path)) as connection, connection:
        connection.execute("UPDATE quality_tasks SET looked_at = 'often'")

    with pytest.raises(MonitorStoreError):
        copy_history(file, shared, LATER)
    with pytest.raises(NotFound), shared.reading():
        pass
    with closing(sqlite3.connect(file.path)) as connection, connection:
        connection.execute("UPDATE quality_tasks SET looked_at = 1")
    assert copy_history(file, shared, LATER)["traffic"] > 0


def test_the_history_of_a_server_that_runs_is_not_copied(file, shared):
    with file.writing() as connection:
        sharing.put_values(connection, "one", LATER - 30.0, "[]")

    with pytest.raises(Unavailable, match="podium stop"):
        copy_history(file, shared, LATER)
    assert copy_history(file, shared, LATER + 100.0)["traffic"] > 0


def test_the_command_says_how_much_it_copied(file, address, monkeypatch):
    monkeypatch.chdir(file.path.parent)
    monkeypatch.setenv("PODIUM_HOME", str(file.path.parent))
    command = ["monitor", "copy", "--monitor-store", address]
    with pytest.raises(InvalidInput, match="Say where"):
        CliRunner().invoke(podium, command[:2], standalone_mode=False, catch_exceptions=False)

    result = CliRunner().invoke(podium, command, standalone_mode=False, catch_exceptions=False)

    assert ["predictions", str(len(rows(file, "predictions")))] in [line.split() for line in result.stdout.splitlines()]
