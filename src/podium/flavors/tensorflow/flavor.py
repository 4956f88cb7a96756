"""TensorFlow 2: Keras models and tf.Modules as MLflow's `tensorflow` flavor keeps them."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.domain.load_terms import DEFAULT_TERMS, LoadTerms
from podium.domain.signature import Signature
from podium.errors import InvalidInput, InvalidModel
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.folders import part_of
from podium.flavors.keras.files import CUSTOM_OBJECTS, import_keras, keras_file, read_keras
from podium.flavors.keras.model import LoadedKeras
from podium.flavors.keras.writing import is_keras_model, library_names, write_keras, write_objects
from podium.flavors.tensorflow.estimator import LoadedEstimator
from podium.flavors.tensorflow.files import import_tensorflow, load_saved_model
from podium.flavors.tensorflow.module import LoadedModule

KERAS, MODULE, ESTIMATOR = "keras", "tf2-module", "tf1-estimator"
_DATA, _MODULE_DIR, _EXTRA = "data", "tf2model", "extra_files"
# What model.save makes is said by the file's name; MLflow writes "tf" for a .keras file as well.
_FILES = {"tf": "model.keras", "keras": "model.keras", "h5": "model.h5"}


class TensorflowFlavor:
    """MLflow's `tensorflow` flavor."""

    name = "tensorflow"
    loader_modules: tuple[str, ...] = ("mlflow.tensorflow",)
    options: tuple[str, ...] = ("custom_objects", "saved_model_kwargs", "keras_model_kwargs", "extra_files")

    def claims(self, model: Any) -> bool:
        """A tf.Module; Keras' models are the keras flavor's, which needs no TensorFlow."""
        tensorflow = sys.modules.get("tensorflow")
        module = getattr(tensorflow, "Module", None)
        return isinstance(module, type) and isinstance(model, module) and not is_keras_model(model)

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write a Keras model as `.keras` (or `.h5`), a tf.Module as a SavedModel.

        Args:
            model: One or the other.
            folder: Existing, empty.
            example: Not needed.
            options: `custom_objects` by name, pickled; `saved_model_kwargs` for tf.saved_model.save; `keras_model_kwargs`
                for model.save, of which `save_format` is `tf`, `keras` or `h5`; `extra_files`, paths of files to go along.

        Raises:
            InvalidInput: Neither of them, or a format that is not written.
        """
        del example
        extra = _copy_extra(options.get("extra_files"), folder)
        if is_keras_model(model):
            saved = self._save_keras(model, folder, options)
        else:
            saved = self._save_module(model, folder, options)
        saved.flavors[self.name] |= extra
        return saved

    def _save_keras(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        arguments = dict(options.get("keras_model_kwargs") or {})
        written = arguments.pop("save_format", "tf")
        if written not in _FILES:
            raise InvalidInput(f"save_format is {written!r}; expected one of {list(_FILES)}.")
        data = folder / _DATA
        data.mkdir()
        modules = write_objects(data, options.get("custom_objects"))
        (data / "keras_module.txt").write_text("keras._tf_keras.keras", encoding="utf-8")
        (data / "save_format.txt").write_text(str(written), encoding="utf-8")
        write_keras(model, data / _FILES[written], arguments)
        entries: dict[str, dict[str, Any]] = {
            self.name: {
                "code": None,
                "data": _DATA,
                "keras_version": _version(),
                "model_type": KERAS,
                "save_format": written,
            },
            "python_function": {"data": _DATA, "loader_module": "mlflow.tensorflow"},
        }
        pickled = ["cloudpickle"] if any((data / name).exists() for name in CUSTOM_OBJECTS) else []
        return Saved(entries, [*library_names("tensorflow", "keras"), *pickled], frozenset(modules))

    def _save_module(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        tensorflow = import_tensorflow(DEFAULT_TERMS)
        if not isinstance(model, tensorflow.Module):
            raise InvalidInput(
                f"podium.tensorflow saves Keras models and tf.Modules, got {type(model).__module__}.{type(model).__name__}."
            )
        tensorflow.saved_model.save(model, str(folder / _MODULE_DIR), **dict(options.get("saved_model_kwargs") or {}))
        entries: dict[str, dict[str, Any]] = {
            self.name: {"code": None, "model_type": MODULE, "saved_model_dir": _MODULE_DIR},
            "python_function": {"loader_module": "mlflow.tensorflow"},
        }
        return Saved(entries, library_names("tensorflow"))

    def load(self, stored: Stored) -> Loaded:
        kind = model_type(stored.flavors)
        entry = _entry(stored.flavors)
        if kind == KERAS:
            return load_keras(stored, entry, is_stacking=False)
        tensorflow = import_tensorflow(stored.terms)
        place = part_of(stored.folder, entry.get("saved_model_dir"), "saved_model_dir")
        if kind == MODULE:
            return LoadedModule(tensorflow, load_saved_model(tensorflow, place, stored.terms), "__call__")
        if kind != ESTIMATOR:
            raise InvalidModel(f"MLmodel's model_type is {kind!r}; podium reads {KERAS}, {MODULE} and {ESTIMATOR}.")
        model = load_saved_model(tensorflow, place, stored.terms, tags=entry.get("meta_graph_tags"))
        return LoadedEstimator(tensorflow, model, str(entry.get("signature_def_key")))

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        del signature
        return rows_of_loaded(loaded)


def load_keras(stored: Stored, entry: Mapping[str, Any], is_stacking: bool) -> Loaded:
    """A Keras model of either flavor, from its file or from the SavedModel that Keras 2 made of it.

    Raises:
        LoadFailed, InvalidModel, MissingDependency.
    """
    terms = stored.terms
    if keras_file(stored.folder, entry).is_dir():
        return open_export(stored.folder, entry, terms)
    keras = import_keras("tensorflow" if not is_stacking else entry.get("keras_backend"), terms)
    if keras.backend.backend() == "tensorflow":
        import_tensorflow(terms)
    model = read_keras(keras, stored.folder, entry, terms, compile=False)
    return LoadedKeras(keras, model, stored.signature, is_stacking)


def open_export(folder: Path, entry: Mapping[str, Any], terms: LoadTerms) -> LoadedModule:
    """A SavedModel that Keras made: Keras 3 exports `serve`, Keras 2 restores as what can be called."""
    tensorflow = import_tensorflow(terms)
    model = load_saved_model(tensorflow, keras_file(folder, entry), terms)
    return LoadedModule(tensorflow, model, "serve" if hasattr(model, "serve") else "__call__", takes_dicts=True)


def rows_of_loaded(loaded: Loaded) -> RowIndependence:
    """What either flavor's models say of their rows."""
    if isinstance(loaded, LoadedKeras | LoadedModule):
        return loaded.rows()
    return RowIndependence(False, "nothing is known of a graph of TensorFlow 1")


