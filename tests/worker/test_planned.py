"""Groups of requests that a gateway decoded: answered as if each had come alone, whatever becomes of the others."""

import json
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podium.domain.inputs.plan import InputPlan
from podium.protocols.mlflow.fast_reading import FastReader
from podium.protocols.tensors import decode_tensors
from podium.transport import frames
from podium.transport.frame_reader import Frame
from podium.transport.frames import ANSWERS, REFUSED, REPLY
from podium.transport.messages import Ready

Eventually = Callable[[Callable[[], bool], str], None]
PAIRS = '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
TABLE = '[{"type": "double", "name": "a"}, {"type": "string", "name": "s"}, {"type": "long", "name": "n"}]'
GATE = """
import pathlib, select
import numpy as np
GO = pathlib.Path(__file__).with_name("go")
CALLS = []

def gate(rows):
    CALLS.append(len(rows))
    while rows[0][0] == -1 and not GO.exists():
        select.select([], [], [], 0.005)
"""
DOUBLE = GATE + "\ndef predict(model_input):\n    gate(model_input)\n    return model_input * 2\n"


class Held:
    """A worker that is busy until `let_go`, with a gateway that knows its input plan."""

    def __init__(self, workshop: Any, code: str = DOUBLE, signature: str = PAIRS, **options: Any) -> None:
        folder, mlmodel = workshop.function(code, is_declared=True)
        mlmodel["signature"] = {"inputs": signature, "outputs": None, "params": None}
        self._folder: Path = folder
        self.worker = workshop.worker((folder, mlmodel))
        self.ready: Ready = self.worker.ready(**options)
        self.gateway = self.worker.attach()
        assert self.ready.plan is not None
        self.reader = FastReader(InputPlan.from_json(self.ready.plan))

    def hold(self, eventually: Eventually) -> None:
        blocking = self.gateway.send({"inputs": [[-1.0, 0.0]]})
        eventually(lambda: self.worker.board.running() == [(1, blocking)], "the first request runs")

    def send(self, bodies: Sequence[Any], deadline_ns: int = 0, wants_tensors: bool = False) -> list[int]:
        """One group; the ids of its requests."""
        packed = [self.reader.read(json.dumps(body).encode()) for body in bodies]
        ids = [next(self.gateway.ids) for _ in bodies]
        taken = [part for part in packed if part is not None]
        assert len(taken) == len(bodies), "the plan takes all of these"
        texts = [text for part in taken for text in part.texts]
        self.gateway.sock.sendall(
            frames.encode_rows(
                ids[0],
                deadline_ns,
                [part.rows for part in taken],
                sum(part.rows for part in taken),
                "\n".join(f"r-{identity}" for identity in ids).encode(),
                json.dumps(texts).encode() if texts else b"",
                [part.block for part in taken],
                wants_tensors,
            )
        )
        return ids

    def begin(self, bodies: Sequence[Any], eventually: Eventually) -> tuple[list[int], int]:
        """A group whose first request runs, and the deadline that it has: soon, but not before that."""
        for patience_s in (0.3, 3, 30):
            deadline_ns = time.monotonic_ns() + int(patience_s * 1e9)
            ids = self.send(bodies, deadline_ns)
            eventually(lambda: bool(self.worker.board.running()) or self.is_answered, "it runs, or came too late")
            if self.worker.board.running() == [(1, ids[0])]:
                return ids, deadline_ns
            self.answers(ids)
        raise AssertionError("nothing began within half a minute")

    @property
    def is_answered(self) -> bool:
        return bool(select.select([self.gateway.sock], [], [], 0)[0])

    def cancel(self, identity: int) -> None:
        self.gateway.sock.sendall(frames.encode_cancel(identity))

    def let_go(self) -> None:
        (self._folder / "go").touch()

    def answers(self, ids: Sequence[int]) -> dict[int, Any]:
        """Status and body of each of these requests, however they are sent."""
        found: dict[int, Any] = {}
        while not set(ids) <= found.keys():
            found |= said(self.gateway.receive(1)[0])
        return {identity: found[identity] for identity in ids}


