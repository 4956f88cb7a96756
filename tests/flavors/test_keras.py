"""Keras 3 models: what is written, what a loaded one takes and gives, and which call answers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.domain.load_terms import LoadTerms
from podium.domain.signature import Signature
from podium.errors import InvalidInput, InvalidModel, LoadFailed
from podium.flavors.catalog import flavor_claiming, flavor_loading
from podium.flavors.claims import Batch, Inputs
from podium.flavors.contract import HasShortcut, Stored
from podium.flavors.keras.flavor import KerasFlavor
from podium.flavors.mlflow_shims import MlflowException

from .keras_models import perceptron, through, two_in_two_out

FLAVOR = KerasFlavor()
ROWS = np.linspace(-1, 1, 210).reshape(70, 3)
pytestmark = [
    pytest.mark.slow,  # importing TensorFlow
    # TensorFlow hands numpy 2 names that numpy 2 no longer has, and h5py its old flags.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(tensorflow|keras|google|h5py|ml_dtypes)"),
    pytest.mark.filterwarnings("ignore:.*numpy.*:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def model(keras: Any) -> Any:
    return perceptron(keras)


def test_the_flavor_is_found_by_the_model_and_by_its_loader(model: Any, tmp_path: Path) -> None:
    """And writes MLflow's files and keys."""
    saved = FLAVOR.save(model, tmp_path)

    assert flavor_claiming(model).name == "keras"
    assert flavor_loading(saved.flavors).name == "keras"
    assert {"data", "keras_backend", "keras_version", "save_exported_model"} == saved.flavors["keras"].keys()
    assert (tmp_path / "data" / "model.keras").is_file()
    assert saved.requirements[0] == "keras"
    assert saved.requirements[1].startswith("tensorflow")


def test_the_compiled_call_answers_with_the_bits_of_predict(model: Any, tmp_path: Path) -> None:
    """At every number of rows, beyond Keras' own 32 too; and in whatever type numbers come."""
    loaded = through(FLAVOR, model, tmp_path)
    plain = [loaded.predict(ROWS[:n]) for n in (1, 31, 32, 33, 70)]
    loaded.hasten()
    (claim,) = loaded.claims(Inputs(None, (np.dtype(np.float64),) * 3, ((0, 0), (0, 1), (0, 2))))

    assert isinstance(loaded, HasShortcut)
    assert loaded.is_fast
    for n, expected in zip((1, 31, 32, 33, 70), plain, strict=True):
        assert expected.dtype == np.float32
        assert np.array_equal(expected, model.predict(ROWS[:n], verbose=0))
        for kind in (np.float64, np.float32):
            assert np.array_equal(expected, loaded.predict(ROWS[:n].astype(kind)))
        assert np.array_equal(expected, claim.call(Batch(n, [ROWS[:n]], [], 0)))
    whole = ROWS[:5].astype(np.int64)
    assert np.array_equal(model.predict(whole, verbose=0), loaded.predict(whole))
    assert loaded.predict(ROWS[:0]).shape == (0, 2)


def test_a_model_that_looks_at_its_batch_is_answered_as_predict_cuts_it(keras: Any, tmp_path: Path) -> None:
    """Keras hands a model 32 rows at a time, and so does the compiled call where that makes a difference."""
    entry = keras.Input((3,))
    centred = keras.Model(entry, entry - keras.ops.mean(entry, axis=0, keepdims=True))
    loaded = through(FLAVOR, centred, tmp_path)
    expected = loaded.predict(ROWS)
    loaded.hasten()

    assert loaded.is_fast
    assert np.array_equal(expected, loaded.predict(ROWS))
    assert not FLAVOR.rows(loaded, None).is_known_independent


