"""The worker's side starts in anybody's environment: the standard library and numpy are enough."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

IMPORTS = """
import importlib, pathlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in {"podium", "numpy"}:
            return None
        raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)

if "block" in sys.argv:
    sys.meta_path.insert(0, Blocker())
# The rooms of the worker's side; `check` reads MLmodel files itself and is started by podium's own interpreter, and
# the fast codec and the Open Inference Protocol's are the gateway's.
not_there = {"podium.worker.check", "podium.protocols.mlflow.fast_packing", "podium.protocols.mlflow.fast_reading"}
rooms = ["domain", "transport", "worker", "protocols", "errors"]
modules = ["podium.models.load", "podium.models.predictor", "podium.models.examples", "podium.models.assemble"]
source = pathlib.Path(sys.argv[1])
for room in rooms:
    for file in sorted([*source.glob(f"podium/{room}.py"), *source.glob(f"podium/{room}/**/*.py")]):
        name = ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        if name not in not_there and ".open_inference." not in name.removeprefix("podium.domain"):
            modules.append(name)
for name in modules:
    importlib.import_module(name)
loaded = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(len(modules), *sorted(name for name in loaded if not name.startswith("_")))
"""


def import_all(python: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [python, "-c", IMPORTS, str(SOURCE), *arguments],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, *loaded = done.stdout.split()
    assert int(count) > 30
    return loaded


def test_importing_the_workers_side_needs_nothing_but_numpy() -> None:
    assert set(import_all(sys.executable, "block")) <= {"numpy", "podium"}


def test_nothing_else_is_imported_where_it_could_be() -> None:
    """A library that happens to be there must not be drawn in: it costs memory and start-up in every worker."""
    assert set(import_all(sys.executable)) & {"pandas", "sklearn", "yaml", "msgspec", "click", "scipy"} == set()


def test_the_handshake_imports_no_numpy() -> None:
    """Or its BLAS would start as many threads as there are processors, before Load says how many."""
    code = "import podium.worker.__main__, sys; sys.exit('numpy' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SOURCE)}, timeout=240, check=False
    )

    assert done.returncode == 0


@pytest.mark.slow
def test_a_worker_serves_in_an_environment_with_numpy_alone(workshop: object, tmp_path: Path) -> None:
    """A real one: nothing is installed in it but numpy, and a model answers."""
    import numpy

    made = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], timeout=240, check=True)
    packages = next(made.glob("lib/python*/site-packages"))
    installed = Path(numpy.__file__).parents[1]
    for name in ("numpy", "numpy.libs", f"numpy-{numpy.__version__}.dist-info"):
        if (installed / name).exists():
            shutil.copytree(installed / name, packages / name)
    python = str(made / "bin" / "python")

    assert set(import_all(python)) <= {"numpy", "podium"}
    model = workshop.function(  # type: ignore[attr-defined]
        "def predict(model_input):\n    return model_input * 2", {"inputs": [[1.0], [2.0], [4.0]]}, is_declared=True
    )
    worker = workshop.worker(model, python=python)  # type: ignore[attr-defined]
    ready = worker.ready()
    assert ready.executable == python
    assert ready.is_batching, ready.batching_reason
    assert worker.attach().ask({"inputs": [[3.0]]}).body == b'{"predictions": [[6.0]]}'
