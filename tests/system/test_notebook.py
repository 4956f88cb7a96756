"""The example notebook, executed in a real kernel as a reader would: its outputs, and what it leaves."""

import json
from pathlib import Path
from typing import Any

import pytest
from driven import Podium, wait_until

_NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "serve-from-a-notebook.ipynb"

pytestmark = pytest.mark.slow

# In a process of its own: a kernel's sockets and loops are none of the tests'.
_EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

notebook = nbformat.read(sys.argv[1], as_version=4)
try:
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
except DeadKernelError:
    print("the kernel died")
nbformat.write(notebook, sys.argv[2])
"""


def executed(podium: Podium, notebook: Path) -> tuple[str, dict[str, Any]]:
    """What the run said of the kernel, and the notebook with its outputs."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        podium.environment[name] = str(podium.folder / name.lower())
    out = podium.folder / "executed.ipynb"
    return podium.python(_EXECUTE, str(notebook), str(out)), json.loads(out.read_text())


def shown(notebook: dict[str, Any]) -> str:
    """All of its outputs, one after another."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return "\n".join("".join(output.get("text") or output.get("data", {}).get("text/plain", "")) for output in outputs)


def test_the_notebook_logs_promotes_serves_predicts_swaps_and_stops(podium: Podium):
    """Each step shows what it promises, in the running loop of a real kernel, and no process is left."""
    _, notebook = executed(podium, _NOTEBOOK)

    text = shown(notebook)
    assert "registered as models:/iris/1" in text
    assert "'Production'" in text
    assert "<podium.Server http://127.0.0.1:" in text
    assert "Model is missing inputs" in text
    assert "version 2 after 1 swap" in text
    assert text.rstrip().endswith("(stopped)>")
    wait_until(lambda: not podium.processes(), 150, "the kernel and the server are gone")
    assert list((podium.home / "run").iterdir()) == []


def test_a_kernel_that_is_killed_takes_its_server_with_it(podium: Podium):
    """In the middle of it all, as the kernel's memory runs out: nobody stops anything, and nothing is left."""
    notebook = json.loads(_NOTEBOOK.read_text())
    stopping = next(cell for cell in notebook["cells"] if "server.stop()" in "".join(cell["source"]))
    stopping["source"] = ["import os, signal\n", "os.kill(os.getpid(), signal.SIGKILL)"]
    changed = podium.folder / "killed.ipynb"
    changed.write_text(json.dumps(notebook))

    said, _ = executed(podium, changed)

    assert "the kernel died" in said
    wait_until(lambda: not podium.processes(), 150, "the kernel and the server are gone")
    wait_until(lambda: not list((podium.home / "run").iterdir()), 150, "nor is there a run folder")


def test_the_notebook_is_kept_without_outputs():
    """What a reader opens is what was written; outputs are a run's."""
    cells = json.loads(_NOTEBOOK.read_text())["cells"]

    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
