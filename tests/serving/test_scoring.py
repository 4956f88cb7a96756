"""A request's walk: to a worker and back, and what is said when it cannot go there."""

import json
import select
import socket
import struct
import time

import pytest

from podium.telemetry.metrics import BATCH_ROWS, CRASHES, DURATION, REJECTED, REQUESTS, RETRIES, ROWS
from podium.telemetry.slots import UNROUTED
from podium.transport import frames


def test_a_request_travels_to_the_worker_and_its_reply_to_the_client(server):
    """Body, content type and request id reach the worker unchanged; the reply's bytes reach the client unchanged."""
    soon = server.score_soon(b'{"inputs": [[1, 2]]}', X_Request_ID="abc-1")
    request = server.workers[0].take()
    server.workers[0].reply(request, b'{"predictions": [7]}')

    answer = soon.result()

    assert request.body == b'{"inputs": [[1, 2]]}'
    assert (request.content_type, request.request_id, request.is_solo) == ("application/json", "abc-1", False)
    assert (answer.status, answer.body) == (200, b'{"predictions": [7]}')
    names = ("content-type", "content-length", "x-podium-model", "x-podium-version", "x-request-id")
    assert [answer.headers[name] for name in names] == ["application/json", "20", "iris", "1", "abc-1"]
    assert "date" in answer.headers


def test_a_worker_gets_the_deadline_of_the_request(start, until):
    """The frame's deadline is the gateway's time-out from now, on the clock that both share."""
    server = start(timeout_s=30)
    server.add(1)
    server.publish()
    before = time.monotonic_ns()
    soon = server.score_soon()
    request = server.workers[0].take()
    after = time.monotonic_ns()
    server.workers[0].reply(request)
    soon.result()

    assert before + 30e9 <= request.deadline_ns <= after + 30e9


