"""podium's commands beside MLflow's own: the same folder, the same words, the same files and bytes."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.skipif(not PYTHON, reason="PODIUM_TEST_MLFLOW_PYTHON names no interpreter with mlflow"),
]
COMMANDS = ["serve", "predict", "prepare-env", "update-pip-requirements"]
SAVE = """
import sys, mlflow, pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 2.0, 5.0]})
model = LogisticRegression().fit(X, [0, 0, 1, 1])
mlflow.sklearn.save_model(model, sys.argv[1], signature=infer_signature(X, model.predict(X)), input_example=X[:2],
    serialization_format="cloudpickle", pip_requirements=["scikit-learn", "numpy", "pandas", "cloudpickle"])
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    done = run([PYTHON, "-c", SAVE, str(folder)], folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


def run(command, place, body=None):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PODIUM_", "PYTHONPATH"))}
    environ |= {"PODIUM_HOME": str(place / "home"), "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
    if command[0] == sys.executable:
        environ["PYTHONPATH"] = str(ROOT / "src")
    return subprocess.run(command, cwd=place, env=environ, input=body, capture_output=True, timeout=550, check=False)


def theirs(place, *arguments, body=None):
    return run([PYTHON, "-m", "mlflow", "models", *arguments], place, body)


def ours(place, *arguments, body=None):
    return run([sys.executable, "-m", "podium", "models", *arguments], place, body)


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["-t", "json"], b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0], [3.0, 4.0]]}}'),
        ([], b'{"dataframe_records": [{"a": 1.0, "b": 2.0}]}'),
        (["--content-type", "csv"], b"a,b\n1.5,2.5\n"),
    ],
)
def test_predict_prints_the_same_bytes(saved, tmp_path, arguments, body):
    common = ["predict", "-m", str(saved), "--env-manager", "local", *arguments]

    mlflow, podium = theirs(tmp_path, *common, body=body), ours(tmp_path, *common, body=body)

    assert (podium.returncode, podium.stdout) == (mlflow.returncode, mlflow.stdout) == (0, podium.stdout)
    assert podium.stdout.startswith(b'{"predictions": [')


def test_csv_of_whole_numbers_is_accepted_where_mlflow_fails(saved, tmp_path):
    """The difference that docs/migrating-from-mlflow.md names: MLflow's server takes what its command refuses."""
    common = ["predict", "-m", str(saved), "--env-manager", "local", "-t", "csv"]

    mlflow, podium = theirs(tmp_path, *common, body=b"a,b\n1,2\n"), ours(tmp_path, *common, body=b"a,b\n1,2\n")

    assert b"Can not safely convert int64 to float64" in mlflow.stderr
    assert mlflow.returncode == 1
    assert (podium.returncode, podium.stdout) == (0, b'{"predictions": [0]}')


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "Pandas==2.0.0", "new-package>=1,!=1.5", "extra[one]"],
        ["remove", "numpy==1.0", "never-there"],
    ],
)
def test_requirements_are_edited_alike(saved, tmp_path, arguments):
    """Both files, byte for byte."""
    for name in ("theirs", "ours"):
        shutil.copytree(saved, tmp_path / name)

    mlflow = theirs(tmp_path, "update-pip-requirements", "-m", "theirs", *arguments)
    podium = ours(tmp_path, "update-pip-requirements", "-m", "ours", *arguments)

    assert (mlflow.returncode, podium.returncode) == (0, 0), (mlflow.stderr, podium.stderr)
    for name in ("requirements.txt", "conda.yaml"):
        expected, actual = (tmp_path / "theirs" / name).read_text(), (tmp_path / "ours" / name).read_text()
        assert sorted(expected.split("\n")) == sorted(actual.split("\n"))
        assert expected != (saved / name).read_text()
    assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == sorted(path.name for path in saved.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["-m", "models:/x/1", "add", "a"],
            b'Failed to set requirements on "models:/x/1". Model URIs with the `models:/` scheme are not supported.',
        ),
        (["-m", "MODEL", "add", "==="], b"Found invalid requirements: "),
    ],
)
def test_what_cannot_be_edited_is_refused_in_the_same_words(saved, tmp_path, arguments, words):
    arguments = [str(saved) if each == "MODEL" else each for each in arguments]

    mlflow = theirs(tmp_path, "update-pip-requirements", *arguments)
    podium = ours(tmp_path, "update-pip-requirements", *arguments)

    assert words in mlflow.stderr
    assert words in podium.stderr
    assert podium.returncode == 2
    assert b"Traceback" not in podium.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_mlflows_is_taken_and_stands_on_the_page(tmp_path, command):
    """The page's table for a command names the flags that MLflow's own help names, and podium's help has each."""
    help_of_mlflow = theirs(tmp_path, command, "--help").stdout.decode()
    help_of_podium = ours(tmp_path, command, "--help").stdout.decode()
    page = (ROOT / "docs" / "migrating-from-mlflow.md").read_text()
    section = page.partition(f"## `podium models {command}`")[2].partition("\n## ")[0]

    flags = _flags(help_of_mlflow) - {"--help"}

    assert flags
    assert flags - _flags(help_of_podium) == set()
    assert {flag for flag in flags if f"`{flag}`" not in section} == set()


def _flags(text):
    return {flag for line in re.findall(r"^  (-[^ ].*)$", text, re.MULTILINE) for flag in re.findall(r"-[-\w]+", line[:34])}


def test_a_bad_env_manager_is_refused_in_the_same_words(saved, tmp_path):
    common = ["predict", "-m", str(saved), "--env-manager", "foo"]
    words = b"Invalid value for `env_manager`: foo. Must be one of ['local', 'conda', 'virtualenv', 'uv']"

    assert words in theirs(tmp_path, *common).stderr
    assert words in ours(tmp_path, *common).stderr


def test_serve_answers_ping_and_a_request_alike(saved, tmp_path):
    """Both started by the same words; podium ends with 0 on SIGTERM."""
    body = (saved / "serving_input_example.json").read_bytes()

    answers = {}
    for name, command in {"mlflow": [PYTHON, "-m", "mlflow"], "podium": [sys.executable, "-m", "podium"]}.items():
        answers[name], status = _served(command, saved, tmp_path, body)
        if name == "podium":
            assert status == 0

    assert answers["podium"] == answers["mlflow"]
    assert answers["podium"][1][0] == 200


def _served(command, saved, place, body):
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PODIUM_", "PYTHONPATH"))}
    environ |= {
        "PODIUM_HOME": str(place / "home"),
        "MLFLOW_PORT": str(port),
        "MLFLOW_TRACKING_URI": f"sqlite:///{place}/m.db",
    }
    if command[0] == sys.executable:
        environ["PYTHONPATH"] = str(ROOT / "src")
    # MLflow starts `uvicorn` by its name.
    environ["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [*command, "models", "serve", "-m", str(saved), "-w", "1", "-t", "30", "--env-manager", "local"],
        cwd=place,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        ping = _asked(f"http://127.0.0.1:{port}/ping", None, process)
        answer = _asked(f"http://127.0.0.1:{port}/invocations", body, process)
        process.send_signal(signal.SIGTERM)
        return (ping, answer), process.wait(120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def _asked(url, body, process):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"} if body else {})
    deadline = time.monotonic() + 240
    while True:
        try:
            with urllib.request.urlopen(request, timeout=550) as response:
                return response.status, response.headers["Content-Type"], response.read()
        # Nobody listens yet, or hangs up before it is there; or it answers that it is not ready.
        except OSError:
            assert process.poll() is None, "the server is over"
            assert time.monotonic() < deadline
            time.sleep(0.1)
