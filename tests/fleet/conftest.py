"""Homes with tiny models that do what a test needs: answer with their version, wait, crash, fail to load."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tinyhouse import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A home of its own; after the test nothing of it runs."""
    made = House(tmp_path)
    yield made
    left = made.processes()
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert left == {}
