"""Workers that a fork server forks off: what they share, what they must not, and what it refuses."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podium.transport.fork_messages import Preload, Unforkable
from podium.transport.messages import Attach, Load
from podium.worker.priority import can_restore

MARK = "PODIUM_CHILD"
PREDICT = "def predict(model_input):\n    return [LOADED]\n"
SKLEARN = ["numpy", "pandas", "sklearn.linear_model"]


def told(gateway: Any) -> Any:
    """What the model's `LOADED` is."""
    return json.loads(gateway.ask({"inputs": [1]}).body)["predictions"][0]


# ── as if begun afresh


@pytest.mark.slow
def test_it_says_and_answers_what_one_begun_afresh_does(workshop: Any, forks: Any, forked: Any) -> None:
    """Ready with its proof, answers to good and bad requests, to the byte; it may differ in what it took."""
    estimator, rows = workshop.logistic_regression()
    model = workshop.estimator(estimator, {"inputs": rows[:3].tolist()})
    tensor = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}
    model[1]["signature"] = {"inputs": json.dumps([tensor])}
    forks.ready(*SKLEARN)
    seen = []
    for worker in (workshop.worker(model), forked(model)):
        ready = worker.ready(packages=["scikit-learn", "nothing-of-the-kind"])
        said = {name: getattr(ready, name) for name in ready.__slots__ if name not in {"load_s", "rss_bytes"}}
        # A proof has a quarter of a second, so how many rows it sees depends on how busy the machine is.
        del said["proof"]["seconds"], said["proof"]["rows"]
        said["runtime"] = said["runtime"].partition(" on ")[0]
        gateway = worker.attach()
        bodies = [{"inputs": rows[:count].tolist()} for count in (1, 7, 200)]
        replies = [gateway.ask(body) for body in (*bodies, {"inputs": [["text"]]}, {"no": "form"}, b"{{")]
        seen.append((said, worker.steps, [(reply.status, reply.body) for reply in replies]))

    for said, as_fresh in zip(seen[1], seen[0], strict=True):
        assert said == as_fresh
    assert "proven equal" in seen[0][0]["runtime"]


def test_it_has_what_a_process_of_its_own_has(workshop: Any, forks: Any, forked: Any) -> None:
    """Session, variables, name, main module, stack, output: what others see in /proc, and what the model sees."""
    code = f"""
import os, sys, traceback
environ = open("/proc/self/environ").read().split(chr(0))
LOADED = [os.getsid(0) == os.getpid(), os.environ["{MARK}"], [e for e in environ if e.startswith("{MARK}=")],
    "JE_ARROW_MALLOC_CONF" in os.environ, sys.modules["__main__"].__spec__.name, len(traceback.extract_stack()) < 40,
    "podium.worker" in open("/proc/self/cmdline").read().split(chr(0)),
    sorted(os.readlink(f"/proc/self/fd/{{n}}").partition(":")[0] for n in (0, 1, 2)), os.getppid() != {forks.process.pid}]
print("printed by the model")
{PREDICT}"""
    forks.ready("numpy")
    worker = forked(workshop.function(code))
    worker.ready()

    seen = told(worker.attach())

    mark = "fedcba9876543210"
    assert seen[:7] == [True, mark, [f"{MARK}={mark}"], False, "podium.worker.__main__", True, True]
    assert seen[7] == sorted(["/dev/null", *2 * [str(worker._log)]])
    assert seen[8]
    assert "printed by the model" in worker.log
    assert "printed" not in forks.log


def test_no_two_of_them_draw_the_same(workshop: Any, forks: Any, forked: Any) -> None:
    code = "import random, numpy as np\nLOADED = [random.random(), np.random.random()]\n" + PREDICT
    forks.ready("numpy", "numpy.random")
    drawn = []
    for _ in range(2):
        worker = forked(workshop.function(code))
        worker.ready()
        drawn += told(worker.attach())

    assert len(set(drawn)) == 4


def test_they_have_no_module_and_no_object_of_each_others_models(workshop: Any, forks: Any, forked: Any) -> None:
    """What a model leaves in its process stays there: the fork server never reads one."""
    code = f"import sys, numpy\nLOADED = hasattr(numpy, 'left')\nnumpy.left = sys.left = 1\n{PREDICT}"
    forks.ready("numpy")
    seen = []
    for _ in range(2):
        worker = forked(workshop.function(code))
        worker.ready()
        seen.append(told(worker.attach()))

    assert seen == [False, False]


def test_what_libraries_warn_of_is_told_by_each_worker(workshop: Any, forks: Any, forked: Any) -> None:
    """They were imported once, and would warn once."""
    (workshop.folder / "warninglibrary.py").write_text("import warnings\nwarnings.warn('too old', UserWarning)\n")
    forks.ready("numpy", "warninglibrary")

    said = [forked(workshop.function("LOADED = 1\n" + PREDICT)).ready().warnings for _ in range(2)]

    assert said == 2 * [["UserWarning: too old"]]


def test_processes_that_a_model_spawns_find_their_main_module(workshop: Any, forks: Any, forked: Any) -> None:
    code = f"""
import multiprocessing
with multiprocessing.get_context("spawn").Pool(1) as pool:
    LOADED = pool.apply(abs, (-3,))
{PREDICT}"""
    forks.ready("numpy")
    worker = forked(workshop.function(code))
    worker.ready()

    assert told(worker.attach()) == 3


# ── ends


