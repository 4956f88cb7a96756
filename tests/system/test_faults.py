"""Shown by, line 3: what breaks while requests come in, and that nothing more is lost than SECURITY.md and docs say."""

import os
import signal
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import accumulate
from pathlib import Path

import pytest
from driven import Podium, Server, Versions, is_zombie, loading, wait_until
from judging import bad, counted, summary
from load import Sample
from stage import write_model

from podium.api.registering import Registry

pytestmark = pytest.mark.slow

# A version whose file is whole and whose code is not: it imports what is not there.
_REGISTER_BROKEN = """
import sys
import podium.pyfunc

class Broken(podium.pyfunc.PythonModel):
    def load_context(self, context):
        import a_module_that_nobody_has

    def predict(self, context, model_input, params=None):
        return model_input

podium.pyfunc.log_model(python_model=Broken(), name="broken", registered_model_name=sys.argv[1])
"""


def test_a_broken_version_never_takes_traffic_and_is_reported(
    podium: Podium, server: Server, versions: Versions, seconds: float
):
    """The old version serves on; `status --wait` exits 1 and status names the cause; another move is followed again."""
    podium.python(_REGISTER_BROKEN, versions.name)

    with loading(server, versions, seconds) as load:
        podium.run("models", "promote", versions.name, "4")
        settled = server.settle()
        reported = server.status()["wanted_failure"]
        logged = podium.run("logs", versions.name).stdout
        podium.run("models", "promote", versions.name, "2")
        recovered = server.settle()
        samples = load.samples()

    assert settled == 1
    assert reported["cause"] == "import_error"
    assert "a_module_that_nobody_has" in reported["message"]
    assert "a_module_that_nobody_has" in logged
    assert recovered == 0
    assert bad(samples) == [], summary(samples)
    assert {"1", "2"} == {sample.version for sample in samples}


def test_a_killed_worker_costs_no_request(podium: Podium, server: Server, versions: Versions, seconds: float):
    """SIGKILL of one replica, then of all: what it ran is tried once more elsewhere or after its restart."""
    with loading(server, versions, seconds) as load:
        first = server.children("podium.worker")
        os.kill(first[0], signal.SIGKILL)
        wait_until(lambda: len(set(server.children("podium.worker")) - {first[0]}) == 2, 150, "the replica is back")
        samples = load.samples()

    assert bad(samples) == [], summary(samples)
    assert server.settle() == 0


def test_the_only_worker_is_killed_and_its_requests_wait_for_the_next(podium: Podium, versions: Versions, seconds: float):
    """Without another replica, what was running and what comes meanwhile is answered once the worker is back."""
    server = podium.serve(versions.uri)

    with loading(server, versions, seconds) as load:
        wait_until(lambda: server.answers("/ping"), 150, "requests are under way")
        victim = server.children("podium.worker")[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: set(server.children("podium.worker")) - {victim}, 150, "the replica is back")
        samples = load.samples()

    assert bad(samples) == [], summary(samples)
    assert server.status()["restarts"]["workers"] == 1
    assert server.stop() == 0


def test_a_killed_gateway_costs_only_the_requests_in_it(podium: Podium, server: Server, versions: Versions, seconds: float):
    """SIGKILL of one of two gateways: only requests that its connections held break; it is restarted; counts stay exact."""
    with loading(server, versions, seconds) as load:
        victim = server.children("podium.serving")[0]
        killed = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        # On a busy machine it takes a while until a killed process runs to its end, and only that closes its connections.
        wait_until(lambda: not Path(f"/proc/{victim}").exists() or is_zombie(victim), 150, "the gateway is dead")
        dead = time.monotonic()
        wait_until(lambda: len(set(server.children("podium.serving")) - {victim}) == 2, 150, "the gateway is back")
        samples = load.samples()

    broken = bad(samples)
    assert all(sample.error and "ConnectionResetError" in sample.error for sample in broken), summary(samples)
    assert all(sample.sent is not None and sample.sent <= dead for sample in broken)
    assert all(sample.done >= killed for sample in broken)
    # What a killed gateway answered in the very moment may not be counted; all else is, through its restart.
    assert len(samples) - len(broken) - at_once(samples, dead) <= counted(server, "200") <= len(samples)


