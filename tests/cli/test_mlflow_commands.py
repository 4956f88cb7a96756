"""`podium models serve | predict | prepare-env`, typed as MLflow's commands are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tinyhouse import PRODUCTION, House, Server, until
from wheels import offline, repack, write_wheel

# Answers what it knows: its config, a variable, its interpreter, whether `tinydep` is there.
TELLING = """
import os, sys, time
class Model:
    def __init__(self, config):
        self.config = config
    def predict(self, data):
        print("the model prints")
        if "a" in data and float(data["a"].iloc[0]) < 0:
            raise RuntimeError("no negative numbers")
        try:
            from tinydep import VERSION
        except ImportError:
            VERSION = 0
        device = os.environ.get("MLFLOW_DEFAULT_PREDICTION_DEVICE")
        return [[self.config, device, sys.executable, VERSION, os.environ.get("EXTRA")]]
def _load_pyfunc(path, model_config=None):
    time.sleep(float(os.environ.get("TELLING_SLEEP", "0")))
    return Model(model_config)
"""
SIGNATURE = """signature:
  inputs: '[{"type": "double", "name": "a", "required": true}]'
"""
BODY = '{"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}'


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path, ("models", "serve"))
    yield made
    assert made.processes() == {}


@pytest.fixture
def telling(tmp_path):
    """A folder whose model takes a config and says what reaches it."""
    folder = tmp_path / "telling"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "telling.py").write_text(TELLING)
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: telling\n    code: code\n"
        f"    config:\n      depth: 1\n{SIGNATURE}"
    )
    (tmp_path / "in.json").write_text(BODY)
    (tmp_path / "in.csv").write_text("a\n1\n")
    return folder


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("numpy", "pandas", "python-dateutil", "six"):
        repack(folder, name)
    write_wheel(folder, "tinydep", "7.0", "VERSION = 7\n")
    write_wheel(folder, "tinydep", "8.0", "VERSION = 8\n")
    return folder


def with_environment(house, folder, shelf):
    """The model now asks for tinydep, which this Python lacks, and finds it on a shelf."""
    (folder / "requirements.txt").write_text("mlflow-skinny\nnumpy\npandas\ntinydep==7.0\n")
    write_wheel(shelf, "mlflow_skinny", "1.0", "")
    house.look_elsewhere(offline(shelf))
    del house.environment["PODIUM_SERVE_ENV_MANAGER"]  # the command's own default is what is tried


def predicted(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["predictions"][0]


def test_predict_prints_the_servers_bytes_and_nothing_else(house, telling):
    """The model's own prints are talk; no line end, as in MLflow."""
    done = house.command("models", "predict", "-m", str(telling), "-i", "in.json")

    assert done.stdout == json.dumps({"predictions": [[{"depth": 1}, None, sys.executable, 0, None]]})
    assert "the model prints" in done.stderr


def test_predict_reads_stdin_and_writes_a_file(house, telling):
    done = subprocess.run(
        [sys.executable, "-m", "podium", "models", "predict", "-m", str(telling), "-o", "out.json"],
        input=BODY,
        env=house.environment,
        cwd=house.folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )

    assert done.stdout == ""
    assert json.loads((house.folder / "out.json").read_text())["predictions"][0][0] == {"depth": 1}


