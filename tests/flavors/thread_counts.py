"""Whether a model starts threads: asked in a process of its own, for a library that has started them keeps them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from podium.flavors.contract import Saved

SCRIPT = """
import importlib, json, os, sys, time
from pathlib import Path
import numpy as np
from podium.flavors.contract import Stored
module, _, name = sys.argv[1].rpartition(".")
flavor = getattr(importlib.import_module(f"podium.flavors.{module}"), name)()
found = flavor.load(Stored(Path(sys.argv[2]), json.loads(sys.argv[3])))
data = np.zeros((20000, 3))
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
for _ in range(20):
    time.sleep(0.01)
    before = min(before, count())

def started(expected):
    # A call may have a helper that is about to end, or that has hardly begun: only those that stay are counted.
    until = time.monotonic() + 60
    while (count() > before) is not expected and time.monotonic() < until:
        time.sleep(0.01)
    return count() > before

found.predict(data)
answers = [started(False)]
found.native.predict(data)
print(json.dumps([*answers, started(True)]))
"""


def started_threads(flavor: str, saved: Saved, folder: Path) -> list[bool]:
    """Whether threads stay after podium's predict, allowed one; and then after the library's own."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [sys.executable, "-c", SCRIPT, flavor, str(folder), json.dumps(saved.flavors)]
    found: list[bool] = json.loads(subprocess.check_output(command, env=environment).split(b"\n")[-2])
    return found
