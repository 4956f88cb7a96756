"""What a worker does for its memory: little of what it shares with its fork server is written to for counting."""

import subprocess
import sys

_GAPS = """
from podium.worker.pages import fill_gaps

objects = [bytes(80) for _ in range(100_000)]
del objects[::300]  # one gap in each pool
fillings = fill_gaps()

made = [bytes(80) for _ in range(100)]
print(len({id(each) >> 14 for each in made}))
"""
_IMPORTS = """
import sys
import podium.worker.watching

before = set(sys.modules)
podium.worker.watching.rehearse()
print(sorted(name for name in set(sys.modules) - before if name.startswith("numpy.ma")))
"""


def said_by(script: str) -> str:
    argv = [sys.executable, "-c", script]
    return subprocess.run(argv, capture_output=True, text=True, timeout=240, check=True).stdout.strip()


def test_what_is_made_after_gaps_were_filled_lies_together() -> None:
    pools = int(said_by(_GAPS))

    assert pools <= 3


def test_counting_imports_no_masked_arrays() -> None:
    """4 MB in each worker, and a pause with the first rows."""
    assert said_by(_IMPORTS) == "[]"