def test_a_request_without_content_type_reaches_the_worker_as_such(server):
    """The worker's codec, not the gateway, decides what a missing Content-Type means."""
    with server.connect() as sock:
        sock.sendall(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        request = server.workers[0].take()
        server.workers[0].reply(request, b"no", status=415, content_type="text/plain; charset=utf-8")

        assert request.content_type is None
        assert sock.recv(1000).startswith(
            b"HTTP/1.1 415 Unsupported Media Type\r\ncontent-type: text/plain; charset=utf-8\r\n"
        )


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a\tb", "ü"])
def test_a_request_id_that_could_harm_a_log_is_replaced(server, sent):
    """Only short ids of harmless characters are taken over."""
    server.workers[0].serve()

    answer = server.score(X_Request_ID=sent)

    assert answer.headers["x-request-id"] != sent
    assert len(answer.headers["x-request-id"]) == 24


def test_requests_without_an_id_get_ids_of_their_own(server):
    server.workers[0].serve()

    assert len({server.score().headers["x-request-id"] for _ in range(5)}) == 5


def test_a_large_body_and_a_large_answer_pass_whole(server):
    """Megabytes in both directions are the same bytes at the other end."""
    body = bytes(range(256)) * 40_000
    soon = server.score_soon(body)
    request = server.workers[0].take()
    server.workers[0].reply(request, body[::-1])

    assert request.body == body
    assert soon.result().body == body[::-1]


def test_replies_may_come_in_any_order(server):
    """Each client gets the answer to its own request."""
    soons = [server.score_soon(b"%d" % i) for i in range(8)]
    requests = [server.workers[0].take() for _ in soons]
    for request in reversed(requests):
        server.workers[0].reply(request, b"answer to " + request.body)

    assert [soon.result().body for soon in soons] == [b"answer to %d" % i for i in range(8)]


def test_a_header_that_a_worker_sends_cannot_start_another(server):
    """A reply's content type is not trusted."""
    soon = server.score_soon()
    server.workers[0].reply(server.workers[0].take(), content_type="text/x\r\nset-cookie: a=b")

    answer = soon.result()

    assert "set-cookie" not in answer.headers


def test_rows_go_to_the_replica_with_the_fewest_in_flight(start):
    """Rows are estimated from bytes as earlier replies taught; a big request keeps others away from its replica."""
    server = start()
    first, second = server.add(1), server.add(2)
    server.publish({"1": (100, [1, 2])})
    teaching = server.score_soon(b"x" * 1000)
    taught = _whoever(first, second)
    taught.reply(taught.take(), rows=100, batch_rows=100)
    teaching.result()
    big = server.score_soon(b"x" * 1000)
    busy = _whoever(first, second)
    kept = busy.take()
    free = second if busy is first else first
    soons = []
    for _ in range(5):
        soons.append(server.score_soon(b"x" * 10))
        request = free.take()
        free.reply(request)
        assert soons[-1].result().status == 200
    busy.reply(kept, rows=100)

    assert big.result().status == 200


def test_a_full_replica_is_passed_over_and_429_comes_when_all_are_full(start, until):
    """QUEUE_FULL goes to the other replica first; the client is told when to come again."""
    server = start()
    workers = [server.add(1), server.add(2)]
    server.publish({"1": (100, [1, 2])})
    soon = server.score_soon()
    first = _whoever(*workers)
    first.refuse(first.take(), frames.QUEUE_FULL)
    other = workers[1] if first is workers[0] else workers[0]
    other.refuse(other.take(), frames.QUEUE_FULL)

    answer = soon.result()

    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.json["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert until(lambda: server.counted()[REQUESTS.cell("429")] == 1, "the refusal to be counted")
    assert server.counted()[REJECTED.cell("queue_full")] == 1


def test_a_draining_replica_is_passed_over_for_good(start):
    """DRAINING says that nothing was started: the request goes to another, and no further one goes there."""
    server = start()
    workers = [server.add(1), server.add(2)]
    server.publish({"1": (100, [1, 2])})
    soon = server.score_soon()
    first = _whoever(*workers)
    first.refuse(first.take(), frames.DRAINING)
    other = workers[1] if first is workers[0] else workers[0]
    other.reply(other.take())
    assert soon.result().status == 200

    other.serve()

    assert [server.score().status for _ in range(6)] == [200] * 6


def test_a_draining_last_replica_lets_the_request_wait_for_the_next(start):
    """Between the old replica's end and the new one's start a request waits."""
    server = start()
    old = server.add(1)
    server.publish()
    soon = server.score_soon()
    old.refuse(old.take(), frames.DRAINING)
    new = server.add(2, version="2", series=1)
    server.publish({"2": (100, [2])})
    new.reply(new.take())

    assert soon.result().headers["x-podium-version"] == "2"


def test_requests_wait_for_the_first_replica(start):
    """A request that comes before any replica is held, not refused."""
    server = start()
    soons = [server.score_soon(b"%d" % i) for i in range(3)]
    server.add(1).serve()
    server.publish()

    assert [soon.result().status for soon in soons] == [200, 200, 200]


def test_the_waiting_line_is_bounded(start, until):
    """Who comes when the line is full gets 503 with Retry-After at once."""
    server = start(max_pending=2)
    soons = [server.score_soon() for _ in range(3)]

    refused = until(lambda: next((soon for soon in soons if soon.is_done), None), "a refusal").result()

    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.json["error_code"] == "TEMPORARILY_UNAVAILABLE"
    server.add(1).serve()
    server.publish()
    assert sorted(soon.result().status for soon in soons) == [200, 200, 503]
    assert server.slots.totals(UNROUTED)[REJECTED.cell("waiting_full")] == 1


def test_waiting_ends_with_503(start):
    """Nobody waits for ever for a replica that does not come."""
    server = start(pending_s=0.2)

    assert server.score().status == 503


def test_a_late_answer_becomes_504_and_the_worker_is_told(start, until):
    """At the deadline the client gets MLflow's 504 and the worker a CANCEL; its late reply is dropped."""
    server = start(timeout_s=6.0)
    worker = server.add(1)
    server.publish()
    soon = server.score_soon()
    request = worker.take()

    answer = soon.result()

    assert (answer.status, answer.body) == (504, b"Request processing time exceeded limit")
    frame = worker.frame()
    assert (frame.kind, frame.id) == (frames.CANCEL, request.id)
    worker.reply(request)
    again = server.score_soon()
    worker.reply(worker.take(), b"fine")
    assert again.result().body == b"fine"
    assert until(lambda: server.counted()[REQUESTS.cell("504")] == 1, "the time-out to be counted")


@pytest.mark.parametrize("has_reset", [False, True])
def test_a_client_that_leaves_cancels_its_request(server, until, has_reset):
    """The worker is told, the reply is dropped, and it is counted as 499."""
    worker = server.workers[0]
    sock = server.connect()
    sock.sendall(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    request = worker.take()
    if has_reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()

    frame = worker.frame()

    assert (frame.kind, frame.id) == (frames.CANCEL, request.id)
    worker.reply(request)
    assert until(lambda: server.counted()[REQUESTS.cell("499")] == 1, "the departure to be counted")
    # The batch that nobody waited for was computed all the same.
    assert until(lambda: server.counted()[BATCH_ROWS.sum] == 1, "the batch to be counted")


def test_more_requests_than_the_gateway_takes_get_429(start):
    """The bound on what is in flight holds whatever the workers do."""
    server = start(max_in_flight=2)
    worker = server.add(1)
    server.publish()
    soons = [server.score_soon(), server.score_soon()]
    requests = [worker.take(), worker.take()]

    assert server.score().status == 429

    for request in requests:
        worker.reply(request)
    assert [soon.result().status for soon in soons] == [200, 200]


def test_a_canary_gets_its_share_and_the_stable_version_the_rest(start):
    """Weights are kept by the hash of the request's id."""
    server = start()
    for replica, version in ((1, "1"), (2, "2")):
        server.add(replica, version=version, series=replica).serve()
    server.publish({"1": (80, [1]), "2": (20, [2])})

    versions = [server.score(X_Request_ID=f"request-{i}").headers["x-podium-version"] for i in range(200)]

    assert 15 <= versions.count("2") <= 70
    assert versions[7] == server.score(X_Request_ID="request-7").headers["x-podium-version"]


def test_counters_are_kept_in_the_slot(server, until):
    server.workers[0].serve()
    for _ in range(5):
        assert server.score().status == 200

    def counted():
        cells = server.counted()
        durations = sum(cells[DURATION.offset : DURATION.sum])
        return [cells[REQUESTS.cell("200")], cells[ROWS.offset], cells[BATCH_ROWS.sum], durations]

    assert until(lambda: counted() == [5, 5, 5, 5], "the last answer to be counted")
    assert [server.counted()[RETRIES.offset], server.counted()[CRASHES.offset]] == [0, 0]


def test_each_request_has_a_line_in_the_access_log(start, tmp_path, until):
    """Who, what, how long, which version; nothing of the body."""
    log = tmp_path / "access.log"
    server = start(access_log=str(log))
    server.add(1).serve()
    server.publish()
    server.score(b'{"inputs": ["secret"]}', X_Request_ID="r-1")
    server.ask("POST", "/nope")
    server.get("/ping")

    lines = until(lambda: log.exists() and (found := log.read_text()).count("\n") == 2 and found.splitlines(), "the lines")

    scored, missing = (json.loads(line) for line in lines)
    assert "secret" not in log.read_text()
    expected = {
        "request_id": "r-1", "client": "127.0.0.1", "method": "POST", "path": "/invocations", "status": 200, "bytes_in": 22,
        "bytes_out": 20, "queue_ms": 0.02, "predict_ms": 0.1, "rows": 1, "batch_rows": 1, "model": "iris", "version": "1",
        "attempts": 1, "error": None,
    }  # fmt: skip
    assert {name: scored[name] for name in expected} == expected
    assert scored["duration_ms"] > 0
    assert scored["time"].endswith("Z")
    assert (missing["status"], missing["path"]) == (404, "/nope")


def _whoever(*workers):
    """The worker that has something to read."""
    readable, _, _ = select.select([worker.sock for worker in workers], [], [], 60)
    return next(worker for worker in workers if worker.sock in readable)
