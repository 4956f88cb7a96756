"""Of servers whose history is one file one tells people, each thing once, also while the file cannot be written."""

import sqlite3
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from alerting_world import GOOD, World
from receivers import channel, receiving

from podium.domain.monitoring.alerting.alerts import News
from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role
from podium.domain.monitoring.windows import Span
from podium.monitoring.sharing import HistorySharing
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import VersionKey

BAD = replace(GOOD, environment={"critical": 1})
ENVIRONMENT = (News.FIRING, "environment")


@pytest.fixture
def server(tmp_path):
    """A monitor with a part in the file; as many as are asked for, each with a watch of its own."""
    with ExitStack() as ends:

        def make(name, channels=(), busy_timeout_s=0.02):
            seconds = [0.0]
            store = MonitorStore(tmp_path / "monitor.db", busy_timeout_s)
            part = HistorySharing(store, name, has_channels=True, clock=lambda: seconds[0])
            made = World(tmp_path, channels=channels, store=store, sharing=part)
            made.seconds = seconds
            ends.callback(made.alerting.close, 60.0)
            return made

        yield make


@pytest.fixture
def locked(tmp_path):
    """Locks the file, and lets go of it."""
    with closing(sqlite3.connect(tmp_path / "monitor.db", isolation_level=None)) as other:
        yield lambda is_locked: other.execute("BEGIN IMMEDIATE" if is_locked else "ROLLBACK")


def run(steps, *servers, values=(BAD,)):
    """So many half minutes, in each of which each of the servers looks once."""
    for _ in range(steps):
        for each in servers:
            each.now += 30
            each.seconds[0] += 30.0
            each.gauges = each.alerting.step(each.now, values)


def fires(world):
    return [labels["rule"] for labels, _ in world.shown("podium_alert_firing")]


def test_one_of_two_tells_and_both_show_it(server):
    with receiving() as box:
        hook = channel("webhook", url=box.url)
        # What a channel notes meanwhile is waited for.
        one, other = (server(name, (hook,), busy_timeout_s=60.0) for name in ("one", "other"))

        run(6, one, other)
        box.next()

    assert (one.told, other.told) == ([ENVIRONMENT], [])
    assert fires(one) == fires(other) == ["environment"]
    assert box.sent.empty()
    assert [line for line in other.log if "Another server" in line]


def test_one_that_dies_is_followed_by_another_that_tells_nothing_again(server):
    one, other = server("one"), server("other")
    run(6, one, other)

    run(40, other, values=(GOOD,))

    assert one.told == [ENVIRONMENT]
    assert other.told == [(News.RESOLVED, "environment")]


def test_while_the_file_is_locked_the_one_goes_on_and_the_other_waits_and_nothing_is_told_twice(server, locked):
    one, other = server("one"), server("other")
    run(2, one, other, values=(GOOD,))
    locked(is_locked=True)
    run(10, one, other)
    assert (one.told, other.told) == ([ENVIRONMENT], [])
    locked(is_locked=False)

    run(6, other, one)

    assert (one.told, other.told) == ([ENVIRONMENT], [])
    assert fires(other) == ["environment"]


def test_versions_of_another_server_stay_what_they_were_while_the_file_is_locked(server, locked):
    one, other = server("one"), server("other")
    elsewhere = replace(BAD, key=VersionKey("churn", "1"))
    run(1, one, values=(GOOD,))
    run(3, other, values=(elsewhere,))
    run(3, one, values=(GOOD,))
    assert one.told == [ENVIRONMENT]
    locked(is_locked=True)
    run(10, one, values=(GOOD,))
    locked(is_locked=False)

    assert one.told == [ENVIRONMENT]


def test_a_server_that_begins_while_the_file_is_locked_waits_for_those_that_may_be_there(server, locked):
    one = server("one")
    run(2, one, values=(GOOD,))
    locked(is_locked=True)
    other = server("other")
    run(2, other)
    assert other.told == []

    run(20, other)

    # Nobody can say by then that anybody else is there: better told twice than never.
    assert other.told == [ENVIRONMENT]
    locked(is_locked=False)


def test_what_an_own_version_showed_hours_ago_is_not_taken_for_what_it_shows(server):
    """Its window is empty now, and no other server would have counted into another one."""
    one = server("one")
    span = Span(int(one.now) - 7200, int(one.now) - 3600)
    finding = ColumnFinding(
        "0", Role.FEATURE, Check.MISSING, span, "share", 0.9, 0.05, 0.2, 1000, 1000, ColumnVerdict.ALERT
    )
    with one.store.writing() as connection:
        standing = {(finding.role, finding.name, finding.check): writing.StandingFinding(True, span.start)}
        writing.put_findings(connection, GOOD.key, "p1", [finding], standing)

    assert list(one.sharing.turn(one.now, [GOOD]).values[0].findings) == []
