"""A worker process from handshake to exit: what it says of itself, how it is told to stop, what it leaves behind."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podium.transport.messages import Attach, Drained, Load, LoadError

Eventually = Callable[[Callable[[], bool], str], None]
DOUBLE = "def predict(model_input):\n    return model_input * 2"
ROWS = {"inputs": [[1.0, 2.0]]}

# Waits in a file-named queue: `touch FOLDER/go` lets it answer. A poll, because the test is another process.
GATED = """
import pathlib, select
GO = pathlib.Path(__file__).with_name("go")

def predict(model_input):
    while model_input[0][0] < 0 and not GO.exists():
        select.select([], [], [], 0.005)
    return model_input
"""


def test_ready_tells_the_facts(workshop: Any) -> None:
    worker = workshop.worker(workshop.function(DOUBLE, ROWS))

    ready = worker.ready(packages=["numpy", "no-such-package"])

    assert ready.flavor == "python_function"
    assert ready.python == ".".join(map(str, sys.version_info[:3]))
    assert ready.executable == sys.executable
    assert set(ready.installed) == {"numpy", "no-such-package"}
    assert ready.installed["numpy"]
    assert ready.installed["no-such-package"] is None
    assert json.loads(ready.example or "") == ROWS
    assert ready.warnings == []
    assert ready.rss_bytes > 1_000_000
    assert worker.steps == ["import", "load", "warm", "probe"]


def test_a_request_is_answered(workshop: Any) -> None:
    _, gateway = workshop.serving(workshop.function(DOUBLE))

    reply = gateway.ask({"inputs": [[1, 2]]})

    assert (reply.status, reply.content_type) == (200, "application/json")
    assert json.loads(reply.body) == {"predictions": [[2, 4]]}
    assert (reply.rows, reply.batch_rows, reply.is_first_of_batch) == (1, 1, True)


def test_two_gateways_get_their_own_answers(workshop: Any) -> None:
    worker, first = workshop.serving(workshop.function(DOUBLE))
    second = worker.attach()

    first.send({"inputs": [1]})
    second.send({"inputs": [5]})

    assert json.loads(first.replies(1)[1].body) == {"predictions": [2]}
    assert json.loads(second.replies(1)[1].body) == {"predictions": [10]}


FAILING = [
    ("an unknown module", "import no_such_module\ndef predict(x): pass", "import_error"),
    ("an error", "1/0\ndef predict(x): pass", "load_error"),
    ("an exit", "import sys\nsys.exit(0)\ndef predict(x): pass", "load_error"),
    ("no memory", "raise MemoryError\ndef predict(x): pass", "out_of_memory"),
]


@pytest.mark.parametrize(("what", "code", "cause"), FAILING, ids=[row[0] for row in FAILING])
def test_a_model_that_does_not_load_says_why_and_exits_with_3(workshop: Any, what: str, code: str, cause: str) -> None:
    worker = workshop.worker(workshop.function(code))

    outcome = worker.load()

    assert isinstance(outcome, LoadError)
    assert outcome.cause == cause
    assert "Traceback" not in outcome.message
    assert "Traceback" in worker.log
    assert worker.wait() == 3


def test_a_folder_without_a_model_does_not_load(workshop: Any, tmp_path: Path) -> None:
    worker = workshop.worker((tmp_path / "nowhere", {"flavors": {}}))

    assert isinstance(worker.load(), LoadError)
    assert worker.wait() == 3


@pytest.mark.parametrize("example", [{"inputs": [["text"]]}, {"no": "form"}])
def test_an_example_that_fails_is_a_warning(workshop: Any, example: Any) -> None:
    code = "def predict(model_input):\n    return model_input.astype(float)"

    ready = workshop.worker(workshop.function(code, example)).ready()

    assert len(ready.warnings) == 1
    assert "input example did not score" in ready.warnings[0]


@pytest.mark.parametrize("code", [
    "import os\ndef predict(model_input):\n    return [os.environ['SCORING_TOKEN']]",
    "import os\nTOKEN = os.environ['SCORING_TOKEN']\ndef predict(model_input):\n    return [TOKEN]",
])  # fmt: skip
def test_a_variable_that_the_model_reads_and_does_not_get_is_named_with_the_way_to_pass_it(
    workshop: Any, code: str
) -> None:
    answer = workshop.worker(workshop.function(code, {"inputs": [1]})).load()

    said = answer.message if isinstance(answer, LoadError) else answer.warnings[0]
    assert "It reads the environment variable SCORING_TOKEN" in said
    assert 'worker_env = ["SCORING_TOKEN"]' in said


def test_a_key_that_the_model_lacks_elsewhere_is_no_variable(workshop: Any) -> None:
    ready = workshop.worker(workshop.function("def predict(model_input):\n    return {}['x']", {"inputs": [1]})).ready()

    assert "(KeyError)" in ready.warnings[0]


def test_what_libraries_warn_of_while_loading_is_told(workshop: Any) -> None:
    code = "import warnings\nwarnings.warn('trained with 0.1')\n" + DOUBLE

    ready = workshop.worker(workshop.function(code)).ready()

    assert ready.warnings == ["UserWarning: trained with 0.1"]


def test_threads_are_limited_before_anything_is_imported(workshop: Any) -> None:
    code = "import os, sys\nSEEN = os.environ['OMP_NUM_THREADS']\ndef predict(model_input):\n    return [SEEN]"
    worker = workshop.worker(workshop.function(code))
    worker.ready(threads=3)

    assert json.loads(worker.attach().ask({"inputs": [1]}).body) == {"predictions": ["3"]}


def test_a_low_priority_is_given_back_before_ready(workshop: Any) -> None:
    """In every thread: Linux keeps niceness, scheduling and processors for each."""
    code = """