def at_once(samples: Sequence[Sample], until: float) -> int:
    """How many requests were under way together at most, by then: what waits together is answered, and then counted."""
    sent = [sample for sample in samples if sample.sent is not None and sample.sent <= until]
    changes = sorted([(sample.sent, 1) for sample in sent] + [(sample.done, -1) for sample in sent])
    return max(accumulate(change for _, change in changes))


def test_a_locked_then_missing_registry_changes_nothing_for_clients(
    podium: Podium, server: Server, versions: Versions, seconds: float
):
    """Another process holds the registry exclusively, then the file is moved away: what serves keeps serving.

    Once the registry is back, its moves are followed again; at no time does an observer make a new file.
    """
    registry = podium.home / "registry.db"
    away = podium.folder / "moved-registry.db"

    with loading(server, versions, seconds) as load:
        with closing(sqlite3.connect(registry, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            reported_while_locked = server.status()
            other.execute("ROLLBACK")
        _move_database(registry, away)
        wait_until(lambda: not server.status()["source"]["is_up"], 150, "status says that the registry is gone")
        missing = not registry.exists()
        _move_database(away, registry)
        podium.run("models", "promote", versions.name, "2")
        assert server.settle() == 0
        samples = load.samples()

    assert reported_while_locked
    assert missing
    assert bad(samples) == [], summary(samples)
    assert samples[-1].version == "2"


def test_another_registry_in_the_place_of_the_first_is_not_followed(
    podium: Podium, server: Server, versions: Versions, tmp_path: Path
):
    """A file of the same name with other models in it unloads nothing; status says that it is another one."""
    other = Registry(tmp_path / "other")
    other.register(write_model(tmp_path / "another"), versions.name)
    other.promote(versions.name, 1)
    registry = podium.home / "registry.db"
    _move_database(registry, podium.folder / "first.db")

    _move_database(tmp_path / "other" / "registry.db", registry)
    wait_until(lambda: not server.status()["source"]["is_up"], 150, "status says that it is another registry")

    assert server.post(versions.body)[1]["x-podium-version"] == "1"


def test_a_stopped_then_killed_supervisor_leaves_no_orphan(
    podium: Podium, server: Server, versions: Versions, seconds: float
):
    """While it is stopped requests are answered on; once it is killed the rest drains and exits by itself."""
    with loading(server, versions, seconds) as load:
        supervisor = server.pid
        os.kill(supervisor, signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: time.monotonic() > stopped + 0.3 * seconds, 600, "requests went on for a while")
        killed = time.monotonic()
        os.kill(supervisor, signal.SIGKILL)
        server.process.wait(150)
        wait_until(lambda: podium.processes() == {}, 150, "nothing of the server runs any more")
        samples = load.samples()

    before = [sample for sample in samples if sample.sent is not None and sample.sent < killed]
    after = [sample for sample in bad(samples) if sample not in before]
    assert bad(before) == [], summary(before)
    assert all(sample.error or sample.status == 503 for sample in after), summary(after)


def test_a_supervisor_killed_in_the_middle_of_a_swap_leaves_no_orphan(podium: Podium, server: Server, versions: Versions):
    """The worker that still loads ends too."""
    before = server.children("podium.worker")
    podium.run("models", "promote", versions.name, "2")
    wait_until(lambda: set(server.children("podium.worker")) - set(before), 150, "the next version is loading")

    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(150)

    wait_until(lambda: podium.processes() == {}, 150, "nothing of the server runs any more")


def test_sigterm_at_full_load_finishes_what_it_accepted(podium: Podium, server: Server, versions: Versions, seconds: float):
    """What was sent before SIGTERM is answered, what comes later is answered or refused; the exit status is 0."""
    with loading(server, versions, seconds) as load:
        wait_until(lambda: server.answers("/ping"), 150, "requests are under way")
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + 0.3 * seconds, 600, "load for a while")
        terminated = time.monotonic()
        status = server.stop()
        left = podium.processes()
        samples = load.samples()

    before = [sample for sample in samples if sample.sent is not None and sample.sent < terminated]
    assert status == 0
    assert [pid for pid in left if pid != load.process.pid] == []
    assert bad(before) == [], summary(before)
    assert {200, 503, None} >= {sample.status for sample in samples}


def _move_database(source: Path, target: Path) -> None:
    """Move an SQLite file with its -wal and -shm."""
    for suffix in ("", "-wal", "-shm"):
        part = Path(f"{source}{suffix}")
        if part.exists():
            part.rename(f"{target}{suffix}")
