"""TensorFlow models: Keras files of MLflow's tensorflow flavor, tf.Modules, and what MLflow 1 saved."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.domain.load_terms import LoadTerms
from podium.errors import InvalidInput, InvalidModel, LoadFailed
from podium.flavors.catalog import flavor_claiming, flavor_loading
from podium.flavors.contract import Stored
from podium.flavors.mlflow_shims import MlflowException
from podium.flavors.tensorflow.flavor import TensorflowFlavor, load_native

from .keras_models import perceptron, through

FLAVOR = TensorflowFlavor()
ROWS = np.linspace(-1, 1, 210).reshape(70, 3)
pytestmark = [
    pytest.mark.slow,  # importing TensorFlow
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(tensorflow|keras|google|h5py|ml_dtypes)"),
    pytest.mark.filterwarnings("ignore:.*numpy.*:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def tf() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def model(tf: Any) -> Any:
    return perceptron(tf.keras)


def weighing(tf: Any, batch: int | None = None) -> Any:
    """A module that multiplies three numbers with twos."""

    class Weighing(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.fill((3, 2), 2.0))

        @tf.function(input_signature=[tf.TensorSpec((batch, 3), tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return x @ self.weights

    return Weighing()


def joining(tf: Any) -> tuple[Any, Any]:
    """A module of two named tensors with two named answers, and its signature."""

    class Joining(tf.Module):  # type: ignore[misc, name-defined]
        @tf.function  # type: ignore[untyped-decorator]
        def join(self, number: Any, place: Any) -> Any:
            return {"sum": number + tf.cast(place, tf.float32), "place": place}

    module = Joining()
    specs = tf.TensorSpec((None,), tf.float32, name="number"), tf.TensorSpec((None,), tf.int32, name="place")
    return module, module.join.get_concrete_function(*specs)


def test_the_flavor_is_found_by_its_loader_and_by_modules(tf: Any, model: Any, tmp_path: Path) -> None:
    """Keras models without a flavor asked for are the keras flavor's."""
    saved = FLAVOR.save(model, tmp_path)

    assert flavor_claiming(weighing(tf)).name == "tensorflow"
    assert flavor_claiming(model).name == "keras"
    assert flavor_loading(saved.flavors).name == "tensorflow"
    assert {"code", "data", "keras_version", "model_type", "save_format"} == saved.flavors["tensorflow"].keys()
    assert (tmp_path / "data" / "save_format.txt").read_text() == "tf"


@pytest.mark.parametrize("written", ["tf", "keras", "h5"])
def test_each_format_of_keras_answers_with_the_bits_of_predict(model: Any, tmp_path: Path, written: str) -> None:
    """`tf` is what MLflow calls its default, a `.keras` file nowadays."""
    loaded = through(FLAVOR, model, tmp_path, keras_model_kwargs={"save_format": written})
    loaded.hasten()

    assert (tmp_path / "data" / f"model.{'h5' if written == 'h5' else 'keras'}").is_file()
    assert loaded.is_fast
    assert np.array_equal(model.predict(ROWS, verbose=0), loaded.predict(ROWS))


def test_an_unknown_format_and_another_object_are_refused(model: Any, tmp_path: Path) -> None:
    """With what there is."""
    with pytest.raises(InvalidInput, match=r"save_format is 'zip'; expected one of \['tf', 'keras', 'h5'\]"):
        FLAVOR.save(model, tmp_path, keras_model_kwargs={"save_format": "zip"})
    with pytest.raises(InvalidInput, match=r"saves Keras models and tf\.Modules, got builtins\.object"):
        FLAVOR.save(object(), tmp_path)


