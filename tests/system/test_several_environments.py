"""Shown by, line 1: three models that cannot live in one Python answer from one server, each in its own."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from driven import Podium, Server

_SOURCE = Path(__file__).resolve().parents[2] / "src"
_NEEDED = ("cloudpickle", "click", "httptools", "msgspec", "numpy", "packaging", "pandas", "pyyaml", "skops")
# Saves a model, and prints its version of the library and what that one itself predicts.
_SKLEARN = """
import json, sys
import podium.sklearn, sklearn
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
X, y = load_iris(return_X_y=True, as_frame=True)
model = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(X, y)
podium.sklearn.save_model(model, sys.argv[1], input_example=X.head(2))
print(json.dumps([sklearn.__version__, model.predict(X.head(60)).tolist()]))
"""
_TORCH = """
import json, sys
import numpy, podium.pytorch, torch
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
rows = numpy.arange(8, dtype=numpy.float32).reshape(2, 4)
podium.pytorch.save_model(model, sys.argv[1], input_example=rows)
with torch.no_grad():
    print(json.dumps([torch.__version__, model(torch.from_numpy(rows)).tolist()]))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("uv") is None, reason="uv builds the environments"),
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the third model is PyTorch's"),
]


def python_with(folder: Path, version: str) -> str:
    """A Python with one scikit-learn, where a model is trained: not the one that it is to be served in."""
    python = str(folder / "bin" / "python")
    for command in (
        ["venv", "-q", "-p", sys.executable, str(folder)],
        ["pip", "install", "-q", "-p", python, f"scikit-learn=={version}", *_NEEDED],
    ):
        subprocess.run([sys.executable, "-m", "uv", *command], check=True, timeout=300)
    return python


def made(python: str, script: str, folder: Path) -> tuple[str, list]:
    """The library's version and the predictions that the model's own Python gives."""
    environment = {**os.environ, "PYTHONPATH": str(_SOURCE)}
    done = subprocess.run(
        [python, "-W", "ignore", "-c", script, str(folder)], env=environment, check=True, capture_output=True, timeout=300
    )
    version, predictions = json.loads(done.stdout.splitlines()[-1])
    return version, predictions


def ask(server: Server, name: str, rows: dict) -> list:
    status, _, answer = server.post(rows, f"/models/{name}/invocations")
    assert status == 200, answer
    return json.loads(answer)["predictions"]


def mapped(server: Server, name: str) -> str:
    """Every file that a model's worker has mapped: libraries, whatever imported them."""
    [replica] = server.status()["endpoints"][name]["replicas"]
    return Path(f"/proc/{replica['pid']}/maps").read_text()


def test_two_versions_of_scikit_learn_and_pytorch_answer_side_by_side(podium: Podium, tmp_path: Path):
    """Each prediction is the one of the Python that the model was made in, and no built one sees podium's packages."""
    from sklearn.datasets import load_iris

    folders = {name: tmp_path / name for name in ("old", "new", "net")}
    expected = {
        name: made(python_with(tmp_path / f"python-{version}", version), _SKLEARN, folders[name])
        for name, version in (("old", "1.5.2"), ("new", "1.7.2"))
    }
    expected["net"] = made(sys.executable, _TORCH, folders["net"])
    tables = [f'[models.{name}]\nuri = "{folder}"\n' for name, folder in folders.items()]
    del podium.environment["PODIUM_SERVE_ENV_MANAGER"]  # a variable counts more than a file
    (tmp_path / "podium.toml").write_text(
        '[serve]\nenv_manager = "uv"\ngateways = 1\n' + "".join(tables) + 'env_manager = "local"\n'
    )
    for name in ("old", "new"):
        podium.run("models", "prepare-env", "-m", str(folders[name]), "--env-manager", "uv", timeout_s=300)
    rows = load_iris(as_frame=True).data.head(60)

    server = podium.serve(None)
    iris = {"dataframe_split": {"columns": list(rows.columns), "data": rows.to_numpy().tolist()}}
    answers = {"old": ask(server, "old", iris), "new": ask(server, "new", iris)}
    answers["net"] = ask(server, "net", {"inputs": [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]})
    endpoints = server.status()["endpoints"]
    seen = {name: mapped(server, name) for name in folders}
    stopped = server.stop()
    for cache in podium.temp.glob("torchinductor_*"):
        shutil.rmtree(cache)  # PyTorch makes it wherever it is imported, and leaves it

    assert stopped == 0
    assert [expected[name][0] for name in ("old", "new")] == ["1.5.2", "1.7.2"]
    assert (answers["old"], answers["new"]) == (expected["old"][1], expected["new"][1])
    assert [row[0] for row in answers["net"]] == pytest.approx([row[0] for row in expected["net"][1]], rel=1e-6)
    assert len({endpoint["model"]["executable"] for endpoint in endpoints.values()}) == 3
    assert endpoints["net"]["model"]["executable"] == sys.executable
    packages = sysconfig.get_path("platlib")
    for name in ("old", "new"):
        model = endpoints[name]["model"]
        assert model["requirements"]["are_met"], model["requirements"]
        assert "/sklearn/" in seen[name]
        assert packages not in seen[name]
