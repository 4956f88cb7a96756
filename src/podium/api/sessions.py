"""Asking a process once: it leads a session of its own, and neither it nor what it started outlives whoever asked."""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence

from podium.settings.source_tree import child_command, child_environ
from podium.transport.sessions import end_session


def ask_once(
    python: str, module: Sequence[str], asked: bytes, place: str, environ: Mapping[str, str], timeout_s: float
) -> tuple[int, bytes]:
    """Start a module of podium's, hand it what is asked, and wait for its end; the whole session is ended then.

    Args:
        python: The interpreter.
        module: Its name and arguments; `--owner-fd N` is added, by which it hears that we are gone (`worker/owner.py`).
        asked: Its standard input.
        place: A folder of its own: modules that only lie beside the caller must not be found.
        environ: Its variables.
        timeout_s: For all of it.

    Returns: Its exit status, below 0 for a signal, and what it wrote to its standard output.

    Raises:
        TimeoutError: It was not done in time.
    """
    watched, held = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, held)
        try:
            process = subprocess.Popen(
                child_command([*module, "--owner-fd", str(watched)], python),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=place,
                env=child_environ(python, environ),
                pass_fds=(watched,),
                start_new_session=True,
            )
        finally:
            os.close(watched)
        try:
            out, _ = process.communicate(asked, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{module[0]} was not done within {timeout_s:g} s") from error
        finally:
            end_session(process)
    return process.returncode, out
