"""A shortcut is used only where it was seen to answer the same bits as the model, in the layout that it will be given."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.domain.inputs.plan import InputPlan, plan_for
from podium.domain.signature import Signature
from podium.flavors.claims import Claim, Inputs
from podium.flavors.contract import RowIndependence
from podium.models.assemble import Assembler
from podium.models.predictor import Predictor
from podium.worker.proofs.shortcut import Shortcut, find_shortcut

WEIGHTS = np.array([0.1, 0.2, 0.3])
TABLE = [{"type": "double", "name": name} for name in "abc"]
FOUR = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]
MATRIX = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]


@dataclass
class Model:
    """A model whose shortcut is what it claims, or not."""

    claim: Callable[[Any], Any] | None
    own: Callable[[Any], Any] = lambda rows: np.asarray(rows) @ WEIGHTS
    native: Any = None

    def predict(self, data: Any, params: Any = None) -> Any:
        return self.own(data)

    def hasten(self) -> None:
        pass

    def claims(self, inputs: Inputs) -> list[Claim]:
        claim = self.claim
        if claim is None:
            return []
        order: Any = "C" if inputs.names is None else "F"
        return [Claim(lambda batch: claim(np.array(batch.parts[0], order=order)), "a claim")]


def found(model: Any, inputs: Any = TABLE, example: Any = None) -> Shortcut | None:
    signature = Signature.from_dict({"inputs": json.dumps(inputs), "outputs": None, "params": None})
    plan = plan_for(signature)
    assert isinstance(plan, InputPlan)
    predictor = Predictor(model, signature, "test", RowIndependence(True, "said so"), {})
    return find_shortcut(predictor, plan, Assembler(plan), example)


@pytest.mark.parametrize("inputs", [TABLE, MATRIX], ids=["table", "matrix"])
def test_an_equal_one_is_taken(inputs: Any) -> None:
    shortcut = found(Model(lambda rows: rows @ WEIGHTS), inputs)

    assert shortcut is not None
    rows = np.array([[1.0, 2.0, 3.0]])
    assert (rows @ WEIGHTS).tolist() == shortcut.answer(1, rows.tobytes(), []).tolist()
    assert sum(shortcut.proof.rows.values()) > 300


REFUTED = [
    ("one bit differs", lambda rows: np.nextafter(rows @ WEIGHTS, np.inf)),
    ("it differs in large batches only", lambda rows: rows @ WEIGHTS + (len(rows) > 32)),
    ("it differs for large numbers only", lambda rows: np.where(np.abs(rows).max() > 50, 0.0, rows @ WEIGHTS)),
    ("another dtype", lambda rows: (rows @ WEIGHTS).astype(np.float32)),
    ("another shape", lambda rows: (rows @ WEIGHTS).reshape(-1, 1)),
    ("a list", lambda rows: (rows @ WEIGHTS).tolist()),
    ("it raises", lambda rows: 1 / 0),
    ("it ends the process", lambda rows: exit(3)),
]


@pytest.mark.parametrize(("why", "claim"), REFUTED, ids=[row[0] for row in REFUTED])
def test_one_that_is_not_the_same_is_not_taken(why: str, claim: Callable[[Any], Any]) -> None:
    assert found(Model(claim)) is None


def test_the_example_is_looked_at_too() -> None:
    """It differs for the rows that the model's author showed, and for nothing else."""
    rows = pd.DataFrame([[0.5, 0.25, 8.0]], columns=list("abc"))
    claim: Callable[[Any], Any] = lambda x: np.where((x == [0.5, 0.25, 8.0]).all(axis=1), -1.0, x @ WEIGHTS)  # noqa: E731

    assert found(Model(claim), example=rows) is None
    assert found(Model(claim)) is not None


OTHERS = [
    ("no claim", Model(None), TABLE),
    ("a cube", Model(lambda rows: rows), [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3, 3]}}]),
]


@pytest.mark.parametrize(("why", "model", "inputs"), OTHERS, ids=[row[0] for row in OTHERS])
def test_what_is_no_batch_has_none(why: str, model: Model, inputs: Any) -> None:
    assert found(model, inputs) is None


def test_what_a_shortcut_does_not_take_the_model_answers(workshop: Any) -> None:
    """Beyond single precision a forest refuses in scikit-learn's words, also by way of the plan."""
    from sklearn.ensemble import RandomForestClassifier

    from podium.transport import frames

    x = np.random.default_rng(0).normal(size=(50, 3))
    folder, mlmodel = workshop.estimator(RandomForestClassifier(3, random_state=0).fit(x, x[:, 0] > 0))
    mlmodel["signature"] = {"inputs": json.dumps(MATRIX), "outputs": None, "params": None}
    worker = workshop.worker((folder, mlmodel))
    ready = worker.ready()
    gateway = worker.attach()
    assert "proven equal" in ready.runtime
    block = np.array([1e300, 1.0, 1.0]).tobytes()

    gateway.sock.sendall(frames.encode_rows(1, 0, [1], 1, b"r-1", b"", [block]))
    (frame,) = gateway.receive(1)
    planned = frames.decode_reply(frame.flags, frame.status, frame.id, frame.payload)
    next(gateway.ids)
    raw = gateway.ask(b'{"inputs": [[1e300, 1.0, 1.0]]}')

    assert planned.status == raw.status == 400
    assert json.loads(planned.body)["message"] == json.loads(raw.body)["message"]


def test_the_original_answers_where_that_is_wanted(workshop: Any) -> None:
    model, _ = workshop.logistic_regression()
    folder, mlmodel = workshop.estimator(model)
    mlmodel["signature"] = {"inputs": json.dumps(FOUR), "outputs": None, "params": None}

    fast = workshop.worker((folder, mlmodel)).ready()
    own = workshop.worker((folder, mlmodel)).ready(has_shortcuts=False)

    assert fast.runtime.startswith("LogisticRegression by its own arithmetic, proven equal to the last bit on ")
    assert own.runtime == "LogisticRegression by itself"
    assert own.plan == fast.plan
