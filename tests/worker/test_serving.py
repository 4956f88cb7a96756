"""What a worker process answers: batches that change no answer, and requests that are not merged."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from podium.transport.frames import Reply

Eventually = Callable[[Callable[[], bool], str], None]
DOUBLE = "def predict(model_input):\n    return model_input * 2"
EXAMPLE = {"inputs": [[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]}
GATE = """
import pathlib, select
GO = pathlib.Path(__file__).with_name("go")
def gate(first):
    while first == -1 and not GO.exists():
        select.select([], [], [], 0.005)
"""


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
    code = "\ndef predict(model_input):\n    gate(model_input)\n    return model_input - model_input.mean(axis=0)\n"
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
    code = (
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


def test_a_table_keeps_its_columns_through_a_batch(workshop: Any, eventually: Eventually) -> None:
    """DataFrames are merged and cut too; one with a missing value runs apart."""
    code = GATE + (
        "\ndef predict(model_input):\n    gate(model_input.iloc[0, 0])\n"
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
        "        gate(model_input[0][0])\n"
        "        return model_input * params['by']\n"
    )
    folder, mlmodel = workshop.function(code, is_declared=True)
    schema = [{"name": "by", "type": "double", "default": 2.0, "shape": None}]
    mlmodel["signature"] = {"inputs": None, "outputs": None, "params": json.dumps(schema)}
    worker, gateway = workshop.serving((folder, mlmodel))
    blocking = gateway.send({"inputs": [[-1.0, 0.0]]})
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
