"""Whether a worker may be forked by a process that has its libraries, or begins in an interpreter of its own. Pure.

A forked worker is there in a fraction of the time and shares its libraries' memory. It shares as well what an interpreter
draws once: the layout of its memory and the seed of its hashes. Where the workers of one server are to be kept from each
other, that is more than they should know of each other, so there it must be asked for.
"""

from collections.abc import Sequence

AUTO, FORKED, FRESH = "auto", "forked", "fresh"
WORKER_STARTS = (AUTO, FORKED, FRESH)


def why_fresh(
    wish: str, isolation: str, threads: int, modules: Sequence[str] | None, *, is_linux: bool = True
) -> str | None:
    """Why a worker is begun afresh, for people; None where it may be forked.

    Args:
        wish: The setting `worker_start`.
        isolation: `none`, `user` or `sandbox`.
        threads: Of its numeric libraries.
        modules: What its flavor lets be imported before; None: nothing.
        is_linux: Whether this is the kernel that has what it takes.
    """
    if wish == FRESH:
        return "worker_start is fresh"
    if not is_linux:
        return "only Linux hands the processes of a fork server over to the supervisor"
    if isolation == "sandbox":
        return "each worker has a sandbox of its own"
    if isolation == "user" and wish != FORKED:
        return "with isolation user it is forked only where worker_start is forked"
    if threads > 1:
        return f"with {threads} threads its libraries start some when they are imported, and a fork would lose them"
    if modules is None:
        return "its libraries start threads or use a device when they are imported"
    return None
