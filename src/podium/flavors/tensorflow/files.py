"""TensorFlow itself, and SavedModels: programs, of which those that reach for files are known by name."""

import importlib
from pathlib import Path
from typing import Any

from podium.domain.load_terms import LoadTerms
from podium.errors import InvalidModel, LoadFailed, MissingDependency
from podium.flavors.keras.files import place, quieten

_GRAPH = "saved_model.pb"
# Operations that read or write what they like, or call Python: in no exported model by accident.
_REACHING_OUT = (b"ReadFile", b"WriteFile", b"MatchingFiles", b"PyFunc", b"EagerPyFunc", b"PyFuncStateless")


def import_tensorflow(terms: LoadTerms) -> Any:
    """TensorFlow, quiet, and seeing the devices that it may use.

    Raises:
        MissingDependency: It is not installed.
        LoadFailed: There is no such device.
    """
    quieten(terms)
    try:
        tensorflow = importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        missing = (error.name or "tensorflow").partition(".")[0]
        raise MissingDependency(missing, "This TensorFlow model", "tensorflow") from error
    place(tensorflow, terms)
    return tensorflow


def load_saved_model(tensorflow: Any, folder: Path, terms: LoadTerms, **options: Any) -> Any:
    """A SavedModel as TensorFlow restores it.

    Raises:
        InvalidModel: The folder holds none, or a damaged one.
        LoadFailed: Its graph reaches for files, and code is not allowed.
    """
    graph = folder / _GRAPH
    if not graph.is_file():
        raise InvalidModel(f"{folder} is no SavedModel: it has no {_GRAPH}.")
    if not terms.allows_code:
        _check_graph(graph)
    try:
        return tensorflow.saved_model.load(str(folder), **options)
    except (OSError, ValueError, RuntimeError, tensorflow.errors.OpError) as error:
        text = " ".join(str(error).split())[:300]
        raise InvalidModel(
            f"{folder} is no SavedModel that TensorFlow {tensorflow.__version__} reads ({type(error).__name__}: {text}). "
            "Copy the model's folder anew, or export it again."
        ) from error


def _check_graph(graph: Path) -> None:
    content = graph.read_bytes()
    # An operation's name stands in the file behind its length.
    found = [name.decode() for name in _REACHING_OUT if bytes([len(name)]) + name in content]
    if found:
        raise LoadFailed(
            f"{graph.name} holds the operations {found}, which reach for files or run Python, and code is not allowed "
            "here. Allow it for models that you trust, or export the model without them."
        )