import os, threading
def here(_=None):
    return [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))]
LOADING = here()
GO, DONE, SEEN = threading.Event(), threading.Event(), []
def work():
    GO.wait()
    SEEN.append(here())
    DONE.set()
threading.Thread(target=work, daemon=True).start()
def predict(model_input):
    GO.set()
    DONE.wait()
    return [LOADING, here(), SEEN[0]]
"""
    worker = workshop.worker(workshop.function(code))
    worker.ready(is_low_priority=True)

    loading, main, thread = json.loads(worker.attach().ask({"inputs": [1]}).body)["predictions"]

    normal = [os.getpriority(os.PRIO_PROCESS, 0), os.SCHED_OTHER, sorted(os.sched_getaffinity(0))]
    assert loading != normal
    assert main == normal
    assert thread == normal


# ── draining


def test_drain_finishes_what_is_queued_and_exits_0(workshop: Any, eventually: Eventually) -> None:
    model = workshop.function(GATED)
    worker, gateway = workshop.serving(model)
    blocking, queued = gateway.send({"inputs": [[-1]]}), gateway.send({"inputs": [[2]]})
    eventually(lambda: worker.board.running() == [(1, blocking)], "the first request runs")
    worker.drain()
    (model[0] / "go").touch()

    replies = gateway.replies(2)

    assert [replies[blocking].status, replies[queued].status] == [200, 200]
    assert worker.hear() == Drained()
    assert worker.wait() == 0
    assert worker.board.running() == []


def test_what_comes_after_drain_is_refused(workshop: Any, eventually: Eventually) -> None:
    """The gateway asks another replica; nothing was started here."""
    model = workshop.function(GATED)
    worker, gateway = workshop.serving(model)
    for _ in range(2):
        gateway.send({"inputs": [[-1]]})
    eventually(lambda: worker.board.running() == [(1, 1)], "the first request runs")
    worker.drain()
    (model[0] / "go").touch()
    gateway.receive(1)
    refused = []
    try:
        while True:
            late = gateway.send({"inputs": [[3]]})
            refused += [frame.flags for frame in gateway.receive(1) if frame.id == late and frame.kind == 4]
    except (OSError, AssertionError):
        pass

    assert worker.wait() == 0
    assert set(refused) <= {1}


def test_a_drain_that_takes_too_long_ends_the_process(workshop: Any, eventually: Eventually) -> None:
    """And the board still says which request it was that did not end."""
    worker, gateway = workshop.serving(workshop.function(GATED))
    gateway.send({"inputs": [[-1]]})
    eventually(lambda: worker.board.running() == [(1, 1)], "the request runs")

    worker.drain(limit_s=0.2)

    # 1 where this process stood still for two seconds more: then the watch in C, which waits so much longer, ended it.
    assert worker.wait() == 4 or (worker.process.returncode == 1 and "Timeout (" in worker.log)
    assert worker.board.running() == [(1, 1)]


def test_a_drain_ends_a_model_that_never_gives_the_interpreter_back(workshop: Any, eventually: Eventually) -> None:
    """No Python thread can run then; the watch that ends it is in C."""
    code = f"import ctypes\n{GATED}".replace("    return model_input", "    ctypes.PyDLL(None).sleep(1000)")
    model = workshop.function(code)
    worker, gateway = workshop.serving(model)
    gateway.send({"inputs": [[-1]]})
    eventually(lambda: worker.board.running() == [(1, 1)], "the request runs")
    worker.drain(limit_s=0.5)
    eventually(lambda: "draining" in worker.log, "the drain began")
    (model[0] / "go").touch()

    assert worker.wait() in {1, 4}
    assert worker.board.running() == [(1, 1)]


def test_sigterm_drains(workshop: Any, eventually: Eventually) -> None:
    model = workshop.function(GATED)
    worker, gateway = workshop.serving(model)
    gateway.send({"inputs": [[-1]]})
    eventually(lambda: worker.board.running() == [(1, 1)], "the request runs")

    worker.process.send_signal(signal.SIGTERM)
    (model[0] / "go").touch()

    assert gateway.replies(1)[1].status == 200
    assert worker.wait() == 0


def test_sigint_does_nothing(workshop: Any) -> None:
    """A terminal's Ctrl-C goes to every process; the supervisor decides what it means."""
    worker, gateway = workshop.serving(workshop.function(DOUBLE))

    worker.process.send_signal(signal.SIGINT)

    assert gateway.ask({"inputs": [1]}).status == 200


