"""TensorFlow itself, and SavedModels as it restores them."""

import importlib
import os
from pathlib import Path
from typing import Any

from podium.domain.load_terms import LoadTerms
from podium.domain.model_files.code import refuse
from podium.domain.model_files.saved_graphs import graph_needs
from podium.errors import InvalidModel, MissingDependency
from podium.flavors.keras.files import place, quieten

_GRAPH = "saved_model.pb"


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
        refuse(graph_needs(graph.read_bytes(), graph.name), terms, os.environ)
    try:
        return tensorflow.saved_model.load(str(folder), **options)
    except (OSError, ValueError, RuntimeError, tensorflow.errors.OpError) as error:
        text = " ".join(str(error).split())[:300]
        raise InvalidModel(
            f"{folder} is no SavedModel that TensorFlow {tensorflow.__version__} reads ({type(error).__name__}: {text}). "
            "Copy the model's folder anew, or export it again."
        ) from error
