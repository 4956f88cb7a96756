"""What a dying worker leaves behind, and what its children must not keep."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

Eventually = Callable[[Callable[[], bool], str], None]
DOUBLE = "def predict(model_input):\n    return model_input * 2"

# Waits in a file-named queue: `touch FOLDER/go` lets it answer. A poll, because the test is another process.
GATED = """
import pathlib, select
GO = pathlib.Path(__file__).with_name("go")

def predict(model_input):
    while model_input[0][0] < 0 and not GO.exists():
        select.select([], [], [], 0.005)
    return model_input
"""


DEATHS = [
    ("exits", "import os", "os._exit(9)", 9),
    ("segfaults", "import ctypes", "ctypes.string_at(0)", -signal.SIGSEGV),
    ("is killed", "import os, signal", "os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
]


@pytest.mark.parametrize(("what", "imports", "action", "status"), DEATHS, ids=[row[0] for row in DEATHS])
def test_the_board_names_the_request_that_killed_the_worker(
    workshop: Any, what: str, imports: str, action: str, status: int
) -> None:
    code = f"{imports}\ndef predict(model_input):\n    if model_input[0][0] < 0:\n        {action}\n    return model_input"
    worker, gateway = workshop.serving(workshop.function(code))
    assert gateway.ask({"inputs": [[1]]}).status == 200

    fatal = gateway.send({"inputs": [[-1]]})

    assert worker.wait() == status
    assert worker.board.running() == [(1, fatal)]


def test_the_board_of_a_worker_killed_from_outside_names_what_ran(workshop: Any, eventually: Eventually) -> None:
    worker, gateway = workshop.serving(workshop.function(GATED))
    running = gateway.send({"inputs": [[-1]]})
    eventually(lambda: worker.board.running() == [(1, running)], "the request runs")
    gateway.send({"inputs": [[2]]})

    worker.process.send_signal(signal.SIGKILL)
    worker.wait()

    assert worker.board.running() == [(1, running)]
    assert worker.board.busy_since_ns > 0


def test_an_idle_worker_killed_from_outside_charges_nobody(workshop: Any, eventually: Eventually) -> None:
    worker, gateway = workshop.serving(workshop.function(DOUBLE))
    gateway.ask({"inputs": [[1]]})
    eventually(lambda: worker.board.busy_since_ns == 0, "the worker is idle")

    worker.process.send_signal(signal.SIGKILL)
    worker.wait()

    assert worker.board.running() == []


def test_children_that_the_model_forks_hold_no_socket_open(workshop: Any) -> None:
    """Or nobody would see the worker die while such a child lives."""
    code = """
import os, time
def predict(model_input):
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    return [child]
"""
    worker, gateway = workshop.serving(workshop.function(code))
    (child,) = json.loads(gateway.ask({"inputs": [1]}).body)["predictions"]
    try:
        worker.process.send_signal(signal.SIGKILL)
        worker.wait()
        gateway.sock.settimeout(60)

        assert gateway.sock.recv(1) == b""
        assert worker.hear() is None
    finally:
        os.kill(child, signal.SIGKILL)


def test_ending_a_child_that_the_model_forked_ends_the_child_only(workshop: Any) -> None:
    """Its SIGTERM is not the worker's."""
    code = """
import os, signal, time
def predict(model_input):
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    os.kill(child, signal.SIGTERM)
    return [os.WTERMSIG(os.waitpid(child, 0)[1])]
"""
    worker, gateway = workshop.serving(workshop.function(code))

    for _ in range(3):
        assert json.loads(gateway.ask({"inputs": [1]}).body) == {"predictions": [int(signal.SIGTERM)]}

    assert worker.process.poll() is None
    assert "draining" not in worker.log
