"""Models that MLflow saved load here, models saved here load in plain MLflow, and both answer the same."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from podium.api.validating import validate
from podium.models.examples import serving_example
from podium.models.load import load_predictor, signature_of
from podium.models.mlmodel import read_mlmodel, write_mlmodel
from podium.protocols.mlflow.codec import decode, encode

HERE = Path(__file__).parent
TIMEOUT_S = 550
PYTHON = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.skipif(not PYTHON, reason="PODIUM_TEST_MLFLOW_PYTHON names no interpreter with mlflow"),
]

THEIRS = [
    "onnx-columns", "onnx-tensor", "python-artifacts", "python-bzip2", "python-code", "python-function",
    "python-gzip", "python-loader", "python-lzma", "python-params", "python-signature", "sklearn-cloudpickle",
    "sklearn-lambda", "sklearn-pickle", "sklearn-proba", "sklearn-skops", "sklearn-trusted",
]  # fmt: skip
OURS = [
    "code", "compressed", "function", "hinted", "loader", "model", "onnx",
    "onnx-table", "params", "partial", "sklearn-cloudpickle", "sklearn-forest", "sklearn-own", "sklearn-pickle",
    "sklearn-proba", "sklearn-skops", "sklearn-tensor",
]  # fmt: skip


def run_mlflow(*arguments: str) -> None:
    assert PYTHON is not None
    # Nothing of podium's may be in reach there.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [PYTHON, "-P", str(HERE / "mlflow_models.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("theirs")
    run_mlflow("save", str(root))
    run_mlflow("score", str(root))
    return root


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ours")
    # As a script, for classes defined in __main__ are what people have in notebooks.
    environment = {**os.environ, "PYTHONPATH": str(Path(sys.modules["podium"].__path__[0]).parent)}
    command = [sys.executable, "-W", "error", str(HERE / "podium_models.py"), str(root)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    run_mlflow("score", str(root))
    return root


def answer(folder: Path) -> Any:
    """What podium's server would answer to the model's own example."""
    before, modules = list(sys.path), set(sys.modules)
    mlmodel = read_mlmodel(folder)
    predictor = load_predictor(folder, mlmodel)
    example = serving_example(folder, mlmodel)
    assert example is not None
    decoded = decode(example.encode(), "application/json", predictor.signature)
    body = encode(predictor.predict(decoded.data, decoded.params), decoded.is_enveloped)
    sys.path[:] = before
    for name in set(sys.modules) - modules:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    return json.loads(body)


def expected(root: Path, name: str) -> Any:
    found = json.loads((root / f"{name}.expected.json").read_text())
    assert "error" not in found, found["error"]
    return found


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-9) or (left != left and right != right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    return bool(left == right)


@pytest.mark.parametrize("name", THEIRS)
def test_a_model_that_mlflow_saved_answers_the_same_here(theirs: Path, name: str) -> None:
    """Every serialization, compression, custom loader, code, config, params and type hints."""
    found = answer(theirs / name)

    assert same(expected(theirs, name)["answer"], found), found


def test_every_model_that_mlflow_saved_was_compared(theirs: Path) -> None:
    """The list above is complete."""
    saved = {each.name for each in theirs.iterdir() if each.is_dir()}

    assert saved == {*THEIRS, "python-chat", "sklearn-1x", "sklearn-only-flavors"}


def test_a_model_in_the_layout_of_mlflow_1_answers_the_same(theirs: Path) -> None:
    """String env, data in place of model_path, no serialization_format, and no serving example beside the input example."""
    (theirs / "sklearn-1x" / "serving_input_example.json").unlink()

    assert same(expected(theirs, "sklearn-pickle")["answer"], answer(theirs / "sklearn-1x"))


def test_a_model_file_with_only_flavors_loads(theirs: Path) -> None:
    """Neither signature nor uuid nor version is needed."""
    folder = theirs / "sklearn-only-flavors"
    predictor = load_predictor(folder, read_mlmodel(folder))
    example = (folder / "serving_input_example.json").read_bytes()

    assert list(predictor.predict(decode(example, "application/json", None).data)) == [0, 0, 0]


def test_unknown_keys_survive_a_rewrite(theirs: Path, tmp_path: Path) -> None:
    """What a later MLflow wrote is not lost when podium writes the file again."""
    mlmodel = read_mlmodel(theirs / "sklearn-1x")
    write_mlmodel(tmp_path, mlmodel)

    assert yaml.safe_load((theirs / "sklearn-1x" / "MLmodel").read_text()) == yaml.safe_load(
        (tmp_path / "MLmodel").read_text()
    )


def test_a_config_from_the_server_overrides_known_keys_only(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SERVING_MODEL_CONFIG is MLflow's variable for it; an unknown key is dropped with a warning."""
    folder = theirs / "python-artifacts"
    monkeypatch.setenv("SERVING_MODEL_CONFIG", '{"alpha": 0.5, "zzz": 1}')
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.warns(UserWarning, match="zzz"):
        predictor = load_predictor(folder, read_mlmodel(folder))

    assert predictor.loaded.context.model_config == {"alpha": 0.5}
    assert Path(predictor.loaded.context.artifacts["offset"]).is_absolute()


