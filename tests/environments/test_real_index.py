"""With real packages, from whatever index this machine has: what no shelf of our own can show."""

import os
import subprocess
import sys

import pytest

from podium.environments.choice import Asking, choose
from podium.environments.tools import find_uv
from podium.models.mlmodel import read_mlmodel
from podium.settings.environments import EnvironmentOrder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_uv({"PATH": ""}) is None, reason="no uv"),
    pytest.mark.skipif(sys.version_info >= (3, 13), reason="scikit-learn 1.4 has no wheels for it"),
]
# Saves a model in the environment that is to be asked for again: with the library's own pickle.
TRAIN = """
import pickle, sys
import sklearn, numpy
from sklearn.tree import DecisionTreeClassifier
model = DecisionTreeClassifier(random_state=0).fit([[0.0, 0.0], [1.0, 1.0]], [0, 1])
with open(sys.argv[1] + "/model.pkl", "wb") as file:
    pickle.dump(model, file)
with open(sys.argv[1] + "/MLmodel", "w") as file:
    file.write(f'''flavors:
  python_function: {{loader_module: mlflow.sklearn, model_path: model.pkl, predict_fn: predict}}
  sklearn: {{pickled_model: model.pkl, serialization_format: pickle, sklearn_version: {sklearn.__version__}}}
utc_time_created: '{sys.argv[2]}'
''')
with open(sys.argv[1] + "/requirements.txt", "w") as file:
    file.write(f"mlflow\\nscikit-learn=={sklearn.__version__}\\n")
"""


@pytest.mark.parametrize(
    ("version", "created", "numpy_major"), [("1.4.2", "2024-05-01 00:00:00", "1"), ("1.7.2", "2025-10-15 00:00:00", "2")]
)
def test_two_scikit_learns_that_cannot_live_together_each_get_the_numpy_of_their_day(
    tmp_path, version, created, numpy_major
):
    """The pickle of each loads where it was made; numpy, which nobody pinned, is that of the model's creation."""
    folder, trainer = tmp_path / "model", tmp_path / "trainer"
    folder.mkdir()
    uv = find_uv(os.environ)
    _needs_index(uv)
    installed = [uv, "pip", "install", "-q", "--python", str(trainer / "bin/python"), "--exclude-newer", f"{created[:10]}"]
    for command in (
        [uv, "venv", "-q", "--no-project", "--python", sys.executable, str(trainer)],
        [*installed, f"scikit-learn=={version}", "--no-config"],
        [str(trainer / "bin/python"), "-c", TRAIN, str(folder), created],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    told: list[str] = []

    found = choose(Asking(folder, read_mlmodel(folder), EnvironmentOrder("uv"), tmp_path / "environments", told.append))
    found.release()

    what = "import numpy, sklearn; print(numpy.__version__.split('.')[0], sklearn.__version__)"
    said = subprocess.run([found.python, "-I", "-c", what], capture_output=True, text=True, check=True)
    assert said.stdout.split() == [numpy_major, version], told
    assert found.notices == ()
    assert "mlflow" in told[0].partition("left out")[2]


def _needs_index(uv):
    command = [uv, "pip", "compile", "-q", "--no-config", "-"]
    if subprocess.run(command, input="six", text=True, capture_output=True, check=False).returncode:
        pytest.skip("no index is reachable from here")
