"""The monitor's database keeps exactly what was counted, and says plainly when it cannot."""

import contextlib
import os
import sqlite3
import stat
import subprocess
from contextlib import closing

import numpy as np
import pytest
from profile_world import counted, profile_of

from podium.domain.monitoring.findings import Check, Role, judge, watch
from podium.domain.monitoring.standing import StandingFinding
from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.errors import InvalidInput, MonitorStoreBusy, MonitorStoreError, NotFound
from podium.monitoring.store import reading, writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.postgresql import PostgresqlHistory
from podium.monitoring.store.writing import Counted, VersionKey
from podium.telemetry.metrics import CELLS, DURATION, REJECTED, REQUESTS, ROWS
from podium.telemetry.traffic import LATENCY_EDGES_S, TrafficCounts, traffic_of

KEY = VersionKey("fraud", "7")
NOON = 1_800_000_000 - 1_800_000_000 % DAY_S + DAY_S // 2
PROFILE = profile_of({"amount": np.arange(1000.0)}, value=np.arange(1000.0))


@pytest.fixture
def file(tmp_path):
    return MonitorStore(tmp_path / "monitor.db", busy_timeout_s=0.05)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """All that is said of a history is said of both."""
    if request.param == "sqlite":
        yield request.getfixturevalue("file")
        return
    history = PostgresqlHistory(request.getfixturevalue("address"), timeout_s=60.0, most=2)
    yield history
    history.close()


def amounts(rows):
    return counted(PROFILE, {"amount": np.arange(float(rows))}, {"value": np.zeros(rows)})


def test_nothing_is_there_before_the_first_write(database):
    with pytest.raises(NotFound, match="watched"), database.reading():
        pass


def test_reading_makes_no_file(file):
    with pytest.raises(NotFound), file.reading():
        pass

    assert not file.path.exists()


