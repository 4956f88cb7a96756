"""The example plugin, as a stranger uses it: installed with pip beside podium, checked, logged, served, asked."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from driven import Podium

import podium as product

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugin-flavor"
TIMEOUT_S = 240
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("river") is None, reason="river, the example's library, is not installed"),
]

LOG = """
import sys
from river import linear_model, preprocessing
import podium

model = preprocessing.StandardScaler() | linear_model.LinearRegression()
for x in range(40):
    model.learn_one({"x": float(x)}, 3.0 * x)
info = podium.log_model(model, registered_model_name="forecast", input_example=[{"x": 2.0}, {"x": 5.0}])
podium.save_model(model, sys.argv[1])
print(model.predict_one({"x": 2.0}))
"""
IN_MLFLOW = """
import sys, mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
print(model.predict([{"x": 2.0}])[0], "podium" in sys.modules)
"""


@pytest.fixture
def stranger(podium: Podium) -> Podium:
    """A fresh environment in which pip installed the plugin; everything else it sees is what the tests have."""
    place = podium.folder / "venv"
    venv.create(place, with_pip=True, symlinks=True)
    python = place / "bin" / "python"
    beside = [sysconfig.get_path("purelib"), *filter(None, sys.path[1:]), str(Path(product.__file__).parents[1])]
    site = next((place / "lib").glob("python*/site-packages"))
    (site / "beside.pth").write_text("".join(f"{path}\n" for path in beside if "python" in path or path.endswith("src")))
    copy = shutil.copytree(EXAMPLE, podium.folder / "plugin-flavor")
    install = [
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-e",
        str(copy),
    ]
    done = subprocess.run([python, *install], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    podium.interpreter = str(python)
    return podium


def test_the_example_is_installed_checked_logged_served_and_asked(stranger: Podium, tmp_path: Path):
    """Each step by the command line of podium alone; plain MLflow loads what was saved."""
    listed = json.loads(stranger.run("plugins", "list", "--json").stdout)
    assert [(each["name"], each["distribution"], each["state"]) for each in listed] == [("river", "podium-river", "ready")]

    checked = json.loads(stranger.run("plugins", "check", "river", "--json", timeout_s=TIMEOUT_S).stdout)
    assert [each for each in checked["outcomes"] if each["failure"]] == []

    predicted = float(stranger.python(LOG, str(tmp_path / "saved")))
    stranger.run("models", "promote", "forecast", "1")
    server = stranger.serve("models:/forecast/production")
    status, _, body = server.post({"inputs": [{"x": 2.0}]})
    assert (status, json.loads(body)["predictions"]) == (200, [pytest.approx(predicted)])
    assert "podium-river==0.1.0" in (tmp_path / "saved/requirements.txt").read_text().splitlines()
    assert server.stop() == 0


@pytest.mark.mlflow
@pytest.mark.skipif("PODIUM_TEST_MLFLOW_PYTHON" not in os.environ, reason="PODIUM_TEST_MLFLOW_PYTHON names no MLflow")
def test_plain_mlflow_loads_what_the_plugin_saved(stranger: Podium, tmp_path: Path):
    """By the plugin's own _load_pyfunc; podium is not there."""
    predicted = float(stranger.python(LOG, str(tmp_path / "saved")))
    (tmp_path / "packages").mkdir()
    for name in ("river", "narwhals"):
        found = importlib.util.find_spec(name)
        if found is not None and found.submodule_search_locations:
            (tmp_path / "packages" / name).symlink_to(found.submodule_search_locations[0])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "packages"), str(EXAMPLE)])}

    done = subprocess.run(
        [os.environ["PODIUM_TEST_MLFLOW_PYTHON"], "-c", IN_MLFLOW, str(tmp_path / "saved")],
        env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    answer, has_podium = done.stdout.split()
    assert float(answer) == pytest.approx(predicted)
    assert has_podium == "False"
