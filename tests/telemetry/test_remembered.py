"""Answers and labels on their way to the monitor: whole, in order, and labels even where answers filled up their part."""

import socket
from collections.abc import Iterator

import pytest

from podium.telemetry.backlog import open_channel, receive_message
from podium.telemetry.remembered import BUFFER_BYTES, Labelled, Remembered, answers_backlog, hand_on, records_in


def answer(number: int, size: int = 10) -> Remembered:
    return Remembered(1.5, f"r{number}", "iris", "1", "", "/invocations", "application/json", b"x" * size)


def label(number: int, text: str = "1") -> Labelled:
    return Labelled(2.5, f"r{number}", "iris", None, text)


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    writing, reading = open_channel(BUFFER_BYTES)
    reading.setblocking(False)
    yield writing, reading
    writing.close()
    reading.close()


def read(reading: socket.socket) -> list[Remembered | Labelled]:
    found: list[Remembered | Labelled] = []
    try:
        while (message := receive_message(reading)) is not None:
            found += records_in(message.content)
    except BlockingIOError:
        pass
    return found


def test_answers_and_labels_arrive_as_they_were(channel: tuple[socket.socket, socket.socket]) -> None:
    backlog = answers_backlog(channel[0], lambda _: None)
    rows = Labelled(2.5, "r1", "iris", 3, '{"a": [1, "é"]}', 0.5)
    backlog.add(answer(1, 64 << 10))
    backlog.flush()
    assert hand_on(channel[0], [label(1), rows])

    assert read(channel[1]) == [answer(1, 64 << 10), label(1), rows]


def test_labels_find_room_where_answers_have_filled_their_part(channel: tuple[socket.socket, socket.socket]) -> None:
    """Nobody reads: answers stop in the middle of the socket, and labels go on."""
    backlog = answers_backlog(channel[0], lambda _: None)
    for number in range(5000):
        backlog.add(answer(number, 5000))
    backlog.flush()
    many = [label(number, '"' + "x" * 1000 + '"') for number in range(40)]

    assert hand_on(channel[0], many)
    found = read(channel[1])
    assert found[-40:] == many
    assert 0 < len(found) - 40 < 5000


def test_a_full_socket_takes_none_of_the_labels_and_says_so(channel: tuple[socket.socket, socket.socket]) -> None:
    taken = 0
    while hand_on(channel[0], [label(taken), label(taken + 1)]):
        taken += 2
        assert taken < 10_000_000

    found = read(channel[1])
    assert len(found) == taken
    assert hand_on(channel[0], [label(0)])


def test_nobody_there_to_read_is_no_room(channel: tuple[socket.socket, socket.socket]) -> None:
    channel[1].close()

    assert not hand_on(channel[0], [label(1)])


def test_a_message_that_is_looked_at_is_the_next_one_again(channel: tuple[socket.socket, socket.socket]) -> None:
    """Also one that travels as a file."""
    for text in ("1", '"' + "x" * 200_000 + '"'):
        hand_on(channel[0], [label(1, text)])
        seen = receive_message(channel[1], is_left=True)
        assert seen is not None
        assert seen == receive_message(channel[1])
        assert records_in(seen.content) == [label(1, text)]
