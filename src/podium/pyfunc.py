"""Any Python code as a model: `podium.pyfunc.PythonModel`, functions, .py files, loaders; with MLflow's parameters.

By position they are MLflow's as far as the two lists agree; the rest is taken by name only, so that none is misread.

class Median(podium.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.median(axis=1)

podium.pyfunc.log_model("median", python_model=Median(), input_example=frame, registered_model_name="median")
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.api import packaging
from podium.api.packaging import ModelInfo, load_model
from podium.errors import InvalidInput
from podium.flavors.python_model import ModelConfig, PythonModel, PythonModelContext, set_model

__all__ = ["ModelConfig", "PythonModel", "PythonModelContext", "load_model", "log_model", "save_model", "set_model"]


def save_model(
    path: Path | str,
    loader_module: str | None = None,
    data_path: str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    *,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    python_model: Any = None,
    artifacts: Mapping[str, str | Path] | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    metadata: Mapping[str, Any] | None = None,
    model_config: Mapping[str, Any] | str | Path | None = None,
    compression: str | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> None:
    """Write Python code as a model folder; MLflow loads it with `mlflow.pyfunc`, without podium.

    Arguments of its own (the others, and what is raised: see `podium.save_model`):
        path: The folder; must not exist, or be empty.
        loader_module: A module with `_load_pyfunc(path)`, in code_paths or installed; in place of python_model.
        data_path: A file or folder that is copied and handed to it.
        python_model: An object of a PythonModel, a function of one argument, or the path of a .py file or notebook that
            calls set_model. Objects are pickled; what is defined in a notebook cell or a script goes along by value.
        artifacts: Names and paths of files and folders that are copied and found in `context.artifacts`.
        model_config: What `context.model_config` and ModelConfig give; a dict, or the path of a YAML file.
        compression: `gzip`, `bzip2` or `lzma` for the pickle.
        row_independent: True lets the server merge requests: each row's answer must not depend on the rows beside it.
    """
    packaging.save_model(
        _one_of(python_model, loader_module),
        path,
        flavor="pyfunc",
        signature=signature,
        input_example=input_example,
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        conda_env=conda_env,
        code_paths=code_paths,
        metadata=metadata,
        row_independent=row_independent,
        training_data=training_data,
        predictions=predictions,
        labels=labels,
        loader_module=loader_module,
        data_path=data_path,
        artifacts=artifacts,
        model_config=_config(model_config),
        compression=compression,
    )


def log_model(
    artifact_path: str | None = None,
    loader_module: str | None = None,
    data_path: str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    *,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    python_model: Any = None,
    artifacts: Mapping[str, str | Path] | None = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    metadata: Mapping[str, Any] | None = None,
    model_config: Mapping[str, Any] | str | Path | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    name: str | None = None,
    compression: str | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> ModelInfo:
    """Save Python code into podium's store, and register it where `registered_model_name` is given.

    Args: see `save_model` here, and `podium.log_model`. `artifact_path` is MLflow's old word for `name`.
    """
    return packaging.log_model(
        _one_of(python_model, loader_module),
        name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
        params=params,
        metadata=metadata,
        flavor="pyfunc",
        signature=signature,
        input_example=input_example,
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        conda_env=conda_env,
        code_paths=code_paths,
        row_independent=row_independent,
        training_data=training_data,
        predictions=predictions,
        labels=labels,
        loader_module=loader_module,
        data_path=data_path,
        artifacts=artifacts,
        model_config=_config(model_config),
        compression=compression,
    )


def _one_of(python_model: Any, loader_module: str | None) -> Any:
    if python_model is None and loader_module is None:
        raise InvalidInput(
            "Pass python_model= (a PythonModel object, a function, or the path of a .py file) or loader_module=, "
            "a module with _load_pyfunc."
        )
    return python_model


def _config(given: Mapping[str, Any] | str | Path | None) -> Mapping[str, Any] | None:
    if not isinstance(given, str | Path):
        return given
    config: dict[str, Any] = ModelConfig(development_config=str(given)).to_dict()
    return config