def model_type(flavors: Mapping[str, Mapping[str, Any]]) -> str:
    """What kind of model MLmodel names; old files say it by which flavors they have."""
    known = _entry(flavors).get("model_type")
    return str(known) if known else KERAS if "keras" in flavors else ESTIMATOR


def load_native(
    folder: Path,
    flavors: Mapping[str, Mapping[str, Any]],
    saved_model_kwargs: Mapping[str, Any] | None = None,
    keras_model_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """What the user saved: a Keras model, a restored tf.Module, or a signature of TensorFlow 1.

    Raises:
        LoadFailed, InvalidModel, MissingDependency.
    """
    entry, kind = _entry(flavors), model_type(flavors)
    if kind == KERAS and not keras_file(folder, entry).is_dir():
        keras = import_keras("tensorflow", DEFAULT_TERMS)
        return read_keras(keras, folder, entry, DEFAULT_TERMS, **dict(keras_model_kwargs or {}))
    tensorflow = import_tensorflow(DEFAULT_TERMS)
    if kind == KERAS:
        return load_saved_model(tensorflow, keras_file(folder, entry), DEFAULT_TERMS)
    place = part_of(folder, entry.get("saved_model_dir"), "saved_model_dir")
    if kind == MODULE:
        return load_saved_model(tensorflow, place, DEFAULT_TERMS, **dict(saved_model_kwargs or {}))
    model = load_saved_model(tensorflow, place, DEFAULT_TERMS, tags=entry.get("meta_graph_tags"))
    return model.signatures[str(entry.get("signature_def_key"))]


def _entry(flavors: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    for name in ("keras", "tensorflow"):
        if name in flavors:
            return flavors[name]
    raise InvalidModel(f"The model holds nothing of TensorFlow's; its flavors are {sorted(flavors)}.")


def _version() -> str:
    """MLflow writes TensorFlow's version here, and reads it nowhere."""
    tensorflow, keras = sys.modules.get("tensorflow"), sys.modules.get("keras")
    return str(getattr(tensorflow, "__version__", None) or getattr(keras, "__version__", ""))


def _copy_extra(files: Sequence[str | Path] | None, folder: Path) -> dict[str, Any]:
    if not files:
        return {}
    if not isinstance(files, list | tuple):
        raise InvalidInput(f"extra_files is a {type(files).__name__}; expected a list of paths.")
    (folder / _EXTRA).mkdir()
    for each in map(Path, files):
        if not each.is_file():
            raise InvalidInput(f"extra_files names {each}, which is no file here.")
        shutil.copy2(each, folder / _EXTRA / each.name)
    return {_EXTRA: [{"path": f"{_EXTRA}/{Path(each).name}"} for each in files]}
