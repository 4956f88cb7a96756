"""Keras 3: models on whichever backend, as MLflow's `keras` flavor keeps them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.domain.load_terms import DEFAULT_TERMS
from podium.domain.signature import Signature
from podium.errors import InvalidInput
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.keras.files import MODEL, import_keras, keras_file, read_keras
from podium.flavors.keras.writing import export_keras, is_keras_model, library_names, write_keras
from podium.flavors.tensorflow.flavor import load_keras, open_export, rows_of_loaded

_DATA = "data"
_BACKEND_MODULES = {"tensorflow": ("tensorflow",), "torch": ("torch",), "jax": ("jax",)}


class KerasFlavor:
    """MLflow's `keras` flavor."""

    name = "keras"
    loader_modules: tuple[str, ...] = ("mlflow.keras",)
    options: tuple[str, ...] = ("save_exported_model", "save_model_kwargs")

    def claims(self, model: Any) -> bool:
        return is_keras_model(model)

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write a model as `.keras`, or its graph as a SavedModel.

        Args:
            model: A keras.Model.
            folder: Existing, empty.
            example: Tells an exported graph its inputs' types.
            options: `save_exported_model`, `save_model_kwargs` for model.save.

        Raises:
            InvalidInput: Not a model of Keras', or it cannot be written.
        """
        keras = import_keras(None, DEFAULT_TERMS)
        if not is_keras_model(model):
            raise InvalidInput(f"podium.keras saves Keras models, got {type(model).__module__}.{type(model).__name__}.")
        is_exported = bool(options.get("save_exported_model"))
        data = folder / _DATA
        data.mkdir()
        (data / "keras_module.txt").write_text("keras", encoding="utf-8")
        if is_exported:
            export_keras(keras, model, data / MODEL, example)
        else:
            write_keras(model, data / f"{MODEL}.keras", dict(options.get("save_model_kwargs") or {}))
        backend = str(keras.backend.backend())
        entries: dict[str, dict[str, Any]] = {
            self.name: {
                "data": _DATA,
                "keras_backend": backend,
                "keras_version": keras.__version__,
                "save_exported_model": is_exported,
            },
            # MLflow gives its loader the model's whole folder, and so no data here.
            "python_function": {"loader_module": "mlflow.keras"},
        }
        needed = ("tensorflow",) if is_exported else _BACKEND_MODULES.get(backend, ())
        return Saved(entries, library_names("keras", *needed))

    def load(self, stored: Stored) -> Loaded:
        entry = stored.of(self.name)
        if entry.get("save_exported_model"):
            return open_export(stored.folder, entry, stored.terms)
        return load_keras(stored, entry, is_stacking=True)

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        del signature
        return rows_of_loaded(loaded)


def load_native(
    folder: Path,
    flavors: Mapping[str, Mapping[str, Any]],
    custom_objects: Mapping[str, Any] | None = None,
    load_model_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """The Keras model, or the restored SavedModel of an exported one.

    Raises:
        LoadFailed, InvalidModel, MissingDependency.
    """
    entry = flavors.get("keras") or {}
    if entry.get("save_exported_model") or keras_file(folder, entry).is_dir():
        return open_export(folder, entry, DEFAULT_TERMS).native
    keras = import_keras(entry.get("keras_backend"), DEFAULT_TERMS)
    return read_keras(keras, folder, entry, DEFAULT_TERMS, custom_objects=custom_objects, **dict(load_model_kwargs or {}))
