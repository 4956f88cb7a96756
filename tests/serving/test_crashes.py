"""A worker that dies: who is charged, who is sent again, who is given up."""

import os
import socket

from podium.client.values import error_of
from podium.errors import WorkerCrashed
from podium.telemetry.metrics import CRASHES, REQUESTS, RETRIES
from podium.transport import frames
from podium.transport.messages import ReplicaLost, ReplicaReleased


def test_what_ran_is_sent_again_alone_and_what_queued_as_before(start, until):
    """Only the requests that the board names are charged with the crash, and only they are retried SOLO."""
    server = start()
    first = server.add(1)
    server.publish()
    soons = {name: server.score_soon(name.encode()) for name in ("a", "b", "c")}
    requests = {request.body.decode(): request for request in (first.take() for _ in soons)}
    first.announce(requests["a"], requests["b"])

    first.die()

    assert server.gateway.expect(ReplicaLost).replica == 1
    second = server.add(2)
    server.publish({"1": (100, [2])})
    again = {request.body.decode(): request for request in (second.take() for _ in soons)}
    assert {name: request.is_solo for name, request in again.items()} == {"a": True, "b": True, "c": False}
    for request in again.values():
        second.reply(request)
    assert [soon.result().status for soon in soons.values()] == [200, 200, 200]
    assert until(lambda: server.counted()[REQUESTS.cell("200")] == 3, "the answers to be counted")
    assert [server.counted()[CRASHES.offset], server.counted()[RETRIES.offset]] == [2, 3]


def test_a_request_that_kills_twice_gets_500(start, until):
    """The second worker that dies while it runs the request ends it; the one that queued behind it is unharmed."""
    server = start()
    guilty_body, innocent_body = b"guilty", b"innocent"
    worker = server.add(1)
    server.publish()
    guilty = server.score_soon(guilty_body)
    worker.announce(worker.take())
    worker.die()
    server.gateway.expect(ReplicaLost)
    worker = server.add(2)
    server.publish({"1": (100, [2])})
    request = worker.take()
    innocent = server.score_soon(innocent_body)
    worker.take()
    worker.announce(request)

    worker.die()

    answer = guilty.result()
    assert request.is_solo
    assert (answer.status, answer.json["error_code"]) == (500, "INTERNAL_ERROR")
    assert type(error_of(answer.status, answer.body, answer.headers)) is WorkerCrashed
    server.gateway.expect(ReplicaLost)
    worker = server.add(3)
    server.publish({"1": (100, [3])})
    last = worker.take()
    worker.reply(last)
    assert (last.body, last.is_solo) == (innocent_body, False)
    assert innocent.result().status == 200


def test_a_crash_is_retried_on_another_replica_at_once(start):
    """Whoever is ready takes over; nobody waits for the restart."""
    server = start()
    first, second = server.add(1), server.add(2)
    server.publish({"1": (100, [1])})
    soon = server.score_soon()
    first.announce(first.take())
    server.publish({"1": (100, [1, 2])})

    first.die()

    again = second.take()
    second.reply(again)
    assert again.is_solo
    assert soon.result().status == 200


def test_another_gateways_ids_on_the_board_charge_nobody_here(start):
    """Ids mean nothing across sockets: the board names them by the socket's serial."""
    server = start()
    worker = server.add(1)
    server.publish()
    soon = server.score_soon()
    request = worker.take()
    worker.board.announce([(worker.serial + 1, request.id)], 1)

    worker.die()

    server.gateway.expect(ReplicaLost)
    other = server.add(2)
    server.publish({"1": (100, [2])})
    again = other.take()
    other.reply(again)
    assert not again.is_solo
    assert soon.result().status == 200


def test_replies_that_came_before_the_crash_are_answers(start):
    """What the worker wrote before it died is delivered, not computed again."""
    server = start()
    worker = server.add(1)
    server.publish()
    soons = [server.score_soon(b"done"), server.score_soon(b"running")]
    requests = {request.body: request for request in (worker.take(), worker.take())}
    worker.announce(requests[b"running"])
    worker.reply(requests[b"done"], b"answer")

    worker.die()

    assert soons[0].result().body == b"answer"
    server.gateway.expect(ReplicaLost)
    other = server.add(2)
    server.publish({"1": (100, [2])})
    again = other.take()
    other.reply(again)
    assert again.body == b"running"
    assert soons[1].result().status == 200


def test_half_a_reply_is_no_answer(start):
    """A worker that dies in the middle of a reply has not answered; the client sees one whole answer."""
    server = start()
    worker = server.add(1)
    server.publish()
    soon = server.score_soon()
    request = worker.take()
    whole = frames.encode_reply(frames.Reply(request.id, 200, "application/json", b"x" * 1000, 1, 1, 1, 1, True))
    worker.sock.sendall(whole[:500])

    worker.die()

    server.gateway.expect(ReplicaLost)
    other = server.add(2)
    server.publish({"1": (100, [2])})
    other.reply(other.take(), b"whole")
    assert soon.result().body == b"whole"


def test_a_worker_that_answers_what_was_never_asked_is_given_up(start):
    """Only ids that were sent can be answered; the request goes elsewhere."""
    server = start()
    worker = server.add(1)
    server.publish()
    soon = server.score_soon()
    request = worker.take()

    worker.reply(request.id + 1000)

    assert server.gateway.expect(ReplicaLost).replica == 1
    other = server.add(2)
    server.publish({"1": (100, [2])})
    other.reply(other.take(), b"honest")
    assert soon.result().body == b"honest"


def test_bytes_that_are_no_frame_break_the_socket(start):
    server = start()
    worker = server.add(1)
    server.publish()

    worker.sock.sendall(b"\xff" * 64)

    assert server.gateway.expect(ReplicaLost).replica == 1
    assert worker.sock.recv(1) == b""


def test_a_lost_replica_that_is_dropped_is_released_at_once(start):
    """The supervisor may drop what the gateway has lost already."""
    server = start()
    worker = server.add(1)
    server.publish()
    worker.die()
    server.gateway.expect(ReplicaLost)

    server.drop(1)

    assert server.gateway.expect(ReplicaReleased).replica == 1


def test_a_worker_that_does_not_read_does_not_block_the_others(start, until):
    """Frames to one worker wait in a bounded buffer; beyond it the replica counts as full, and other paths go on."""
    server = start(max_replica_buffer_bytes=1_000_000)
    worker = server.add(1)
    server.publish()
    worker.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    soons = [server.score_soon(os.urandom(400_000)) for _ in range(8)]

    until(lambda: any(soon.is_done for soon in soons), "some are refused")

    assert {soon.result().status for soon in soons if soon.is_done} == {429}
    assert server.get("/ping").status == 200
    worker.serve()
    assert {soon.result().status for soon in soons} == {200, 429}


def test_a_replica_may_be_connected_anew(start):
    """The supervisor replaces a broken socket of a worker that lives: what was outstanding on the old one moves."""
    server = start()
    old = server.add(1)
    server.publish()
    soon = server.score_soon()
    old.take()
    new = server.add(1)

    new.reply(new.take(), b"again")

    assert soon.result().body == b"again"
    assert old.sock.recv(1) == b""