def said(frame: Frame) -> dict[int, Any]:
    if frame.kind == ANSWERS:
        answers = frames.decode_answers(frame.flags, frame.id, frame.payload)
        return {answers.first + i: (200, body) for i, body in enumerate(answers.bodies)}
    if frame.kind == REPLY:
        reply = frames.decode_reply(frame.flags, frame.status, frame.id, frame.payload)
        return {reply.id: (reply.status, reply.body)}
    assert frame.kind == REFUSED
    return {frame.id: frame.flags}


def predictions(rows: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"predictions": rows}).encode()


@pytest.fixture
def held(workshop: Any) -> Callable[..., Held]:
    return lambda *arguments, **options: Held(workshop, *arguments, **options)


def test_groups_that_queued_run_in_one_call(held: Any, eventually: Eventually) -> None:
    at = held()
    at.hold(eventually)
    first = at.send([{"inputs": [[1.0, 1.0]]}, {"instances": [[2.0, 1.0], [3.0, 1.0]]}])
    second = at.send([{"inputs": [[4.0, 1.0]]}])

    at.let_go()
    seen = [frame for frame in at.gateway.receive(3) if frame.kind == ANSWERS]
    answers = [frames.decode_answers(frame.flags, frame.id, frame.payload) for frame in seen]

    assert [answer.first for answer in answers] == [first[0], second[0]]
    assert [answer.batch_rows for answer in answers] == [4, 4]
    assert [answer.is_first_of_batch for answer in answers] == [True, False]
    assert [body for answer in answers for body in answer.bodies] == [
        predictions(rows)[1] for rows in ([[2.0, 2.0]], [[4.0, 2.0], [6.0, 2.0]], [[8.0, 2.0]])
    ]


def test_a_request_by_itself_is_answered_with_tensors_where_it_wants_them(held: Any) -> None:
    at = held()

    ids = at.send([{"inputs": [[float(i), 1.0] for i in range(300)]}], wants_tensors=True)
    status, body = at.answers(ids)[ids[0]]

    (output,), _ = decode_tensors(body)
    assert (status, output.datatype, output.shape) == (200, "FP64", (300, 2))
    assert np.frombuffer(output.data).reshape(300, 2).tolist() == [[2.0 * i, 2.0] for i in range(300)]


def test_a_group_answers_what_its_requests_answer_raw(workshop: Any) -> None:
    """A table of mixed columns, by a function that says what it saw."""
    code = "def predict(model_input):\n    return [repr((row.a, row.s, row.n)) for row in model_input.itertuples()]\n"
    at = Held(workshop, code, TABLE)
    bodies = [
        {"dataframe_split": {"columns": ["a", "s", "n"], "data": [[i / 3, f"é{i}", i]] * (i % 3 + 1)}} for i in range(9)
    ]
    raw = [at.gateway.ask(body).body for body in bodies]

    ids = at.send(bodies)

    assert [(200, body) for body in raw] == list(at.answers(ids).values())


def test_only_the_guilty_request_of_a_group_fails(held: Any) -> None:
    code = GATE + (
        "\ndef predict(model_input):\n    if (model_input[:, 0] == 13).any():\n        raise ValueError('unlucky')\n"
        "    return model_input\n"
    )
    at = held(code)

    ids = at.send([{"inputs": [[float(i), 0.0]]} for i in (1, 2, 13, 4, 5)])
    found = at.answers(ids)

    assert [status for status, _ in found.values()] == [200, 200, 400, 200, 200]
    assert found[ids[3]] == predictions([[4.0, 0.0]])
    assert f'"request_id": "r-{ids[2]}"' in at.worker.log


