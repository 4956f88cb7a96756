"""scikit-learn models: `podium.sklearn.save_model`, `log_model` and `load_model`, with MLflow's parameters.

By position they are MLflow's as far as the two lists agree; the rest is taken by name only, so that none is misread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.api import packaging
from podium.api.packaging import ModelInfo
from podium.flavors.sklearn.flavor import CLOUDPICKLE as SERIALIZATION_FORMAT_CLOUDPICKLE
from podium.flavors.sklearn.flavor import PICKLE as SERIALIZATION_FORMAT_PICKLE
from podium.flavors.sklearn.flavor import SKOPS as SERIALIZATION_FORMAT_SKOPS
from podium.flavors.sklearn.flavor import load_estimator
from podium.models.load import flavors_of, put_code_on_path
from podium.models.mlmodel import read_mlmodel

__all__ = [
    "SERIALIZATION_FORMAT_CLOUDPICKLE",
    "SERIALIZATION_FORMAT_PICKLE",
    "SERIALIZATION_FORMAT_SKOPS",
    "load_model",
    "log_model",
    "save_model",
]


def save_model(
    sk_model: Any,
    path: Path | str,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    *,
    serialization_format: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    pyfunc_predict_fn: str = "predict",
    metadata: Mapping[str, Any] | None = None,
    skops_trusted_types: Sequence[str] | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> None:
    """Write an estimator as a model folder; MLflow loads it with `mlflow.sklearn` and `mlflow.pyfunc`.

    Arguments of its own (the others, and what is raised: see `podium.save_model`):
        sk_model: A fitted estimator or pipeline.
        path: The folder; must not exist, or be empty.
        serialization_format: `skops`, `cloudpickle` or `pickle`. None takes skops; or cloudpickle, with a warning, where
            skops cannot hold the estimator or finds types in it that come neither from scikit-learn, numpy or scipy nor
            from skops_trusted_types.
        pyfunc_predict_fn: The method that answers requests: `predict`, `predict_proba`, …
        skops_trusted_types: Names of more types to trust, written into the model and used when it is loaded.
    """
    packaging.save_model(
        sk_model,
        path,
        flavor="sklearn",
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
        serialization_format=serialization_format,
        pyfunc_predict_fn=pyfunc_predict_fn,
        skops_trusted_types=skops_trusted_types,
    )


def log_model(
    sk_model: Any,
    artifact_path: str | None = None,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    serialization_format: str | None = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    *,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    pyfunc_predict_fn: str = "predict",
    metadata: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    name: str | None = None,
    skops_trusted_types: Sequence[str] | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> ModelInfo:
    """Save an estimator into podium's store, and register it where `registered_model_name` is given.

    Args: see `save_model` here, and `podium.log_model`. `artifact_path` is MLflow's old word for `name`.
    """
    return packaging.log_model(
        sk_model,
        name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
        params=params,
        metadata=metadata,
        flavor="sklearn",
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
        serialization_format=serialization_format,
        pyfunc_predict_fn=pyfunc_predict_fn,
        skops_trusted_types=skops_trusted_types,
    )


def load_model(model_uri: str | Path) -> Any:
    """The estimator itself, of `models:/name/version`, `models:/name/stage`, … or a folder.

    Raises:
        NotFound, DigestMismatch, InvalidModel, LoadFailed, MissingDependency.
    """
    folder = packaging.fetch(model_uri)
    flavors = flavors_of(read_mlmodel(folder))
    put_code_on_path(folder, flavors)
    return load_estimator(folder, flavors)
