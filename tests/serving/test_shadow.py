"""Copies for a shadow: made after the answer, bounded, compared, and never anybody else's trouble."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from podium.domain.inputs.plan import Field, InputPlan
from podium.domain.rollouts.copying import LEAST
from podium.domain.traffic import Rules, Shadow
from podium.serving.recording import Recorder
from podium.serving.walks.router import Router
from podium.serving.walks.shadowing import Shadowing
from podium.serving.walks.spare_time import SpareTime
from podium.serving.walks.walk import Walk
from podium.telemetry.evidence import evidence_of
from podium.telemetry.metrics import COMPARED, DIFFERENCE, REQUESTS, SHADOW_DURATION, SHADOW_REQUESTS
from podium.telemetry.slots import UNROUTED, Slots, create_slots
from podium.transport import frames
from podium.web.handling import NO_TERMS
from podium.web.messages import Head, Request

ONE = b'{"predictions": [1.0]}'


def shadowed(start, percent=100, tolerance=0.01, **settings):
    """A server whose version 1 answers and whose version 2 gets copies; both are played by the test."""
    server = start(**settings)
    primary, shadow = server.add(1), server.add(2, version="2", series=2)
    rules = Rules(shadow=Shadow("2", percent, tolerance))
    server.publish({"1": (100, [1]), "2": (0, [2])}, rules=rules)
    return server, primary, shadow


def copies(server, result):
    return server.counted(2)[SHADOW_REQUESTS.cell(result)]


def drawn(server):
    return copies(server, "answered") + copies(server, "dropped")


def test_a_copy_is_sent_after_the_answer_left(start):
    """The shadow gets the very body, under the same request id, once the client has its answer."""
    server, primary, shadow = shadowed(start)
    soon = server.score_soon(b'{"inputs": [7]}', X_Request_ID="mine")
    asked = primary.take()
    primary.reply(asked)
    assert soon.result().status == 200

    copied = shadow.take()

    assert (copied.body, copied.request_id, copied.content_type) == (asked.body, "mine", "application/json")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ONE, (1, 0)),
        (b'{"predictions": [1.005]}', (1, 0)),
        (b'{"predictions": [1.5]}', (0, 1)),
        (b'{"predictions": ["one"]}', (0, 1)),
        (b"no json", (0, 1)),
    ],
    ids=["the same", "within the tolerance", "beyond it", "another type", "unreadable"],
)
def test_answers_are_compared(start, until, answer, expected):
    """Agreement, the difference and the time of the copy are counted for the shadow, and nothing for the client."""
    server, primary, shadow = shadowed(start)
    primary.serve(ONE)
    server.score()

    shadow.reply(shadow.take(), answer)

    found = [COMPARED.cell("agreed"), COMPARED.cell("disagreed")]
    until(lambda: tuple(server.counted(2)[cell] for cell in found) == expected, "they are compared")
    cells = server.counted(2)
    assert (copies(server, "answered"), sum(cells[SHADOW_DURATION.offset : SHADOW_DURATION.sum])) == (1, 1)
    assert sum(cells[REQUESTS.offset : REQUESTS.offset + REQUESTS.cells]) == 0
    if b"1.5" in answer:
        until(lambda: server.counted(2)[DIFFERENCE.sum] == 333_334, "so is how far they are apart")


def test_planned_requests_are_copied_as_they_were_decoded(start, until):
    """Where both versions have the same plan: decoded once, and the answers of groups are compared like others."""
    plan = InputPlan("tensor", (Field(None, "float64", (2,)),)).to_json()
    server = start()
    primary, shadow = server.add(1, plan=plan), server.add(2, version="2", series=2, plan=plan)
    server.publish({"1": (100, [1]), "2": (0, [2])}, rules=Rules(shadow=Shadow("2")))
    soon = server.score_soon(b'{"inputs": [[1.0, 2.5]]}')
    asked = primary.take_group()
    primary.answer(asked, ONE)
    assert soon.result().body == ONE

    copied = shadow.take_group()
    shadow.answer(copied, b'{"predictions": [2.0]}')

    assert (copied.requests, bytes(copied.block), copied.names) == (1, bytes(asked.block), asked.names)
    until(lambda: evidence_of(server.counted(2)).disagreed == 1, "they are compared")


def test_a_part_of_the_requests_is_copied(start, until):
    """A quarter, within seven standard deviations; some may be dropped, for which a busy gateway has no time."""
    server, primary, shadow = shadowed(start, percent=25)
    primary.serve(ONE)
    shadow.serve(ONE)
    for _ in range(400):
        server.score()

    until(lambda: copies(server, "answered") and drawn(server) >= 40, "about a hundred are copied")
    assert drawn(server) <= 160


def test_a_shadow_that_hangs_is_bounded(start, until):
    """It gets 32 copies at a time, 256 wait in a queue, and what finds that full is dropped and counted."""
    server, primary, shadow = shadowed(start, timeout_s=600)
    primary.serve(ONE)

    answers = [server.score() for _ in range(300)]

    assert {answer.status for answer in answers} == {200}
    until(lambda: copies(server, "dropped") >= 300 - 32 - 256, "what finds the queue full is dropped")
    assert shadow.take().body == b'{"inputs": [1]}'


def test_copies_that_are_never_answered_are_given_up_and_the_next_go(start, until):
    """They are cancelled, and counted as failed."""
    server, primary, shadow = shadowed(start, timeout_s=0.5)
    primary.serve(ONE)
    kinds = []

    until(lambda: server.score() and copies(server, "failed") > 0, "the first are given up")
    until(lambda: server.score().status == 200, "another is answered")
    until(lambda: kinds.append(shadow.frame().kind) or kinds[-2:] == [frames.CANCEL, frames.REQUEST], "it is copied, too")

    assert set(kinds) == {frames.REQUEST, frames.CANCEL}


def test_a_shadow_that_dies_leaves_the_primary_alone(start, until):
    """Copies that it had are counted as failed, all others as dropped; every client has its answer."""
    server, primary, shadow = shadowed(start)
    primary.serve(ONE)
    for _ in range(3):
        server.score()
    shadow.take()

    shadow.die()

    assert {server.score().status for _ in range(20)} == {200}
    until(lambda: copies(server, "failed") + copies(server, "dropped") == 23, "the copies are counted")
    failed, found = copies(server, "failed"), evidence_of(server.counted(2))
    assert (failed in {1, 2, 3}, found.compared, found.disagreed, found.requests) == (True, failed, failed, 0)


def test_a_shadow_that_refuses_or_fails_is_nobodys_trouble(start, until):
    server, primary, shadow = shadowed(start)
    primary.serve(ONE)
    server.score()
    server.score()

    shadow.refuse(shadow.take(), frames.QUEUE_FULL)
    shadow.reply(shadow.take(), b"{}", status=500)

    until(lambda: (copies(server, "dropped"), copies(server, "failed")) == (1, 1), "both are counted")
    assert server.score().status == 200


def test_only_good_answers_of_other_versions_are_copied(start, until):
    """Not what the primary refused, not what a tester named, not what the shadow answered itself."""
    server, primary, shadow = shadowed(start)
    for identity, status in (("bad", 400), ("good", 200)):
        soon = server.score_soon(X_Request_ID=identity)
        primary.reply(primary.take(), status=status)
        assert soon.result().status == status

    assert shadow.take().request_id == "good"
    server.publish({"1": (0, [1]), "2": (100, [2])}, rules=Rules(shadow=Shadow("2"), allows_naming=True))
    own = server.score_soon()
    shadow.reply(shadow.take(), ONE)
    assert own.result().headers["x-podium-version"] == "2"
    named = server.score_soon(X_Podium_Version="1")
    primary.reply(primary.take(), ONE)
    assert named.result().status == 200
    server.score_soon(X_Request_ID="last")
    assert shadow.take().request_id == "last"


def test_a_shadow_that_is_taken_away_is_released_at_once(start):
    """Nobody waits for its copies."""
    server, primary, shadow = shadowed(start)
    primary.serve(ONE)
    server.score()
    shadow.take()
    server.publish({"1": (100, [1])})

    server.drop(2)

    assert server.gateway.message().replica == 2
    assert server.score().status == 200


class Turns:
    """An event loop that keeps what is to be called."""

    def __init__(self):
        self.soon, self.later = [], []

    def call_soon(self, *call):
        self.soon.append(call)

    def call_later(self, delay_s, *call):
        self.later.append((delay_s, *call))


@pytest.fixture
def slots():
    descriptor = create_slots(1)
    yield Slots(descriptor)
    os.close(descriptor)


def a_walk():
    exchange = SimpleNamespace(client="", terms=NO_TERMS)
    return Walk(Request(Head("POST", "/invocations"), b"{}"), exchange, "id", 1.0)


PRIMARY = SimpleNamespace(endpoint="iris", version="1", shadow=Shadow("2"), reader=None)


def test_copies_wait_for_one_another(slots):
    """A few go by the clock, once; as many as go together go at once."""
    turns = Turns()
    shadowing = Shadowing(turns, Router(), Recorder(slots, 0, None), 1.0, lambda: 1.0)

    for _ in range(2):
        shadowing.offer(PRIMARY, a_walk(), ONE)

    assert ([0 < delay_s <= 0.05 for delay_s, *_ in turns.later], turns.soon) == ([True], [])
    for _ in range(60):
        shadowing.offer(PRIMARY, a_walk(), ONE)
    assert (len(turns.later), len(turns.soon)) == (1, 1)


def test_a_groups_copies_are_made_when_its_answers_have_left(slots):
    """Answers are written when the event loop's turn ends: until then nothing is done for a shadow."""
    turns = Turns()
    shadowing = Shadowing(turns, Router(), Recorder(slots, 0, None), 1.0, lambda: 0.0)

    shadowing.offer_all(PRIMARY, [a_walk(), None, a_walk()], [ONE] * 3)
    shadowing.offer_all(PRIMARY, [a_walk()], [ONE])

    assert (len(turns.soon), len(turns.later)) == (1, 0)
    [(take,)] = turns.soon
    take()
    assert len(turns.later) == 1


