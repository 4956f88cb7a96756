"""A history that servers share in PostgreSQL: one writes at a time, and what becomes of the database is said plainly."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from wire import Wire

from podium.domain.monitoring.windows import Span
from podium.errors import Misconfigured, MonitorStoreBusy, MonitorStoreDown, MonitorStoreError
from podium.monitoring.store import reading, writing
from podium.monitoring.store.postgresql import PostgresqlHistory
from podium.monitoring.store.writing import VersionKey
from podium.telemetry.traffic import TrafficCounts

KEY = VersionKey("fraud", "7")
MINUTE = 1_800_000_000
SECRET = "open-sesame"


@pytest.fixture
def histories(address):
    """As many as somebody asks for: each as of a server of its own."""
    made = []

    def make(timeout_s=60.0, user="ann", at=address, **more):
        made.append(PostgresqlHistory(at.replace("user=ann", f"user={user}"), timeout_s, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def wire(address, tmp_path_factory):
    with closing(Wire(tmp_path_factory.mktemp("w"), address)) as made:
        yield made


def add(history, requests=1, before=lambda: None, then=lambda: None):
    with history.writing() as connection:
        before()
        writing.add_traffic(connection, KEY, MINUTE, TrafficCounts(requests=requests))
        then()


def total(history):
    with history.reading() as connection:
        return sum(each.traffic.requests for each in reading.traffic(connection, KEY, Span(MINUTE, MINUTE + 60), 60))


def sql(address, *statements):
    import psycopg2

    with closing(psycopg2.connect(address)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for each in statements:
                cursor.execute(each)


@pytest.mark.parametrize(
    "address",
    [
        "mysql://ann@host/db",
        f"postgresql://ann:{SECRET}/x@host/db",
        f"postgresql://ann:{SECRET}@x@host/db",
        f"postgresql://ann@host/db?pasword={SECRET}",
        "podium.db",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_secret(address):
    with pytest.raises(Misconfigured) as caught:
        PostgresqlHistory(address)

    assert SECRET not in str(caught.value)


def test_a_password_is_in_no_message():
    history = PostgresqlHistory(f"postgresql+psycopg2://ann:{SECRET}@127.0.0.1:1/db")

    with pytest.raises(MonitorStoreDown, match="no connection to postgresql") as caught, history.reading():
        pass

    assert SECRET not in str(caught.value)
    assert SECRET not in history.place


def test_servers_that_begin_at_once_make_the_tables_once_and_all_add_up(histories):
    each = [histories() for _ in range(6)]
    together = threading.Barrier(6)

    def write(history):
        together.wait()
        for _ in range(4):
            add(history)

    with ThreadPoolExecutor(6) as servers:
        list(servers.map(write, each))

    assert total(each[0]) == 24


def test_threads_of_one_server_take_turns_with_its_one_connection(histories, address):
    # By a name of its own: a connection that another test closed may still be ending.
    history = histories(at=f"{address}&application_name=turns")
    add(history)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: add(history), range(12)))

    assert total(history) == 13
    with history.reading() as connection:
        told = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = ?", ["turns"])
        assert told.fetchone() == (1,)


def test_who_waits_too_long_for_another_writer_is_told_so(histories):
    first, second = histories(), histories(6.0)
    add(second)
    with first.writing(), pytest.raises(MonitorStoreBusy, match="others are writing"), second.writing():
        pass

    add(second)


def test_who_may_only_read_reads(histories, address):
    add(histories(), 3)
    reader = histories(user="bob")
    with pytest.raises(MonitorStoreError, match="may not: permission denied"):
        total(reader)

    sql(
        address, "GRANT USAGE ON SCHEMA podium_monitor TO bob", "GRANT SELECT ON ALL TABLES IN SCHEMA podium_monitor TO bob"
    )

    assert total(reader) == 3
    with pytest.raises(MonitorStoreError, match="may not: permission denied"):
        add(reader)


def test_a_newer_podiums_history_is_left_alone_and_an_older_one_is_brought_on(histories, address):
    history = histories()
    add(history)
    sql(address, "UPDATE podium_monitor.schema_version SET version = 99")

    with pytest.raises(MonitorStoreError, match="newer podium"):
        add(history)

    sql(address, "UPDATE podium_monitor.schema_version SET version = 1")
    with pytest.raises(MonitorStoreError, match="older podium"):
        total(history)


def test_a_connection_that_the_server_ended_is_made_anew(histories, address):
    history = histories()
    add(history)

    sql(address, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'podium monitor'")

    add(history)
    assert total(history) == 2


def test_a_database_that_is_away_is_not_asked_again_and_again(histories, wire):
    now = [0.0]
    history = histories(at=wire.address, clock=lambda: now[0])
    add(history)
    wire.cut()

    for _ in range(5):
        with pytest.raises(MonitorStoreDown, match="no connection"):
            add(history)
    asked = wire.accepted
    wire.mend()
    with pytest.raises(MonitorStoreDown):
        add(history)
    now[0] += 61.0
    add(history)

    assert asked == 2
    assert total(history) == 2


def test_a_database_that_falls_silent_holds_nobody_up_for_ever(histories, wire):
    add(histories())
    history = histories(2.0, at=wire.address)

    with pytest.raises(MonitorStoreDown, match="did not answer in time"):
        add(history, before=wire.silence)
    wire.silence()
    with pytest.raises(MonitorStoreDown, match="did not answer in time"):
        add(history)


def test_what_a_client_that_died_had_begun_is_undone(histories, wire):
    """The server hears that the connection is gone, and gives up the lock with it."""
    first, second = histories(at=wire.address), histories()
    add(first)
    with pytest.raises(MonitorStoreDown):
        add(first, 5, then=wire.cut)

    add(second)

    assert total(second) == 2