def test_a_request_that_fails_alone_is_run_once(held: Any, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    at = held(GATE + f"\ndef predict(model_input):\n    open({str(calls)!r}, 'a').write('x')\n    raise ValueError('no')\n")
    before = len(calls.read_text()) if calls.exists() else 0

    (identity,) = at.send([{"inputs": [[1.0, 0.0]]}])

    assert at.answers([identity])[identity][0] == 400
    assert len(calls.read_text()) == before + 1


def test_a_model_that_answers_other_rows_is_stopped_from_batching(held: Any) -> None:
    at = held(GATE + "\ndef predict(model_input):\n    return model_input[:1] if len(model_input) > 3 else model_input\n")

    ids = at.send([{"inputs": [[float(i), 0.0]]} for i in range(5)])

    assert at.answers(ids) == {identity: predictions([[float(i), 0.0]]) for i, identity in enumerate(ids)}
    assert "batching_stopped" in at.worker.log


ODD = [
    ("lists in an array", "objects([[1, 2]] * len(rows))"),
    ("lists and numbers in an array", "objects([[1, 2] if row[0] > 1 else 5 for row in rows])"),
    ("numbers with more digits than are written", "objects([10**5000] * len(rows))"),
    ("a dict that holds itself", "itself()"),
]


@pytest.mark.parametrize(("what", "returned"), ODD, ids=[row[0] for row in ODD])
def test_odd_answers_are_those_of_the_same_requests_raw(held: Any, what: str, returned: str) -> None:
    """Cut where it cannot be cut, an answer would be another request's, or the worker's end."""
    at = held(
        GATE
        + "\ndef objects(values):\n    made = np.empty(len(values), dtype=object)\n    made[:] = values\n    return made\n"
        + "\ndef itself():\n    held = {}\n    held['a'] = held\n    return held\n"
        + f"\ndef predict(model_input):\n    rows = model_input\n    return {returned}\n",
        batching="on",
    )
    bodies = [{"inputs": [[float(i), 0.0]] * (i % 2 + 1)} for i in range(4)]
    raw = [at.gateway.ask(body) for body in bodies]

    ids = at.send(bodies)
    found = at.answers(ids)

    assert [reply.status for reply in raw] == [status for status, _ in found.values()]
    assert [without_id(reply.body) for reply in raw] == [without_id(body) for _, body in found.values()]


def without_id(body: bytes) -> Any:
    answer = json.loads(body)
    return answer | {"request_id": None} if "error_code" in answer else answer


def test_requests_that_are_run_one_after_another_keep_their_order_and_deadline(held: Any, eventually: Eventually) -> None:
    """Nobody waits any more for what comes after one that took too long."""
    at = held(GATE + "\ndef predict(model_input):\n    gate(model_input)\n    return [len(CALLS)]\n", batching="off")
    ids, deadline_ns = at.begin([{"inputs": [[-1.0, 0.0]]}, {"inputs": [[1.0, 0.0]]}], eventually)
    eventually(lambda: time.monotonic_ns() > deadline_ns, "the deadline passed")

    at.let_go()
    found = at.answers(ids)

    assert [status for status, _ in found.values()] == [200, 504]


def test_what_one_request_gets_back_is_its_answer_whatever_it_is_made_of(held: Any) -> None:
    at = held(GATE + "\ndef predict(model_input):\n    return {'mean': float(model_input.mean())}\n")

    (identity,) = at.send([{"inputs": [[1.0, 3.0]]}])

    assert at.answers([identity])[identity] == predictions({"mean": 2.0})


def test_a_cancelled_request_does_not_change_the_others_answers(held: Any, eventually: Eventually) -> None:
    at = held()
    at.hold(eventually)
    ids = at.send([{"inputs": [[float(i), 0.0]]} for i in range(3)])
    at.cancel(ids[1])

    at.let_go()

    found = at.answers([ids[0], ids[2]])
    assert found == {ids[0]: predictions([[0.0, 0.0]]), ids[2]: predictions([[4.0, 0.0]])}


def test_a_group_that_nobody_waits_for_is_not_run(held: Any, eventually: Eventually) -> None:
    at = held()
    at.hold(eventually)
    ids = at.send([{"inputs": [[8.0, 0.0]]}, {"inputs": [[9.0, 0.0]]}])
    for identity in ids:
        at.cancel(identity)
    (last,) = at.send([{"inputs": [[5.0, 0.0]]}])

    at.let_go()
    frame = at.gateway.receive(2)[1]

    assert frames.decode_answers(frame.flags, frame.id, frame.payload).batch_rows == 1
    assert said(frame) == {last: predictions([[10.0, 0.0]])}


def test_a_late_group_is_answered_as_late(held: Any) -> None:
    at = held()

    ids = at.send([{"inputs": [[1.0, 0.0]]}] * 2, deadline_ns=time.monotonic_ns() - 1)

    assert {status for status, _ in at.answers(ids).values()} == {504}


def test_a_full_queue_refuses_each_request_of_a_group(held: Any, eventually: Eventually) -> None:
    at = held(max_queue_rows=4)
    at.hold(eventually)
    waiting = at.send([{"inputs": [[1.0, 0.0]]}] * 3)

    refused = at.send([{"inputs": [[1.0, 0.0]]}] * 2)

    at.let_go()
    found = at.answers([*waiting, *refused])

    assert [found[identity] for identity in refused] == [frames.QUEUE_FULL] * 2
    assert {found[identity][0] for identity in waiting} == {200}


def test_a_draining_worker_refuses_each_request_of_a_group(held: Any, eventually: Eventually) -> None:
    at = held()
    at.hold(eventually)
    at.worker.drain()
    eventually(lambda: '"draining"' in at.worker.log, "it drains")

    ids = at.send([{"inputs": [[1.0, 0.0]]}] * 2)
    at.let_go()

    # What had arrived before the drain was seen is served, what came later is refused; nothing is lost.
    assert set(at.answers(ids).values()) <= {frames.DRAINING, predictions([[2.0, 0.0]])}


def test_the_board_names_each_request_of_a_group_while_it_runs(held: Any, eventually: Eventually) -> None:
    at = held()

    ids = at.send([{"inputs": [[-1.0, 0.0]]}, {"inputs": [[1.0, 0.0]]}])

    eventually(lambda: at.worker.board.running() == [(1, identity) for identity in ids], "both are announced")
    at.let_go()
    assert len(at.answers(ids)) == 2


def test_without_batching_each_request_of_a_group_is_run_alone(held: Any) -> None:
    at = held(batching="off")

    ids = at.send([{"inputs": [[1.0, 0.0]]}, {"inputs": [[2.0, 0.0]]}])
    found = at.answers(ids)

    assert found == {ids[0]: predictions([[2.0, 0.0]]), ids[1]: predictions([[4.0, 0.0]])}


@pytest.mark.parametrize("block", [b"", b"x" * 15, b"x" * 17], ids=len)
def test_records_of_a_wrong_size_break_the_socket(held: Any, block: bytes) -> None:
    at = held()

    at.gateway.sock.sendall(frames.encode_rows(1, 0, [1], 1, b"r", b"", [block]))

    assert at.gateway.sock.recv(1) == b""
    assert "gateway_broken" in at.worker.log


def test_params_have_their_defaults(workshop: Any) -> None:
    code = "def predict(model_input, params=None):\n    return np.full(len(model_input), params['k'])\n"
    folder, mlmodel = workshop.function("import numpy as np\n" + code, is_declared=True)
    params = '[{"name": "k", "default": 7, "shape": null, "type": "long"}]'
    mlmodel["signature"] = {"inputs": PAIRS, "outputs": None, "params": params}
    worker = workshop.worker((folder, mlmodel))
    ready = worker.ready()
    gateway = worker.attach()
    packed = FastReader(InputPlan.from_json(ready.plan)).read(b'{"inputs": [[1.0, 2.0]]}')
    assert packed is not None

    gateway.sock.sendall(frames.encode_rows(1, 0, [1], 1, b"r", b"", [packed.block]))

    assert said(gateway.receive(1)[0]) == {1: predictions(np.array([7]).tolist())}


def test_a_lone_client_is_answered_while_the_worker_looks_for_its_requests(held: Any, eventually: Eventually) -> None:
    """It goes to sleep when nothing comes, and drains all the same."""
    at = held(busy_wait_us=5000)

    for i in range(40):
        (identity,) = at.send([{"inputs": [[float(i), 0.0]]}])
        assert at.answers([identity])[identity] == predictions([[2.0 * i, 0.0]])

    at.worker.drain()
    assert at.worker.wait() == 0
