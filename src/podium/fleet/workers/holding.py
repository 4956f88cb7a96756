"""How much memory a worker holds that would be free without it.

Of one that was begun afresh that is what is resident. One that was forked shares pages with its fork server and its
siblings, and counting those once for each of them would send models to sleep that take next to nothing. What is its own
the kernel counts by walking all its pages, too slow to be asked for every second; between two walks it is estimated,
never too low: pages that came since, and pages that were shared and were written to, each of which was a fault.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from podium.fleet.machine import resident_bytes

_ROOT = Path("/")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STALE_BYTES = 8 << 20
_OWN = re.compile(r"^(?:Private_Clean|Private_Dirty|Swap): +(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Walked:
    """What was seen of a process when its pages were walked.

    Args:
        own_bytes: Not shared with anybody.
        resident_bytes: Shared or not, with what it started.
        faults: Of all its life.
    """

    own_bytes: int
    resident_bytes: int
    faults: int


def walk(pid: int, root: Path = _ROOT) -> Walked | None:
    """Walk the pages of a process; takes milliseconds for each 100 MB, so not on an event loop. None: it is gone."""
    faults = _faults(pid, root)
    try:
        text = (root / f"proc/{pid}/smaps_rollup").read_text(errors="replace")
    except OSError:
        return None
    own = sum(int(amount) << 10 for amount in _OWN.findall(text))
    return None if faults is None else Walked(own, resident_bytes(pid, root), faults)


class Holding:
    """What one forked worker holds.

    Args:
        pid: The worker.
        root: Of the file system that is looked into.
    """

    def __init__(self, pid: int, root: Path = _ROOT) -> None:
        self._pid = pid
        self._root = root
        self._walked = Walked(0, resident_bytes(pid, root), _faults(pid, root) or 0)

    @property
    def own_bytes(self) -> int:
        """Now: at least what is its own, at most what is resident."""
        resident = resident_bytes(self._pid, self._root)
        return min(resident, self._walked.own_bytes + self._since(resident))

    @property
    def is_stale(self) -> bool:
        """Whether so much may have changed since the last walk that another one is worth its cost."""
        return self._since(resident_bytes(self._pid, self._root)) > max(_STALE_BYTES, self._walked.own_bytes // 4)

    def refresh(self) -> None:
        """Walk; in any thread."""
        self._walked = walk(self._pid, self._root) or self._walked

    def _since(self, resident: int) -> int:
        faults = max((_faults(self._pid, self._root) or 0) - self._walked.faults, 0)
        return max(resident - self._walked.resident_bytes, 0) + faults * _PAGE


def _faults(pid: int, root: Path) -> int | None:
    """How often the process touched a page that it had to be given; None: it is gone."""
    try:
        fields = (root / f"proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(fields[7])
    except (OSError, IndexError, ValueError):
        return None
