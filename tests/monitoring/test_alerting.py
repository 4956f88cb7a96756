"""From counted traffic and findings to people who hear of it: each fault once, named right, and its end."""

import json
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from alerting_world import GOOD, NOON, WAIT_S, World, answered
from receivers import channel, receiving

from podium.domain.monitoring.alerting.alerts import AlertState, News
from podium.domain.monitoring.alerting.deliveries import DeliveryResult
from podium.domain.monitoring.alerting.silences import Silence, parse_matchers
from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role
from podium.domain.monitoring.staleness import Times
from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.monitoring.judged_values import VersionValues
from podium.monitoring.store import alerts as kept
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.reading import StoredFinding
from podium.monitoring.store.writing import VersionKey
from podium.settings.alerts import alert_settings


@pytest.fixture
def folder(tmp_path):
    """In memory where that is possible: hundreds of transactions wait for a disk."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


@pytest.fixture
def world(folder):
    made = []

    def make(**terms):
        made.append(World(folder, **terms))
        return made[-1]

    yield make
    for each in made:
        each.alerting.close(WAIT_S)


def settings(text):
    return alert_settings({"alerts": json.loads(text)}, {}, "podium.toml")


def test_an_outage_is_told_once_by_the_first_that_sees_it_and_its_end_once(world):
    """Half of the answers fail for some minutes, after hours of good traffic."""
    monitor = world()
    monitor.past(8, answered(50))
    monitor.run(2, answered(50))
    quiet = list(monitor.told)
    monitor.run(8, answered(50, errors=25))
    during = list(monitor.told)
    monitor.run(20, answered(50))

    assert quiet == []
    assert during == [(News.FIRING, "error-budget-fast")]
    assert monitor.told == [(News.FIRING, "error-budget-fast"), (News.RESOLVED, "error-budget-fast")]


def test_a_slow_model_burns_its_own_budget(world):
    """Where there is an objective for it."""
    monitor = world(settings=settings('{"objectives": {"latency": 0.99, "latency_threshold": "250ms"}}'))
    monitor.past(8, answered(50))
    monitor.run(20, answered(50, slow=25))

    assert monitor.told == [(News.FIRING, "latency-budget-fast")]


def test_a_server_that_turns_requests_away_is_told_of(world):
    """After five minutes."""
    monitor = world()
    monitor.run(2, answered(50))
    monitor.run(7, answered(50, rejected=10))
    monitor.run(18, answered(50))

    assert monitor.told == [(News.FIRING, "requests-rejected"), (News.RESOLVED, "requests-rejected")]


def finding(name, check=Check.DRIFT, score=0.4, role=Role.FEATURE, is_standing=True):
    found = ColumnFinding(
        name, role, check, Span(NOON, NOON + HOUR_S), "psi_j", score, 0.1, 0.2, 900, 9000, ColumnVerdict.ALERT
    )
    return StoredFinding(found, is_standing)


def values(*findings, **changes):
    terms = {name: getattr(GOOD, name) for name in GOOD.__slots__}
    return VersionValues(**{**terms, "findings": findings, **changes})


def test_what_stands_is_told_with_the_columns_name(world):
    """A drifting column, a new category and a dead upstream: each its own rule."""
    monitor = world()
    quiet = [finding(f"c{number}", is_standing=False, score=0.01) for number in range(8)]
    standing = [finding("amount"), finding("country", Check.UNSEEN), finding("age", Check.MISSING)]
    monitor.run(3, answered(50), values(*quiet, *standing))
    firing = {(each["rule"], each["column"]) for each, _ in monitor.shown("podium_alert_firing")}
    monitor.run(12, answered(50), values(*quiet))

    assert firing == {("drift-column", "amount"), ("column-unseen", "country"), ("column-missing", "age")}
    assert sorted(monitor.told) == sorted(
        (news, rule)
        for news in (News.FIRING, News.RESOLVED)
        for rule in ("drift-column", "column-unseen", "column-missing")
    )


def test_drift_of_half_the_columns_is_one_page(world):
    """And nothing is told of the columns."""
    monitor = world()
    monitor.run(3, answered(50), values(*[finding(f"c{number}", is_standing=number < 3) for number in range(4)]))

    assert monitor.told == [(News.FIRING, "drift-many")]
    assert monitor.shown("podium_alerts_firing") == [({"severity": "page"}, 1), ({"severity": "ticket"}, 3)]


def test_a_stale_environment_a_missing_profile_and_old_clocks_are_told(world):
    """And how old what is stands in the gauges."""
    monitor = world(settings=settings('{"rules": {"no-profile": {"for": 0}}}'))
    old = Times(trained_at=NOON - 91 * DAY_S, deployed_at=NOON, superseded_at=NOON - 8 * DAY_S, newer="8")
    monitor.run(3, answered(50), values(times=old, profile_id=None, environment={"high": 1}))
    limits = {labels["clock"]: value for labels, value in monitor.shown("podium_clock_limit_seconds")}
    started = {labels["clock"]: value for labels, value in monitor.shown("podium_clock_started_timestamp_seconds")}

    assert {rule for _, rule in monitor.told} == {"environment", "model-old", "superseded", "no-profile"}
    assert limits["model"] == 90 * DAY_S
    assert started["model"] == NOON - 91 * DAY_S
    assert started["traffic"] == monitor.now


def test_nobody_asks_any_more(world):
    """The clock of traffic reads the counters."""
    monitor = world(settings=settings('{"clocks": {"traffic": {"warn": "2m", "alert": "5m"}}}'))
    monitor.run(10, answered(1))
    asked = list(monitor.told)
    monitor.run(7)

    assert asked == []
    assert monitor.told == [(News.FIRING, "no-traffic")]


def test_a_restart_tells_nothing_twice_and_forgets_nothing(world):
    """Killed after each step, it ends with what a monitor that lived on has told."""
    monitor = world()
    monitor.past(8, answered(50))
    for _ in range(6):
        monitor.restart()
        monitor.run(1, answered(50, errors=40))
    for _ in range(18):
        monitor.restart()
        monitor.run(1, answered(50))

    assert monitor.told == [(News.FIRING, "error-budget-fast"), (News.RESOLVED, "error-budget-fast")]


def test_what_is_told_reaches_a_receiver_and_is_noted(world):
    """Once, with its history beside it."""
    with receiving() as box:
        monitor = world(channels=(channel("webhook", url=box.url),))
        monitor.run(2, answered(50), values(environment={"critical": 1}))
        body = json.loads(box.next()[2])
        monitor.restart()
        monitor.run(2, answered(50), values(environment={"critical": 1}))
        monitor.alerting.close(WAIT_S)

    with monitor.store.reading() as connection:
        (delivery,) = kept.deliveries_of(connection)
        turns = kept.turns_of(connection, "fraud")
        alerts = kept.alerts_of(connection, "fraud")
    assert [each["rule"] for each in body["alerts"]] == ["environment"]
    assert (delivery.result, delivery.tries, delivery.channel) == (DeliveryResult.SENT, 1, "oncall")
    assert [(each.after, each.alert.rule) for each in turns] == [(AlertState.FIRING, "environment")]
    assert [(each.rule, each.told) for each in alerts] == [("environment", News.FIRING)]
    assert box.sent.empty()


def test_what_was_decided_and_not_told_when_it_died_is_told_when_it_is_back(world):
    """By what the database has of it."""
    with receiving() as box:
        monitor = world(channels=(channel("webhook", url=box.url),))
        monitor.notifier.resume = lambda deliveries: None
        monitor.run(2, answered(50), values(environment={"critical": 1}))
        monitor.restart()

        assert [each["rule"] for each in json.loads(box.next()[2])["alerts"]] == ["environment"]


def test_nobody_is_told_of_what_is_silenced_until_the_silence_ends(world):
    """A command writes it; the next step knows it."""
    monitor = world()
    silence = Silence("1", parse_matchers(["model=fraud"]), "ana", "known", NOON, NOON + DAY_S)
    with monitor.store.writing() as connection:
        kept.put_silence(connection, silence)
    monitor.run(3, answered(50), values(environment={"critical": 1}))
    silent = list(monitor.told)
    with monitor.store.writing() as connection:
        assert kept.silences_of(connection, monitor.now) == [silence]
        assert kept.end_silence(connection, "1", monitor.now)
        assert not kept.end_silence(connection, "1", monitor.now + 1)
    monitor.run(2, answered(50), values(environment={"critical": 1}))

    assert silent == []
    assert monitor.told == [(News.FIRING, "environment")]


def test_a_locked_database_keeps_nobody_from_being_told_and_is_caught_up_with(world):
    """Each step is in memory; the history has it in the end, once."""
    monitor = world(busy_timeout_s=0.05)
    monitor.run(2, answered(50))
    with closing(sqlite3.connect(monitor.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monitor.run(2, None, values(environment={"critical": 1}), is_counted=False)
        other.execute("ROLLBACK")
    locked = list(monitor.told)
    monitor.run(1, answered(50), values(environment={"critical": 1}))
    with monitor.store.reading() as connection:
        turns = [(each.after, each.alert.rule) for each in kept.turns_of(connection)]
        book = kept.book_of(connection)

    assert locked == monitor.told == [(News.FIRING, "environment")]
    assert turns == [(AlertState.FIRING, "environment")]
    assert book == monitor.alerting.book
    assert len([line for line in monitor.log if "locked" in line]) == 1


def test_a_full_disk_keeps_nobody_from_being_told(world):
    """The fault is said once; what was told is not told again when there is room."""
    monitor = world()
    monitor.run(1, answered(50))
    with closing(sqlite3.connect(monitor.store.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.chmod(monitor.store.path, 0o600)
    monitor.store.path.rename(monitor.store.path.with_suffix(".away"))
    monitor.store.path.mkdir()
    monitor.run(3, None, values(environment={"critical": 1}), is_counted=False)
    monitor.store.path.rmdir()
    monitor.store.path.with_suffix(".away").rename(monitor.store.path)
    monitor.run(3, answered(50), values(environment={"critical": 1}))
    monitor.restart()
    monitor.run(2, answered(50), values(environment={"critical": 1}))

    assert monitor.told == [(News.FIRING, "environment")]
    assert len([line for line in monitor.log if "not kept" in line]) == 1


def test_a_damaged_database_is_begun_anew(world, folder):
    """It is said, and people are told on."""
    (folder / "monitor.db").write_bytes(b"no database" * 1000)
    monitor = world()
    monitor.run(3, None, values(environment={"critical": 1}), is_counted=False)

    assert monitor.told == [(News.FIRING, "environment")]
    assert "begun anew" in monitor.log[0]


def test_a_monitor_that_was_away_takes_no_gap_for_good_traffic(world):
    """What was not watched is not known: a budget that burned goes on burning until it is seen that it does not."""
    monitor = world()
    monitor.past(8, answered(50))
    monitor.run(6, answered(50, errors=40))
    monitor.now += 20 * 60
    monitor.run(1, answered(50, errors=40))

    assert monitor.told == [(News.FIRING, "error-budget-fast")]


def test_old_history_is_given_up(world):
    """What waits is not, whatever its age."""
    monitor = world()
    monitor.run(2, answered(50), values(environment={"critical": 1}))
    with monitor.store.writing() as connection:
        kept.forget_alerts(connection, monitor.now + 10 * DAY_S, 9 * DAY_S)

        assert kept.turns_of(connection) == []
        assert len(kept.alerts_of(connection)) == 1


def test_three_days_of_many_models_are_read_bit_by_bit(tmp_path):
    """The lines of what was read in two looks are those of what was read in one."""
    from podium.domain.monitoring.objectives import Slo
    from podium.monitoring.traffic_lines import TrafficLines

    store = MonitorStore(tmp_path / "monitor.db")
    begin = NOON - 30 * HOUR_S
    with store.writing() as connection:
        writing.watch(connection, begin, NOON + HOUR_S // 2)
        for minute in range(begin, NOON + HOUR_S // 2, 600):
            for version in ("7", "8"):
                writing.add_traffic(
                    connection, VersionKey("fraud", version), minute, answered(10, errors=minute // 600 % 2)
                )
    bits, whole = TrafficLines(), TrafficLines()
    with store.reading() as connection:
        for now in (NOON - 90, NOON, NOON + 30, NOON + 65, NOON + 1790, NOON + HOUR_S // 2):
            bits.read(connection, now)
        whole.read(connection, NOON + HOUR_S // 2)
    now = NOON + HOUR_S // 2

    assert bits.line("fraud", Slo(), now) == whole.line("fraud", Slo(), now)
    assert whole.line("fraud", Slo(), now).within(now - HOUR_S, now).total == pytest.approx(120)
    assert whole.line("fraud", Slo(), now).within(now - 24 * HOUR_S, now).bad == pytest.approx(144, abs=2)
    assert bits.requested_at == whole.requested_at
