"""A device that runs out of memory: every request is answered, and the next batches are smaller.

torch.OutOfMemoryError is what PyTorch raises when a GPU is full; here a module raises it above four rows.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from tests.worker.test_planned import Held as HeldGroups

from podium import pytorch
from podium.models.mlmodel import read_mlmodel
from podium.transport.frames import Reply

Eventually = Callable[[Callable[[], bool], str], None]


class Hungry(torch.nn.Module):
    """Has memory for four rows; waits for a file while a request begins with -1."""

    def __init__(self, go: str) -> None:
        super().__init__()
        self.go = go

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        from pathlib import Path
        from select import select

        while x[0, 0] == -1 and not Path(self.go).exists():
            select([], [], [], 0.005)
        if len(x) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return x * 2


@pytest.fixture
def by_value() -> Iterator[None]:
    """Workers cannot import this file."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def hungry(workshop: Any, by_value: None, tmp_path: Path) -> Callable[..., Any]:
    """A worker with such a module and a gateway; whether its rows are merged is said."""

    def serving(is_declared: bool) -> Any:
        folder = tmp_path / "hungry"
        example = np.ones((3, 2), np.float32)
        pytorch.save_model(
            Hungry(str(tmp_path / "go")), folder, serialization_format="pickle", input_example=example,
            row_independent=is_declared, pip_requirements=[],
        )  # fmt: skip
        return workshop.serving((folder, read_mlmodel(folder)), max_batch_rows=64)

    return serving


def rows(*firsts: float) -> dict[str, Any]:
    return {"inputs": [[first, 1.0] for first in firsts]}


def values(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return json.loads(reply.body)["predictions"]


def test_a_batch_that_does_not_fit_is_answered_in_parts_and_the_next_are_smaller(
    hungry: Any, eventually: Eventually, tmp_path: Path
) -> None:
    worker, gateway = hungry(True)
    assert worker.board.row_cap == 64
    blocking = gateway.send(rows(-1))
    eventually(lambda: worker.board.running() == [(1, blocking)], "the first request runs")
    sent = {gateway.send(rows(first)): first for first in range(16)}
    (tmp_path / "go").touch()
    replies = gateway.replies(17)

    assert {sent[identity]: values(replies[identity])[0][0] for identity in sent} == {n: 2.0 * n for n in range(16)}
    eventually(lambda: worker.board.row_cap == 4, "the cap is what fitted")


def test_a_large_request_is_answered_in_parts_where_its_rows_are_independent(hungry: Any, eventually: Eventually) -> None:
    worker, gateway = hungry(True)

    assert values(gateway.ask(rows(*range(11)))) == [[2.0 * n, 2.0] for n in range(11)]
    eventually(lambda: worker.board.row_cap < 5, "the cap is lowered")
    assert values(gateway.ask(rows(*range(7)))) == [[2.0 * n, 2.0] for n in range(7)]


def test_a_request_that_does_not_fit_is_told_so_and_the_next_is_answered(hungry: Any) -> None:
    """Its rows may depend on one another, so that nobody but the client may cut it."""
    _, gateway = hungry(False)
    refused = gateway.ask(rows(*range(10)))

    assert refused.status == 429
    assert json.loads(refused.body)["error_code"] == "RESOURCE_EXHAUSTED"
    assert "The device cpu ran out of memory on 10 rows" in json.loads(refused.body)["message"]
    assert values(gateway.ask(rows(1, 2))) == [[2.0, 2.0], [4.0, 2.0]]


def test_where_a_model_computes_is_told_when_it_is_ready(workshop: Any, by_value: None, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    pytorch.save_model(torch.nn.Linear(2, 1), folder, input_example=np.ones((1, 2), np.float32), pip_requirements=[])
    ready = workshop.worker((folder, read_mlmodel(folder))).ready()

    expected = "cuda:0" if torch.cuda.is_available() else "cpu"
    assert ready.device.device == expected
    assert bool(ready.device.total_bytes) == torch.cuda.is_available()


OUT_OF_MEMORY = """
import torch

def predict(model_input):
    gate(model_input)
    if len(model_input) > 4:
        raise torch.OutOfMemoryError("CUDA out of memory.")
    return model_input * 2
"""


def test_groups_that_do_not_fit_are_answered_in_parts(workshop: Any, eventually: Eventually) -> None:
    """Of any Python function that computes with PyTorch; later groups are cut before they fail."""
    code = HeldGroups.__init__.__defaults__[0].partition("\ndef predict")[0] + OUT_OF_MEMORY  # type: ignore[index]
    at = HeldGroups(workshop, code, max_batch_rows=64)
    at.hold(eventually)
    ids = at.send([rows(first) for first in range(16)])
    at.let_go()
    answers = at.answers(ids)

    assert [json.loads(body)["predictions"][0][0] for _, body in answers.values()] == [2.0 * n for n in range(16)]
    eventually(lambda: at.worker.board.row_cap == 4, "the cap is what fitted")
    again = at.answers(at.send([rows(*range(3)) for _ in range(4)]))
    assert {status for status, _ in again.values()} == {200}
