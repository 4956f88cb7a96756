"""The socket between gateways and the exporter: whole messages, nobody waits, what is lost is counted."""

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from podium.telemetry.backlog import Backlog, open_channel
from podium.telemetry.seen import Seen, ToldMetrics, receive, seen_backlog, tell


def seen(number: int, size: int = 0) -> Seen:
    return Seen(
        1.5, 10, f"r{number}", "POST", "/invocations", 200, "iris", "1", "", "", 1, 1, 1, 2, 3, "application/json",
        "application/json", size, 2, b"x" * size, b"{}", is_kept=True,
    )  # fmt: skip


def drained(backlog: Backlog[Seen], reading: socket.socket) -> list[Seen]:
    """All that is there, and all that follows once there is room."""
    found: list[Seen] = []
    while True:
        backlog.flush()
        if not (more := read(reading)):
            return found
        found += more


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    writing, reading = open_channel()
    reading.settimeout(0)
    yield writing, reading
    writing.close()
    reading.close()


def read(reading: socket.socket) -> list[Seen]:
    """All that is there."""
    found: list[Seen] = []
    try:
        while isinstance(some := receive(reading), list):
            found.extend(some)
    except BlockingIOError:
        pass
    return found


def test_records_arrive_as_they_were_and_in_order(channel: tuple[socket.socket, socket.socket]) -> None:
    backlog = seen_backlog(channel[0], lambda _: None)
    sent = [seen(number, 100 * number) for number in range(200)]

    for each in sent:
        backlog.add(each)

    assert sent == drained(backlog, channel[1])


def test_a_body_beyond_the_socket_s_size_arrives_too(channel: tuple[socket.socket, socket.socket]) -> None:
    backlog = seen_backlog(channel[0], lambda _: None)

    backlog.add(seen(1, 3 << 20))
    backlog.flush()

    assert [seen(1, 3 << 20)] == read(channel[1])


def records_open() -> list[str]:
    """Large messages that this process has open; of others' descriptors some may end meanwhile."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{each}"))
    return [name for name in found if "podium-records" in name]


def test_no_descriptor_is_left_of_large_ones(channel: tuple[socket.socket, socket.socket]) -> None:
    backlog = seen_backlog(channel[0], lambda _: None)
    for number in range(20):
        backlog.add(seen(number, 1 << 20))
        backlog.flush()
        read(channel[1])

    assert records_open() == []


def test_where_nobody_reads_the_newest_are_kept_and_the_rest_is_counted(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    dropped: list[int] = []
    backlog = seen_backlog(channel[0], dropped.append)
    for number in range(100):
        backlog.add(seen(number, 1 << 20))
        backlog.flush()

    arrived = drained(backlog, channel[1])

    assert len(arrived) + sum(dropped) == 100
    assert (sum(dropped) > 20, arrived[-1].request_id) == (True, "r99")


def test_a_reader_that_comes_later_reads_on(channel: tuple[socket.socket, socket.socket]) -> None:
    """The exporter is another process, which dies and is started again: the supervisor holds both ends meanwhile."""
    backlog = seen_backlog(channel[0], lambda _: None)
    first = channel[1].dup()
    backlog.add(seen(1))
    backlog.flush()
    first.close()

    again = channel[1].dup()
    backlog.add(seen(2))
    backlog.flush()
    found = read(again)
    again.close()

    assert [each.request_id for each in found] == ["r1", "r2"]


def test_it_ends_once_nobody_can_write(channel: tuple[socket.socket, socket.socket]) -> None:
    backlog = seen_backlog(channel[0], lambda _: None)
    backlog.add(seen(1))
    backlog.close()
    channel[0].close()

    assert [seen(1)] == receive(channel[1])
    assert receive(channel[1]) is None


def test_what_the_supervisor_tells_arrives_between_records(channel: tuple[socket.socket, socket.socket]) -> None:
    backlog = seen_backlog(channel[0], lambda _: None)
    told = ToldMetrics(1.5, [{"model": "iris"}] * 5000, [{"name": "podium_traffic_share", "value": 0.5, "labels": {}}])
    backlog.add(seen(1))
    backlog.flush()

    assert tell(channel[0], told)

    assert [receive(channel[1]), receive(channel[1])] == [[seen(1)], told]


def test_telling_waits_for_nobody(channel: tuple[socket.socket, socket.socket]) -> None:
    told = ToldMetrics(1.5, [], [])
    while tell(channel[0], told):
        pass

    assert not tell(channel[0], told)
