"""Processes that lost who started them: reaping them as process 1 of a container, ending those that a child left behind."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Set as AbstractSet
from pathlib import Path

from podium.fleet.host.machine import started_at

_ROOT = Path("/")
MARK = "PODIUM_CHILD"
_LOOKS, _PAUSE_S = 11, 0.02
_LONGEST_S = 5.0


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


def end_marked(mark: str, since: int = 0, root: Path = _ROOT, limit_s: float = _LONGEST_S) -> int:
    """Kill every process of this user whose environment has our mark: what a dead child had started in another session.

    Its process group is ended with the child itself; what a model's code starts as a daemon (`start_new_session`, a double
    fork) is not in it, and is found by the environment that it inherited. Who empties that is not found. A program that is
    just being started shows none yet, so whoever has none is looked at again, for a fifth of a second.

    Args:
        mark: The child's.
        since: When the child started, as `started_at` says it: whoever is older cannot be its.
        root: Of the file system that processes are looked for in.
        limit_s: The kernel shows no environment while the process's memory is locked, or while it waits in the midst of
            beginning a program. It may be anybody's: whoever is not looked at by then is not waited for.

    Returns: How many were killed.
    """
    ended: list[int] = []
    # A daemon: nobody's end waits for a thread that the kernel holds up.
    thread = threading.Thread(target=_end_marked, args=(f"{MARK}={mark}".encode(), since, root, ended), daemon=True)
    thread.start()
    thread.join(limit_s)
    return len(ended)


def _end_marked(wanted: bytes, since: int, root: Path, ended: list[int]) -> None:
    pids = [int(name) for name in os.listdir(root / "proc") if name.isdigit()]
    pids = [pid for pid in pids if (started_at(pid, root) or 0) >= since]
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE_S)
        found = {pid: _is_ended_if_marked(pid, wanted, root) for pid in pids}
        ended += [pid for pid, is_ended in found.items() if is_ended is True]
        pids = [pid for pid, is_ended in found.items() if is_ended is None]
        if not pids:
            break


def _is_ended_if_marked(pid: int, wanted: bytes, root: Path) -> bool | None:
    """Whether it was marked, and is killed; None of a program that shows no environment."""
    folder = root / "proc" / str(pid)
    with contextlib.suppress(OSError):
        # Before it is looked at: the number may be another process's by the time it is killed.
        descriptor = os.pidfd_open(pid)
        try:
            environ = (folder / "environ").read_bytes()
            if wanted in environ.split(b"\0"):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                return True
            if not environ:
                (folder / "exe").readlink()  # the kernel's own threads have none
                return None
        finally:
            os.close(descriptor)
    return False
