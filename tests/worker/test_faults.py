"""Guilty requests that fail alone, deadlines, cancelling, bounded queues, hostile gateways."""

import contextlib
import json
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from podium.transport import frames
from podium.transport.frames import HEADER, Reply, encode_cancel, encode_reply

Eventually = Callable[[Callable[[], bool], str], None]
DOUBLE = "def predict(model_input):\n    return model_input * 2"


def values(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return json.loads(reply.body)["predictions"]


# ── failures

GUILTY = """
def predict(model_input):
    gate(model_input)
    if (model_input == 13).any():
        raise {error}
    return model_input * 2
"""


@pytest.mark.parametrize("error", ["ValueError('secret 13')", "MemoryError()", "SystemExit(0)", "KeyboardInterrupt()"])
def test_only_the_guilty_request_of_a_batch_fails(held: Any, error: str) -> None:
    at = held(GUILTY.format(error=error))
    sent = {at.gateway.send({"inputs": [[float(i), 1.0]]}): i for i in range(10, 18)}

    replies = at.release(8)

    assert {i: replies[identity].status for identity, i in sent.items() if replies[identity].status != 200} == {13: 400}
    assert [values(replies[identity]) for identity, i in sent.items() if i != 13] == [
        [[2.0 * i, 2.0]] for i in range(10, 18) if i != 13
    ]
    assert max(reply.batch_rows for reply in replies.values()) == 4
    guilty = next(replies[identity] for identity, i in sent.items() if i == 13)
    assert b"secret" not in guilty.body


def test_a_failure_is_written_down_with_its_request(workshop: Any) -> None:
    worker, gateway = workshop.serving(workshop.function("def predict(model_input):\n    raise ValueError('why')"))

    reply = gateway.ask({"inputs": [1]})

    (line,) = [json.loads(line) for line in worker.log.splitlines() if "prediction_failed" in line]
    assert (line["request_id"], line["error"]) == ("r-1", "ValueError")
    assert "ValueError: why" in line["traceback"]
    assert json.loads(reply.body)["request_id"] == "r-1"


def test_a_warning_of_every_prediction_is_written_down_once(workshop: Any) -> None:
    """Though the model's library makes Python forget that it warned before, as scikit-learn does."""
    code = (
        "import warnings\ndef predict(model_input):\n    with warnings.catch_warnings():\n        pass\n"
        "    warnings.warn('look')\n    return model_input"
    )
    worker, gateway = workshop.serving(workshop.function(code))

    for _ in range(5):
        gateway.ask({"inputs": [1]})

    assert worker.log.count("look") == 1


def test_a_body_that_cannot_be_read_fails_alone(held: Any) -> None:
    at = held()
    good = [at.gateway.send({"inputs": [[1.0, 1.0]]}) for _ in range(2)]
    bad = [at.gateway.send(body) for body in (b"{", b"\xff", b'{"rows": 1}', b"[" * 100_000, b"")]

    replies = at.release(7)

    assert [replies[identity].status for identity in good] == [200, 200]
    assert {replies[identity].status for identity in bad} == {400}
    assert {replies[identity].batch_rows for identity in bad} == {0}


def test_an_unknown_content_type_is_refused(workshop: Any) -> None:
    _, gateway = workshop.serving(workshop.function(DOUBLE))

    assert gateway.ask(b"x", content_type="image/png").status == 415


def test_an_answer_without_a_form_fails_alone(held: Any) -> None:
    code = """
def predict(model_input):
    gate(model_input)
    return [object() if row[0] == 13 else float(row[0]) for row in model_input]
"""
    at = held(code)
    sent = {at.gateway.send({"inputs": [[float(i), 1.0]]}): i for i in range(12, 16)}

    replies = at.release(4)

    assert {i: replies[identity].status for identity, i in sent.items()} == {12: 200, 13: 500, 14: 200, 15: 200}
    assert {reply.batch_rows for reply in replies.values()} == {4}


# ── deadlines, cancelling, bounds


def test_an_expired_request_costs_no_prediction(held: Any) -> None:
    code = "\ndef predict(model_input):\n    gate(model_input)\n    return [list(CALLS)] * len(model_input)\n"
    at = held(code, is_declared=False)
    soon = time.monotonic_ns() + 50_000_000
    late = at.gateway.send({"inputs": [[1.0, 1.0]]}, deadline_ns=soon)
    gone = at.gateway.send({"inputs": [[1.0, 1.0]]}, deadline_ns=1)
    good = at.gateway.send({"inputs": [[1.0, 1.0]]}, deadline_ns=time.monotonic_ns() + 10**12)
    while time.monotonic_ns() <= soon:
        pass

    replies = at.release(3)

    assert [replies[late].status, replies[gone].status] == [504, 504]
    assert [replies[late].batch_rows, replies[gone].batch_rows] == [0, 0]
    example, blocked, *calls = values(replies[good])[0]
    assert (example, blocked, calls) == (3, 1, [1])


def test_a_cancelled_request_costs_no_prediction_and_no_reply(held: Any) -> None:
    code = "\ndef predict(model_input):\n    gate(model_input)\n    return [list(CALLS)] * len(model_input)\n"
    at = held(code, is_declared=False)
    cancelled = at.gateway.send({"inputs": [[1.0, 1.0]]})
    at.gateway.sock.sendall(encode_cancel(cancelled))
    good = at.gateway.send({"inputs": [[1.0, 1.0]]})

    replies = at.release(1)

    assert list(replies) == [good]
    assert values(replies[good]) == [[3, 1, 1]]


def test_cancelling_what_nobody_asked_is_nothing(workshop: Any) -> None:
    _, gateway = workshop.serving(workshop.function(DOUBLE))
    gateway.sock.sendall(encode_cancel(77))

    assert gateway.ask({"inputs": [[1.0]]}).status == 200


def test_the_requests_of_a_gateway_that_died_are_dropped(held: Any, eventually: Eventually) -> None:
    at = held()
    other = at.worker.attach()
    for _ in range(3):
        other.send({"inputs": [[1.0, 1.0]]})
    other.sock.close()
    good = at.gateway.send({"inputs": [[1.0, 1.0]]})

    replies = at.release(1)

    assert replies[good].batch_rows == 1


def test_a_full_queue_refuses(held: Any) -> None:
    at = held(max_queue_rows=5)
    at.gateway.send({"inputs": [[1.0, 1.0]] * 4})
    refused = at.gateway.send({"inputs": [[1.0, 1.0]] * 2})
    at.gateway.send({"inputs": [[1.0, 1.0]]})
    also = at.gateway.send({"inputs": [[1.0, 1.0]]})
    at.let_go()

    seen = at.gateway.receive(5)

    assert {frame.id for frame in seen if frame.kind == frames.REFUSED} == {refused, also}
    assert {frame.flags for frame in seen if frame.kind == frames.REFUSED} == {frames.QUEUE_FULL}


def test_an_empty_queue_takes_any_one_request(workshop: Any) -> None:
    _, gateway = workshop.serving(workshop.function(DOUBLE), max_queue_rows=5)

    assert gateway.ask({"inputs": [[1.0, 1.0]] * 500}).rows == 500


def test_a_gateway_that_does_not_read_is_not_read_and_harms_no_other(workshop: Any, eventually: Eventually) -> None:
    """Its replies wait in bounded memory; when it reads again, nothing was lost."""
    code = "def predict(model_input):\n    return ['x' * 200_000] * len(model_input)"
    worker, slow = workshop.serving(workshop.function(code))
    other = worker.attach()
    slow.sock.setblocking(False)
    data, sent = b"".join(slow.request({"inputs": [i], "pad": "y" * 100_000}) for i in range(150)), 0
    deadline = time.monotonic() + 240
    answered = 0
    while answered < 40:
        assert time.monotonic() < deadline
        with contextlib.suppress(BlockingIOError):
            sent += slow.sock.send(data[sent:])
        assert other.ask({"inputs": [1]}).status == 200
        answered += 1

    assert sent < len(data)
    slow.sock.setblocking(True)
    thread = threading.Thread(target=slow.sock.sendall, args=(data[sent:],))
    thread.start()
    replies = [frame for frame in slow.receive(150) if frame.kind == frames.REPLY]
    thread.join()
    assert len(replies) == 150


HOSTILE = [
    ("a length beyond the limit", HEADER.pack(2**32 - 1, frames.REQUEST, 0, 0, 1)),
    ("an unknown kind", HEADER.pack(0, 99, 0, 0, 1)),
    ("a reply", encode_reply(Reply(1, 200, "a/b", b"", 1, 1, 0, 0, True))),
    ("a request without its header", HEADER.pack(2, frames.REQUEST, 0, 0, 1) + b"ab"),
    ("inner lengths that pass the end", HEADER.pack(12, frames.REQUEST, 0, 0, 1) + struct.pack("<qHH", 0, 900, 900)),
    ("noise", bytes(range(255, -1, -1)) * 10),
]


@pytest.mark.parametrize(("what", "data"), HOSTILE, ids=[row[0] for row in HOSTILE])
def test_hostile_frames_cost_their_sender_the_socket_and_nobody_else(workshop: Any, what: str, data: bytes) -> None:
    worker, gateway = workshop.serving(workshop.function(DOUBLE))
    hostile = worker.attach()

    hostile.sock.sendall(data)

    hostile.sock.settimeout(60)
    assert hostile.sock.recv(1) == b""
    assert gateway.ask({"inputs": [[1.0]]}).status == 200
    assert "gateway_broken" in worker.log


def test_an_id_in_use_is_hostile(held: Any) -> None:
    at = held()
    other = at.worker.attach()
    request = other.request({"inputs": [[1.0, 1.0]]})
    other.sock.sendall(request * 2)
    good = at.gateway.send({"inputs": [[1.0, 1.0]]})

    assert at.release(1)[good].status == 200
    other.sock.settimeout(60)
    assert other.sock.recv(1) == b""