def test_custom_objects_are_pickled_and_need_leave(tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the model; a layer that no module brings."""

    class Tripling(tf.keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            return inputs * 3.0

    model = tf.keras.Sequential([tf.keras.Input((3,)), Tripling()])
    saved = FLAVOR.save(model, tmp_path, custom_objects={"Tripling": Tripling})
    stored = Stored(tmp_path, saved.flavors)
    loaded = FLAVOR.load(stored)

    assert "cloudpickle" in saved.requirements
    assert loaded.predict(np.ones((1, 3))).tolist() == [[3.0, 3.0, 3.0]]
    assert not FLAVOR.rows(loaded, None).is_known_independent
    with pytest.raises(LoadFailed, match="is a pickle"):
        FLAVOR.load(Stored(tmp_path, saved.flavors, terms=LoadTerms(allows_code=False)))
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(LoadFailed, match="is a pickle"):
        FLAVOR.load(stored)


def test_extra_files_go_along(model: Any, tmp_path: Path) -> None:
    """Where MLflow looks for them."""
    (tmp_path / "notes.txt").write_text("x")
    folder = tmp_path / "model"
    folder.mkdir()
    saved = FLAVOR.save(model, folder, extra_files=[tmp_path / "notes.txt"])

    assert saved.flavors["tensorflow"]["extra_files"] == [{"path": "extra_files/notes.txt"}]
    assert (folder / "extra_files" / "notes.txt").read_text() == "x"


def test_a_module_takes_arrays_in_whatever_type_json_has(tf: Any, tmp_path: Path) -> None:
    """MLflow's wrapper fails on float64 where the graph was traced for float32."""
    loaded = through(FLAVOR, weighing(tf), tmp_path)
    expected = (ROWS.astype(np.float32) @ np.full((3, 2), 2.0, np.float32)).tolist()

    for data in (ROWS, ROWS.astype(np.float32), ROWS.tolist()):
        assert np.allclose(expected, loaded.predict(data), atol=1e-6)
    assert loaded.predict(np.ones((1, 3), np.int64)).tolist() == [[6.0, 6.0]]
    assert loaded.predict({"anything": np.ones((1, 3))}).tolist() == [[6.0, 6.0]]
    assert loaded.predict(pd.DataFrame(np.ones((2, 3)), index=[5, 6])).index.tolist() == [5, 6]
    assert FLAVOR.rows(loaded, None).is_known_independent
    with pytest.raises(MlflowException, match="Unsupported input data type"):
        loaded.predict("text")


def test_a_fixed_batch_of_a_module_is_reported(tf: Any, tmp_path: Path) -> None:
    """A batcher must not merge requests then."""
    assert FLAVOR.rows(through(FLAVOR, weighing(tf, batch=5), tmp_path), None).static_batch == 5


def test_a_signature_is_called_with_named_tensors(tf: Any, tmp_path: Path) -> None:
    """MLflow takes neither dicts nor tables of modules."""
    module, signature = joining(tf)
    loaded = through(FLAVOR, module, tmp_path, saved_model_kwargs={"signatures": signature})
    answer = loaded.predict({"place": np.array([1, 2]), "number": np.array([0.5, 0.25])})
    table = loaded.predict(pd.DataFrame({"number": [0.5, 0.25], "place": [1, 2]}))

    assert {name: values.tolist() for name, values in answer.items()} == {"sum": [1.5, 2.25], "place": [1, 2]}
    assert {name: table[name].tolist() for name in table} == {"sum": [1.5, 2.25], "place": [1, 2]}
    with pytest.raises(InvalidInput, match=r"takes \['number', 'place'\]; got \['number'\]"):
        loaded.predict({"number": np.array([0.5])})


def test_numbers_that_would_change_are_not_cast(tf: Any, tmp_path: Path) -> None:
    """Fractions, and what is too large, for a graph of whole numbers; TensorFlow says so."""
    module, signature = joining(tf)
    loaded = through(FLAVOR, module, tmp_path, saved_model_kwargs={"signatures": signature})

    for place in (1.5, 2.0**40):
        with pytest.raises(Exception, match="int32"):
            loaded.predict({"number": np.array([0.5]), "place": np.array([place])})


def test_a_graph_that_reaches_for_files_needs_leave(tf: Any, tmp_path: Path) -> None:
    """A SavedModel is a program."""

    class Reading(tf.Module):  # type: ignore[misc, name-defined]
        @tf.function(input_signature=[tf.TensorSpec((), tf.string)])  # type: ignore[untyped-decorator]
        def __call__(self, path: Any) -> Any:
            return tf.io.read_file(path)

    saved = FLAVOR.save(Reading(), tmp_path)

    FLAVOR.load(Stored(tmp_path, saved.flavors))
    with pytest.raises(LoadFailed, match=r"operations \['ReadFile'\]"):
        FLAVOR.load(Stored(tmp_path, saved.flavors, terms=LoadTerms(allows_code=False)))


def test_a_module_that_reaches_for_nothing_loads_without_leave(tf: Any, tmp_path: Path) -> None:
    """Every checkpoint restores variables; that is no reason to refuse it."""
    saved = FLAVOR.save(weighing(tf), tmp_path)
    loaded = FLAVOR.load(Stored(tmp_path, saved.flavors, terms=LoadTerms(allows_code=False)))

    assert loaded.predict(np.ones((1, 3))).tolist() == [[6.0, 6.0]]


def test_a_damaged_graph_is_named(tf: Any, tmp_path: Path) -> None:
    """And what to do."""
    saved = FLAVOR.save(weighing(tf), tmp_path)
    (tmp_path / "tf2model" / "saved_model.pb").write_bytes(b"nothing")

    with pytest.raises(InvalidModel, match="is no SavedModel that TensorFlow"):
        FLAVOR.load(Stored(tmp_path, saved.flavors))
    (tmp_path / "tf2model" / "saved_model.pb").unlink()
    with pytest.raises(InvalidModel, match=r"has no saved_model\.pb"):
        FLAVOR.load(Stored(tmp_path, saved.flavors))


def test_a_model_of_tensorflow_1_answers_in_mlflows_form(tf: Any, tmp_path: Path) -> None:
    """A dict of lists, columns of one value flat; MLflow 1 wrote these three keys and no model_type."""
    module, signature = joining(tf)
    tf.saved_model.save(module, str(tmp_path / "tfmodel"), signatures={"predict": signature})
    entry = {"saved_model_dir": "tfmodel", "meta_graph_tags": ["serve"], "signature_def_key": "predict"}
    flavors = {"tensorflow": entry, "python_function": {"loader_module": "mlflow.tensorflow"}}
    loaded = FLAVOR.load(Stored(tmp_path, flavors))
    frame = pd.DataFrame({"number": [0.5, 0.25], "place": np.array([1, 2], np.int32)})
    answer = loaded.predict({"number": np.array([0.5]), "place": np.array([1], np.int32)})

    assert {name: list(values) for name, values in answer.items()} == {"sum": [1.5], "place": [1]}
    assert loaded.predict({name: frame[name].to_numpy() for name in frame})["sum"] == [1.5, 2.25]
    with pytest.raises(TypeError, match="Only dict and DataFrame"):
        loaded.predict([1])
    with pytest.raises(InvalidModel, match="signature_def_key is 'other'"):
        FLAVOR.load(Stored(tmp_path, {**flavors, "tensorflow": {**entry, "signature_def_key": "other"}}))


def test_people_get_back_what_they_saved(tf: Any, model: Any, tmp_path: Path) -> None:
    """A Keras model that can go on learning, a restored module."""
    (tmp_path / "keras").mkdir()
    saved = FLAVOR.save(model, tmp_path / "keras")
    module = FLAVOR.save(weighing(tf), tmp_path)

    assert isinstance(load_native(tmp_path / "keras", saved.flavors), tf.keras.Model)
    assert load_native(tmp_path, module.flavors)(tf.ones((1, 3))).numpy().tolist() == [[6.0, 6.0]]
