"""Servers as process trees: started, watched through /proc, and ended whatever happens."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_S = 0.02
_MIB = 1024.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Of all processes of a tree; PSS counts a page that n processes share as 1/n."""

    pss_mib: float
    rss_mib: float
    processes: int


class Tree:
    """One server and all its descendants."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> None:
        self.log = log
        self.started = time.monotonic()
        with log.open("ab") as out:
            self._leader = subprocess.Popen(
                list(argv),
                env=dict(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  no threads here
            )

    @property
    def has_ended(self) -> bool:
        return self._leader.poll() is not None

    def pids(self) -> list[int]:
        """Descendants by parent, and whoever shares the leader's session: a child whose parent died is adopted by us."""
        parents: dict[int, int] = {}
        sessions: dict[int, int] = {}
        for pid, fields in _stats():
            parents[pid], sessions[pid] = int(fields[1]), int(fields[3])
        found = {self._leader.pid} | {pid for pid, session in sessions.items() if session == self._leader.pid}
        grew = True
        while grew:
            more = {pid for pid, parent in parents.items() if parent in found} - found
            found |= more
            grew = bool(more)
        return sorted(found & parents.keys())

    def cpu_s(self) -> float:
        """Used so far by all processes of the tree that live, and by their children that were waited for."""
        chosen, total = set(self.pids()), 0
        for pid, fields in _stats():
            if pid in chosen:
                total += sum(int(field) for field in fields[11:15])
        return total * _TICK_S

    def memory(self) -> Memory:
        pss = rss = count = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
                pss, rss, count = pss + sizes["Pss"], rss + sizes["Rss"], count + 1
        return Memory(pss / _MIB, rss / _MIB, count)

    def end(self, patience_s: float = 10.0) -> None:
        """Ask with SIGTERM, then insist with SIGKILL; nothing of the tree lives afterwards."""
        known = self.pids()
        with contextlib.suppress(ProcessLookupError):
            self._leader.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._leader.wait(patience_s)
        for pid in {*known, *self.pids()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._leader.wait()
        _reap()


@dataclass(frozen=True, slots=True)
class Clock:
    """Processor seconds of the whole machine: busy, and how many processors there are."""

    busy_s: float
    at: float


def machine_clock() -> Clock:
    """Busy is all but idle and waiting for disks; what the hypervisor stole counts as busy."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return Clock((sum(fields) - fields[3] - fields[4]) * _TICK_S, time.monotonic())


def adopt_orphans() -> None:
    """Children of servers that die become ours, so that they can be found and ended."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_all_children() -> None:
    """The last line: whatever this process still has for children is killed."""
    own = os.getpid()
    for _ in range(50):
        children = [pid for pid, fields in _stats() if int(fields[1]) == own and fields[0] != "Z"]
        if not children:
            break
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK_S)
    _reap()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Of each process the fields of /proc/PID/stat after its name: state, parent, group, session ..."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                text = Path(entry.path, "stat").read_text()
                yield int(entry.name), text[text.rindex(")") + 2 :].split()


def podium_pids(tree: Tree) -> dict[str, int]:
    """The gateway and the worker of a podium that has one of each."""
    found = {}
    for pid in tree.pids():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        for name, module in (("gateway", b"podium.serving"), ("worker", b"podium.worker")):
            if module in words:
                found[name] = pid
    if set(found) != {"gateway", "worker"}:
        raise SystemExit(f"expected a gateway and a worker, found {sorted(found)}")
    return found
