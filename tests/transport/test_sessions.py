"""Whoever asks a process waits for nobody who outlives it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from podium.transport.sessions import end_session, read_until

ESCAPING = "setsid sleep 600 & echo $! > {pid}; echo said"


@pytest.fixture
def escaped(tmp_path: Path) -> Iterator[Path]:
    """The file with the id of a descendant that left the session and holds the pipe; it is ended with the test."""
    yield tmp_path / "pid"
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def started(command: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)


def has_left(file: Path, session: int) -> bool:
    """Whether the descendant whose id stands there is in a session of its own."""
    text = file.read_text() if file.exists() else ""
    return text.endswith("\n") and os.getsid(int(text)) != session


def test_what_a_session_started_ends_with_it() -> None:
    """The descendant holds the pipe: end-of-file comes once nobody does."""
    process = started("sleep 600 & echo said; sleep 600")
    assert process.stdout is not None
    held = os.dup(process.stdout.fileno())

    assert end_session(process)

    with open(held, "rb") as pipe:
        assert pipe.read() in {b"", b"said\n"}
    assert process.returncode == -signal.SIGKILL


def test_a_descendant_that_left_the_session_is_not_waited_for(escaped: Path) -> None:
    """It goes on, and holds the pipe."""
    process = started(ESCAPING.format(pid=escaped))
    assert process.stdout is not None

    ends = time.monotonic() + 60.0
    while not has_left(escaped, process.pid):
        assert time.monotonic() < ends, "it never left"
        time.sleep(0.005)
    with pytest.raises(TimeoutError):
        read_until(process.stdout, 1 << 10, time.monotonic() + 0.2)

    assert end_session(process)
    os.kill(int(escaped.read_text()), 0)


@pytest.mark.parametrize(("most", "expected"), [(3, b"sai"), (100, b"said\n")])
def test_no_more_is_read_than_was_asked_for(most: int, expected: bytes) -> None:
    """Up to the end, or the bound."""
    process = started("echo said")
    assert process.stdout is not None

    assert expected == read_until(process.stdout, most, time.monotonic() + 60.0)

    assert end_session(process)


def test_one_that_ended_is_ended_without_a_word() -> None:
    """Nobody is signalled, and its status stands."""
    process = started("exit 3")
    process.wait(60.0)

    assert end_session(process)

    assert process.returncode == 3