def test_predict_applies_the_schema_to_csv(house, telling):
    """Whole numbers in a double column: MLflow's own command refuses what its server accepts."""
    predicted(house.command("models", "predict", "-m", str(telling), "-i", "in.csv", "-t", "csv"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "Ensure that input is a valid JSON"),
        ('{"inputs": {"b": [1.0]}}', "missing inputs ['a']"),
        ('{"dataframe_split": {"columns": ["a"], "data": [[-1.0]]}}', "(RuntimeError: no negative numbers)"),
    ],
)
def test_predict_says_what_is_wrong_without_a_traceback(house, telling, body, words):
    (house.folder / "in.json").write_text(body)

    done = house.command("models", "predict", "-m", str(telling), "-i", "in.json")

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--env-manager", "foo"],
            "Invalid value for `env_manager`: foo. Must be one of ['local', 'conda', 'virtualenv', 'uv']",
        ),
        (["-t", "xml"], "Content type must be one of json or csv."),
        (["-i", "nowhere"], "nowhere cannot be read: No such file"),
        (["--env", "NOVALUE"], "'NOVALUE' is not a valid key value pair, expecting `key=value`"),
        (["-r", "x==1", "--env-manager", "local"], "`pip_requirements_override` is not supported for local env manager."),
        (["-r", "=="], "'==' is no requirement"),
        (["-o", "nowhere/out.json"], "nowhere/out.json cannot be written: there is no folder "),
    ],
)
def test_what_is_asked_wrongly_exits_2(house, telling, flags, words):
    done = house.command("models", "predict", "-m", str(telling), "-i", "in.json", *flags)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_model_that_never_loads_is_ended(house, telling):
    """Its process with it: the fixture looks."""
    done = house.command(
        "models", "predict", "-m", str(telling), "-i", "in.json", "--env", "TELLING_SLEEP=600", "--timeout", "3"
    )

    assert done.returncode == 1
    assert "neither answered nor failed within 3 s" in done.stderr


