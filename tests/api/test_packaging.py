"""What people call: save, log, register, load, by flavor or without."""

import os
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import podium
from podium.errors import AlreadyExists, DigestMismatch, InvalidInput, NotFound
from podium.settings.home import find_home

cloudpickle.register_pickle_by_value(sys.modules[__name__])

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0]})


def fitted(factor: float = 1.0) -> LinearRegression:
    return LinearRegression().fit(FRAME, [factor, 2 * factor, 3 * factor])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PODIUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_logging_without_a_name_registers_nothing_and_says_so() -> None:
    """It is found by its own URI."""
    info = podium.log_model(fitted(), "trial", input_example=FRAME)

    assert info.model_uri == f"models:/m-{info.model_uuid}"
    assert (info.registered_model_name, info.registered_model_version) == (None, None)
    assert "Nothing was registered" in str(info)
    assert podium.Registry().models() == []
    assert np.allclose(podium.load_model(info.model_uri).predict(FRAME), [1, 2, 3])


def test_logging_with_a_registered_name_makes_the_next_version() -> None:
    """And what it returns names it."""
    first = podium.sklearn.log_model(fitted(), "m", registered_model_name="line", tags={"team": "risk"})
    second = podium.sklearn.log_model(fitted(2), "m", registered_model_name="line")

    assert (first.registered_model_version, second.registered_model_version) == (1, 2)
    assert podium.Registry().version("line", 1).tags == {"team": "risk"}
    assert "models:/line/2" in second.note
    assert np.allclose(podium.load_model("models:/line/latest").predict(FRAME), [2, 4, 6])
    assert np.allclose(podium.load_model("models:/line/1").predict(FRAME), [1, 2, 3])


def test_each_flavor_gives_back_its_native_object() -> None:
    """The estimator, the ModelProto; pyfunc a Predictor."""
    from skl2onnx import to_onnx

    proto = to_onnx(fitted(), FRAME.to_numpy().astype(np.float32))
    estimator = podium.sklearn.load_model(podium.sklearn.log_model(fitted()).model_uri)
    model = podium.onnx.load_model(podium.onnx.log_model(proto).model_uri)

    assert isinstance(estimator, LinearRegression)
    assert model.graph.name == proto.graph.name
    assert callable(
        podium.pyfunc.load_model(podium.pyfunc.log_model(python_model=lambda model_input: model_input).model_uri).predict
    )


def test_training_params_are_kept_in_the_metadata() -> None:
    """Beside the user's own."""
    info = podium.log_model(fitted(), params={"alpha": 0.5}, metadata={"team": "risk"})

    assert info.metadata == {"team": "risk", "podium.params": {"alpha": 0.5}}


def test_tags_need_a_registered_name() -> None:
    """A logged model has none."""
    with pytest.raises(InvalidInput, match="registered_model_name"):
        podium.log_model(fitted(), tags={"a": "b"})


def test_a_folder_is_loaded_where_it_lies(tmp_path: Path) -> None:
    """By path or file: URI."""
    podium.save_model(fitted(), tmp_path / "m")

    for uri in (tmp_path / "m", str(tmp_path / "m"), f"file://{tmp_path}/m"):
        assert np.allclose(podium.load_model(uri).predict(FRAME), [1, 2, 3])
    with pytest.raises(AlreadyExists):
        podium.save_model(fitted(), tmp_path / "m")


def test_nothing_is_unpickled_of_a_folder_that_is_not_what_was_registered(tmp_path: Path) -> None:
    """The check is on a private copy, before loading."""
    marker = tmp_path / "ran"
    podium.log_model(fitted(), registered_model_name="line")
    version = podium.Registry().resolve("models:/line/1")
    code = version.folder / "model.skops"
    for place in (version.folder, code):
        place.chmod(0o700)
    code.write_bytes(cloudpickle.dumps(Marker(marker)))
    mlmodel = version.folder / "MLmodel"
    mlmodel.chmod(0o600)
    mlmodel.write_text(mlmodel.read_text().replace("serialization_format: skops", "serialization_format: pickle"))

    with pytest.raises(DigestMismatch):
        podium.load_model("models:/line/1")
    assert not marker.exists()


class Marker:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.path),)


def test_what_is_not_there_is_explained() -> None:
    """With the places that were searched; asking creates nothing."""
    with pytest.raises(NotFound) as caught:
        podium.load_model("models:/nowhere/production")

    assert caught.value.searched
    assert not find_home().root.exists()


def test_nothing_is_left_in_the_temporary_folder_of_logging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has the model then."""
    import tempfile

    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    podium.log_model(fitted())

    assert list((tmp_path / "temp").iterdir()) == []


def test_importing_podium_imports_no_library() -> None:
    """Names are found when they are used."""
    import subprocess

    code = (
        "import sys, podium, podium.sklearn, podium.onnx, podium.pyfunc\n"
        "sys.exit(' '.join({'sklearn', 'onnx', 'pandas'} & set(sys.modules)) or 0)"
    )
    environment = {"PYTHONPATH": str(Path(podium.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=240, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
