"""For how long a process runs before others have their turn."""

import os
import subprocess
import sys
from pathlib import Path

SOURCE = str(Path(__file__).resolve().parents[2] / "src")


def test_who_has_no_descriptor_left_goes_on_as_before() -> None:
    """A worker whose model holds all that it may still serves, and ends as it should."""
    script = """
import os, resource
from podium.transport.slices import MODERATE_NS, set_slices

resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    os.listdir("/proc/self/task")
except OSError:
    set_slices(MODERATE_NS)
    print("goes on")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )

    assert done.stdout == "goes on\n"
