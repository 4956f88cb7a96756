"""Of servers that share a history one tells people, for all of them, and each thing once, whoever dies or is cut off."""

import math
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from alerting_world import GOOD, KEY, NOON, World
from receivers import channel, receiving
from wire import Wire

from podium.domain.monitoring.alerting.alerts import News
from podium.domain.monitoring.quality.baseline import Shortfall
from podium.domain.monitoring.quality.figures import Figure
from podium.domain.monitoring.staleness import Times
from podium.monitoring.judged_values import VersionValues
from podium.monitoring.sharing import HistorySharing, merged
from podium.monitoring.store.postgresql import PostgresqlHistory
from podium.monitoring.store.writing import VersionKey

BAD = replace(GOOD, environment={"critical": 1})
OTHER = VersionKey("churn", "1")
ENVIRONMENT = (News.FIRING, "environment")


class Sleeper(HistorySharing):
    """One that can be stopped once it has heard whether it leads."""

    then = None

    def turn(self, now, own):
        shared = super().turn(now, own)
        if self.then is not None:
            self.then()
        return shared


@pytest.fixture
def wire(address, tmp_path_factory):
    with closing(Wire(tmp_path_factory.mktemp("w"), address)) as made:
        yield made


@pytest.fixture
def server(address, tmp_path):
    """A monitor with a part in the history at an address; as many as are asked for, all by one clock that is theirs."""
    with ExitStack() as ends:

        def make(name, at=address, channels=(), has_channels=True):
            seconds = [0.0]
            store = ends.enter_context(closing(PostgresqlHistory(at, 29.0, clock=lambda: seconds[0])))
            part = Sleeper(store, name, has_channels, clock=lambda: seconds[0])
            made = World(tmp_path, channels=channels, store=store, sharing=part)
            made.seconds = seconds
            ends.callback(made.alerting.close, 60.0)
            return made

        yield make


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
        one, other = server("one", channels=(hook,)), server("other", channels=(hook,))

        run(6, one, other)
        box.next()

    assert (one.told, other.told) == ([ENVIRONMENT], [])
    assert fires(one) == fires(other) == ["environment"]
    assert box.sent.empty()


def test_one_that_dies_is_followed_by_another_that_tells_nothing_again(server):
    one, other = server("one"), server("other")
    run(6, one, other)

    run(2, other)
    assert other.told == []
    run(40, other, values=(GOOD,))
    run(1, one, values=(BAD,))

    assert one.told == [ENVIRONMENT]
    assert other.told == [(News.RESOLVED, "environment")]


def test_one_that_ends_leaves_the_rest_to_another_at_once(server):
    one, other = server("one"), server("other")
    run(1, one, other)
    one.alerting.close(60.0)

    run(6, other)

    assert other.told == [ENVIRONMENT]


def test_one_that_slept_through_its_lease_decides_nothing(server):
    """It was stopped between hearing that it leads and keeping what it decided."""
    one, other = server("one"), server("other")
    run(1, one, other, values=(GOOD,))
    one.sharing.then = lambda: run(8, other)
    run(1, one)
    one.sharing.then = None
    run(6, one, other)

    assert other.told == [ENVIRONMENT]
    assert not [each for each in one.told if each[0] is News.RESOLVED]
    with one.store.reading() as connection:
        count = connection.execute("SELECT count(*) FROM alert_events WHERE after = ?", ["firing"]).fetchone()
    assert count == (1,)


def test_versions_that_only_another_serves_are_judged_too(server):
    one, other = server("one"), server("other")
    for _ in range(6):
        run(1, one, values=(GOOD,))
        run(1, other, values=(VersionValues(OTHER, Times(trained_at=NOON), "p1", environment={"high": 2}),))

    assert one.told == [ENVIRONMENT]
    assert other.told == []
    assert [labels["model"] for labels, _ in other.shown("podium_alert_firing")] == ["churn"]


def test_what_a_server_said_that_is_gone_is_forgotten(server):
    """Until then all of it counts that can be told: JSON has no word for infinity."""
    one, other = server("one"), server("other")
    worse = Shortfall(Figure("rmse", 3.0, None, 100), 1.0, math.inf, "alert")
    run(3, one, values=(GOOD,))
    run(3, other, values=(replace(BAD, shortfalls=(("", worse),)),))

    run(40, one, values=(GOOD,))

    assert one.told == [ENVIRONMENT, (News.RESOLVED, "environment")]


def test_who_has_somebody_to_tell_takes_it_from_who_has_not(server):
    one, other = server("one", has_channels=False), server("other")
    run(1, one, values=(GOOD,))

    run(6, other, one)

    assert (one.told, other.told) == ([], [ENVIRONMENT])


def test_while_the_history_is_away_nothing_new_is_told_and_once_it_is_back_all_of_it(server, wire):
    with receiving() as box:
        one = server("one", at=wire.address, channels=(channel("webhook", url=box.url),))
        run(2, one, values=(GOOD,))
        wire.cut()
        run(6, one)
        assert (one.told, box.sent.qsize()) == ([], 0)
        wire.mend()

        run(6, one)
        box.next()

    assert one.told == [ENVIRONMENT]
    assert box.sent.empty()
    assert [line.split(":")[0] for line in one.log if "tells people" in line] == [
        "It is not known which server tells people of alerts, and this one does not"
    ]


def test_a_step_that_was_kept_while_nobody_heard_it_is_told_once(server, wire):
    """The network breaks after the database kept whom to tell and before it said so."""
    with receiving() as box:
        one = server("one", at=wire.address, channels=(channel("webhook", url=box.url),))
        run(3, one, values=(GOOD,))
        wire.cuts_commit_after = b"INSERT INTO deliveries"
        run(8, one)
        box.next()
        run(4, one)

    assert wire.cuts_commit_after is wire.cuts_after is None
    assert box.sent.empty()
    with one.store.reading() as connection:
        count = connection.execute("SELECT count(*) FROM alert_events WHERE after = ?", ["firing"]).fetchone()
    assert count == (1,)


def test_what_servers_say_of_one_version_is_put_together():
    one = VersionValues(
        KEY, Times(trained_at=1.0, newer="8", superseded_at=5.0), None, environment={"low": 1}, is_asked=False
    )
    other = VersionValues(KEY, Times(trained_at=2.0, deployed_at=3.0), "p1", environment={"low": 3, "high": 1})

    [both] = merged([one, other])

    assert both.times == Times(trained_at=1.0, deployed_at=3.0, newer="8", superseded_at=5.0)
    assert (both.profile_id, both.environment, both.is_asked) == ("p1", {"low": 3, "high": 1}, True)
