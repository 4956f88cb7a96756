"""ONNX models: `podium.onnx.save_model`, `log_model` and `load_model`, with MLflow's parameters.

By position they are MLflow's as far as the two lists agree; the rest is taken by name only, so that none is misread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.api import packaging
from podium.api.packaging import ModelInfo
from podium.flavors.onnx import load_proto
from podium.models.load import flavors_of
from podium.models.mlmodel import read_mlmodel

__all__ = ["load_model", "log_model", "save_model"]


def save_model(
    onnx_model: Any,
    path: Path | str,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    *,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    onnx_execution_providers: Sequence[Any] | None = None,
    onnx_session_options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    save_as_external_data: bool = True,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> None:
    """Write an ONNX model as a model folder; MLflow loads it with `mlflow.onnx` and `mlflow.pyfunc`.

    Arguments of its own (the others, and what is raised: see `podium.save_model`):
        onnx_model: A ModelProto, the path of an .onnx file, or its bytes.
        path: The folder; must not exist, or be empty.
        onnx_execution_providers: Names, or pairs of a name and options; CUDA, then the CPU, unless told.
        onnx_session_options: `inter_op_num_threads`, `intra_op_num_threads`, `execution_mode`, `graph_optimization_level`,
            `extra_session_config`.
        save_as_external_data: Large weights in files beside the model.
    """
    packaging.save_model(
        onnx_model,
        path,
        flavor="onnx",
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
        onnx_execution_providers=onnx_execution_providers,
        onnx_session_options=onnx_session_options,
        save_as_external_data=save_as_external_data,
    )


def log_model(
    onnx_model: Any,
    artifact_path: str | None = None,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    *,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    onnx_execution_providers: Sequence[Any] | None = None,
    onnx_session_options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    save_as_external_data: bool = True,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    name: str | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> ModelInfo:
    """Save an ONNX model into podium's store, and register it where `registered_model_name` is given.

    Args: see `save_model` here, and `podium.log_model`. `artifact_path` is MLflow's old word for `name`.
    """
    return packaging.log_model(
        onnx_model,
        name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
        params=params,
        metadata=metadata,
        flavor="onnx",
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
        onnx_execution_providers=onnx_execution_providers,
        onnx_session_options=onnx_session_options,
        save_as_external_data=save_as_external_data,
    )


def load_model(model_uri: str | Path) -> Any:
    """The checked ModelProto, of `models:/name/version`, `models:/name/stage`, … or a folder.

    Raises:
        NotFound, DigestMismatch, InvalidModel, MissingDependency.
    """
    folder = packaging.fetch(model_uri)
    return load_proto(folder, flavors_of(read_mlmodel(folder)))
