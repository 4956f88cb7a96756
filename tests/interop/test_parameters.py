"""What MLflow takes by position and podium does too means the same in both."""

import inspect
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

import podium.onnx
import podium.pyfunc
import podium.sklearn

pytestmark = pytest.mark.mlflow

FUNCTIONS: dict[str, Callable[..., Any]] = {
    f"{module.__name__.removeprefix('podium.')}.{name}": getattr(module, name)
    for module in (podium.sklearn, podium.onnx, podium.pyfunc)
    for name in ("save_model", "log_model", "load_model")
}
LIST = """
import inspect, json, sys, importlib
found = {}
for name in sys.argv[1:]:
    module, function = name.split(".")
    function = getattr(importlib.import_module("mlflow." + module), function)
    found[name] = list(inspect.signature(function).parameters)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def theirs() -> dict[str, list[str]]:
    """The names of MLflow's parameters, in order."""
    python = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
    if not python:
        pytest.skip("PODIUM_TEST_MLFLOW_PYTHON names no Python with MLflow")
    listed = subprocess.run([python, "-c", LIST, *FUNCTIONS], capture_output=True, check=True, timeout=550)
    return dict(json.loads(listed.stdout.splitlines()[-1]))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_positional_argument_means_what_it_means_to_mlflow(theirs: dict[str, list[str]], function: str) -> None:
    parameters = inspect.signature(FUNCTIONS[function]).parameters.values()
    ours = [each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]

    assert theirs[function][: len(ours)] == ours
