"""What the machine, or the control group we were put into, gives us: processors, memory, out-of-memory kills.

Reads cgroup v2 and v1. Every path is taken from a root argument, so that tests read folders of their own.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 1 << 60
_ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class OomKills:
    """How often the kernel killed for memory so far: in our control group, and on the whole machine."""

    group: int
    machine: int


def cpu_limit(root: Path = _ROOT) -> float:
    """Processors that we may use: the smallest of affinity and control group limits; at least a tenth."""
    limits = [float(len(os.sched_getaffinity(0)))]
    for folder in _groups("cpu", root):
        quota, period = text_of(folder / "cpu.max").partition(" ")[::2]
        if not quota:
            quota, period = text_of(folder / "cpu.cfs_quota_us"), text_of(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            limits.append(int(quota) / int(period))
    return max(min(limits), 0.1)


def available_memory(root: Path = _ROOT) -> int:
    """Bytes that can be had without swapping or being killed: the smallest over the machine and our control groups."""
    meminfo = re.search(r"^MemAvailable:\s+(\d+) kB", text_of(root / "proc/meminfo"), re.MULTILINE)
    amounts = [int(meminfo[1]) * 1024] if meminfo else []
    for folder in _groups("memory", root):
        limit = _number(folder / "memory.max", folder / "memory.limit_in_bytes")
        used = _number(folder / "memory.current", folder / "memory.usage_in_bytes")
        if limit is None or used is None or limit >= _UNLIMITED:
            continue
        # The page cache that nobody used lately is given back when memory runs short.
        stat = re.search(r"^(?:total_)?inactive_file (\d+)", text_of(folder / "memory.stat"), re.MULTILINE)
        amounts.append(max(limit - used + (int(stat[1]) if stat else 0), 0))
    return min(amounts, default=_UNLIMITED)


def oom_kills(root: Path = _ROOT) -> OomKills:
    """The kernel's counters; compare two readings."""
    group = 0
    for folder in _groups("memory", root):
        for name in ("memory.events", "memory.oom_control"):
            found = re.search(r"^oom_kill (\d+)", text_of(folder / name), re.MULTILINE)
            group = max(group, int(found[1]) if found else 0)
    machine = re.search(r"^oom_kill (\d+)", text_of(root / "proc/vmstat"), re.MULTILINE)
    return OomKills(group, int(machine[1]) if machine else 0)


def resident_bytes(pid: int, root: Path = _ROOT, *, is_alone: bool = False) -> int:
    """Resident memory of a process and of all that it started, such as the worker in a sandbox; 0 when it is gone.

    Args:
        pid: The process.
        root: Of the file system that is looked into.
        is_alone: Whether what it started is left out.
    """
    total, pending, seen = 0, [pid], set()
    while pending:
        number = pending.pop()
        if number in seen:
            continue
        seen.add(number)
        fields = text_of(root / f"proc/{number}/statm").split()
        total += int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0
        if is_alone:
            break
        pending += map(int, text_of(root / f"proc/{number}/task/{number}/children").split())
    return total


def cpu_seconds(pid: int, root: Path = _ROOT) -> float:
    """What a process has computed, with all that it started and waited for or that still runs; 0 when it is gone."""
    ticks, pending, seen = 0, [pid], set()
    while pending:
        number = pending.pop()
        if number in seen:
            continue
        seen.add(number)
        # The name in brackets may hold spaces and brackets of its own.
        fields = text_of(root / f"proc/{number}/stat").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
        pending += map(int, text_of(root / f"proc/{number}/task/{number}/children").split())
    return ticks / os.sysconf("SC_CLK_TCK")


def started_at(pid: int, root: Path = _ROOT) -> int | None:
    """When a process started, in clock ticks since boot; with the pid it names one process for ever. None: it is gone."""
    # The name in brackets may hold spaces and brackets of its own.
    fields = text_of(root / f"proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else None


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Our control group's folder and its parents', v2 and v1; a limit of any of them counts.

    In a container the path may be the host's while only our own part is mounted; then the mount's root is ours.
    """
    for line in text_of(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mounts = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif controller in controllers.split(","):
            mounts = [root / "sys/fs/cgroup" / controllers, root / "sys/fs/cgroup" / controller]
        else:
            continue
        for mount in mounts:
            inner = Path(path.lstrip("/"))
            for folder in (inner, *inner.parents):
                if (mount / folder).is_dir():
                    yield mount / folder


def _number(*paths: Path) -> int | None:
    for path in paths:
        text = text_of(path)
        if text == "max":
            return _UNLIMITED
        if text.isdigit():
            return int(text)
    return None


def text_of(path: Path) -> str:
    """What a small file of the kernel's says; nothing where it cannot be read."""
    # Not by `open`: there are thousands to read every second, and its buffers and decoders cost more than the kernel.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        parts = []
        while part := os.read(descriptor, 1 << 16):
            parts.append(part)
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return b"".join(parts).decode(errors="replace").strip()
