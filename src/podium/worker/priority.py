"""How much of the machine a worker takes: threads of numeric libraries, and less of the processor while it loads."""

import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterator, MutableMapping

from podium.transport.slices import LONG_NS, for_each_thread, long_slices, set_slices

_THREAD_VARIABLES = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_CAP_SYS_NICE = 23
_LOWEST = 19
_AWAITED = 5
_LOWEST_SESSION = 10
_SESSION = "/proc/self/autogroup"
_TRIES, _PAUSE_S = 100, 0.05


def limit_threads(threads: int, environ: MutableMapping[str, str] = os.environ) -> None:
    """Tell BLAS, OpenMP, TensorFlow and their like how many threads to start, before any of them is imported."""
    for name in _THREAD_VARIABLES:
        environ[name] = str(max(threads, 1))
    # Threads that wait by spinning would take the processor from the other replicas.
    environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def low_priority(threads: int, *, is_awaited: bool = False) -> contextlib.AbstractContextManager[None]:
    """Take only what the rest of the machine leaves, until the end of the block.

    Of what somebody waits for, a quarter of a busy processor: at the lowest priority it would take a minute beside models
    that take all there is.

    Niceness where it can be taken back: raising a priority needs a right that a container seldom gives, and a worker that
    stayed nice would serve badly for ever. Else batch scheduling on as many processors as `threads`.

    Linux keeps all three for each thread, and a thread inherits them when it starts: the libraries' own threads, started
    in between, are brought back too. Where it schedules by sessions, what counts between them is a session's.
    """
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    lowest = max(niceness, _AWAITED if is_awaited else _LOWEST)
    block = nice(niceness, lowest) if can_restore(niceness) else in_batches(threads)
    # Not the lowest: a session beside twenty others that are busy would not have loaded before its time is over.
    return _all(long_slices(), session(min(lowest, _LOWEST_SESSION)), block)


def give_way(is_on: bool) -> None:
    """Let all others have the processor first, with all threads, or no more.

    Idle scheduling where that can be taken back: whoever else wakes runs at once, wherever this process runs. Else batch
    scheduling, which needs no right: it never interrupts anybody who runs. Neither counts between sessions, where Linux
    schedules by these; there long slices do: whoever wakes and asks for shorter ones need not wait for the end of this one.
    """
    if session_niceness() is not None:
        _set_session(_LOWEST if is_on else 0)
    policy = os.SCHED_OTHER if not is_on else os.SCHED_IDLE if _returns_from_idle() else os.SCHED_BATCH
    with contextlib.suppress(OSError):
        for_each_thread(lambda thread: os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0)))
        set_slices(LONG_NS if is_on else 0)
        for_each_thread(lambda thread: os.sched_setscheduler(thread, policy, os.sched_param(0)))


def _returns_from_idle() -> bool:
    """Tried by a thread that ends: what a process may do is not what it seems to have the right for in every container."""
    found = []

    def attempt() -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            found.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(found)


@contextlib.contextmanager
def _all(*blocks: contextlib.AbstractContextManager[None]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block)
        yield


@contextlib.contextmanager
def session(inside: int) -> Iterator[None]:
    """A session's niceness inside, that of before after; nothing where Linux has none, or others are in the session.

    Where Linux schedules by sessions (`sched_autogroup_enabled`, outside of control groups), each of our processes has as
    much of a processor as any other, whatever the niceness of its threads: that counts only among themselves. It needs no
    right to come back from: see sched(7).
    """
    before = session_niceness()
    if before is None:
        yield
        return
    _set_session(inside)
    try:
        yield
    finally:
        _set_session(before)


def session_niceness() -> int | None:
    """What this process may change: its session's niceness, where it leads one and Linux keeps it; else None."""
    if os.getsid(0) != os.getpid():
        return None
    try:
        with open(_SESSION, encoding="ascii") as group:
            niceness = int(group.read().rpartition(" ")[2])
    except (OSError, ValueError):
        return None
    return niceness if niceness >= 0 else None


def _set_session(niceness: int) -> None:
    for _ in range(_TRIES):
        try:
            with open(_SESSION, "w", encoding="ascii") as group:
                group.write(str(niceness))
        except BlockingIOError:
            time.sleep(_PAUSE_S)  # All sessions of a machine together may change ten times a second.
        except OSError:
            return
        else:
            return


@contextlib.contextmanager
def nice(before: int, inside: int = _LOWEST) -> Iterator[None]:
    """A low priority inside, `before` after."""
    os.setpriority(os.PRIO_PROCESS, 0, inside)
    try:
        yield
    finally:
        for_each_thread(lambda thread: os.setpriority(os.PRIO_PROCESS, thread, before))


@contextlib.contextmanager
def in_batches(threads: int) -> Iterator[None]:
    """Batch scheduling on the last `threads` of the processors inside; needs no right to come back from."""
    processors = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        os.sched_setaffinity(0, sorted(processors)[-max(threads, 1) :])
    try:
        yield
    finally:
        for_each_thread(lambda thread: os.sched_setaffinity(thread, processors))
        for_each_thread(lambda thread: os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0)))


def can_restore(niceness: int) -> bool:
    """Whether this process may return to this niceness from a higher one."""
    allowed_from = 20 - resource.getrlimit(resource.RLIMIT_NICE)[0]
    if resource.getrlimit(resource.RLIMIT_NICE)[0] == resource.RLIM_INFINITY or allowed_from <= niceness:
        return True
    with contextlib.suppress(OSError, ValueError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> _CAP_SYS_NICE & 1)
    return False
