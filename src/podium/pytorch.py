"""PyTorch models: `podium.pytorch.save_model`, `log_model` and `load_model`, with MLflow's parameters.

By position they are MLflow's as far as the two lists agree; the rest is taken by name only, so that none is misread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from podium.api import packaging
from podium.api.packaging import ModelInfo
from podium.flavors.pytorch.example import axes_of, example_of, takes_params
from podium.flavors.pytorch.flavor import PICKLE as SERIALIZATION_FORMAT_PICKLE
from podium.flavors.pytorch.flavor import PT2 as SERIALIZATION_FORMAT_PT2
from podium.flavors.pytorch.flavor import load_module
from podium.models.load import flavors_of, put_code_on_path
from podium.models.mlmodel import read_mlmodel

__all__ = [
    "SERIALIZATION_FORMAT_PICKLE",
    "SERIALIZATION_FORMAT_PT2",
    "load_model",
    "log_model",
    "save_model",
]


def save_model(
    pytorch_model: Any,
    path: Path | str,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    *,
    code_paths: Sequence[str | Path] | None = None,
    pickle_module: ModuleType | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    metadata: Mapping[str, Any] | None = None,
    export_model: bool = False,
    serialization_format: str | None = None,
    dynamic_axes: Mapping[str, Sequence[int]] | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> None:
    """Write a PyTorch module as a model folder; MLflow loads it with `mlflow.pytorch` and `mlflow.pyfunc`.

    Arguments of its own (the others, and what is raised: see `podium.save_model`):
        pytorch_model: A torch.nn.Module, scripted or not, in whatever mode; it is saved in evaluation mode.
        path: The folder; must not exist, or be empty.
        pickle_module: What pickles it; asks for a pickle. None is cloudpickle, by the name that MLflow reads it by.
        input_example: An array, a tensor, a DataFrame; several inputs as a tuple, or a dict by forward's argument names.
        export_model: MLflow's old word for `serialization_format="pt2"`.
        serialization_format: `pt2`, a graph that torch.export makes from the example and that runs no code when it is
            loaded; or `pickle`. None takes pt2; or pickle, with a warning, where there is no example or no graph.
        dynamic_axes: Axes that vary beside the rows: `{"tokens": [1]}`. None reads them off the signature.
    """
    packaging.save_model(
        pytorch_model,
        path,
        flavor="pytorch",
        signature=signature,
        input_example=example_of(pytorch_model, input_example),
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        conda_env=conda_env,
        code_paths=code_paths,
        metadata=metadata,
        row_independent=row_independent,
        training_data=training_data,
        predictions=predictions,
        labels=labels,
        serialization_format=_format(serialization_format, export_model, input_example, signature),
        pickle_module=pickle_module,
        dynamic_axes=dynamic_axes or axes_of(signature),
    )


def log_model(
    pytorch_model: Any,
    artifact_path: str | None = None,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    pickle_module: ModuleType | None = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    *,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    metadata: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    name: str | None = None,
    export_model: bool = False,
    serialization_format: str | None = None,
    dynamic_axes: Mapping[str, Sequence[int]] | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> ModelInfo:
    """Save a module into podium's store, and register it where `registered_model_name` is given.

    Args: see `save_model` here, and `podium.log_model`. `artifact_path` is MLflow's old word for `name`.
    """
    return packaging.log_model(
        pytorch_model,
        name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
        params=params,
        metadata=metadata,
        flavor="pytorch",
        signature=signature,
        input_example=example_of(pytorch_model, input_example),
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        conda_env=conda_env,
        code_paths=code_paths,
        row_independent=row_independent,
        training_data=training_data,
        predictions=predictions,
        labels=labels,
        serialization_format=_format(serialization_format, export_model, input_example, signature),
        pickle_module=pickle_module,
        dynamic_axes=dynamic_axes or axes_of(signature),
    )


def load_model(model_uri: str | Path, *, device: str | None = None) -> Any:
    """The module itself, in evaluation mode, of `models:/name/version`, `models:/name/stage`, … or a folder.

    Args:
        model_uri: Which.
        device: Where to put it; None leaves it where it was saved from, or takes the CPU where there is no GPU.

    Raises:
        NotFound, DigestMismatch, InvalidModel, LoadFailed, MissingDependency.
    """
    folder = packaging.fetch(model_uri)
    flavors = flavors_of(read_mlmodel(folder))
    put_code_on_path(folder, flavors)
    return load_module(folder, flavors, device)


def _format(asked: str | None, export_model: bool, example: Any, signature: Any) -> str | None:
    """A graph keeps what forward's other arguments were when it was made: a model with params is pickled unless told."""
    if asked is None and not export_model and takes_params(example, signature):
        return SERIALIZATION_FORMAT_PICKLE
    return SERIALIZATION_FORMAT_PT2 if asked is None and export_model else asked
