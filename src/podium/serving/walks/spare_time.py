"""How much of its time the event loop's thread has to spare."""

import contextlib
import time

_SCHEDSTAT = "/proc/thread-self/schedstat"


class SpareTime:
    """Measures from one call to the next. Made and asked by the thread that it is about."""

    def __init__(self) -> None:
        self._at_ns = time.monotonic_ns()
        self._busy_ns = _busy_ns()

    def since_last(self) -> float:
        """The part of the time since the last call in which the thread neither ran nor waited for a processor, 0 to 1."""
        at_ns, busy_ns = time.monotonic_ns(), _busy_ns()
        passed, busy = at_ns - self._at_ns, busy_ns - self._busy_ns
        self._at_ns, self._busy_ns = at_ns, busy_ns
        return min(1.0, max(0.0, 1 - busy / passed)) if passed > 0 else 1.0


def _busy_ns() -> int:
    """Nanoseconds with and waiting for a processor; where Linux does not count the waiting, only the others."""
    with contextlib.suppress(OSError, ValueError), open(_SCHEDSTAT, encoding="ascii") as file:
        ran, waited = file.read().split()[:2]
        return int(ran) + int(waited)
    return time.thread_time_ns()
