"""Keras 3 models: `podium.keras.save_model`, `log_model` and `load_model`, with MLflow's parameters.

By position they are MLflow's as far as the two lists agree; the rest is taken by name only, so that none is misread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.api import packaging
from podium.api.packaging import ModelInfo
from podium.flavors.keras.flavor import load_native
from podium.models.load import flavors_of, put_code_on_path
from podium.models.mlmodel import read_mlmodel

__all__ = ["load_model", "log_model", "save_model"]


def save_model(
    model: Any,
    path: Path | str,
    save_exported_model: bool = False,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    *,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    save_model_kwargs: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    code_paths: Sequence[str | Path] | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> None:
    """Write a Keras model as a model folder; MLflow loads it with `mlflow.keras` and `mlflow.pyfunc`.

    Arguments of its own (the others, and what is raised: see `podium.save_model`):
        model: A keras.Model, on any backend.
        path: The folder; must not exist, or be empty.
        save_exported_model: Write the graph (a SavedModel, for batches of any size) in place of a `.keras` file. It needs
            TensorFlow where it is read, and neither Keras nor the classes of custom layers.
        save_model_kwargs: For `model.save`.
        code_paths: Modules of custom layers; plain MLflow does not look for them in models of this flavor.
    """
    packaging.save_model(
        model,
        path,
        flavor="keras",
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
        save_exported_model=save_exported_model,
        save_model_kwargs=save_model_kwargs,
    )


def log_model(
    model: Any,
    artifact_path: str | None = None,
    save_exported_model: bool = False,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    signature: Any = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    *,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    save_model_kwargs: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    name: str | None = None,
    code_paths: Sequence[str | Path] | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> ModelInfo:
    """Save a Keras model into podium's store, and register it where `registered_model_name` is given.

    Args: see `save_model` here, and `podium.log_model`. `artifact_path` is MLflow's old word for `name`.
    """
    return packaging.log_model(
        model,
        name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
        params=params,
        metadata=metadata,
        flavor="keras",
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
        save_exported_model=save_exported_model,
        save_model_kwargs=save_model_kwargs,
    )


def load_model(
    model_uri: str | Path,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    load_model_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """The Keras model itself, of `models:/name/version`, `models:/name/stage`, … or a folder.

    Args:
        model_uri: Where it is.
        custom_objects: Classes and functions by the names that the file has for them.
        load_model_kwargs: For `keras.saving.load_model`.

    Raises:
        NotFound, DigestMismatch, InvalidModel, LoadFailed, MissingDependency.
    """
    folder = packaging.fetch(model_uri)
    flavors = flavors_of(read_mlmodel(folder))
    put_code_on_path(folder, flavors)
    return load_native(folder, flavors, custom_objects, load_model_kwargs)