def test_a_worker_whose_supervisor_died_drains_and_exits(workshop: Any, eventually: Eventually) -> None:
    model = workshop.function(GATED)
    worker, gateway = workshop.serving(model)
    gateway.send({"inputs": [[-1]]})
    gateway.send({"inputs": [[2]]})
    eventually(lambda: worker.board.running() == [(1, 1)], "the first request runs")
    worker.control_socket.shutdown(socket.SHUT_RDWR)

    (model[0] / "go").touch()

    assert [reply.status for reply in gateway.replies(2).values()] == [200, 200]
    assert worker.wait() == 0


@pytest.mark.parametrize("how", ["end of file", "SIGTERM", "drain"])
def test_a_worker_that_still_loads_ends_at_once(workshop: Any, eventually: Eventually, how: str) -> None:
    code = "import pathlib, time\npathlib.Path(__file__).with_name('began').touch()\ntime.sleep(1000)\n" + DOUBLE
    model = workshop.function(code)
    worker = workshop.worker(model)
    worker.control.send(Load(str(model[0]), model[1], "test", "1"))
    eventually((model[0] / "began").exists, "loading began")

    match how:
        case "end of file":
            worker.control_socket.shutdown(socket.SHUT_RDWR)
        case "SIGTERM":
            worker.process.send_signal(signal.SIGTERM)
        case _:
            worker.drain()

    assert worker.wait() == 0


def test_a_worker_that_never_gets_a_load_ends_with_its_supervisor(workshop: Any) -> None:
    worker = workshop.worker(workshop.function(DOUBLE))

    worker.control_socket.shutdown(socket.SHUT_RDWR)

    assert worker.wait() == 0


def test_another_first_message_is_a_fault(workshop: Any) -> None:
    worker = workshop.worker(workshop.function(DOUBLE))

    worker.control.send(Attach(1), [0])

    assert worker.wait() == 2


def test_garbage_on_the_control_socket_drains(workshop: Any) -> None:
    worker, _ = workshop.serving(workshop.function(DOUBLE))

    worker.control_socket.sendall(struct.pack("<II", 3, 0) + b"{{{")

    assert worker.wait() == 0
    assert "control_broken" in worker.log


def test_started_by_hand_it_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "podium.worker", "--control-fd", "0", "--board-fd", "0"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )

    assert done.returncode == 2
    assert "not a socket and a board" in done.stderr