def test_a_busy_gateway_makes_only_a_few_copies(slots):
    """What it has no time for beside its clients is dropped and counted; with time again, more are made again."""
    spare = 0.0
    shadowing = Shadowing(Turns(), Router(), Recorder(slots, 0, None), 1.0, lambda: spare)

    def dropped_of(count):
        before = slots.totals(UNROUTED)[SHADOW_REQUESTS.cell("dropped")]
        for _ in range(count):
            shadowing.offer(PRIMARY, a_walk(), ONE)
        return slots.totals(UNROUTED)[SHADOW_REQUESTS.cell("dropped")] - before

    assert dropped_of(4 * LEAST) == 0
    shadowing.sweep(0.0)
    assert dropped_of(4 * LEAST) == 2 * LEAST
    shadowing.sweep(0.0)
    assert dropped_of(4 * LEAST) == 3 * LEAST
    spare = 1.0
    shadowing.sweep(0.0)
    assert dropped_of(4 * LEAST) == 2 * LEAST


def test_a_thread_that_runs_has_less_time_to_spare_than_one_that_waits():
    spare = SpareTime()
    sum(number * number for number in range(3_000_000))
    ran = spare.since_last()
    subprocess.run([sys.executable, "-c", "import json"], check=True, timeout=240)

    assert spare.since_last() > ran
