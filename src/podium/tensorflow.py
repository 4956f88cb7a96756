"""TensorFlow 2: `podium.tensorflow.save_model`, `log_model` and `load_model`, with MLflow's parameters.

By position they are MLflow's as far as the two lists agree; the rest is taken by name only, so that none is misread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.api import packaging
from podium.api.packaging import ModelInfo
from podium.flavors.tensorflow.flavor import load_native
from podium.models.load import flavors_of, put_code_on_path
from podium.models.mlmodel import read_mlmodel

__all__ = ["load_model", "log_model", "save_model"]


def save_model(
    model: Any,
    path: Path | str,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    saved_model_kwargs: Mapping[str, Any] | None = None,
    keras_model_kwargs: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | Path] | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> None:
    """Write a Keras model or a tf.Module as a model folder; MLflow loads it with `mlflow.tensorflow` and `mlflow.pyfunc`.

    Arguments of its own (the others, and what is raised: see `podium.save_model`):
        model: A Keras model on TensorFlow, or a tf.Module.
        path: The folder; must not exist, or be empty.
        custom_objects: Classes and functions that the model's file names; they are pickled.
        saved_model_kwargs: For `tf.saved_model.save` of a tf.Module, `{"signatures": …}`.
        keras_model_kwargs: For `model.save`; `save_format` is `tf` or `keras` (a `.keras` file) or `h5`.
        extra_files: Files to go along.
    """
    packaging.save_model(
        model,
        path,
        flavor="tensorflow",
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
        custom_objects=custom_objects,
        saved_model_kwargs=saved_model_kwargs,
        keras_model_kwargs=keras_model_kwargs,
        extra_files=extra_files,
    )


def log_model(
    model: Any,
    artifact_path: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    signature: Any = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    *,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    saved_model_kwargs: Mapping[str, Any] | None = None,
    keras_model_kwargs: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | Path] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    name: str | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> ModelInfo:
    """Save a model into podium's store, and register it where `registered_model_name` is given.

    Args: see `save_model` here, and `podium.log_model`. `artifact_path` is MLflow's old word for `name`.
    """
    return packaging.log_model(
        model,
        name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
        params=params,
        metadata=metadata,
        flavor="tensorflow",
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
        custom_objects=custom_objects,
        saved_model_kwargs=saved_model_kwargs,
        keras_model_kwargs=keras_model_kwargs,
        extra_files=extra_files,
    )


def load_model(
    model_uri: str | Path,
    *,
    saved_model_kwargs: Mapping[str, Any] | None = None,
    keras_model_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """The Keras model or the restored tf.Module, of `models:/name/version`, `models:/name/stage`, … or a folder.

    Args:
        model_uri: Where it is.
        saved_model_kwargs: For `tf.saved_model.load` of a tf.Module.
        keras_model_kwargs: For `keras.saving.load_model`.

    Raises:
        NotFound, DigestMismatch, InvalidModel, LoadFailed, MissingDependency.
    """
    folder = packaging.fetch(model_uri)
    flavors = flavors_of(read_mlmodel(folder))
    put_code_on_path(folder, flavors)
    return load_native(folder, flavors, saved_model_kwargs, keras_model_kwargs)