def test_a_model_that_draws_at_random_keeps_predict(keras: Any, tmp_path: Path) -> None:
    """No two answers of it have the same bits, and nothing can be proven."""

    @keras.saving.register_keras_serializable("podium-tests")
    class Drawing(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            return inputs + keras.random.normal(keras.ops.shape(inputs))

    loaded = through(FLAVOR, keras.Sequential([keras.Input((3,)), Drawing()]), tmp_path)
    loaded.hasten()

    assert not loaded.is_fast
    assert loaded.predict(ROWS).shape == (70, 3)


def test_a_table_is_answered_with_a_table(model: Any, tmp_path: Path) -> None:
    """With its index and numbered columns, as MLflow."""
    loaded = through(FLAVOR, model, tmp_path)
    frame = pd.DataFrame(ROWS[:3], columns=list("abc"), index=[7, 8, 9])

    pd.testing.assert_frame_equal(pd.DataFrame(model.predict(ROWS[:3], verbose=0), index=[7, 8, 9]), loaded.predict(frame))


@pytest.mark.parametrize("is_hastened", [False, True])
def test_several_inputs_and_outputs_go_by_name(keras: Any, tmp_path: Path, is_hastened: bool) -> None:
    """MLflow's wrapper breaks a dict of outputs and lists of several shapes; columns may hold lists."""
    values = {"a": np.array([[1.0, 2.0]]), "b": np.array([[10.0, 20.0]])}
    for name, is_named in (("dict", True), ("list", False)):
        loaded = through(FLAVOR, two_in_two_out(keras, is_named), tmp_path / name)
        if is_hastened:
            loaded.hasten()
        answer = loaded.predict(values)
        table = loaded.predict(pd.DataFrame({"b": [[10.0, 20.0]], "a": [[1.0, 2.0]]}, index=[4]))

        assert answer.keys() == {"added", "score"}
        assert answer["added"].tolist() == [[11.0, 22.0]]
        assert table["added"].tolist() == [[11.0, 22.0]]
        assert table["score"].tolist() == answer["score"].ravel().tolist()
        assert loaded.predict({**values, "unknown": values["a"]})["added"].tolist() == [[11.0, 22.0]]
        assert loaded.rows().is_known_independent
    with pytest.raises(InvalidInput, match=r"no columns \['b'\]"):
        loaded.predict(pd.DataFrame({"a": [[1.0, 2.0]]}))


def test_several_outputs_of_one_shape_are_stacked_as_mlflow_does(keras: Any, tmp_path: Path) -> None:
    """Its keras flavor answers one array; a rule that clients may rely upon."""
    entry = keras.Input((3,))
    twins = keras.Model(entry, [entry * 2.0, entry + 1.0])
    loaded = through(FLAVOR, twins, tmp_path)
    loaded.hasten()

    assert loaded.predict(ROWS[:4]).shape == (2, 4, 3)


def test_a_kind_of_data_that_is_none_is_refused_in_mlflows_words(model: Any, tmp_path: Path) -> None:
    """And data of another shape by Keras."""
    loaded = through(FLAVOR, model, tmp_path)
    loaded.hasten()

    with pytest.raises(MlflowException, match="must be one of"):
        loaded.predict("text")
    with pytest.raises(Exception, match=r"incompatible|Graph execution|Matrix size"):
        loaded.predict(np.ones((2, 4)))


def test_an_exported_graph_needs_none_of_keras_classes(model: Any, tmp_path: Path) -> None:
    """Any number of rows, and JSON's float64 where the graph takes float32, which MLflow refuses."""
    loaded = through(FLAVOR, model, tmp_path, save_exported_model=True)
    expected = model.predict(ROWS, verbose=0)

    assert np.allclose(expected, loaded.predict(ROWS), atol=1e-6)
    assert np.allclose(expected[:1], loaded.predict(ROWS[:1].astype(np.float32)), atol=1e-6)
    assert np.allclose(expected, loaded.predict(pd.DataFrame(ROWS)).to_numpy(), atol=1e-6)
    assert loaded.rows().is_known_independent


def test_an_exported_graph_of_several_inputs_takes_them_by_name(keras: Any, tmp_path: Path) -> None:
    """By the names of the model's inputs."""
    loaded = through(FLAVOR, two_in_two_out(keras), tmp_path, save_exported_model=True)
    answer = loaded.predict({"a": np.array([[1.0, 2.0]]), "b": np.array([[10.0, 20.0]])})

    assert answer["added"].tolist() == [[11.0, 22.0]]


def test_text_and_whole_numbers_reach_the_layers_that_want_them(keras: Any, tmp_path: Path) -> None:
    """Keras knows no arrays of text; MLflow fails on them."""
    word, place = keras.Input((1,), dtype="string", name="word"), keras.Input((1,), dtype="int32", name="place")
    looked_up = keras.layers.StringLookup(vocabulary=["x", "y"])(word)
    embedded = keras.layers.Embedding(3, 2, embeddings_initializer="ones")(place)
    model = keras.Model([word, place], {"index": looked_up, "vector": keras.layers.Flatten()(embedded)})
    data = {"word": np.array([["y"], ["z"]]), "place": np.array([[1], [2]])}
    slow = through(FLAVOR, model, tmp_path / "slow").predict(data)
    loaded = through(FLAVOR, model, tmp_path / "fast")
    loaded.hasten()
    fast = loaded.predict(data)

    assert fast["index"].tolist() == slow["index"].tolist() == [[2], [0]]
    assert fast["vector"].tolist() == slow["vector"].tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_a_fixed_batch_is_reported(keras: Any, tmp_path: Path) -> None:
    """A batcher must not merge requests then."""
    model = keras.Sequential([keras.Input((3,), batch_size=4), keras.layers.Dense(1)])

    assert FLAVOR.rows(through(FLAVOR, model, tmp_path), None).static_batch == 4


def test_rows_of_layers_of_the_users_are_not_known(keras: Any, model: Any, tmp_path: Path) -> None:
    """Keras' own layers look at one row at a time, unless they work along the first axis or keep a state."""
    entry = keras.Input((3,))
    loaded = through(FLAVOR, model, tmp_path)

    assert FLAVOR.rows(loaded, None).is_known_independent
    assert "along the axis of the rows" in _reason(keras.Model(entry, keras.layers.Softmax(axis=0)(entry)))
    assert "activation" in _reason(keras.Model(entry, keras.layers.Activation(lambda x: x)(entry)))
    nested = keras.Sequential([entry, keras.Sequential([keras.layers.Lambda(lambda x: x)])])
    assert "Lambda" in _reason(nested)


def _reason(model: Any) -> str:
    from podium.flavors.keras.rows import rows_of

    found = rows_of(model)
    assert not found.is_known_independent
    return found.reason


def test_a_lambda_layer_is_not_run_and_the_way_out_is_named(keras: Any, tmp_path: Path) -> None:
    """Keras' safe mode; MLflow refuses it too."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)])

    with pytest.raises(LoadFailed, match=r"Lambda layer.*register_keras_serializable.*save_exported_model"):
        through(FLAVOR, model, tmp_path)
    exported = through(FLAVOR, model, tmp_path / "graph", save_exported_model=True)
    assert exported.predict(np.ones((1, 3))).tolist() == [[2.0, 2.0, 2.0]]


def test_a_subclassed_model_takes_its_input_from_the_signature(keras: Any, tmp_path: Path) -> None:
    """Its class is registered; it says nothing of its inputs itself."""

    @keras.saving.register_keras_serializable("podium-tests")
    class Doubling(keras.Model):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any, training: bool = False) -> Any:
            return inputs * 2.0

    model = Doubling()
    model(np.ones((1, 3), np.float32))
    spec = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}
    signature = Signature.from_dict({"inputs": json.dumps([spec]), "outputs": None, "params": None})
    loaded = through(FLAVOR, model, tmp_path, signature=signature)
    loaded.hasten()

    assert loaded.is_fast
    assert np.array_equal((ROWS * 2).astype(np.float32), loaded.predict(ROWS))
    keras.saving.get_custom_objects().clear()
    with pytest.raises(LoadFailed, match="a class that Keras does not know"):
        FLAVOR.load(Stored(tmp_path, {"keras": {"data": "data"}}))


def test_damaged_and_missing_files_are_named(model: Any, tmp_path: Path) -> None:
    """And what to do."""
    saved = FLAVOR.save(model, tmp_path)
    (tmp_path / "data" / "model.keras").write_bytes(b"PK nothing")

    with pytest.raises(InvalidModel, match=r"model\.keras is no Keras model"):
        FLAVOR.load(Stored(tmp_path, saved.flavors))
    (tmp_path / "data" / "model.keras").unlink()
    with pytest.raises(InvalidModel, match="holds no Keras model"):
        FLAVOR.load(Stored(tmp_path, saved.flavors))
    with pytest.raises(InvalidInput, match="saves Keras models"):
        FLAVOR.save(object(), tmp_path / "other")


def test_a_link_out_of_the_folder_is_refused(model: Any, tmp_path: Path) -> None:
    """As every path of MLmodel's."""
    (tmp_path / "folder").mkdir()
    saved = FLAVOR.save(model, tmp_path / "folder")
    (tmp_path / "folder" / "data" / "model.keras").rename(tmp_path / "elsewhere.keras")
    (tmp_path / "folder" / "data" / "model.keras").symlink_to(tmp_path / "elsewhere.keras")

    with pytest.raises(InvalidModel, match="leaves the model's folder"):
        FLAVOR.load(Stored(tmp_path / "folder", saved.flavors))


def test_an_unknown_device_is_said(model: Any, tmp_path: Path) -> None:
    """TensorFlow would compute elsewhere without a word."""
    saved = FLAVOR.save(model, tmp_path)

    with pytest.raises(LoadFailed, match="TensorFlow finds 0 GPUs"):
        FLAVOR.load(Stored(tmp_path, saved.flavors, terms=LoadTerms(device="cuda:0")))


_ON_TORCH = """
import sys
from pathlib import Path
import numpy as np
from podium.flavors.contract import Stored
from podium.flavors.keras.flavor import KerasFlavor
loaded = KerasFlavor().load(Stored(Path(sys.argv[1]), {"keras": {"data": "data", "keras_backend": "torch"}}))
plain = loaded.predict(np.ones((3, 3)))
loaded.hasten()
assert loaded.is_fast
assert np.array_equal(plain, loaded.predict(np.ones((3, 3))))
assert not {"tensorflow", "mlflow"} & set(sys.modules)
print(plain.tolist())
"""


def test_a_model_of_another_backend_needs_no_tensorflow(model: Any, tmp_path: Path) -> None:
    """Nor mlflow; and answers the same."""
    pytest.importorskip("torch")
    FLAVOR.save(model, tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment["PYTHONPATH"] = str(Path(sys.modules["podium"].__path__[0]).parent)
    command = [sys.executable, "-c", _ON_TORCH, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=550, check=False)

    assert done.returncode == 0, done.stderr[-3000:]
    assert np.allclose(json.loads(done.stdout), model.predict(np.ones((3, 3)), verbose=0), atol=1e-6)