def test_a_killed_predict_leaves_no_process(house, telling):
    """SIGKILL, so that nobody can clean up: the model's process sees it by itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "podium", "models", "predict", "-m", str(telling), "-i", "in.json"],
        env={**house.environment, "TELLING_SLEEP": "600"},
        cwd=house.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: any("podium.worker.score" in command for command in house.processes().values()), "the model loads")
    process.kill()
    process.wait(60)

    until(lambda: house.processes() == {}, "the model's process has ended")


@pytest.mark.parametrize("variable", ["SERVING_MODEL_CONFIG", "MLFLOW_PYFUNC_INFERENCE_CONFIG"])
def test_mlflows_variables_reach_the_model(house, telling, variable):
    """In predict and behind serve alike."""
    house.environment |= {variable: '{"depth": 5, "other": 1}', "MLFLOW_DEFAULT_PREDICTION_DEVICE": "cuda:1"}

    scored = predicted(house.command("models", "predict", "-m", str(telling), "-i", "in.json", "--env", "EXTRA=more"))
    with house.serving(uri=str(telling)) as server:
        served = ask(server.port)["predictions"][0]

    assert scored[:2] == served[:2] == [{"depth": 5}, "cuda:1"]
    assert (scored[4], served[4]) == ("more", None)


def test_details_of_the_schema_can_be_hidden(house, telling):
    (house.folder / "in.json").write_text('{"dataframe_split": {"columns": ["b"], "data": [[1.0]]}}')
    plain = house.command("models", "predict", "-m", str(telling), "-i", "in.json")
    house.environment["MLFLOW_DISABLE_SCHEMA_DETAILS"] = "true"

    hidden = house.command("models", "predict", "-m", str(telling), "-i", "in.json")

    assert "(required)" in plain.stderr
    assert "(required)" not in hidden.stderr
    assert hidden.returncode == 1


def test_pickles_can_be_forbidden(house):
    """Neither predict nor serve loads one then; both say why."""
    from sklearn.linear_model import LogisticRegression

    from podium.sklearn import save_model

    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    save_model(model, house.folder / "pickled", serialization_format="cloudpickle")
    (house.folder / "in.json").write_text('{"inputs": [[0.0]]}')
    loads = house.command("models", "predict", "-m", "pickled", "-i", "in.json")
    house.environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"

    scored = house.command("models", "predict", "-m", "pickled", "-i", "in.json")
    served = house.command("models", "serve", "-m", "pickled", "-p", "0")

    assert loads.stdout == '{"predictions": [0]}'
    for done in (scored, served):
        assert done.returncode == 1
        assert "MLFLOW_ALLOW_PICKLE_DESERIALIZATION forbids it" in done.stderr


def test_serve_takes_mlflows_variables_for_its_options(house):
    """MLFLOW_PORT, MLFLOW_HOST, MLFLOW_MODELS_WORKERS, MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT; SIGTERM drains, exit 0."""
    house.register(1)
    house.promote(1)
    house.environment |= {
        "MLFLOW_PORT": "70000",
        "MLFLOW_HOST": "127.0.0.2",
        "MLFLOW_MODELS_WORKERS": "2",
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "1",
    }
    refused = house.command("models", "serve", "-m", PRODUCTION)

    with house.serving() as server:
        facts = server.status
        ended = server.stop()

    assert refused.returncode == 2
    assert "70000" in refused.stderr
    assert facts["url"].startswith("http://127.0.0.2:")
    assert facts["replicas_wanted"] == 2
    assert ended == 0


@pytest.mark.slow
def test_a_model_runs_in_the_python_that_it_needs(house, telling, shelf):
    """Asked for nothing, one is built because this Python lacks tinydep; then predict, prepare-env and serve share it."""
    with_environment(house, telling, shelf)
    first = house.command("models", "predict", "-m", str(telling), "-i", "in.json", timeout_s=240)
    prepared = house.command("models", "prepare-env", "-m", str(telling))
    here = house.command("models", "prepare-env", "-m", str(telling), "--env-manager", "local")
    with house.serving(uri=str(telling)) as server:
        said, served = server.said(), ask(server.port)["predictions"][0]

    assert "building one with " in first.stderr
    assert "this Python does not meet the model's requirements (tinydep: wants ==7.0, not installed)" in first.stderr
    assert predicted(first)[2:4] == served[2:4] == [prepared.stdout.strip(), 7]
    assert Path(prepared.stdout.strip()).is_relative_to(house.home / "environments")
    assert here.returncode == 1
    assert "tinydep: wants ==7.0, not installed" in here.stderr
    assert "requirements  met" in said


@pytest.mark.slow
def test_an_override_and_a_place_for_environments(house, telling, shelf, tmp_path):
    with_environment(house, telling, shelf)
    house.environment["MLFLOW_ENV_ROOT"] = str(tmp_path / "envs")

    done = house.command("models", "predict", "-m", str(telling), "-i", "in.json", "-r", "tinydep==8.0,six", timeout_s=240)

    assert predicted(done)[3] == 8
    assert predicted(done)[2].startswith(str(tmp_path / "envs"))


def test_no_environment_is_built_where_that_is_forbidden(house, telling):
    (telling / "requirements.txt").write_text("tinydep==7.0\n")
    house.environment["MLFLOW_DISABLE_ENV_CREATION"] = "true"

    done = house.command("models", "predict", "-m", str(telling), "-i", "in.json", "--env-manager", "virtualenv")

    assert predicted(done)[2] == sys.executable
    assert "MLFLOW_DISABLE_ENV_CREATION forbids to build one" in done.stderr


def test_a_version_whose_python_cannot_be_built_says_so(house, telling, shelf):
    """Exit 1 with the tool's words; a first version that has no environment never served."""
    with_environment(house, telling, shelf)
    (telling / "requirements.txt").write_text("no-such-package-of-podiums\n")

    done = house.command("models", "serve", "-m", str(telling), "-p", "0", timeout_s=240)

    assert done.returncode == 1
    assert "The model's environment could not be built" in done.stderr
    assert "no-such-package-of-podiums" in done.stderr


def test_a_server_that_is_stopped_while_it_builds_ends(house, telling, shelf):
    """And so does what builds: the fixture looks."""
    with_environment(house, telling, shelf)
    server = Server(house, str(telling), ())
    try:
        until(lambda: "installing" in server.said() or " with " in server.said(), "it is being built", server.over)

        assert server.stop() == 0
    finally:
        server.end()


@pytest.mark.parametrize(
    ("manager", "words"),
    [("conda", "there is no conda, mamba or micromamba on PATH"), ("uv", "there is no uv on PATH")],
)
def test_a_manager_that_is_not_installed_is_named_with_the_way_out(house, telling, manager, words):
    (telling / "conda.yaml").write_text("dependencies:\n- pip:\n  - numpy\n")
    house.environment["PATH"] = "/nonexistent"
    if manager == "uv" and (Path(sys.executable).parent / "uv").exists():
        pytest.skip("uv is installed beside this Python, where it is always found")

    done = house.command("models", "predict", "-m", str(telling), "-i", "in.json", "--env-manager", manager)

    assert done.returncode == 2
    assert words in done.stderr
    assert "virtualenv" in done.stderr


def ask(port):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=240)
    connection.request("POST", "/invocations", BODY, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer
