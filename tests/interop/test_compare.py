"""`podium models compare`: both servers for real, what differs, and nothing left running."""

import os
import sys

import pytest
from tinyhouse import House

PYTHON = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
pytestmark = pytest.mark.mlflow
# Answers the same, or not: MLflow's server has imported mlflow's own.
MODEL = """
import sys
class Model:
    def predict(self, data):
        return [{answer}] * len(data)
def _load_pyfunc(path):
    return Model()
"""
SIGNATURE = """signature:
  inputs: '[{"type": "double", "name": "a", "required": true}]'
"""


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    assert made.processes() == {}


def model(house, answer):
    folder = house.folder / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "answering.py").write_text(MODEL.format(answer=answer))
    flavors = "flavors:\n  python_function:\n    loader_module: answering\n    code: code\n"
    (folder / "MLmodel").write_text(flavors + SIGNATURE)
    return str(folder)


@pytest.mark.skipif(not PYTHON, reason="PODIUM_TEST_MLFLOW_PYTHON names no interpreter with mlflow")
@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("1.5", 0, " 0 of them not intended"),
        ("2.5 if 'mlflow.pyfunc.scoring_server' in sys.modules else 1.5", 1, "NOT intended"),
    ],
)
def test_the_exit_code_says_whether_anything_differs_that_nobody_meant(house, answer, status, words):
    (house.folder / "mine.csv").write_text("a\n1.0\n")

    done = house.command(
        "models", "compare", model(house, answer), "--with", "mlflow", "--mlflow-python", PYTHON, "--data", "mine.csv"
    )

    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert ("mine.csv: body" in done.stdout) is (status == 1)


def test_without_an_mlflow_the_way_out_is_named(house):
    done = house.command("models", "compare", model(house, "1.5"), "--mlflow-python", "/nonexistent/python")

    assert done.returncode == 2
    assert "pip install mlflow" in done.stderr


@pytest.mark.skipif(not PYTHON, reason="PODIUM_TEST_MLFLOW_PYTHON names no interpreter with mlflow")
def test_a_server_that_does_not_start_says_why(house):
    folder = model(house, "1.5")
    (house.folder / "model" / "code" / "answering.py").write_text("raise RuntimeError('broken on purpose')\n")

    done = house.command("models", "compare", folder, "--mlflow-python", PYTHON)

    assert done.returncode == 1
    assert "broken on purpose" in done.stderr
    assert sys.executable not in done.stdout
