"""How much memory a worker holds that would be free without it.

Of one that was begun afresh that is what is resident. One that was forked shares pages with its fork server and its
siblings, and counting those once for each of them would send models to sleep that take next to nothing. What is its own
the kernel counts by walking all its pages, too slow to be asked for every second; between two walks it is estimated,
never too low: pages that came since, and pages that were shared and were written to, each of which was a fault.
"""

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path

from podium.fleet.host.machine import resident_bytes, text_of

_ROOT = Path("/")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STALE_BYTES = 8 << 20
_OWN = re.compile(r"^(?:Private_Clean|Private_Dirty|Swap): +(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SeenProcess:
    """What was seen of a process.

    Args:
        resident_bytes: Shared or not; of what it started, too.
        faults: Of all its life: how often it touched a page that it had to be given.
        own_bytes: Not shared with anybody; 0 where that was not looked at.
    """

    resident_bytes: int = 0
    faults: int = 0
    own_bytes: int = 0


class Holding:
    """What one forked worker holds.

    Args:
        pid: The worker.
        root: Of the file system that is looked into.
    """

    def __init__(self, pid: int, root: Path = _ROOT) -> None:
        self._pid = pid
        self._root = root
        self._walked = self._seen = _look(pid, root)

    def look(self) -> int:
        """What is its own now, or a little more: at most what is resident. Cheap."""
        self._seen = _look(self._pid, self._root)
        return min(self._seen.resident_bytes, self._walked.own_bytes + self._since_walk)

    @property
    def is_stale(self) -> bool:
        """Whether so much may have changed since the last walk that another one is worth its cost."""
        return self._since_walk > max(_STALE_BYTES, self._walked.own_bytes // 4)

    def walk(self) -> None:
        """Have the kernel walk its pages: milliseconds for each 100 MB, so in another thread than an event loop's."""
        seen = _look(self._pid, self._root)
        own = [int(amount) << 10 for amount in _OWN.findall(text_of(self._root / f"proc/{self._pid}/smaps_rollup"))]
        if own:
            self._walked = dataclasses.replace(seen, own_bytes=sum(own))

    @property
    def _since_walk(self) -> int:
        grown = self._seen.resident_bytes - self._walked.resident_bytes
        return max(grown, 0) + max(self._seen.faults - self._walked.faults, 0) * _PAGE


def _look(pid: int, root: Path) -> SeenProcess:
    # The name in brackets may hold spaces and brackets of its own.
    fields = text_of(root / f"proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 22:
        return SeenProcess()
    started = text_of(root / f"proc/{pid}/task/{pid}/children").split()
    return SeenProcess(int(fields[21]) * _PAGE + sum(resident_bytes(int(each), root) for each in started), int(fields[7]))
