"""podium as the first process of a container, where nobody else reaps, and where a signal without a handler is lost."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from driven import Podium, Versions, is_zombie, wait_until

pytestmark = pytest.mark.slow

_UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]


def _can_unshare() -> bool:
    tried = [*_UNSHARE, "true"]
    return shutil.which("unshare") is not None and subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_unshare(), reason="this machine lets nobody make a process namespace")
def test_as_process_one_it_serves_reaps_and_stops_on_sigterm(podium: Podium, versions: Versions):
    """A killed worker leaves no zombie and is replaced; SIGTERM drains and the exit status is 0."""
    server = podium.serve(versions.uri, prefix=_UNSHARE)
    first = _child(server.pid)
    assert _id_inside(first) == 1

    victim = server.children("podium.worker")[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: set(server.children("podium.worker")) - {victim}, 150, "the replica is back")
    wait_until(lambda: server.answers("/readyz"), 150, "it takes traffic")

    assert server.post(versions.body)[0] == 200
    wait_until(lambda: not any(map(is_zombie, _descendants(first))), 150, "nothing that has ended is left unreaped")
    os.kill(first, signal.SIGTERM)
    assert server.process.wait(120) == 0


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _descendants(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it was reaped meanwhile
        children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [each for child in children for each in _descendants(child)]


def _id_inside(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid:"))
    return int(line.split()[-1])
