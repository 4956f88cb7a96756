"""How long a process runs before others have their turn: what is in no hurry lets whoever wakes beside it run at once.

Shares of the processor stay what they are. The supervisor's slices are long, and so are those of all that it starts, which
inherit them, until it serves: a gateway that boots, a worker that loads, a fork server. Those that serve have the usual
ones, which interrupt the long ones when a request wakes them.
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Callable, Iterator

LONG_NS = 100_000_000
# Of who may be waited for: whoever does not wake, but is there already, may wait for the end of a slice.
MODERATE_NS = 20_000_000
# struct sched_attr: size, policy, flags, niceness, real-time priority, slice (sched_runtime), deadline, period
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


def set_slice(thread: int, slice_ns: int) -> None:
    """How long a thread runs before others have their turn, 0.1 to 100 ms; 0: as Linux has it. Before Linux 6.12 nothing.

    A shorter one interrupts a longer one when it wakes. For a thread of the usual policy; one of another keeps that. See
    sched_setattr(2) and Documentation/scheduler/sched-eevdf.rst.
    """
    call = _SCHED_SETATTR.get(os.uname().machine)
    if call is None or os.sched_getscheduler(thread) != os.SCHED_OTHER:
        return
    niceness = os.getpriority(os.PRIO_PROCESS, thread)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, niceness, 0, slice_ns, 0, 0)
    ctypes.CDLL(None).syscall(call, thread, attributes, 0)


def set_slices(slice_ns: int) -> None:
    """As `set_slice`, for all threads of this process; those that they start inherit it."""
    for_each_thread(lambda thread: set_slice(thread, slice_ns))


@contextlib.contextmanager
def long_slices(slice_ns: int = LONG_NS) -> Iterator[None]:
    """Whoever else wakes need not wait for the end of this process' slice, inside; the usual ones after."""
    set_slice(0, slice_ns)
    try:
        yield
    finally:
        set_slices(0)


def for_each_thread(act: Callable[[int], None]) -> None:
    """Do something to each thread of this process; nothing where it has no descriptor left to see them."""
    try:
        names = os.listdir("/proc/self/task")
    except OSError:
        return
    for name in names:
        # A thread may have ended since it was listed.
        with contextlib.suppress(OSError):
            act(int(name))
