"""Processes that lost who started them: reaping them as process 1 of a container, ending those that a child left behind."""

import contextlib
import os
import signal
from collections.abc import Set as AbstractSet
from pathlib import Path

_PROC = Path("/proc")
MARK = "PODIUM_CHILD"


def reap_orphans(ours: AbstractSet[int]) -> int:
    """Reap ended children that we did not start ourselves; those that we did are left to their owners.

    Returns: How many were reaped. One that stands behind a child of ours is found at the next call.
    """
    count = 0
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count
        if ended is None or ended.si_pid in ours:
            return count
        os.waitpid(ended.si_pid, 0)
        count += 1


def end_marked(mark: str) -> int:
    """Kill every process of this user whose environment has our mark: what a dead child had started in another session.

    Its process group is ended with the child itself; what a model's code starts as a daemon (`start_new_session`, a double
    fork) is not in it, and is found by the environment that it inherited. Who empties that is not found.

    Returns: How many were killed.
    """
    wanted = f"{MARK}={mark}".encode()
    return sum(_end_if_marked(int(name), wanted) for name in os.listdir(_PROC) if name.isdigit())


def _end_if_marked(pid: int, wanted: bytes) -> bool:
    with contextlib.suppress(OSError):
        # Before it is looked at: the number may be another process's by the time it is killed.
        descriptor = os.pidfd_open(pid)
        try:
            if wanted in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                return True
        finally:
            os.close(descriptor)
    return False