def test_the_file_is_private(file):
    with file.writing():
        pass

    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_what_was_not_finished_was_not_written(database):
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        writing.see_version(connection, KEY, "Production", None, NOON // 0)

    with pytest.raises(NotFound), database.reading():
        pass


def test_reading_leaves_nothing_beside_the_file(file):
    with file.writing() as connection:
        writing.see_version(connection, KEY, "Production", PROFILE, NOON)

    with file.reading() as connection:
        found = reading.served(connection)

    assert found == [reading.Served(KEY, "Production", PROFILE.profile_id, NOON, NOON)]
    assert os.listdir(file.path.parent) == [file.path.name]


def test_a_reader_sees_one_moment_while_somebody_writes(database):
    with database.writing() as connection:
        writing.see_version(connection, KEY, "Staging", None, NOON)
    with database.writing() as connection:
        writing.see_version(connection, KEY, "Production", None, NOON)

        with database.reading() as view:
            assert [each.stage for each in reading.served(view)] == ["Staging"]


def test_a_view_stays_what_it_was_when_somebody_writes_after_it_began(database):
    """Also what was not looked at yet."""
    with database.writing() as connection:
        writing.see_version(connection, KEY, "Staging", None, NOON)

    with database.reading() as view:
        with database.writing() as connection:
            writing.see_version(connection, KEY, "Production", None, NOON)
        seen = [each.stage for each in reading.served(view)]

    assert seen == ["Staging"]
    with database.reading() as view:
        assert [each.stage for each in reading.served(view)] == ["Production"]


def stages(file):
    with file.reading() as connection:
        return [each.stage for each in reading.served(connection)]


def test_a_file_where_nothing_can_be_written_is_read(tmp_path):
    """On a disk that is full, or mounted so, where one may be mounted: no file can be made beside it."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True, check=False
        ).returncode
        != 0
    ):
        pytest.skip("no file system can be mounted here")
    try:
        file = MonitorStore(place / "monitor.db")
        with file.writing() as connection:
            writing.see_version(connection, KEY, "Production", None, NOON)
        filler = place / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as full:
            while full.write(bytes(4096)):
                pass

        assert stages(file) == ["Production"]
        filler.unlink()
        assert os.listdir(place) == ["monitor.db"]
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        assert stages(file) == ["Production"]
        assert os.listdir(place) == ["monitor.db"]
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_locked_database_is_said_to_be_locked(file):
    with file.writing(), pytest.raises(MonitorStoreBusy, match=r"monitor\.db is locked"), file.writing():
        pass


def test_a_damaged_database_is_said_to_be_damaged(file):
    file.path.write_bytes(b"no database at all" * 100)

    with pytest.raises(MonitorStoreError, match="Move it away"), file.writing():
        pass
    with pytest.raises(MonitorStoreError, match="Move it away"), file.reading():
        pass


def test_a_newer_podiums_database_is_left_alone(file):
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(MonitorStoreError, match="newer podium"), file.writing():
        pass


def test_traffic_adds_up_in_minutes_and_in_hours(database):
    slow = tuple(int(place == len(LATENCY_EDGES_S)) for place in range(len(LATENCY_EDGES_S) + 1))
    with database.writing() as connection:
        writing.watch(connection, NOON + 30, NOON + 2 * HOUR_S)
        for minute in (NOON, NOON, NOON + 60, NOON + HOUR_S):
            writing.add_traffic(connection, KEY, minute, TrafficCounts(requests=3, server_errors=1, latency=slow))

    with database.reading() as connection:
        minutes = reading.traffic(connection, KEY, Span(NOON, NOON + 180), 60)
        hours = reading.traffic(connection, KEY, Span(NOON, NOON + 2 * HOUR_S), HOUR_S)

    assert [(each.traffic.requests, each.watched_s) for each in minutes] == [(6, 30), (3, 60), (0, 60)]
    assert [(each.traffic.requests, each.watched_s) for each in hours] == [(9, 3570), (3, 3600)]
    assert hours[0].traffic.latency[-1] == 3
    assert hours[0].traffic.cumulative == (*[0] * len(LATENCY_EDGES_S), 3)


def test_data_adds_up_in_five_minutes_and_in_hours(database):
    first, second = amounts(100), amounts(40)
    with database.writing() as connection:
        writing.add_window(connection, KEY, NOON, Counted(first, dropped=5))
        writing.add_window(connection, KEY, NOON, Counted(second, late_rows=40))
        writing.add_window(connection, KEY, NOON + 3300, Counted(first))

    with database.reading() as connection:
        slots = reading.data(connection, KEY, PROFILE.profile_id, Span(NOON, NOON + 600), 300)
        (hour,) = reading.data(connection, KEY, PROFILE.profile_id, Span(NOON, NOON + HOUR_S))

    assert [(each.window.rows, each.window.late_rows, each.dropped) for each in slots] == [(140, 40, 5), (0, 0, 0)]
    assert hour.window.counts == first + second + first
    assert hour.column(Role.FEATURE, "amount").rows == 240
    assert hour.column(Role.PREDICTION, "value").rows == 240


@pytest.mark.parametrize(
    ("span", "step_s"), [(Span(NOON, NOON + 90), 90), (Span(NOON + 1, NOON + 61), 60), (Span(0, 60), 0)]
)
def test_only_whole_stretches_can_be_read(file, span, step_s):
    with file.writing():
        pass

    with file.reading() as connection, pytest.raises(InvalidInput, match="whole ones"):
        reading.traffic(connection, KEY, span, step_s)


def test_findings_are_kept_for_each_hour_and_the_last_window_is_the_latest(database):
    shifted = counted(PROFILE, {"amount": np.arange(1000.0) + 700}, {"value": np.arange(1000.0)})
    with database.writing() as connection:
        for end in (NOON, NOON + 300, NOON + HOUR_S):
            findings = judge(watch(PROFILE, shifted), Span(end - HOUR_S, end))
            held = {(each.role, each.name, each.check): StandingFinding(is_alert=end > NOON) for each in findings}
            writing.put_findings(connection, KEY, PROFILE.profile_id, findings, held)

    with database.reading() as connection:
        latest = reading.latest_findings(connection, KEY)
        day = Span(NOON - HOUR_S, NOON + DAY_S)
        history = reading.findings_between(connection, KEY, Role.FEATURE, "amount", Check.DRIFT, day)
        standing = writing.standing_of(connection, KEY, PROFILE.profile_id)

    assert {each.finding for each in latest} == set(findings)
    assert [(each.finding.span.end, each.is_standing) for each in history] == [(NOON + 300, True), (NOON + HOUR_S, True)]
    assert standing == held


def test_a_profile_is_read_as_it_was_seen(database):
    with database.writing() as connection:
        writing.see_version(connection, KEY, "Production", PROFILE, NOON)
        writing.see_version(connection, KEY, "Archived", None, NOON + 60)

    with database.reading() as connection:
        assert reading.profile_of(connection, KEY) == PROFILE
        assert reading.profile_of(connection, KEY, "sha256:other") is None
        assert reading.served(connection) == [reading.Served(KEY, "Archived", PROFILE.profile_id, NOON, NOON + 60)]


def test_what_is_too_old_is_given_up(database):
    with database.writing() as connection:
        writing.see_version(connection, KEY, "Production", PROFILE, NOON - 91 * DAY_S)
        for days in (0, 3, 8, 91):
            at = NOON - days * DAY_S
            writing.watch(connection, at, at + 60)
            writing.add_traffic(connection, KEY, at, TrafficCounts(requests=1))
            writing.add_window(connection, KEY, at, Counted(amounts(1)))
            findings = judge(watch(PROFILE, amounts(600)), Span(at - HOUR_S, at))
            held = {(each.role, each.name, each.check): StandingFinding() for each in findings}
            writing.put_findings(connection, KEY, PROFILE.profile_id, findings, held)

        writing.forget(connection, NOON, 90 * DAY_S)

    with database.reading() as connection:
        kept = {
            table: connection.execute(f"SELECT length_s, count(*) FROM {table} GROUP BY 1 ORDER BY 1").fetchall()
            for table in ("traffic", "watched", "windows")
        }
        hours = connection.execute("SELECT DISTINCT hour FROM findings ORDER BY 1").fetchall()
    assert kept == {"traffic": [(60, 2), (3600, 3)], "watched": [(60, 2), (3600, 3)], "windows": [(300, 1), (3600, 3)]}
    assert hours == [(NOON - days * DAY_S,) for days in (8, 3, 0)]
    with database.reading() as connection:
        assert reading.served(connection) == []
        assert reading.profile_of(connection, KEY, PROFILE.profile_id) is None


def test_traffic_is_what_the_counters_say():
    cells = [0] * CELLS
    for code, count in (("200", 5), ("404", 2), ("503", 1)):
        cells[REQUESTS.cell(code)] = count
    cells[REJECTED.cell("queue_full")] = 1
    cells[ROWS.offset] = 12
    cells[DURATION.bucket(150)] = 8
    cells[DURATION.sum] = 1200

    traffic = traffic_of(cells)

    assert (traffic.requests, traffic.client_errors, traffic.server_errors, traffic.rejected) == (8, 2, 1, 1)
    assert (traffic.rows, traffic.duration_us, sum(traffic.latency), traffic.cumulative[:2]) == (12, 1200, 8, (0, 8))
    assert TrafficCounts.from_cells(traffic.cells) == traffic
