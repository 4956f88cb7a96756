"""A history that an older podium wrote says the same once this one has brought it on."""

import sqlite3
from contextlib import closing

import pytest
from alerting_world import KEY, NOON
from filled_history import PROFILE, fill

from podium.api.reporting import monitor_report
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.errors import MonitorStoreError
from podium.monitoring.store import alerts, quality, reading, writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.migrations import MIGRATIONS
from podium.settings.home import Home
from podium.telemetry.traffic import TrafficCounts

DAYS = Span(NOON - NOON % HOUR_S - 72 * HOUR_S, NOON - NOON % HOUR_S + HOUR_S)
ALERTED, WATCHED_BY_SERVER, LABELLED = 2, 4, 5


@pytest.fixture(scope="module")
def newest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newest")
    made = MonitorStore(folder / "monitor.db", busy_timeout_s=60.0)
    fill(folder, made)
    with made.writing() as connection:
        # Of a time when there was one server: nobody else's can be told apart.
        connection.execute("DELETE FROM watched WHERE server = ?", ["one"])
        connection.execute("DELETE FROM servers WHERE server = ?", ["one"])
        for hours in range(7, 72, 7):
            writing.watch(connection, NOON - HOUR_S * hours, NOON - HOUR_S * hours + 60)
    return made


@pytest.fixture(params=range(1, len(MIGRATIONS)))
def older(request, newest, tmp_path):
    """A file of each schema there was, with the rows that its podium would have had."""
    made = MonitorStore(tmp_path / "monitor.db")
    with closing(sqlite3.connect(made.path, isolation_level=None)) as connection:
        for statements in MIGRATIONS[: request.param]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {request.param}")
        connection.execute("ATTACH ? AS newest", [str(newest.path)])
        for (table,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            if table == "watch":
                connection.execute("INSERT INTO watch SELECT length_s, start, watched_s FROM newest.watched")
            else:
                known = connection.execute("SELECT name FROM pragma_table_info(?, 'main')", [table]).fetchall()
                names = ", ".join(f'"{name}"' for (name,) in known)
                connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newest.{table}")
    made.schema = request.param
    return made


def figures(history, schema):
    """All that a history of some schema can say."""
    with history.reading() as connection:
        found = {
            "served": reading.served(connection),
            "profile": reading.profile_of(connection, KEY),
            "minutes": reading.traffic(connection, KEY, DAYS, 60),
            "hours": reading.traffic(connection, KEY, DAYS, HOUR_S),
            "data": reading.data(connection, KEY, PROFILE.profile_id, DAYS, HOUR_S),
            "latest": reading.latest_findings(connection, KEY),
            "standing": writing.standing_of(connection, KEY, PROFILE.profile_id),
            "readings": writing.readings(connection),
        }
        if schema >= ALERTED:
            found["alerts"] = alerts.alerts_of(connection), alerts.turns_of(connection), alerts.silences_of(connection)
            found["deliveries"] = alerts.deliveries_of(connection)
        if schema >= LABELLED:
            found["task"] = quality.kept_task(connection, KEY)
            found["labelled"] = list(quality.labelled_predictions(connection, KEY))
    return found


def test_an_older_history_says_the_same_once_it_is_brought_on(older, newest):
    with pytest.raises(MonitorStoreError, match=f"schema {older.schema}, written by an older podium"), older.reading():
        pass
    with older.writing():
        pass

    found, expected = (figures(each, older.schema) for each in (older, newest))
    assert found == expected
    assert sum(point.traffic.requests for point in found["hours"]) > 0
    assert sum(point.watched_s for point in found["hours"]) > 0
    assert sum(point.window.rows for point in found["data"]) > 0
    if older.schema >= LABELLED:
        reports = [
            monitor_report(KEY.model, home=Home(each.path.parent), clock=lambda: NOON + 60) for each in (older, newest)
        ]
        assert reports[0] == reports[1]


def test_an_older_history_is_counted_on_from_where_it_was(older):
    with older.writing() as connection:
        before = reading.traffic(connection, KEY, DAYS, HOUR_S)[-1].traffic
        writing.add_traffic(connection, KEY, NOON, TrafficCounts(requests=5))

    with older.reading() as connection:
        assert reading.traffic(connection, KEY, DAYS, HOUR_S)[-1].traffic.requests == before.requests + 5
