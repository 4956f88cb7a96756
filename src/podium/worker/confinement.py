"""What a worker gives up itself, before anything of the model's is read: privileges, being looked at, endless memory."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
# For what libraries reserve and never touch: stacks of threads, arenas.
_RESERVED = 512 << 20


def confine(is_hidden: bool, memory_bytes: int | None) -> None:
    """Give up what the model is not to have.

    Args:
        is_hidden: It runs as a user of its own: other processes of that user may not trace it or read its memory, and
            no program that it starts gets more rights than it has.
        memory_bytes: The most memory of its own. The supervisor ends it beyond that; what asks for much more at once
            is refused by the kernel before, as a MemoryError.
    """
    if is_hidden and sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if memory_bytes is not None:
        # Not the address space: CUDA reserves far more of it than there is memory.
        limit = memory_bytes + _RESERVED
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
