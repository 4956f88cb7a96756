"""What a worker process answers: batches that change no answer, guilty requests that fail alone, bounded queues."""

import contextlib
import json
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podium.transport import frames
from podium.transport.frames import HEADER, Reply, encode_cancel, encode_reply

Eventually = Callable[[Callable[[], bool], str], None]

# Requests that begin with -1 wait for the file `go`; those that queue meanwhile make the next batch.
GATE = """
import pathlib, select
import numpy as np
GO = pathlib.Path(__file__).with_name("go")
CALLS = []

def gate(model_input):
    CALLS.append(len(model_input))
    while model_input[0][0] == -1 and not GO.exists():
        select.select([], [], [], 0.005)
"""
DOUBLE = GATE + "\ndef predict(model_input):\n    gate(model_input)\n    return model_input * 2\n"
EXAMPLE = {"inputs": [[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]}
BLOCK = {"inputs": [[-1.0, 0.0]]}


class Held:
    """A worker that is busy until `release`, with a gateway to queue requests on."""

    def __init__(self, workshop: Any, eventually: Eventually, code: str = DOUBLE, **options: Any) -> None:
        is_declared = options.pop("is_declared", True)
        self._model = workshop.function(code, EXAMPLE, is_declared)
        self._eventually = eventually
        self.worker, self.gateway = workshop.serving(self._model, **options)
        self.hold()

    def hold(self) -> None:
        blocking = self.gateway.send(BLOCK)
        self._eventually(lambda: self.worker.board.running() == [(1, blocking)], "the first request runs")

    def queued(self, rows: int) -> None:
        self._eventually(lambda: self.worker.board.queued_rows == rows, f"{rows} rows are queued")

    def release(self, count: int) -> dict[int, Reply]:
        """Let it go on; the replies to the requests that were queued."""
        (self._model[0] / "go").touch()
        replies = self.gateway.replies(count + 1)
        del replies[min(replies)]
        return replies


@pytest.fixture
def held(workshop: Any, eventually: Eventually) -> Callable[..., Held]:
    return lambda *arguments, **options: Held(workshop, eventually, *arguments, **options)


def values(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return json.loads(reply.body)["predictions"]


# ── batches


def test_what_queued_runs_together(held: Any) -> None:
    at = held()
    sent = {at.gateway.send({"inputs": [[float(i), 1.0]] * (i + 1)}): i for i in range(4)}

    replies = at.release(4)

    assert {i: values(replies[identity]) for identity, i in sent.items()} == {
        i: [[2.0 * i, 2.0]] * (i + 1) for i in range(4)
    }
    assert {reply.batch_rows for reply in replies.values()} == {10}
    assert [reply.rows for reply in replies.values()] == [1, 2, 3, 4]
    assert sum(reply.is_first_of_batch for reply in replies.values()) == 1


def test_answers_under_concurrent_load_equal_single_answers(workshop: Any) -> None:
    """A BLAS model, by itself, without being told to batch."""
    model, rows = workshop.logistic_regression()
    worker, alone = workshop.serving(workshop.estimator(model, {"inputs": rows[:5].tolist()}))
    expected = [values(alone.ask({"inputs": [row]})) for row in rows.tolist()]
    gateways = [worker.attach() for _ in range(2)]
    found: dict[int, Any] = {}
    batches = []

    def load(gateway: Any, part: range) -> None:
        gateway.sock.sendall(b"".join(gateway.request({"inputs": [rows[i].tolist()]}) for i in part))
        for identity, reply in gateway.replies(len(part)).items():
            found[part[identity - 1]] = values(reply)
            batches.append(reply.batch_rows)

    threads = [threading.Thread(target=load, args=(g, range(i * 100, i * 100 + 100))) for i, g in enumerate(gateways)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [found[i] for i in range(200)] == expected
    assert max(batches) > 1
    assert expected == [[label] for label in model.predict(rows).tolist()]


def test_the_verdict_is_told_with_its_reason(workshop: Any) -> None:
    model, rows = workshop.logistic_regression()
    known = workshop.worker(workshop.estimator(model, {"inputs": rows[:5].tolist()})).ready()
    unprobed = workshop.worker(workshop.estimator(model)).ready()
    off = workshop.worker(workshop.estimator(model)).ready(batching="off")
    undeclared = workshop.worker(workshop.function(DOUBLE, EXAMPLE)).ready()
    served = workshop.worker(workshop.function(DOUBLE, EXAMPLE)).ready(batching="on")

    assert (known.is_batching, unprobed.is_batching, off.is_batching) == (True, True, False)
    assert "LogisticRegression" in known.batching_reason
    assert "singly, together and permuted" in known.batching_reason
    assert "no input example" in unprobed.batching_reason
    assert (undeclared.is_batching, served.is_batching) == (False, True)
    assert "row_independent" in undeclared.batching_reason


def test_a_function_that_is_not_row_wise_is_never_batched(held: Any) -> None:
    """Not though it was declared so: the probe vetoes."""
    code = GATE + "\ndef predict(model_input):\n    gate(model_input)\n    return model_input - model_input.mean(axis=0)\n"
    at = held(code)
    sent = [at.gateway.send({"inputs": [[float(i), 1.0]]}) for i in range(4)]

    replies = at.release(4)

    assert [values(replies[identity]) for identity in sent] == [[[0.0, 0.0]]] * 4
    assert {reply.batch_rows for reply in replies.values()} == {1}


def test_an_undeclared_function_is_never_batched(held: Any) -> None:
    at = held(is_declared=False)
    for i in range(4):
        at.gateway.send({"inputs": [[float(i), 1.0]]})

    assert {reply.batch_rows for reply in at.release(4).values()} == {1}


def test_a_function_that_turns_out_not_to_answer_rows_is_stopped_from_batching(held: Any) -> None:
    """The probe's rows did not show it; nobody gets a wrong answer for that."""
    code = GATE + (
        "\ndef predict(model_input):\n    gate(model_input)\n    rows = model_input[:, 0] * 2\n"
        "    return rows[:1] if (rows == rows[0]).all() else rows\n"
    )
    at = held(code)
    sent = {at.gateway.send({"inputs": [[5.0, 1.0]]}): [10.0] for _ in range(3)}

    replies = at.release(3)

    assert {identity: values(replies[identity]) for identity in sent} == sent
    assert {reply.batch_rows for reply in replies.values()} == {1}
    assert "batching_stopped" in at.worker.log


def test_other_shapes_and_dtypes_stay_apart(held: Any) -> None:
    at = held()
    narrow = [at.gateway.send({"inputs": [[1.0, 2.0]]}) for _ in range(2)]
    wide = [at.gateway.send({"inputs": [[1.0, 2.0, 3.0]]}) for _ in range(2)]
    whole = [at.gateway.send({"inputs": [[1, 2]]}) for _ in range(2)]

    replies = at.release(6)

    assert {reply.batch_rows for reply in replies.values()} == {2}
    assert [values(replies[identity]) for identity in whole] == [[[2, 4]]] * 2
    assert [values(replies[identity]) for identity in narrow] == [[[2.0, 4.0]]] * 2
    assert [values(replies[identity]) for identity in wide] == [[[2.0, 4.0, 6.0]]] * 2


def test_solo_requests_are_never_merged(held: Any) -> None:
    at = held()
    solo = at.gateway.send({"inputs": [[1.0, 1.0]]}, is_solo=True)
    others = [at.gateway.send({"inputs": [[1.0, 1.0]]}) for _ in range(2)]

    replies = at.release(3)

    assert replies[solo].batch_rows == 1
    assert [replies[identity].batch_rows for identity in others] == [2, 2]


def test_batches_are_capped_in_rows_and_big_requests_run_alone(held: Any) -> None:
    at = held(max_batch_rows=4)
    small = [at.gateway.send({"inputs": [[1.0, 1.0]] * 3}) for _ in range(2)]
    big = at.gateway.send({"inputs": [[1.0, 1.0]] * 65})

    replies = at.release(3)

    assert [replies[identity].batch_rows for identity in small] == [3, 3]
    assert replies[big].batch_rows == 65


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
    at = held(GATE + GUILTY.format(error=error))
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
    code = (
        GATE
        + """
def predict(model_input):
    gate(model_input)
    return [object() if row[0] == 13 else float(row[0]) for row in model_input]
"""
    )
    at = held(code)
    sent = {at.gateway.send({"inputs": [[float(i), 1.0]]}): i for i in range(12, 16)}

    replies = at.release(4)

    assert {i: replies[identity].status for identity, i in sent.items()} == {12: 200, 13: 500, 14: 200, 15: 200}
    assert {reply.batch_rows for reply in replies.values()} == {4}


# ── deadlines, cancelling, bounds


def test_an_expired_request_costs_no_prediction(held: Any) -> None:
    code = GATE + "\ndef predict(model_input):\n    gate(model_input)\n    return [list(CALLS)] * len(model_input)\n"
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
    code = GATE + "\ndef predict(model_input):\n    gate(model_input)\n    return [list(CALLS)] * len(model_input)\n"
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
    (at._model[0] / "go").touch()

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
    deadline = time.monotonic() + 60
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


def test_a_table_keeps_its_columns_through_a_batch(workshop: Any, eventually: Eventually) -> None:
    """DataFrames are merged and cut too; one with a missing value runs apart."""
    code = GATE.replace("model_input[0][0]", "model_input.iloc[0, 0]") + (
        "\ndef predict(model_input):\n    gate(model_input)\n"
        "    return model_input.assign(c=model_input['a'] * 2)[['c', 'b']]\n"
    )
    folder, mlmodel = workshop.function(code, is_declared=True)
    worker, gateway = workshop.serving((folder, mlmodel))

    def body(a: float, b: str | None) -> dict[str, Any]:
        return {"dataframe_split": {"columns": ["a", "b"], "data": [[a, b]]}}

    blocking = gateway.send(body(-1.0, "x"))
    eventually(lambda: worker.board.running() == [(1, blocking)], "the first request runs")
    full = [gateway.send(body(float(i), "x")) for i in range(3)]
    partial = gateway.send(body(7.0, None))
    Path(folder, "go").touch()
    replies = gateway.replies(5)

    assert [values(replies[identity]) for identity in full] == [[{"c": 2.0 * i, "b": "x"}] for i in range(3)]
    assert {replies[identity].batch_rows for identity in full} == {3}
    assert (values(replies[partial]), replies[partial].batch_rows) == ([{"c": 14.0, "b": None}], 1)


def test_params_keep_requests_apart(workshop: Any, eventually: Eventually) -> None:
    code = GATE + (
        "\nclass Model(PythonModel):\n    def predict(self, context, model_input, params=None):\n"
        "        gate(model_input)\n"
        "        return model_input * params['by']\n"
    )
    folder, mlmodel = workshop.function(code, is_declared=True)
    schema = [{"name": "by", "type": "double", "default": 2.0, "shape": None}]
    mlmodel["signature"] = {"inputs": None, "outputs": None, "params": json.dumps(schema)}
    worker, gateway = workshop.serving((folder, mlmodel))
    blocking = gateway.send(BLOCK)
    eventually(lambda: worker.board.running() == [(1, blocking)], "the first request runs")
    sent = {gateway.send({"inputs": [[1.0, 1.0]], "params": {"by": by}}): by for by in (2.0, 3.0, 2.0, 3.0)}
    plain = gateway.send({"inputs": [[1.0, 1.0]]})
    Path(folder, "go").touch()

    replies = gateway.replies(6)

    assert [values(replies[identity]) for identity in sent] == [[[by, by]] for by in sent.values()]
    assert [replies[identity].batch_rows for identity in sent] == [3, 2, 3, 2]
    assert replies[plain].batch_rows == 3


def test_float32_and_float64_models_keep_their_labels(workshop: Any) -> None:
    """Rows asked in one request and one by one get equal labels."""
    model, rows = workshop.logistic_regression()
    _, gateway = workshop.serving(workshop.estimator(model, {"inputs": rows[:5].tolist()}))

    together = values(gateway.ask({"inputs": rows[:40].tolist()}))

    assert together == [values(gateway.ask({"inputs": [row]}))[0] for row in rows[:40].tolist()]
    assert together == np.asarray(model.predict(rows[:40])).tolist()
