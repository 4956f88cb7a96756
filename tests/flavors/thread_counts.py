"""Whether a model starts threads: asked in a process of its own, for a library that has started them keeps them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from podium.flavors.contract import Saved

SCRIPT = """
import importlib, json, os, sys
from pathlib import Path
import numpy as np
from podium.flavors.contract import Stored
module, _, name = sys.argv[1].partition(".")
flavor = getattr(importlib.import_module(f"podium.flavors.{module}"), name)()
found = flavor.load(Stored(Path(sys.argv[2]), json.loads(sys.argv[3])))
data = np.zeros((20000, 3))
counts = [len(os.listdir("/proc/self/task"))]
for call in (found.predict, found.native.predict):
    call(data)
    counts.append(len(os.listdir("/proc/self/task")))
print(json.dumps([counts[1] > counts[0], counts[2] > counts[1]]))
"""


def started_threads(flavor: str, saved: Saved, folder: Path) -> list[bool]:
    """Whether threads were started by podium's predict, allowed one; and then by the library's own."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [sys.executable, "-c", SCRIPT, flavor, str(folder), json.dumps(saved.flavors)]
    found: list[bool] = json.loads(subprocess.check_output(command, env=environment).split(b"\n")[-2])
    return found
