"""Saving a folder: complete or not at all, with everything that MLflow and podium look for in it."""

import os
import platform
import sys
import warnings
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LinearRegression

from podium.domain.signature import AnyType, ColumnSchema, DataType, Signature, TensorSchema
from podium.errors import AlreadyExists, InvalidInput
from podium.models.load import ROW_INDEPENDENT, load_predictor, signature_of
from podium.models.mlmodel import read_mlmodel
from podium.models.save import save_model

# As a notebook's cells are pickled: nobody can import a test's module elsewhere.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 0.5]})


def fitted() -> LinearRegression:
    return LinearRegression().fit(FRAME, [1.0, 2.0, 4.0])


def identity(model_input: Any) -> Any:
    return model_input


def failing(model_input: Any) -> Any:
    raise ValueError("not with this one")


def hinted(model_input: list[str]) -> list[int]:
    return [len(text) for text in model_input]


def unclear(model_input: list[complex]) -> Any:
    return model_input


def test_a_folder_has_what_mlflow_writes(tmp_path: Path) -> None:
    """Files by the same names, so that tools for MLflow's folders work."""
    save_model(fitted(), tmp_path / "m", input_example=FRAME)

    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "MLmodel",
        "conda.yaml",
        "input_example.json",
        "model.skops",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
    ]
    mlmodel = read_mlmodel(tmp_path / "m")
    assert mlmodel["flavors"]["python_function"]["env"] == {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    assert len(mlmodel["model_uuid"]) == 32
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_folder_in_use_is_not_touched(tmp_path: Path) -> None:
    """Neither one with files nor a file by that name."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    (tmp_path / "file").write_text("mine")

    for name in ("full", "file"):
        with pytest.raises(AlreadyExists, match="already exists"):
            save_model(fitted(), tmp_path / name)
    assert (tmp_path / "full" / "x").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    """MLflow takes one too."""
    (tmp_path / "empty").mkdir()
    save_model(fitted(), tmp_path / "empty")

    assert read_mlmodel(tmp_path / "empty")


def test_nothing_is_left_of_a_save_that_failed(tmp_path: Path) -> None:
    """No half folder by that name, and no other one beside it."""
    with pytest.raises(InvalidInput, match="pickle"):
        save_model(Unpicklable(), tmp_path / "m", flavor="pyfunc")

    assert list(tmp_path.iterdir()) == []


class Unpicklable:
    def __init__(self) -> None:
        self.state = (each for each in ())

    def __call__(self, model_input: Any) -> Any:
        return model_input


def test_the_signature_is_read_off_the_example_and_the_answer(tmp_path: Path) -> None:
    """Named columns in, one column out."""
    save_model(fitted(), tmp_path / "m", input_example=FRAME)
    signature = signature_of(read_mlmodel(tmp_path / "m"))

    assert signature is not None
    assert isinstance(signature.inputs, ColumnSchema)
    assert signature.inputs.names == ["a", "b"]
    assert isinstance(signature.outputs, ColumnSchema)
    assert [column.type for column in signature.outputs.columns] == [DataType.DOUBLE]


def test_params_of_the_example_become_the_params_of_the_signature(tmp_path: Path) -> None:
    """With their values as defaults."""
    save_model(identity, tmp_path / "m", flavor="pyfunc", input_example=(FRAME, {"n": 2}))
    signature = signature_of(read_mlmodel(tmp_path / "m"))

    assert signature is not None
    assert [(param.name, param.default) for param in signature.params or ()] == [("n", 2)]


def test_a_type_hint_is_the_signature(tmp_path: Path) -> None:
    """And is marked as one, for servers then take `inputs` only and check strictly."""
    save_model(hinted, tmp_path / "m", input_example=["a"])
    mlmodel = read_mlmodel(tmp_path / "m")

    assert mlmodel["is_signature_from_type_hint"]
    assert mlmodel["signature"]["outputs"] == '[{"type": "long", "required": true}]'


def test_a_hint_that_has_no_place_in_a_signature_is_refused(tmp_path: Path) -> None:
    """Rather than saved as a model that checks nothing, or refuses everything."""
    with pytest.raises(InvalidInput, match="complex"):
        save_model(unclear, tmp_path / "m", input_example=["a"])


def test_a_given_signature_counts_and_false_leaves_it_out(tmp_path: Path) -> None:
    """MLflow's own ModelSignature is understood by what it says of itself."""
    given = Signature(inputs=TensorSchema(()), outputs=None)

    class Theirs:
        def to_dict(self) -> dict[str, Any]:
            return {"inputs": '[{"type": "double", "name": "a"}]', "outputs": None, "params": None}

    save_model(fitted(), tmp_path / "a", input_example=FRAME, signature=Theirs())
    save_model(fitted(), tmp_path / "b", input_example=FRAME, signature=False)

    assert given != signature_of(read_mlmodel(tmp_path / "a"))
    assert "signature" not in read_mlmodel(tmp_path / "b")
    with pytest.raises(InvalidInput, match="signature is a str"):
        save_model(fitted(), tmp_path / "c", signature="double")


def test_a_model_that_fails_on_its_example_is_saved_with_a_warning(tmp_path: Path) -> None:
    """The inputs are known all the same."""
    with pytest.warns(UserWarning, match="failed on its input example .ValueError: not with this one"):
        save_model(failing, tmp_path / "m", input_example=FRAME)

    assert signature_of(read_mlmodel(tmp_path / "m")) is not None


def test_an_answer_without_a_schema_is_any(tmp_path: Path) -> None:
    """A model may answer whatever it likes."""
    save_model(lambda model_input: {"a": object}, tmp_path / "m", flavor="pyfunc", input_example=FRAME)
    signature = signature_of(read_mlmodel(tmp_path / "m"))

    assert signature is not None
    assert isinstance(signature.outputs, ColumnSchema)
    assert AnyType() == signature.outputs.columns[0].type


def test_saving_leaves_neither_paths_nor_modules_behind(tmp_path: Path) -> None:
    """The folder moves when it is complete; a module imported from it before would point nowhere."""
    (tmp_path / "own_module_of_a_test.py").write_text("VALUE = 3\n")
    (tmp_path / "model.py").write_text(
        "import own_module_of_a_test\nfrom mlflow.models import set_model\n\n"
        "def predict(model_input):\n    return [own_module_of_a_test.VALUE]\n\nset_model(predict)\n"
    )
    before = list(sys.path)
    save_model(
        tmp_path / "model.py", tmp_path / "m", code_paths=[tmp_path / "own_module_of_a_test.py"], input_example=FRAME
    )

    assert before == sys.path
    assert "own_module_of_a_test" not in sys.modules
    assert not list((tmp_path / "m").rglob("__pycache__"))


def test_requirements_can_be_given_added_to_and_replaced(tmp_path: Path) -> None:
    """With MLflow's three parameters, of which conda_env excludes the others."""
    save_model(fitted(), tmp_path / "a", pip_requirements=["numpy"], extra_pip_requirements=["scipy"])
    save_model(fitted(), tmp_path / "b", extra_pip_requirements=["left-pad==1"])
    save_model(fitted(), tmp_path / "c", conda_env={"dependencies": ["python=3.11", {"pip": ["numpy==1"]}]})

    assert (tmp_path / "a" / "requirements.txt").read_text() == "numpy\nscipy\n"
    assert "left-pad==1" in (tmp_path / "b" / "requirements.txt").read_text().splitlines()
    assert (tmp_path / "c" / "requirements.txt").read_text() == "numpy==1\n"
    with pytest.raises(InvalidInput, match="conda_env excludes"):
        save_model(fitted(), tmp_path / "d", conda_env={"dependencies": []}, pip_requirements=["numpy"])


def test_environment_files_name_this_python(tmp_path: Path) -> None:
    """python_env.yaml and conda.yaml say the same."""
    save_model(fitted(), tmp_path / "m")
    python = yaml.safe_load((tmp_path / "m" / "python_env.yaml").read_text())
    conda = yaml.safe_load((tmp_path / "m" / "conda.yaml").read_text())

    assert platform.python_version() == python["python"]
    assert f"python={platform.python_version()}" in conda["dependencies"]
    assert python["dependencies"] == ["-r requirements.txt"]


def test_row_independence_is_declared_in_the_metadata(tmp_path: Path) -> None:
    """Where whoever serves the model finds it; either way it overrides what the flavor knows."""
    save_model(identity, tmp_path / "yes", flavor="pyfunc", row_independent=True, metadata={"team": "risk"})
    save_model(fitted(), tmp_path / "no", row_independent=False)

    assert read_mlmodel(tmp_path / "yes")["metadata"] == {"team": "risk", ROW_INDEPENDENT: True}
    assert load_predictor(tmp_path / "yes", read_mlmodel(tmp_path / "yes")).rows.is_known_independent
    assert not load_predictor(tmp_path / "no", read_mlmodel(tmp_path / "no")).rows.is_known_independent


def test_code_paths_are_copied_without_caches(tmp_path: Path) -> None:
    """And must be a list of what exists."""
    package = tmp_path / "mine"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    save_model(fitted(), tmp_path / "m", code_paths=[package])

    assert [path.name for path in (tmp_path / "m" / "code" / "mine").iterdir()] == ["__init__.py"]
    assert read_mlmodel(tmp_path / "m")["flavors"]["sklearn"]["code"] == "code"
    with pytest.raises(InvalidInput, match="does not exist"):
        save_model(fitted(), tmp_path / "n", code_paths=[tmp_path / "absent.py"])
    with pytest.raises(InvalidInput, match="expected a list"):
        save_model(fitted(), tmp_path / "n", code_paths=str(package))


def test_what_no_flavor_saves_is_refused_by_name(tmp_path: Path) -> None:
    """With what can be saved, and the way out."""
    with pytest.raises(InvalidInput, match=r"ndarray.*PythonModel"):
        save_model(np.zeros(3), tmp_path / "m")
    with pytest.raises(InvalidInput, match="no flavor 'spacy'"):
        save_model(fitted(), tmp_path / "m", flavor="spacy")


def test_saving_a_plain_estimator_warns_of_nothing(tmp_path: Path) -> None:
    """The common case is quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_model(fitted(), tmp_path / "m", input_example=FRAME)


def test_an_argument_that_the_flavor_does_not_have_is_refused(tmp_path: Path):
    """A slip of the pen would otherwise be dropped without a word."""
    with pytest.raises(
        InvalidInput, match="sklearn flavor has no argument serialisation_format; it has serialization_format"
    ):
        save_model(fitted(), tmp_path / "m", options={"serialisation_format": "pickle"})

    assert not (tmp_path / "m").exists()
