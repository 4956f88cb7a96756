"""Answers in parts between a gateway and its worker, which is not trusted."""

import contextlib
import json
import socket
from typing import Any

from podium.transport import frames
from podium.transport.messages import ReplicaLost

ROUTE = "/v2/models/iris/generate_stream"
BODY = b'{"text_input": "a"}'


def begun(start: Any) -> tuple[Any, Any, Any, frames.RequestFrame]:
    """A gateway with one worker, which has a request for a stream."""
    server = start()
    worker = server.add(1)
    server.publish()
    soon = server.soon(lambda: server.ask("POST", ROUTE, BODY))
    request = worker.take()
    assert request.is_stream
    return server, worker, soon, request


def part(request: frames.RequestFrame, size: int = 1) -> bytes:
    return frames.encode_chunk(request.id, "", json.dumps({"text_output": "x" * size}).encode())


def told(answer: Any) -> list[Any]:
    return [json.loads(each[6:]) for each in answer.body.split(b"\n\n")[:-1]]


def test_more_is_asked_for_as_the_client_takes_parts(start):
    """Half a window at a time."""
    _, worker, soon, request = begun(start)

    worker.sock.sendall(part(request) * (frames.WINDOW // 2))
    frame = worker.frame()
    worker.reply(request, b"", status=204)

    assert (frames.MORE, request.id, frames.WINDOW // 2) == (frame.kind, frame.id, frame.status)
    assert len(told(soon.result())) == frames.WINDOW // 2


def test_a_worker_that_sends_more_than_it_was_asked_for_is_lost(start):
    """It could fill the gateway's memory for a client that does not read."""
    server = start()
    worker = server.add(1)
    server.publish()
    with server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = b"POST %s HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (ROUTE.encode(), len(BODY))
        client.sendall(head + BODY)
        request = worker.take()

        with contextlib.suppress(ConnectionError):  # the gateway need not read it all to see
            worker.sock.sendall(part(request, 1 << 20) * (3 * frames.WINDOW))

        assert server.gateway.expect(ReplicaLost).replica == 1


def test_a_part_that_nobody_asked_for_is_nonsense(start):
    """The request was for one whole answer, which another worker then gives."""
    server = start()
    worker = server.add(1)
    server.publish()
    soon = server.score_soon()

    worker.sock.sendall(part(worker.take()))

    assert server.gateway.expect(ReplicaLost).replica == 1
    second = server.add(2)
    server.publish({"1": (100, [2])})
    second.reply(second.take())
    assert soon.result().status == 200


def test_a_stream_without_a_part_is_sent_again_when_its_worker_dies(start):
    """The client has seen nothing yet; who ran it is charged."""
    server, worker, soon, request = begun(start)
    worker.announce(request)

    worker.die()

    server.gateway.expect(ReplicaLost)
    second = server.add(2)
    server.publish({"1": (100, [2])})
    again = second.take()
    second.sock.sendall(part(again))
    second.reply(again, b"", status=204)
    assert (again.is_stream, again.is_solo) == (True, True)
    assert [each["text_output"] for each in told(soon.result())] == ["x"]


def test_a_part_that_is_no_json_is_an_error_of_ours(start):
    """The client is told nothing of it, and the worker to stop."""
    _, worker, soon, request = begun(start)

    worker.sock.sendall(part(request) + frames.encode_chunk(request.id, "", b"{"))

    assert worker.frame().kind == frames.CANCEL
    assert told(soon.result())[1:] == [{"error": "Internal Server Error"}]