@pytest.mark.parametrize("name", ["sklearn-pickle", "sklearn-cloudpickle", "sklearn-skops", "python-gzip"])
def test_the_switch_against_pickles_is_honoured(theirs: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """skops too, whose list of trusted types comes from the model itself."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")

    report = validate(theirs / name)

    assert (report.step, report.is_valid) == ("load", False)
    assert "MLFLOW_ALLOW_PICKLE_DESERIALIZATION" in (report.message or "")


def test_models_from_code_load_in_spite_of_the_switch(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold no pickle."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")

    assert validate(theirs / "python-code").is_valid


@pytest.mark.parametrize("name", OURS)
def test_a_model_that_podium_saved_answers_the_same_in_plain_mlflow(ours: Path, name: str) -> None:
    """No podium is installed there, so nothing that was saved names it."""
    found = expected(ours, name)

    assert not found["podium"]
    assert same(answer(ours / name), found["answer"]), found["answer"]


def test_every_model_that_podium_saved_was_compared(ours: Path) -> None:
    """The list above is complete."""
    assert {each.name for each in ours.iterdir() if each.is_dir()} == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_mlflow_reads_the_signature_that_podium_wrote(ours: Path, name: str) -> None:
    """And writes it back with the same content."""
    signature = signature_of(read_mlmodel(ours / name))
    theirs = expected(ours, name)["signature"]

    assert signature is not None
    assert {part: _json(text) for part, text in signature.to_dict().items()} == {
        part: _json(theirs[part]) for part in ("inputs", "outputs", "params")
    }


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


@pytest.mark.parametrize("name", ["function", "hinted"])
def test_mlflow_checks_input_against_the_hints_of_a_model_that_podium_saved(ours: Path, name: str) -> None:
    """By its own wrapper, which a class or function out of a pickle has only if the pickle asks for it."""
    assert "Failed to validate data against type hint" in expected(ours, name)["refusal"]


def test_mlflow_loads_the_native_objects(ours: Path) -> None:
    """mlflow.sklearn and mlflow.onnx find the estimator and the ModelProto."""
    assert expected(ours, "sklearn-skops")["native"] == "Pipeline"
    assert expected(ours, "onnx")["native"] == "ModelProto"


@pytest.mark.parametrize("name", OURS)
def test_requirements_name_mlflow_only_where_a_model_asks_for_it(ours: Path, name: str) -> None:
    """None of these does: plain MLflow is there where it loads them."""
    lines = (ours / name / "requirements.txt").read_text().splitlines()

    assert [line for line in lines if line.startswith(("mlflow", "podium"))] == []


SCORE_HERE = """
import json, pathlib, sys, warnings
warnings.simplefilter("ignore")
from podium.worker.check import check
from podium.models.mlmodel import read_mlmodel
import importlib.util
assert importlib.util.find_spec("mlflow").origin
found = {}
for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    if (folder / "MLmodel").exists() and folder.name != "sklearn-1x":
        path, modules = list(sys.path), set(sys.modules)
        report = check(folder, read_mlmodel(folder))
        found[folder.name] = report["answer"] or report["message"]
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
print("FOUND" + json.dumps(found))
"""


@pytest.mark.parametrize("whose", ["theirs", "ours"])
def test_where_mlflow_is_installed_podium_answers_the_same(request: pytest.FixtureRequest, whose: str) -> None:
    """A model's own environment has mlflow as a rule; its classes and loaders are then the real ones, chat models' too."""
    assert PYTHON is not None
    root = request.getfixturevalue(whose)
    environment = {**os.environ, "PYTHONPATH": str(Path(sys.modules["podium"].__path__[0]).parent)}
    command = [PYTHON, "-c", SCORE_HERE, str(root)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.partition("FOUND")[2])

    assert len(found) >= len(OURS)
    differing = {
        name: text
        for name, text in found.items()
        if name != "sklearn-only-flavors" and not same(_json_or_text(text), expected(root, name)["answer"])
    }
    assert differing == {}


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def test_models_that_podium_saved_pass_a_check_in_a_clean_process(ours: Path) -> None:
    """The folder alone is enough."""
    report = validate(ours / "model")

    assert report.is_valid, report.message
    assert (report.step, report.flavor, report.mismatches) == ("done", "python_function", ())
