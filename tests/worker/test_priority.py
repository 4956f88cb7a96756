"""A loading worker takes less of the machine, and every one of its threads gets it all back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from podium.worker.priority import limit_threads

SOURCE = str(Path(__file__).parents[2] / "src")

# In a process of its own: what is changed here is changed for every test after.
SCRIPT = """
import json, os, threading
from podium.worker.priority import can_restore, in_batches, low_priority, nice

def here():
    return [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))]

go, seen = threading.Event(), []
def work():
    go.wait()
    seen.append(here())

before = here()
with {block}:
    inside = here()
    thread = threading.Thread(target=work)
    thread.start()
after = here()
go.set()
thread.join()
print(json.dumps([before, inside, after, seen[0], can_restore(os.getpriority(os.PRIO_PROCESS, 0))]))
"""
NORMAL = [os.getpriority(os.PRIO_PROCESS, 0), os.SCHED_OTHER, sorted(os.sched_getaffinity(0))]


def run(block: str) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(block=block)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    found: list[object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("block", ["low_priority(1)", "low_priority(1, is_awaited=True)", "in_batches(1)"])
def test_a_low_priority_is_taken_back_in_every_thread(block: str) -> None:
    before, inside, after, thread, _ = run(block)

    assert before == after == thread == NORMAL
    assert inside != NORMAL


def test_batch_scheduling_keeps_as_many_processors_as_threads() -> None:
    """A library that counts processors while it loads must not find fewer than it may use."""
    _, inside, *_ = run(f"in_batches({len(NORMAL[2])})")  # type: ignore[arg-type]

    assert inside == [NORMAL[0], os.SCHED_BATCH, NORMAL[2]]


def test_niceness_is_used_only_where_it_can_be_taken_back() -> None:
    _, inside, _, _, can_restore = run("low_priority(1)")

    assert (inside[0] == 19) is can_restore  # type: ignore[index]
    _, awaited, *_ = run("low_priority(1, is_awaited=True)")
    assert (awaited[0] == 5) is can_restore  # type: ignore[index]


def test_every_library_is_told_its_threads() -> None:
    environ = {"OMP_NUM_THREADS": "64", "PATH": "/bin"}

    limit_threads(2, environ)

    assert {environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}
    assert environ["PATH"] == "/bin"


def test_no_thread_at_all_is_one() -> None:
    environ: dict[str, str] = {}

    limit_threads(0, environ)

    assert environ["OMP_NUM_THREADS"] == "1"


def test_who_gives_way_gets_everything_back() -> None:
    """Idle scheduling for a process that may come back from it, batch scheduling for any other; both in every thread."""
    script = """
import json, os, threading
from podium.worker.priority import give_way

def policies():
    # Not /proc/self/task: a thread that was joined may stand there for a moment.
    return sorted({os.sched_getscheduler(each.native_id) for each in threading.enumerate()})

go = threading.Event()
thread = threading.Thread(target=go.wait)
thread.start()
seen = []
for is_on in (True, False, True, False):
    give_way(is_on)
    seen.append(policies())
go.set()
thread.join()
if not os.geteuid():
    import resource
    resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
    os.setuid(65534)
    for is_on in (True, False):
        give_way(is_on)
        seen.append(policies())
print(json.dumps(seen))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )

    seen = json.loads(done.stdout)

    assert seen[0] in ([os.SCHED_IDLE], [os.SCHED_BATCH])
    assert seen[:4] == [seen[0], [os.SCHED_OTHER]] * 2
    if os.geteuid() == 0:
        assert seen[4:] == [[os.SCHED_BATCH], [os.SCHED_OTHER]]


def test_who_gives_way_asks_for_long_slices_and_for_the_usual_ones_again() -> None:
    """Between sessions nothing else says who interrupts whom."""
    script = """
import ctypes, json, os, struct
from podium.worker.priority import give_way, low_priority

def slice_ns():
    found = ctypes.create_string_buffer(48)
    call = {"x86_64": 315, "aarch64": 275}[os.uname().machine]
    assert ctypes.CDLL(None).syscall(call, 0, found, 48, 0) == 0
    return struct.unpack("=IIQiIQQQ", found.raw)[5]

seen = [slice_ns()]
for is_on in (True, False):
    give_way(is_on)
    seen.append(slice_ns())
with low_priority(1):
    seen.append(slice_ns())
print(json.dumps([*seen, slice_ns()]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )

    usual, *seen = json.loads(done.stdout)

    long = 100_000_000 if usual else 0  # before Linux 6.12 there are none to be had
    assert seen == [long, usual, long, usual]


@pytest.mark.parametrize(("block", "inside"), [("low_priority(1)", 10), ("low_priority(1, is_awaited=True)", 5)])
def test_a_session_of_its_own_gives_way_as_a_whole_and_comes_back(block: str, inside: int) -> None:
    """Where Linux schedules by sessions, the niceness of threads says nothing to other sessions."""
    script = f"""
import json
from podium.worker.priority import low_priority, session_niceness
seen = [session_niceness()]
with {block}:
    seen.append(session_niceness())
print(json.dumps([*seen, session_niceness()]))
"""

    def run_it(*, is_leader: bool) -> object:
        command = [sys.executable, "-c", script]
        environ = {**os.environ, "PYTHONPATH": SOURCE}
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=240, check=True, start_new_session=is_leader
        )
        return json.loads(done.stdout)

    assert run_it(is_leader=False) == [None, None, None]
    assert run_it(is_leader=True) == ([0, inside, 0] if Path("/proc/self/autogroup").exists() else [None] * 3)
