"""MLflow's registry behind servers that fail in every way, and in folders; what was found there, registered here."""

import base64
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hosts import Handler, hosting
from mlflow_answers import FAILURES, answered, settings_of

from podium.api.registering import Registry
from podium.domain.references import parse_reference
from podium.errors import NotFound, PodiumError, RegistryError
from podium.registry.embedded import Resolved
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import resolve
from podium.settings.home import Home
from podium.settings.mlflow import read_mlflow_settings

_API = "/api/2.0/mlflow"
LIVE = parse_reference("models:/fraud/production")


def registry_of(folder: Path) -> dict:
    """What MLflow's server answers about one model, version 3 of which is in production."""
    version = {"name": "fraud", "version": "3", "creation_timestamp": 1700000000000, "current_stage": "Production"}
    version["source"] = str(folder)
    return {
        f"{_API}/registered-models/get": answered({"registered_model": {"name": "fraud"}}),
        f"{_API}/registered-models/get-latest-versions": answered({"model_versions": [version]}),
        f"{_API}/registered-models/alias": answered({"model_version": version}),
        f"{_API}/model-versions/get": answered({"model_version": version}),
        f"{_API}/model-versions/search": answered({"model_versions": [version]}),
        f"{_API}/model-versions/get-download-uri": answered({"artifact_uri": str(folder)}),
    }


def once_it_is_here(observer: RegistryObserver) -> Resolved:
    """What is live: an observer waits for its files for a moment only, and says until then that they are fetched."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return observer.resolve(LIVE)
        except RegistryError as error:
            if "is being fetched" not in error.message or time.monotonic() > deadline:
                raise


@pytest.mark.parametrize("failure", FAILURES)
def test_a_server_that_fails_never_says_that_nothing_is_wanted(failure, folder, home):
    """NotFound would unload what serves; any other error keeps it. And it is heard again when it is back."""
    good = registry_of(folder)
    with hosting(good) as host:
        host.over = threading.Event()
        observer = RegistryObserver(home, settings_of(host))
        assert once_it_is_here(observer).version == 3

        host.routes, host.fallback = {}, FAILURES[failure]
        with pytest.raises(PodiumError) as caught:
            observer.resolve(LIVE)
        assert isinstance(caught.value, RegistryError), caught.value
        host.over.set()

        host.routes = good
        assert observer.resolve(LIVE).version == 3
        observer.close()


def test_a_server_that_is_gone_is_an_error_of_the_registry(folder, home):
    with hosting(registry_of(folder)) as host:
        observer = RegistryObserver(home, settings_of(host))
        once_it_is_here(observer)

    with pytest.raises(RegistryError, match="refused"):
        observer.resolve(LIVE)


def test_what_is_really_gone_is_not_found(folder, home):
    absent = answered({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"}, 404)
    with hosting(registry_of(folder)) as host:
        observer = RegistryObserver(home, settings_of(host))
        once_it_is_here(observer)
        host.routes, host.fallback = {f"{_API}/registered-models/search": answered({})}, absent

        with pytest.raises(NotFound, match="no registered model is named 'fraud'"):
            observer.resolve(LIVE)


@pytest.mark.parametrize(
    ("variables", "header"),
    [
        (
            {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "pw"},
            "Basic " + base64.b64encode(b"ann:pw").decode(),
        ),
        ({"MLFLOW_TRACKING_TOKEN": "t0ken"}, "Bearer t0ken"),
    ],
)
def test_a_server_that_asks_who_we_are_is_told(variables, header, folder, home):
    """And who is not let in hears which variables to set."""
    good = registry_of(folder)

    def guarded(handler: Handler):
        if handler.headers["Authorization"] != header:
            return answered({"error_code": "UNAUTHENTICATED"}, 401)
        return good[handler.path.partition("?")[0]]

    with hosting({}) as host:
        host.fallback = guarded
        known = read_mlflow_settings({"MLFLOW_TRACKING_URI": host.url} | variables)
        assert resolve(LIVE, home, known).version == 3

        with pytest.raises(RegistryError, match="MLFLOW_TRACKING_USERNAME"):
            resolve(LIVE, home, settings_of(host))


def test_a_version_of_mlflows_is_registered_here(folder, home, monkeypatch):
    """`podium models register models:/fraud/3 fraud`: a copy with a record, which needs MLflow no more."""
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: some.module\n")
    with hosting(registry_of(folder)) as host:
        environment = {**os.environ, "PODIUM_HOME": str(home.root), "MLFLOW_TRACKING_URI": host.url}
        done = subprocess.run(
            [sys.executable, "-m", "podium", "models", "register", "models:/fraud/3", "fraud"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=550,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("MLFLOW_TRACKING_URI", host.url)
    found = Registry(home).resolve("models:/fraud/1")
    assert found.digest is not None
    assert (found.folder / "MLmodel").read_text() == (folder / "MLmodel").read_text()
    assert Registry(home).version("fraud", 1).source == "models:/fraud/3"


@pytest.fixture
def mlruns(tmp_path, folder) -> Path:
    """As MLflow 2 writes `./mlruns`."""
    root = tmp_path / "mlruns"
    run, model = "0" * 32, "m-" + "1" * 32
    metas = {
        "0/meta.yaml": "name: Default\n",
        f"0/{run}/meta.yaml": f"run_id: {run}\nartifact_uri: file://{tmp_path}\n",
        f"0/models/{model}/meta.yaml": f"model_id: {model}\nartifact_location: {folder}\n",
        "models/fraud/meta.yaml": "name: fraud\n",
    }
    for number, stage in ((1, "Archived"), (2, "Production"), (3, "None")):
        metas[f"models/fraud/version-{number}/meta.yaml"] = (
            f"name: fraud\nversion: '{number}'\ncurrent_stage: {stage}\ncreation_timestamp: {number}\nsource: {folder}\n"
        )
    metas["models/fraud/version-4/meta.yaml"] = "name: fraud\nversion: '4'\ncurrent_stage: Deleted_Internal\nsource: ''\n"
    metas["models/fraud/aliases/champion"] = "1"
    for path, text in metas.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.mark.parametrize(
    ("uri", "version"),
    [
        ("models:/fraud/1", 1),
        ("models:/fraud/production", 2),
        ("models:/fraud/latest", 3),
        ("models:/fraud@champion", 1),
        ("models:/m-" + "1" * 32, None),
        ("runs:/" + "0" * 32 + "/some-model", None),
    ],
)
def test_a_folder_of_mlflows_files_is_a_registry(uri, version, mlruns, home, folder):
    """Found by itself in the current folder, as MLflow finds it."""
    settings = read_mlflow_settings({}, mlruns.parent)

    found = resolve(parse_reference(uri), home, settings)

    assert (found.version, found.folder) == (version, folder)


@pytest.mark.parametrize("uri", ["models:/fraud/7", "models:/fraud/staging", "models:/fraud@nobody", "models:/other/1"])
def test_what_such_a_folder_lacks_is_told_with_what_it_has(uri, mlruns, tmp_path):
    with pytest.raises(NotFound, match=r"fraud|versions"):
        resolve(parse_reference(uri), Home(tmp_path / "none"), read_mlflow_settings({}, mlruns.parent))


@pytest.mark.parametrize("text", ["", "{", "- a list", "version: x\n", "\x00"])
def test_a_file_of_it_that_is_damaged_is_an_error_and_no_absence(text, mlruns, home):
    (mlruns / "models/fraud/version-2/meta.yaml").write_text(text)

    with pytest.raises(RegistryError):
        resolve(LIVE, home, read_mlflow_settings({}, mlruns.parent))
