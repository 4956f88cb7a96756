"""Loading: what goes wrong and how it is called, config, code, and who says what of rows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import podium
from podium.errors import InvalidModel, LoadFailed
from podium.models.load import load_predictor, merge_config
from podium.models.mlmodel import read_mlmodel, write_mlmodel

LOADER = {"flavors": {"python_function": {"loader_module": "broken_loader_of_a_test", "code": "code"}}}


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("broken_loader_of_a_test", None)


def model_that(folder: Path, body: str) -> Path:
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "broken_loader_of_a_test.py").write_text(f"def _load_pyfunc(path):\n    {body}\n")
    write_mlmodel(folder, LOADER)
    return folder


@pytest.mark.parametrize(
    ("body", "cause", "said"),
    [
        ("import nowhere_at_all", "import_error", "Install nowhere_at_all"),
        ("raise MemoryError", "out_of_memory", "out of memory"),
        ("raise ValueError('bad magic')", "load_error", "ValueError: bad magic"),
        ("raise SystemExit(3)", "load_error", "SystemExit"),
        ("import mlflow; from mlflow.tracking import MlflowClient", "import_error", "pip install mlflow"),
        ("from mlflow.pyfunc import log_model", "import_error", "pip install mlflow"),
    ],
)
def test_whatever_loading_raises_has_a_cause(tmp_path: Path, body: str, cause: str, said: str) -> None:
    """For status and exit codes; the original goes along as __cause__."""
    folder = model_that(tmp_path / "m", body)

    with pytest.raises(LoadFailed, match=said) as caught:
        load_predictor(folder, LOADER)
    assert caught.value.cause == cause
    assert caught.value.__cause__ is not None


def test_a_model_without_a_way_to_score_is_refused_by_what_it_has(tmp_path: Path) -> None:
    """A transformer, for example."""
    with pytest.raises(InvalidModel, match=r'does not have the "python_function" flavor.*sklearn'):
        load_predictor(tmp_path, {"flavors": {"sklearn": {}}})


def test_a_record_of_a_model_elsewhere_is_refused(tmp_path: Path) -> None:
    """MLflow's mark for external models."""
    with pytest.raises(InvalidModel, match="elsewhere"):
        load_predictor(tmp_path, {**LOADER, "metadata": {"mlflow.model.isExternal": True}})


def test_the_models_own_code_goes_first(tmp_path: Path) -> None:
    """As in MLflow, before what is installed."""
    folder = model_that(tmp_path / "m", "import sys; return type('M', (), {'predict': lambda self, data: [sys.path[0]]})()")

    assert [str(folder / "code")] == load_predictor(folder, LOADER).predict([1])


@pytest.mark.parametrize(
    ("own", "given", "merged"),
    [
        ({"a": 1, "b": 2}, {"a": 5}, {"a": 5, "b": 2}),
        ({"a": 1}, None, {"a": 1}),
        (None, None, None),
        ({}, None, None),
    ],
)
def test_config_is_overridden_key_by_key(own: Any, given: Any, merged: Any) -> None:
    """Without touching what the model was saved with."""
    assert merged == merge_config(own, given)


def test_config_that_the_model_does_not_have_is_dropped_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be read by nobody."""
    with pytest.warns(UserWarning, match=r"\['zzz'\] were ignored"):
        assert merge_config({"a": 1}, {"zzz": 1}) == {"a": 1}
    with pytest.warns(UserWarning, match="takes no model_config"):
        assert merge_config(None, {"a": 1}) is None


def test_arguments_weigh_more_than_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the server's variable more than the general one."""
    monkeypatch.setenv("MLFLOW_PYFUNC_INFERENCE_CONFIG", '{"a": "general", "b": "general", "c": "general"}')
    monkeypatch.setenv("SERVING_MODEL_CONFIG", '{"a": "server", "b": "server"}')

    assert merge_config({"a": 0, "b": 0, "c": 0}, {"a": "argument"}) == {"a": "argument", "b": "server", "c": "general"}
    monkeypatch.setenv("SERVING_MODEL_CONFIG", "[1]")
    with pytest.raises(InvalidModel, match="SERVING_MODEL_CONFIG"):
        merge_config({"a": 0}, None)


def test_what_the_author_says_of_rows_counts_but_not_against_a_fixed_batch(tmp_path: Path) -> None:
    """A graph that takes eight rows takes eight rows."""
    import onnx

    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[8, 3] x) => (float[8, 3] y) { y = Add(x, x) }'
    podium.onnx.save_model(onnx.parser.parse_model(text), tmp_path / "m", row_independent=True)
    rows = load_predictor(tmp_path / "m", read_mlmodel(tmp_path / "m")).rows

    assert (rows.is_known_independent, rows.static_batch) == (False, 8)


def test_the_predictor_carries_the_models_facts(tmp_path: Path) -> None:
    """Flavor by the library's name, signature, the whole MLmodel file."""
    podium.sklearn.save_model(LinearRegression().fit([[1.0]], [1.0]), tmp_path / "m", input_example=np.array([[1.0]]))
    mlmodel = read_mlmodel(tmp_path / "m")
    predictor = load_predictor(tmp_path / "m", mlmodel)

    assert predictor.flavor == "sklearn"
    assert predictor.metadata == mlmodel
    assert predictor.signature is not None
    assert predictor.rows.is_known_independent


def test_loading_imports_neither_yaml_nor_a_library_of_another_flavor(tmp_path: Path) -> None:
    """The worker starts in anybody's environment."""
    code = (
        "import sys, podium.models.load, podium.models.examples, podium.worker.check\n"
        "heavy = 'yaml pandas sklearn onnx onnxruntime cloudpickle scipy skops click msgspec packaging'.split()\n"
        "sys.exit(' '.join(set(heavy) & set(sys.modules)) or 0)"
    )
    environment = {"PYTHONPATH": str(Path(podium.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=550, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
