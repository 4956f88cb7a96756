"""Models that are a .py file: running it, and catching the object that it names with set_model."""

import importlib
import importlib.util
import json
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.errors import InvalidModel, LoadFailed
from podium.flavors.mlflow_shims import install, is_mlflow_importable
from podium.flavors.python_model import collecting


def run_model_code(path: Path, config: Mapping[str, Any] | None) -> Any:
    """Run a model's file as a module of its own, each time anew, and return what it gave to set_model.

    Where mlflow is installed and the file names it, MLflow's own set_model and ModelConfig work as well; where it is not,
    stand-ins do.

    Raises:
        InvalidModel: Not a .py file.
        LoadFailed: It ran and set no model. Whatever it raises itself passes through.
    """
    install()
    name = f"podium_model_{uuid.uuid4().hex}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidModel(f"{path} is not a Python file; a model from code is a .py file that calls set_model.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    theirs = _real_mlflow(path)
    if theirs is not None:
        theirs.__mlflow_model__ = None
        importlib.import_module("mlflow.models.model_config").__dict__["__mlflow_model_config__"] = config or ""
    try:
        with collecting(config) as model:
            spec.loader.exec_module(module)
            set_there = getattr(theirs, "__mlflow_model__", None)
            return model() if set_there is None else set_there
    except BaseException:
        sys.modules.pop(name, None)
        raise


def source_of(path: Path) -> str:
    """The Python source of a .py file, or of a notebook's code cells without their magics.

    Raises:
        InvalidModel: Another kind of file, or a notebook that cannot be read.
    """
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        raise InvalidModel(f"{path}: a model from code is a .py file or a notebook (.ipynb).")
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidModel(f"{path} is not a notebook that can be read: {type(error).__name__}.") from error
    lines = [line for source in sources for line in [*source.splitlines(), ""]]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))) + "\n"


def _real_mlflow(path: Path) -> Any:
    """MLflow's module that keeps the model which was set, when the file is going to import mlflow."""
    if "mlflow" not in path.read_text(encoding="utf-8") or not is_mlflow_importable():
        return None
    try:
        return importlib.import_module("mlflow.models.model")
    except ImportError as error:
        raise LoadFailed(f"mlflow is installed but cannot be imported: {error}", cause="import_error") from error
