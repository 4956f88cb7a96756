"""A process that is asked once leads a session, and leaves nothing behind."""

import os
import select
from pathlib import Path

import pytest

from podium.api.sessions import ask_once


def interpreter(folder: Path, script: str) -> str:
    """Stands where a Python would: what is asked comes to it in the same way."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def ends(pid: int) -> bool:
    """Whether a process has ended, or does so within a time that no kill needs."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    watch = select.poll()
    watch.register(descriptor, select.POLLIN)
    try:
        return bool(watch.poll(60_000))
    finally:
        os.close(descriptor)


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    """A converter's own children, for instance; its answer and its status are those that it gave."""
    python = interpreter(tmp_path, "sleep 600 >/dev/null 2>&1 </dev/null & echo $!; cat; exit 3")

    status, out = ask_once(python, ["podium.worker.proofs.convert"], b"asked\n", str(tmp_path), os.environ, 60)

    pid, asked = out.split(maxsplit=1)
    assert (status, asked) == (3, b"asked\n")
    assert ends(int(pid))


def test_one_that_is_late_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """Though it never looks at what it was asked."""
    python, started = interpreter(tmp_path, f"sleep 600 & echo $! > {tmp_path}/started; wait"), tmp_path / "started"
    started.touch()

    for limit_s in (1, 10, 60):  # Where it has started nothing by then, somebody else had the processor.
        with pytest.raises(TimeoutError, match=rf"podium\.worker\.proofs\.convert was not done within {limit_s} s"):
            ask_once(python, ["podium.worker.proofs.convert"], b"asked\n", str(tmp_path), os.environ, limit_s)
        if started.read_text():
            break

    assert ends(int(started.read_text()))
