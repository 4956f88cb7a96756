"""Processes that lead a session of their own, and their end: nothing that they started in it outlives them.

Whoever asks such a process something must not wait for its descendants: one that left the session may hold the pipes.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from typing import IO

_END_S = 10.0
_READ_BYTES = 1 << 16


def kill_group(pid: int) -> None:
    """End all processes of the group that `pid` leads; nothing where there is none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_session(process: "subprocess.Popen[bytes]", limit_s: float = _END_S) -> bool:
    """End a process that leads a session, and whatever it started in it; its pipes are closed.

    Args:
        process: Started with `start_new_session=True`; it may have ended.
        limit_s: Seconds to wait for its end.

    Returns: Whether it is gone. One that hangs in the kernel (on a dead network disk) is left to whoever inherits it.
    """
    kill_group(process.pid)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(limit_s)
    return process.returncode is not None


def read_until(stream: IO[bytes], most_bytes: int, deadline: float) -> bytes:
    """What comes until end-of-file, or `most_bytes` of it.

    Args:
        stream: A pipe.
        most_bytes: No more than this is read.
        deadline: Seconds, monotonic.

    Raises:
        TimeoutError: There was no end by then, be it that a descendant of the writer holds the pipe.
    """
    said = bytearray()
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    while len(said) < most_bytes:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            raise TimeoutError("the process did not say all in time")
        part = os.read(stream.fileno(), min(_READ_BYTES, most_bytes - len(said)))
        if not part:
            break
        said += part
    return bytes(said)
