"""What a gateway hands on of requests, on both ways and of errors; and what it drops where nobody takes it."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from podium.domain.inputs.plan import Field, InputPlan
from podium.telemetry.seen import Seen, receive

PAIRS = InputPlan("tensor", (Field(None, "float64", (2,)),)).to_json()
PAIR = b'{"inputs": [[1.0, 2.5]]}'
ALL = {"payload_sample": 1.0, "payload_max_bytes": 1000}


@pytest.fixture
def server(start: Callable[..., Any]) -> Any:
    """A gateway that hands on everything, with one worker whose model takes pairs of numbers."""
    made = start(exports=ALL)
    made.handed.settimeout(60)
    made.add(1, plan=PAIRS)
    made.publish()
    return made


def seen_by(server: Any) -> Seen:
    found = receive(server.handed)
    assert isinstance(found, list)
    assert len(found) == 1
    return found[0]


def test_a_request_that_went_decoded_is_handed_on_as_its_client_sent_it(server: Any) -> None:
    soon = server.score_soon(PAIR, X_Request_ID="mine")
    server.workers[0].answer(server.workers[0].take_group(), b'{"predictions": [7]}')
    assert soon.result().status == 200

    seen = seen_by(server)

    assert (
        seen.request_id, seen.status, seen.model, seen.version, seen.request, seen.answer,
    ) == ("mine", 200, "iris", "1", PAIR, b'{"predictions": [7]}')  # fmt: skip
    assert (seen.rows, seen.batch_rows, seen.queued_us, seen.predict_us, seen.is_kept) == (1, 1, 20, 100, True)


def test_a_request_that_went_as_it_came_is_handed_on_with_its_workers_answer(server: Any) -> None:
    soon = server.score_soon(b'{"inputs": ["x"]}')
    server.workers[0].reply(server.workers[0].take(), b'{"error_code": "BAD"}', status=400)
    assert soon.result().status == 400

    seen = seen_by(server)

    assert (seen.request, seen.answer, seen.status) == (b'{"inputs": ["x"]}', b'{"error_code": "BAD"}', 400)


def test_a_request_that_no_worker_took_is_handed_on_too(start: Callable[..., Any]) -> None:
    server = start(exports=ALL, pending_s=0.05)
    server.handed.settimeout(60)
    server.publish({"1": (100, [])})

    assert server.score(PAIR).status == 503

    seen = seen_by(server)
    assert (seen.status, seen.request) == (503, PAIR)
    assert b"request_id" in (seen.answer or b"")


def test_a_body_that_is_longer_than_allowed_stays_behind(server: Any) -> None:
    body = b'{"inputs": [[1.0, 2.5]], "params": {"x": "%s"}}' % (b"y" * 1000)
    soon = server.score_soon(body)
    server.workers[0].reply(server.workers[0].take(), b"z" * 2000)
    assert soon.result().status == 200

    seen = seen_by(server)

    assert (None, len(body), None, 2000) == (seen.request, seen.request_size, seen.answer, seen.answer_size)


def test_a_gateway_that_is_told_nothing_hands_on_nothing(start: Callable[..., Any]) -> None:
    server = start(exports=None)
    server.handed.settimeout(0)
    server.add(1, plan=PAIRS)
    server.publish()
    soon = server.score_soon(PAIR)
    server.workers[0].answer(server.workers[0].take_group(), b'{"predictions": [7]}')
    assert soon.result().status == 200
    server.drain()
    server.gateway.wait()

    with pytest.raises(BlockingIOError):
        receive(server.handed)


TRACED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_whoever_asks_decides_whether_a_request_becomes_a_trace(start: Callable[..., Any]) -> None:
    """With a share of 0 nothing else does; of what is only traced no body is handed on."""
    server = start(exports={"payload_sample": 0.0, "trace_sample": 0.0})
    server.handed.settimeout(60)
    server.add(1, plan=PAIRS)
    server.publish()
    for name, header in (("none", ""), ("theirs", TRACED[:-1] + "0"), ("ours", TRACED)):
        soon = server.score_soon(PAIR, X_Request_ID=name, **({"traceparent": header} if header else {}))
        server.workers[0].answer(server.workers[0].take_group(), b'{"predictions": [7]}')
        assert soon.result().status == 200

    seen = seen_by(server)

    assert (seen.request_id, seen.is_traced, seen.is_kept, seen.traceparent) == ("ours", True, False, TRACED)
    assert (seen.request, seen.answer, seen.replica) == (None, None, 1)


def test_a_request_without_a_parent_becomes_a_trace_by_chance(start: Callable[..., Any]) -> None:
    server = start(exports={"trace_sample": 1.0})
    server.handed.settimeout(60)
    server.add(1, plan=PAIRS)
    server.publish()
    soon = server.score_soon(b'{"inputs": ["x"]}', traceparent="nonsense")
    server.workers[0].reply(server.workers[0].take(), started_ns=time.monotonic_ns())
    assert soon.result().status == 200

    seen = seen_by(server)

    assert (seen.is_traced, seen.traceparent, seen.batch > 0) == (True, "", True)
    assert seen.ended - 60 < seen.batch_at <= seen.ended