def test_its_workers_serve_on_when_it_is_killed(workshop: Any, forks: Any, forked: Any) -> None:
    forks.ready("numpy")
    worker = forked(workshop.function("LOADED = 7\n" + PREDICT))
    worker.ready()

    forks.process.kill()
    forks.process.wait()

    assert told(worker.attach()) == 7
    worker.drain()
    assert worker.process.wait() == 0


def test_it_and_a_worker_without_a_model_end_with_the_supervisor(workshop: Any, forks: Any, forked: Any) -> None:
    forks.ready("numpy")
    worker = forked((workshop.folder, {}))

    forks.sock.shutdown(socket.SHUT_RDWR)
    worker.control_socket.shutdown(socket.SHUT_RDWR)

    assert forks.process.wait(60) == 0
    assert worker.process.wait() == 0


def test_a_worker_that_still_loads_ends_at_once(workshop: Any, forks: Any, forked: Any, eventually: Any) -> None:
    """SIGTERM goes to the worker alone."""
    code = "import pathlib, time\npathlib.Path(__file__).with_name('began').touch()\ntime.sleep(1000)\n" + PREDICT
    model = workshop.function(code)
    forks.ready("numpy")
    worker = forked(model)
    worker.control.send(Load(str(model[0]), model[1], "test", "1"))
    eventually((model[0] / "began").exists, "loading began")

    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait() == 0
    assert forks.process.poll() is None


# ── refusals


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()", "threads"),
        ("import socket\nkept = socket.socketpair()", "opened socket"),
        ("import select\nkept = select.epoll()", "opened anon_inode"),
        ("raise ValueError('no')", "cannot be imported: ValueError: no"),
        ("raise SystemExit(0)", "cannot be imported: SystemExit"),
        ("import nothing_of_the_kind", "cannot be imported: No module named 'nothing_of_the_kind'"),
    ],
)
def test_what_cannot_be_shared_is_refused_for_good(forks: Any, tmp_path: Path, library: str, reason: str) -> None:
    """A fork would take half of it along; or a second try would be another one than the first."""
    (tmp_path / "oddlibrary.py").write_text(library)

    said = forks.say(Preload(["numpy", "oddlibrary"]))

    assert isinstance(said, Unforkable)
    assert reason in said.reason
    assert said.is_lasting
    assert forks.process.wait(60) == 3


def test_libraries_that_somebody_waits_for_are_not_imported_at_the_lowest_priority(forks: Any, tmp_path: Path) -> None:
    """As their models are not loaded at it: a killed worker whose fork server is gone too would be down for minutes."""
    (tmp_path / "oddlibrary.py").write_text("import os\nraise ValueError(os.getpriority(os.PRIO_PROCESS, 0))\n")
    own = os.getpriority(os.PRIO_PROCESS, 0)

    said = forks.say(Preload(["oddlibrary"], is_low_priority=True, is_awaited=True))

    assert isinstance(said, Unforkable)
    assert f"ValueError: {max(own, 5) if can_restore(own) else own}" in said.reason


def test_a_library_that_is_not_installed_is_left_to_the_workers(workshop: Any, forks: Any, forked: Any) -> None:
    """They do without it, or say what is missing as they always do."""
    forks.ready("numpy", "nothing_of_the_kind", "nothing_of_the_kind.inside", "numpy.nothing_of_the_kind")

    worker = forked(workshop.function("LOADED = 1\n" + PREDICT))

    assert worker.ready().warnings == []


def test_a_thread_that_has_ended_or_is_about_to_is_no_reason(workshop: Any, forks: Any, forked: Any) -> None:
    """The kernel lists it for a moment longer than whoever joins it waits."""
    code = (
        "import threading, time\nfor _ in range(50):\n    (each := threading.Thread(target=int)).start()\n    each.join()\n"
    )
    (workshop.folder / "oddlibrary.py").write_text(code + "threading.Thread(target=time.sleep, args=(0.2,)).start()\n")
    forks.ready("numpy", "oddlibrary")

    assert forked(workshop.function("LOADED = 1\n" + PREDICT)).ready().warnings == []


def test_a_machine_that_stands_still_makes_no_thread_a_lasting_one(workshop: Any, forks: Any, forked: Any) -> None:
    """As long as this thread lives, an hour goes by at each look at the clock."""
    code = (
        "import itertools, threading, time\nreal, time.monotonic = time.monotonic, itertools.count(0, 3600).__next__\n"
        "def end():\n    time.sleep(0.2)\n    time.monotonic = real\nthreading.Thread(target=end).start()\n"
    )
    (workshop.folder / "oddlibrary.py").write_text(code)
    forks.ready("numpy", "oddlibrary")

    assert forked(workshop.function("LOADED = 1\n" + PREDICT)).ready().warnings == []


def test_packages_that_change_are_not_forked_from_before(forks: Any, tmp_path: Path) -> None:
    """A worker would say the versions that are installed now, and run those that were."""
    place = tmp_path / "site-packages"
    place.mkdir()
    (tmp_path / "addsplace.py").write_text(f"import sys\nsys.path.append({str(place)!r})\n")

    said = forks.say(Preload(["addsplace"]))

    assert isinstance(said, Unforkable)
    assert "installed packages" in said.reason
    assert not said.is_lasting


def test_another_message_ends_it(forks: Any) -> None:
    assert isinstance(forks.say(Attach(1), (0,)), Unforkable)
    assert forks.process.wait(60) == 3


def test_started_by_hand_it_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "podium.worker.forking", "--control-fd", "0"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )

    assert done.returncode == 2
    assert "not a socket" in done.stderr
