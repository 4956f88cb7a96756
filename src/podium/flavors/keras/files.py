"""Keras models on disk: which Keras and which backend read them, and that nothing runs which nobody allowed."""

import importlib
import importlib.util
import os
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.domain.load_terms import LoadTerms
from podium.domain.model_files.code import CodeNeed, pickle_need
from podium.errors import InvalidModel, LoadFailed, MissingDependency
from podium.flavors.folders import part_of
from podium.flavors.pickles import check_allowed, load_pickle

MODEL = "model"
CUSTOM_OBJECTS = ("global_custom_objects.cloudpickle", "custom_objects.cloudpickle")
_BACKEND = "KERAS_BACKEND"
_PACKAGES = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax", "openvino": "openvino", "numpy": "numpy"}
_MODULE = re.compile(r'"module":\s*"([A-Za-z_][\w.]*)"')
# Since then Keras looks into .h5 files for code before it reads them (CVE-2025-9905).
_SAFE_H5 = (3, 11, 3)
_WAYS_OUT = (
    "Keras does not run code that lies in a model's file (its safe mode), nor does podium switch that off. "
    "Replace the Lambda layer by a layer class with @keras.saving.register_keras_serializable(), whose module goes along "
    "with code_paths=[...]; or save the model as a graph, with save_exported_model=True of podium.keras.save_model."
)


def import_keras(wanted: str | None, terms: LoadTerms) -> Any:
    """Keras, on the backend that the model was saved with, where that is installed, else on another one.

    What is imported already stays; KERAS_BACKEND, where somebody set it, has the first word.

    Args:
        wanted: `tensorflow`, `torch`, `jax`; None is as good as tensorflow.
        terms: Where it is to compute.

    Raises:
        MissingDependency: There is no Keras, or no backend for it.
    """
    quieten(terms)
    if "keras" not in sys.modules and not os.environ.get(_BACKEND):
        os.environ[_BACKEND] = _backend(wanted)
    try:
        return importlib.import_module("keras")
    except ModuleNotFoundError as error:
        missing = (error.name or "keras").partition(".")[0]
        raise MissingDependency(missing, "This Keras model", "keras" if missing == "keras" else "tensorflow") from error


