"""Control messages arrive whole and typed, with exactly the descriptors that belong to them."""

import dataclasses
import fcntl
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.devices import DeviceUse
from podium.transport.control import ControlSocket
from podium.transport.messages import (
    AddReplica,
    Attach,
    BrokenMessage,
    Drain,
    Drained,
    Load,
    LoadError,
    Message,
    Publish,
    Ready,
    Tell,
    message_from_json,
    message_to_json,
)

Pair = tuple[ControlSocket, ControlSocket]
READY = Ready(
    "sklearn", "3.11.7", "/usr/bin/python", {"numpy": "2", "x": None}, True, "on the list", None, 1.5, 10, ["old"]
)


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = (ControlSocket(sock) for sock in socket.socketpair())
    yield left, right
    left.close()
    right.close()


@pytest.fixture
def raw() -> Iterator[tuple[socket.socket, ControlSocket]]:
    left, right = socket.socketpair()
    control = ControlSocket(right)
    yield left, control
    left.close()
    control.close()


def packed(entry: Any, count: int = 0) -> bytes:
    body = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    return struct.pack("<II", len(body), count) + body


MESSAGES: list[Message] = [
    Load("/m", {"flavors": {"a": {"b": [1, None]}}}, "fraud", "7"),
    Load("/m", {}, "fraud", "7", packages=["numpy"], model_config={"k": 1}, threads=4),
    Attach(3),
    Drain(2.5),
    Drain(2),
    READY,
    dataclasses.replace(READY, device=DeviceUse("cuda:0", "A GPU", 1 << 40, 1 << 41, 7)),
    LoadError("import_error", "No module named 'x'"),
    Drained(),
    Publish({"epoch": 1}, True),
    Tell({}, {"": [{"name": "x", "labels": {}, "value": 1}]}, [{"a": "b"}]),
    Tell({"endpoints": {}}, {}, None, is_part=True, gone=["a"]),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_sent(pair: Pair, message: Message) -> None:
    pair[0].send(message)

    assert [(message, [])] == pair[1].receive()


def test_descriptors_come_with_their_own_message(pair: Pair) -> None:
    read_a, write_a = os.pipe()
    read_b, write_b = os.pipe()
    pair[0].send(Attach(1), [write_a])
    pair[0].send(Drained())
    pair[0].send(AddReplica(1, "e", "v", 2, 0), [write_b, read_b])
    received: list[tuple[Message, list[int]]] = []
    while len(received) < 3:
        received += pair[1].receive() or []

    assert [len(descriptors) for _, descriptors in received] == [1, 0, 2]
    os.write(received[0][1][0], b"a")
    assert os.read(read_a, 1) == b"a"
    for descriptor in [read_a, write_a, read_b, write_b, *received[0][1], *received[2][1]]:
        os.close(descriptor)


def test_received_descriptors_are_not_inherited(pair: Pair) -> None:
    """A process that a model's code starts must not hold our sockets open."""
    pair[0].send(Attach(1), [0])

    ((_, (descriptor,)),) = pair[1].receive() or []

    assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.close(descriptor)


def test_a_large_message_arrives_whole(pair: Pair) -> None:
    message = Load("/m", {"text": "x" * 3_000_000}, "e", "1")
    sender = threading.Thread(target=pair[0].send, args=(message, [0]))
    sender.start()
    received: list[tuple[Message, list[int]]] = []
    while not received:
        received += pair[1].receive() or []
    sender.join()

    assert message == received[0][0]
    os.close(received[0][1][0])


def test_end_of_file_is_none(pair: Pair) -> None:
    pair[0].close()

    assert None is pair[1].receive()


def test_closing_closes_descriptors_that_nobody_took(raw: tuple[socket.socket, ControlSocket]) -> None:
    read, write = os.pipe()
    socket.send_fds(raw[0], [b"\x05\0"], [write])
    os.close(write)
    raw[1].receive()
    raw[1].close()

    assert os.read(read, 1) == b""
    os.close(read)


HOSTILE = [
    ("not JSON", packed(b"{")),
    ("not UTF-8", packed(b'"\xff"')),
    ("deeply nested", packed(b"[" * 200_000)),
    ("not an object", packed([1])),
    ("no type", packed({"a": 1})),
    ("a type that is a list", packed({"type": ["Drain"]})),
    ("an unknown type", packed({"type": "Explode"})),
    ("a missing field", packed({"type": "Drain"})),
    ("a field too many", packed({"type": "Drained", "now": 1})),
    ("a field of another type", packed({"type": "Attach", "socket": "1"})),
    ("true is not a number", packed({"type": "Attach", "socket": True})),
    ("not a number of seconds", packed({"type": "Drain", "limit_s": float("nan")})),
    ("a list of something else", packed({**message_to_json(Load("", {}, "", "")), "packages": [1]})),
    ("missing descriptors", packed({"type": "Attach", "socket": 1}, 1)),
    ("too many descriptors", packed({"type": "Attach", "socket": 1}, 9)),
    ("too long", struct.pack("<II", 2**31, 0)),
]  # fmt: skip


@pytest.mark.parametrize("data", [data for _, data in HOSTILE], ids=[why for why, _ in HOSTILE])
def test_what_is_no_message_breaks_the_socket(raw: tuple[socket.socket, ControlSocket], data: bytes) -> None:
    raw[0].setblocking(False)
    sent = 0

    with pytest.raises(BrokenMessage):  # noqa: PT012 - sending and receiving take turns
        while True:
            if sent < len(data):
                sent += raw[0].send(data[sent:])
            raw[1].receive()


@pytest.mark.parametrize("device", ["cpu", {"device": 1}, {"used_bytes": "much"}, {"temperature": 99}, [1]])
def test_a_device_that_is_none_breaks_the_message(device: Any) -> None:
    """A worker's process may be anybody's: what it says of numbers is numbers before anything counts with it."""
    with pytest.raises(BrokenMessage):
        message_from_json({**message_to_json(READY), "device": device})


def test_descriptors_that_no_message_announced_break_the_socket(raw: tuple[socket.socket, ControlSocket]) -> None:
    with pytest.raises(BrokenMessage, match="more descriptors"):  # noqa: PT012 - as above
        for _ in range(20):
            socket.send_fds(raw[0], [packed({"type": "Drained"})], [0] * 8)
            raw[1].receive()


def test_more_descriptors_than_a_message_carries_are_not_sent(pair: Pair) -> None:
    with pytest.raises(ValueError, match="too large"):
        pair[0].send(Drained(), [0] * 9)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "a"])
JSON = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), SCALARS, max_size=2)


@given(st.dictionaries(st.sampled_from(["type", "socket", "limit_s", "table", "is_ready", "status", "series"]), JSON))
def test_any_json_is_a_message_or_broken(entry: dict[str, Any]) -> None:
    for kind in ("Attach", "Drain", "Publish", "Tell", entry.get("type")):
        candidate = {**entry, "type": kind}
        try:
            message = message_from_json(candidate)
        except BrokenMessage:
            continue
        assert candidate == message_to_json(message)
