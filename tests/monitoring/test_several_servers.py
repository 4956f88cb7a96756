"""Several servers write one history: what they counted adds up to the unit, whatever becomes of whom and of the network."""

from contextlib import ExitStack, closing

import pytest
from counting_world import NOON, World
from wire import Wire

from podium.monitoring.store.postgresql import PostgresqlHistory


@pytest.fixture
def wire(address, tmp_path_factory):
    with closing(Wire(tmp_path_factory.mktemp("w"), address)) as made:
        yield made


@pytest.fixture
def server(tmp_path):
    """A server with a history at an address; as many as are asked for."""
    with ExitStack() as ends:

        def make(name, address, **more):
            (tmp_path / name).mkdir()
            store = ends.enter_context(closing(PostgresqlHistory(address, 40.0, **more)))
            return ends.enter_context(closing(World(tmp_path / name, store)))

        yield make


def rows(world):
    (point,) = world.data()
    return 0 if point.window.counts is None else point.window.counts.rows


def test_what_two_servers_count_adds_up_through_their_restarts(address, server):
    one, other = server("one", address), server("other", address)
    workers = [one.worker(), other.worker()]
    for turn in range(4):
        for world, worker in zip((one, other), workers, strict=True):
            world.request(5)
            worker.answer(20)
            world.turn()
        # The hourly renewal of what one has read must not undo what the other has.
        (one, other)[turn % 2].begin()

    for world in (one, other):
        world.turn(3700.0)
        world.turn()

    assert sum(one.requests().values()) == 40
    assert rows(one) == 160


def test_of_several_servers_each_ones_gap_is_seen(address, server):
    one, other = server("one", address), server("other", address)
    for world in (one, other):
        world.turn()
        world.turn(60.0)
    one.turn(120.0)
    # The other's monitor is gone for two minutes, and nobody else's look makes up for it.
    other.begin()
    other.now += 120.0
    other.turn(0.0)
    for world in (one, other):
        world.turn(60.0)

    (point,) = one.data(NOON, NOON + 300)

    assert one.now == other.now == NOON + 250
    assert point.window.watched_s == 60 + 60


def test_what_a_database_took_while_nobody_heard_it_is_not_written_again(server, wire):
    """The network breaks after the database kept a transaction and before it said so."""
    world = server("one", wire.address, clock=iter(range(0, 10**6, 100)).__next__)
    worker = world.worker()
    for _ in range(3):
        world.request(5)
        worker.answer(20)
        wire.cuts_after = b"COMMIT"
        world.turn()
        assert wire.cuts_after is None
        world.request(1)
        worker.answer(10)
        world.turn()

    assert sum(world.requests().values()) == 18
    assert rows(world) == 90


def test_what_is_counted_while_a_database_is_away_is_written_when_it_is_back(server, wire, caplog):
    now = [0.0]
    world = server("one", wire.address, clock=lambda: now[0])
    worker = world.worker()
    world.turn()
    wire.cut()
    for _ in range(5):
        world.request(2)
        worker.answer(10)
        world.turn()
    wire.mend()
    now[0] += 60.0

    world.turn()

    assert sum(world.requests().values()) == 10
    assert rows(world) == 50
    said = [record.getMessage() for record in caplog.records]
    assert [("no connection" in each, "can be written again" in each) for each in said] == [(True, False), (True, True)]