def quieten(terms: LoadTerms) -> None:
    """Tell TensorFlow, before it is imported, to say what matters only, and to take no more of a GPU than it needs."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # By default each process takes all of the memory: a second replica on the same GPU would get none.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if terms.device == "cpu":
        os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")


def place(tensorflow: Any, terms: LoadTerms) -> None:
    """Have TensorFlow see the processors that it may compute on, and no others."""
    if terms.device == "auto":
        return
    number = terms.device.partition(":")[2]
    gpus = tensorflow.config.list_physical_devices("GPU")
    if terms.device.startswith("cuda") and len(gpus) <= int(number or 0):
        raise LoadFailed(f"device = {terms.device!r}: TensorFlow finds {len(gpus)} GPUs. Set it to auto or cpu.")
    chosen = gpus[int(number or 0) :][:1] if terms.device.startswith("cuda") else []
    if len(chosen) != len(gpus):
        try:
            tensorflow.config.set_visible_devices(chosen, "GPU")
        except RuntimeError as error:
            raise LoadFailed(f"device = {terms.device!r}: TensorFlow has begun to compute elsewhere ({error}).") from error


def read_keras(keras: Any, folder: Path, entry: Mapping[str, Any], terms: LoadTerms, **options: Any) -> Any:
    """A Keras model from the file that lies where MLmodel says, `.keras` or `.h5`.

    Args:
        keras: The module.
        folder: The model's folder.
        entry: MLmodel's entry of the flavor; `data` names the place.
        terms: Whether pickles may be read.
        options: For `keras.saving.load_model`.

    Raises:
        InvalidModel: There is no such file, or it is damaged.
        LoadFailed: It holds code; or a pickle does, and those are forbidden.
    """
    path = keras_file(folder, entry)
    objects = _custom_objects(path.parent, folder, terms) | dict(options.pop("custom_objects", None) or {})
    if path.suffix == ".h5" and _version(keras) < _SAFE_H5:
        check_allowed(terms, CodeNeed(path.name, f"may hold code, which Keras {keras.__version__} would run unseen"))
    if terms.allows_code:
        _import_named(path, folder / "code")
    try:
        return keras.saving.load_model(str(path), custom_objects=objects or None, **{"safe_mode": True, **options})
    except Exception as error:
        text = str(error)
        if "safe_mode" in text or "unsafe_deserialization" in text:
            raise LoadFailed(f"{path.name} holds a Lambda layer, Python code in the model's file. {_WAYS_OUT}") from error
        if isinstance(error, TypeError | ValueError) and (
            "Could not locate" in text or "could not be deserialized" in text
        ):
            raise LoadFailed(
                f"{path.name} names a class that Keras does not know: {_first_lines(text)}. {_CLASSES}"
            ) from error
        if isinstance(error, ValueError | OSError | KeyError):
            raise InvalidModel(
                f"{path} is no Keras model that Keras {keras.__version__} reads ({type(error).__name__}: "
                f"{_first_lines(text)}). Copy the model's folder anew, or save it again with this version."
            ) from error
        raise


_CLASSES = (
    "Register the class with @keras.saving.register_keras_serializable() and pass its module in code_paths=[...], or pass "
    "custom_objects={...} to podium.tensorflow.save_model."
)


def keras_file(folder: Path, entry: Mapping[str, Any]) -> Path:
    """The file of a model, `data/model.keras` or `data/model.h5`; older folders have `data/model` or name the file itself.

    Raises:
        InvalidModel: There is none.
    """
    data = part_of(folder, entry.get("data") or "data", "data")
    if data.is_file():
        return data
    for suffix in (".keras", ".h5", ""):
        if (data / f"{MODEL}{suffix}").exists():
            # Through part_of, which follows links and holds them inside the folder.
            return part_of(folder, str((data / f"{MODEL}{suffix}").relative_to(folder.resolve())), "data")
    raise InvalidModel(f"{data} holds no Keras model: neither {MODEL}.keras nor {MODEL}.h5 nor {MODEL}/.")


def _custom_objects(data: Path, folder: Path, terms: LoadTerms) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in CUSTOM_OBJECTS:
        if (data / name).exists():
            path = part_of(folder, str((data / name).relative_to(folder.resolve())), name)
            check_allowed(terms, pickle_need(name))
            objects = load_pickle(path)
            if not isinstance(objects, dict):
                raise InvalidModel(f"{path} holds a {type(objects).__name__}; expected a dict of names and objects.")
            found |= objects
    return found


def _import_named(path: Path, code: Path) -> None:
    """Import the modules of the model's own `code/` that its file names, so that they register their classes.

    Keras looks for classes among those that are registered, and imports nothing for it.
    """
    own = {each.stem for each in code.iterdir()} if code.is_dir() else set()
    if not own or not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").decode("utf-8", "replace") if "config.json" in archive.namelist() else ""
    for module in sorted(set(_MODULE.findall(config))):
        if module.partition(".")[0] in own:
            importlib.import_module(module)


def _backend(wanted: str | None) -> str:
    order = [wanted or "tensorflow", "tensorflow", "torch", "jax"]
    for backend in order:
        package = _PACKAGES.get(backend)
        if package and importlib.util.find_spec(package) is not None:
            return backend
    raise MissingDependency(
        _PACKAGES.get(order[0], "tensorflow"), "A Keras model computes with a backend and", "tensorflow"
    )


def _version(keras: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in keras.__version__.split(".")[:3] if part.isdigit())


def _first_lines(text: str) -> str:
    return " ".join(text.split())[:300]
