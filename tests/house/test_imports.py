"""What must not be imported: the price of `podium --help`, and what a process that faces the network never holds."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tree import SOURCE

_HEAVY = {
    "sklearn",
    "onnx",
    "onnxruntime",
    "pandas",
    "scipy",
    "skops",
    "mlflow",
    "torch",
    "pyarrow",
    "cloudpickle",
    "httpx",
}
_HEAVY |= {"boto3", "botocore", "google", "azure"}
_SHOW = "; import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def _imported_by(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", statement + _SHOW], capture_output=True, text=True, timeout=550, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_podium_imports_no_library_of_models_or_http():
    """`import podium` costs little: names are looked up when they are used."""
    assert _imported_by("import podium") & (_HEAVY | {"httptools", "uvloop", "msgspec", "yaml", "click"}) == set()


def test_podium_help_imports_no_library_of_models_or_http():
    """`podium --help` lists its commands from a table."""
    run = "from podium.cli.main import podium; podium.main(['--help'], standalone_mode=False)"

    assert _imported_by(run) & (_HEAVY | {"httptools", "uvloop", "yaml", "numpy", "sqlite3"}) == set()


@pytest.mark.parametrize("module", ["podium.serving.__main__", "podium.fleet.supervisor", "podium.registry.service"])
def test_a_process_that_loads_no_model_imports_no_library_of_models(module: str):
    """Gateway, supervisor and registry hold no ML library, so none of theirs can crash them."""
    assert _imported_by(f"import {module}") & _HEAVY == set()


def test_nothing_of_podium_imports_mlflow_but_by_name_and_in_the_worker():
    """A flavor that podium does not know goes through MLflow's own loader, in the model's environment and nowhere else."""
    importing = [path for path in SOURCE.rglob("*.py") if any(name.split(".")[0] == "mlflow" for name in _imports_of(path))]

    assert [path for path in importing if path.parent.name != "flavors"] == []


def _imports_of(path: Path) -> list[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return plain + [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
