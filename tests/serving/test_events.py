"""Answers in parts: as events on any way back, and through somebody else's server."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from podium.domain.clients.access import Peer
from podium.errors import InvalidInput
from podium.serving.asgi_host.exchange import AsgiExchange
from podium.serving.open_inference.events import Events
from podium.web.handling import NO_TERMS, RequestTerms
from podium.web.messages import Response

ERROR = Response(500, b'{"error_code": "X", "message": "it broke"}')
END = Response(204)


class Arrived:
    """A client that reads as much as `room` says, and what it got."""

    def __init__(self, room: int = 100) -> None:
        self.client, self.peer, self.lines = "", Peer(""), b""
        self.terms: RequestTerms = NO_TERMS
        self.on_leave: Callable[[], None] | None = None
        self.on_room: Callable[[], None] | None = None
        self.room = room
        self.got: list[Any] = []

    def answer(self, response: Response) -> None:
        self.got.append((response.status, json.loads(response.body)))

    def answer_raw(self, data: bytes) -> bool:
        return False

    def begin(self, response: Response) -> None:
        self.got.append(response.content_type)

    def send(self, data: bytes) -> bool:
        assert data.startswith(b"data: ")
        assert data.endswith(b"\n\n")
        self.got.append(json.loads(data[6:]))
        self.room -= 1
        return self.room > 0

    def end(self) -> None:
        self.got.append("end")


def written(content_type: str, body: bytes, headers: bytes) -> bytes:
    if body == b"refuse":
        raise InvalidInput("not this one")
    if body == b"break":
        raise RuntimeError("secret")
    return body


def events(arrived: Arrived, *parts: bytes, end: Response | None = END) -> Events:
    made = Events(arrived, written)
    for part in parts:
        made.take("", part, b"")
    if end is not None:
        made.answer(end)
    return made


def test_each_part_is_an_event_and_the_last_ends_the_answer():
    """A head, the parts, the end."""
    arrived = Arrived()

    events(arrived, b"1", b"2")

    assert arrived.got == ["text/event-stream", 1, 2, "end"]


def test_an_answer_without_parts_is_whole_too():
    """A model may yield nothing."""
    arrived = Arrived()

    events(arrived)

    assert arrived.got == ["text/event-stream", "end"]


def test_what_fails_first_has_its_own_status():
    """Nothing has gone out that would say otherwise."""
    arrived = Arrived()

    events(arrived, end=ERROR)

    assert arrived.got == [(500, {"error": "it broke"})]


def test_what_fails_later_is_the_last_event():
    """The status is 200 already."""
    arrived = Arrived()

    events(arrived, b"1", end=ERROR)

    assert arrived.got == ["text/event-stream", 1, {"error": "it broke"}, "end"]


def test_a_part_that_cannot_be_written_ends_the_answer_and_the_model():
    """With the client's fault by name and ours without, before the first event and after it."""
    for body, status, told in ((b"refuse", 400, "not this one"), (b"break", 500, "Internal Server Error")):
        for before in ((), (b"1",)):
            arrived, left = Arrived(), list[bool]()
            arrived.on_leave = lambda left=left: left.append(True)

            events(arrived, *before, body, end=None)

            expected = ["text/event-stream", 1, {"error": told}, "end"] if before else [(status, {"error": told})]
            assert expected == arrived.got
            assert left == [True]


def test_parts_count_as_taken_only_while_the_client_reads():
    """What it did not read is counted when it does."""
    arrived, taken = Arrived(room=2), list[int]()
    made = Events(arrived, written)
    made.on_taken = taken.append

    for part in (b"1", b"2", b"3"):
        made.take("", part, b"")
    assert taken == [1]
    assert arrived.on_room is not None
    arrived.on_room()

    assert taken == [1, 2]


def test_another_server_gives_the_parts_as_it_takes_them():
    """And says so when all are taken."""

    async def run() -> tuple[list[bytes], list[bool], list[bool]]:
        exchange, room = AsgiExchange(""), list[bool]()
        exchange.begin(Response(200, b"head", "text/event-stream"))
        kept = [exchange.send(b"x" * 40_000), exchange.send(b"y" * 40_000)]
        exchange.on_room = lambda: (room.append(True), exchange.end())[0]
        return [part[:4] async for part in exchange.parts()], kept, room

    assert asyncio.run(run()) == ([b"head", b"xxxx", b"yyyy"], [True, False], [True])
