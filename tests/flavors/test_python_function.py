"""Python code as a model: pickles, files, artifacts, loaders, and the stand-ins for MLflow's classes."""

import functools
import io
import os
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest

from podium import pyfunc
from podium.errors import InvalidInput, InvalidModel, LoadFailed, PredictFailed, SchemaMismatch
from podium.flavors import mlflow_shims
from podium.flavors.catalog import flavor_claiming, flavor_loading
from podium.flavors.contract import Stored
from podium.flavors.pickles import dump_cloudpickle, load_pickle, modules_in
from podium.flavors.python_function import PythonFunctionFlavor
from podium.models.load import load_predictor
from podium.models.mlmodel import read_mlmodel
from podium.models.predictor import Predictor
from podium.protocols.mlflow.problems import problem

cloudpickle.register_pickle_by_value(sys.modules[__name__])

FLAVOR = PythonFunctionFlavor()
FRAME = pd.DataFrame({"x": [1.0, 2.0]})


class Adds(pyfunc.PythonModel):
    def load_context(self, context: pyfunc.PythonModelContext) -> None:
        self.words = Path(context.artifacts["words"]).read_text() if context.artifacts else ""

    def predict(self, context: pyfunc.PythonModelContext, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        return [self.words, context.model_config, params, len(model_input)]


class Upper(pyfunc.PythonModel):
    def predict(self, model_input: list[str], params: Any = None) -> list[str]:  # type: ignore[override]
        return [text.upper() for text in model_input]


class Picky(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

        match len(model_input):
            case 1:
                raise MlflowException.invalid_parameter_value("one row is too few")
            case 2:
                raise MlflowException("no such row", error_code=RESOURCE_DOES_NOT_EXIST)
            case _:
                raise ValueError("secret")


class Sized:
    """An object that can be called."""

    def __call__(self, model_input: Any) -> list[int]:
        return [len(model_input)]


def doubled(model_input: Any) -> Any:
    import json

    return json.loads(json.dumps([2 * value for value in model_input["x"]]))


def saved(folder: Path, **arguments: Any) -> Predictor:
    pyfunc.save_model(folder, **arguments)
    return load_predictor(folder, read_mlmodel(folder))


def test_a_model_gets_its_artifacts_config_and_params(tmp_path: Path) -> None:
    """Artifacts by absolute path, from its own folder."""
    (tmp_path / "w.txt").write_text("hello")
    predictor = saved(tmp_path / "m", python_model=Adds(), artifacts={"words": tmp_path / "w.txt"}, model_config={"a": 1})
    (tmp_path / "w.txt").unlink()

    assert predictor.loaded.predict(FRAME, {"p": 2}) == ["hello", {"a": 1}, {"p": 2}, 2]


def test_artifacts_of_the_same_name_do_not_collide(tmp_path: Path) -> None:
    """Each keeps its content; the same file twice is copied once."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.txt").write_text(name)
    predictor = saved(
        tmp_path / "m",
        python_model=Adds(),
        artifacts={
            "words": f"file://{tmp_path}/a/same.txt",
            "b": tmp_path / "b" / "same.txt",
            "c": tmp_path / "a" / "same.txt",
        },
    )
    paths = predictor.loaded.context.artifacts  # type: ignore[attr-defined]

    assert [Path(paths[name]).read_text() for name in ("words", "b", "c")] == ["a", "b", "a"]
    with pytest.raises(InvalidInput, match="s3://bucket/x"):
        saved(tmp_path / "n", python_model=Adds(), artifacts={"words": "s3://bucket/x"})


def test_a_function_is_a_model(tmp_path: Path) -> None:
    """And takes one argument."""
    assert saved(tmp_path / "m", python_model=doubled).predict(FRAME) == [2.0, 4.0]


@pytest.mark.parametrize(
    ("function", "name"),
    [(functools.partial(lambda rows, model_input: model_input[:rows], 1), "partial"), (Sized(), "Sized")],
)
def test_whatever_takes_one_argument_is_a_function(tmp_path: Path, function: Any, name: str) -> None:
    """An object that can be called has no name of its own; its class's will do."""
    predictor = saved(tmp_path / "m", python_model=function)

    assert function(["a", "b"]) == predictor.predict(["a", "b"])
    assert predictor.rows.reason.startswith(name)


def test_a_function_of_more_than_the_input_is_refused(tmp_path: Path) -> None:
    """MLflow would call it without, and answer differently."""
    with pytest.raises(InvalidInput, match=r"\['data', 'params'\]; expected one, the input.*PythonModel"):
        saved(tmp_path / "m", python_model=lambda data, params=None: data)


@pytest.mark.parametrize(("kind", "suffix"), [("gzip", ".gz"), ("bzip2", ".bz2"), ("lzma", ".xz")])
def test_a_pickle_may_be_compressed(tmp_path: Path, kind: str, suffix: str) -> None:
    """By MLflow's names."""
    predictor = saved(tmp_path / "m", python_model=doubled, compression=kind)

    assert (tmp_path / "m" / f"python_model.pkl{suffix}").exists()
    assert predictor.predict(FRAME) == [2.0, 4.0]


def test_mlflows_variable_for_compression_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLFLOW_LOG_MODEL_COMPRESSION; an unknown one is refused."""
    monkeypatch.setenv("MLFLOW_LOG_MODEL_COMPRESSION", "gzip")
    saved(tmp_path / "m", python_model=doubled)

    assert (tmp_path / "m" / "python_model.pkl.gz").exists()
    with pytest.raises(InvalidInput, match="zip"):
        saved(tmp_path / "n", python_model=doubled, compression="zip")


def test_input_is_checked_against_the_hint_that_the_signature_came_from(tmp_path: Path) -> None:
    """Strictly, as MLflow does; no DataFrame is made in between."""
    predictor = saved(tmp_path / "m", python_model=Upper())

    assert predictor.predict(["a"]) == ["A"]
    with pytest.raises(SchemaMismatch, match="Expected type str, but got int"):
        predictor.predict([1])


@pytest.mark.parametrize(
    ("rows", "status", "text"), [(1, 400, "one row is too few"), (2, 404, "no such row"), (3, 400, "unexpected error")]
)
def test_what_a_model_tells_its_client_reaches_it(tmp_path: Path, rows: int, status: int, text: str) -> None:
    """MLflow's exception carries a status and a text for clients; any other failure of the model does not."""
    predictor = saved(tmp_path / "m", python_model=Picky())
    with pytest.raises(PredictFailed) as caught:
        predictor.predict(pd.DataFrame({"x": range(rows)}))
    answer = problem(caught.value)

    assert answer.status == status
    assert text in answer.body.decode()
    assert "secret" not in answer.body.decode()


@pytest.mark.parametrize(
    ("error_code", "name", "status"),
    [
        (5, "SERVICE_UNDER_MAINTENANCE", 500),
        (9, "RESOURCE_EXHAUSTED", 429),
        (3002, "RESOURCE_DOES_NOT_EXIST", 404),
        (987654, "INTERNAL_ERROR", 500),
        ("BAD_REQUEST", "INTERNAL_ERROR", 500),
    ],
)
def test_a_code_means_what_it_means_to_mlflow(error_code: Any, name: str, status: int) -> None:
    """MLflow knows its codes by their numbers alone; a word is an internal error there."""
    error = mlflow_shims.MlflowException("m", error_code=error_code)

    assert (error.error_code, error.get_http_status_code()) == (name, status)


def test_pickles_name_mlflow_and_never_podium(tmp_path: Path) -> None:
    """They must load where there is no podium."""
    (tmp_path / "w.txt").write_text("hello")
    saved(tmp_path / "m", python_model=Adds(), artifacts={"words": tmp_path / "w.txt"})
    content = (tmp_path / "m" / "python_model.pkl").read_bytes()
    texts = [argument for _, argument, _ in pickletools.genops(content) if isinstance(argument, str)]

    assert not [text for text in texts if text.startswith("podium")]
    assert "mlflow.pyfunc.model" in texts


def test_pickles_that_name_mlflows_classes_give_podiums(tmp_path: Path) -> None:
    """The stand-ins lead there."""
    dump_cloudpickle(Upper(), tmp_path / "p.pkl")
    mlflow_shims.install()

    assert isinstance(load_pickle(tmp_path / "p.pkl"), pyfunc.PythonModel)


def test_the_modules_that_a_pickle_names_are_known() -> None:
    """Imports inside of functions too; podium and what comes along by value are not among them."""
    assert {"json"} <= modules_in(doubled)
    assert {"pandas"} == modules_in(FRAME.__class__) - {"cloudpickle"}
    assert not {"podium", "tests", __name__.partition(".")[0]} & modules_in(Adds())


def test_an_object_that_holds_something_unpicklable_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """load_context, or a file."""
    model = Upper()
    model.file = io.TextIOWrapper(io.BytesIO())  # type: ignore[attr-defined]
    with pytest.raises(InvalidInput, match="load_context"):
        saved(tmp_path / "m", python_model=model)


@pytest.mark.parametrize("compression", [None, "gzip", "bzip2", "lzma"])
def test_a_damaged_pickle_is_named(tmp_path: Path, compression: str | None) -> None:
    """With its path and the way out, whatever the compression says."""
    saved(tmp_path / "m", python_model=Upper(), compression=compression)
    file = next((tmp_path / "m").glob("python_model.pkl*"))
    file.write_bytes(file.read_bytes()[:-100])

    with pytest.raises(InvalidModel, match=rf"{file.name} is damaged.*save it again"):
        load_predictor(tmp_path / "m", read_mlmodel(tmp_path / "m"))


def test_a_pickle_that_needs_its_script_says_so(tmp_path: Path) -> None:
    """What other people meet when somebody pickled a function of a notebook by name."""
    (tmp_path / "m.pkl").write_bytes(b"c__main__\nnowhere_to_be_found\n.")

    with pytest.raises(LoadFailed, match=r"only the script that saved it has.*cloudpickle"):
        load_pickle(tmp_path / "m.pkl")


def test_a_class_in_place_of_an_object_is_refused(tmp_path: Path) -> None:
    """The commonest slip."""
    with pytest.raises(InvalidInput, match=r"pass an object of it: Upper\(\.\.\.\)"):
        saved(tmp_path / "m", python_model=Upper)


CODE = """
from mlflow.models import ModelConfig, set_model
import mlflow

FACTOR = ModelConfig(development_config={"factor": 1}).get("factor")

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [FACTOR] * len(model_input)

set_model(Model())
"""


def test_a_file_is_a_model(tmp_path: Path) -> None:
    """It is run when loaded, with the config that it was saved with; the path that it had is written nowhere."""
    (tmp_path / "model.py").write_text(CODE)
    predictor = saved(tmp_path / "m", python_model=tmp_path / "model.py", model_config={"factor": 7})
    (tmp_path / "model.py").unlink()

    assert predictor.predict(FRAME) == [7, 7]
    assert str(tmp_path) not in (tmp_path / "m" / "MLmodel").read_text()


def test_two_models_from_files_do_not_share_their_modules(tmp_path: Path) -> None:
    """Each run is a module of its own."""
    (tmp_path / "model.py").write_text(CODE)
    one = saved(tmp_path / "1", python_model=tmp_path / "model.py", model_config={"factor": 1})
    two = saved(tmp_path / "2", python_model=tmp_path / "model.py", model_config={"factor": 2})

    assert (one.predict(FRAME), two.predict(FRAME)) == ([1, 1], [2, 2])


def test_a_notebook_is_a_model(tmp_path: Path) -> None:
    """Its code cells, without magics."""
    cells = (
        '{"cells": [{"cell_type": "markdown", "source": ["# hi"]}, {"cell_type": "code", "source": ["%pip install x\\n", '
        '"from mlflow.models import set_model\\n", "set_model(lambda model_input: [1])"]}]}'
    )
    (tmp_path / "model.ipynb").write_text(cells)

    assert saved(tmp_path / "m", python_model=tmp_path / "model.ipynb").predict(FRAME) == [1]


@pytest.mark.parametrize(
    ("code", "kind", "why"),
    [
        ("x = 1", LoadFailed, "set_model"),
        ("import not_a_module_anywhere", ImportError, "not_a_module_anywhere"),
        ("import podium\npodium.pyfunc.set_model(3)", InvalidInput, "got int"),
        (
            "from mlflow.models import ModelConfig\nModelConfig(development_config={'a': 1})",
            FileNotFoundError,
            "model_config=",
        ),
    ],
)
def test_a_file_that_is_no_model_is_refused_when_saved(tmp_path: Path, code: str, kind: type[Exception], why: str) -> None:
    """It is run then, so that the mistake shows early."""
    (tmp_path / "model.py").write_text(code)
    with pytest.raises(kind, match=why):
        saved(tmp_path / "m", python_model=tmp_path / "model.py")

    assert [path.name for path in tmp_path.iterdir()] == ["model.py"]


def test_only_the_name_of_a_files_path_counts(tmp_path: Path) -> None:
    """MLflow writes where the file once was."""
    (tmp_path / "model.py").write_text("import mlflow\nmlflow.models.set_model(lambda model_input: [5])")
    flavors = {
        "python_function": {"loader_module": "mlflow.pyfunc.loaders.code_model", "model_code_path": "/gone/away/model.py"}
    }

    assert FLAVOR.load(Stored(tmp_path, flavors)).predict(FRAME) == [5]


def test_a_loader_of_ones_own_is_given_the_data(tmp_path: Path) -> None:
    """And the config when there is one."""
    (tmp_path / "loader_of_a_test.py").write_text(
        "from pathlib import Path\n\nclass Model:\n    def __init__(self, *what):\n        self.what = what\n\n"
        "    def predict(self, data, params=None):\n        return [*self.what, params]\n\n"
        "def _load_pyfunc(path, config=None):\n    return Model(Path(path).read_text(), config)\n"
    )
    (tmp_path / "d.txt").write_text("data")
    predictor = saved(
        tmp_path / "m",
        loader_module="loader_of_a_test",
        data_path=tmp_path / "d.txt",
        code_paths=[tmp_path / "loader_of_a_test.py"],
        model_config={"a": 1},
    )

    assert predictor.loaded.predict(FRAME, {"p": 1}) == ["data", {"a": 1}, {"p": 1}]
    with pytest.raises(InvalidInput, match="exclude"):
        saved(tmp_path / "n", loader_module="loader_of_a_test", python_model=doubled)
    with pytest.raises(InvalidInput, match="Pass python_model="):
        saved(tmp_path / "n")


def test_an_unknown_flavor_of_mlflows_says_what_to_install(tmp_path: Path) -> None:
    """mlflow is not installed beside these tests."""
    flavors = {"python_function": {"loader_module": "mlflow.spacy"}, "spacy": {}}

    with pytest.raises(LoadFailed, match="pip install mlflow spacy") as caught:
        flavor_loading(flavors).load(Stored(tmp_path, flavors))
    assert caught.value.cause == "import_error"


def test_a_missing_loader_is_named(tmp_path: Path) -> None:
    """With where it belongs."""
    flavors = {"python_function": {"loader_module": "no_such_loader"}}

    with pytest.raises(LoadFailed, match="code/ folder"):
        flavor_loading(flavors).load(Stored(tmp_path, flavors))


def test_what_a_pickle_holds_must_be_a_model(tmp_path: Path) -> None:
    """A dict cannot be called."""
    (tmp_path / "python_model.pkl").write_bytes(pickle.dumps({}))

    with pytest.raises(InvalidModel, match="holds a dict"):
        FLAVOR.load(Stored(tmp_path, {"python_function": {"python_model": "python_model.pkl"}}))


def test_rows_of_python_code_are_not_known(tmp_path: Path) -> None:
    """Nobody can see through it."""
    assert not saved(tmp_path / "m", python_model=doubled).rows.is_known_independent
    assert "doubled" in saved(tmp_path / "n", python_model=doubled).rows.reason


def test_models_are_claimed_by_what_they_are(tmp_path: Path) -> None:
    """A path by its ending."""
    names = [flavor_claiming(each).name for each in (doubled, Upper(), tmp_path / "m.py", "m.onnx")]

    assert names == ["python_function", "python_function", "python_function", "onnx"]


STAND_INS = """
import importlib.util, sys
from podium.flavors.mlflow_shims import install, is_mlflow_importable
assert install() and install() and not is_mlflow_importable()
import mlflow, mlflow.pyfunc, mlflow.models
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel
import podium.pyfunc
assert PythonModel is podium.pyfunc.PythonModel is mlflow.pyfunc.model.PythonModel
assert mlflow.models.set_model is podium.pyfunc.set_model
assert not hasattr(mlflow, "log_metric")
importlib.util.find_spec("mlflow")
for code in ("mlflow.log_metric('a', 1)", "import mlflow.xgboost", "from mlflow.tracking import MlflowClient"):
    try:
        exec(code)
    except (ImportError, AttributeError) as error:
        assert "pip install mlflow" in str(error), error
    else:
        raise AssertionError(code)
"""


def test_stand_ins_know_a_few_names_and_say_so_for_the_rest() -> None:
    """In a process of its own, for they stay in place."""
    environment = {**os.environ, "PYTHONPATH": str(Path(pyfunc.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", STAND_INS], env=environment, capture_output=True, text=True, timeout=550, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_stand_ins_keep_out_of_the_way_of_a_real_mlflow(tmp_path: Path) -> None:
    """Where mlflow can be imported, it is what models get."""
    (tmp_path / "mlflow.py").write_text("REAL = True\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\nfrom podium.flavors.mlflow_shims import install\n"
        "assert not install()\nimport mlflow\nassert mlflow.REAL"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(pyfunc.__file__).parents[1])}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=550, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def asks_for_more(model_input: Any) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient


def names_a_stand_in(model_input: Any) -> Any:
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import PythonModel

    return MlflowException, PythonModel


def test_mlflow_is_among_the_modules_only_when_a_function_asks_more_than_the_stand_ins_know() -> None:
    """By what its body imports when it runs."""
    assert ("mlflow" in modules_in(asks_for_more), "mlflow" in modules_in(names_a_stand_in)) == (True, False)
