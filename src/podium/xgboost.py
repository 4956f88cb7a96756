"""XGBoost models: `podium.xgboost.save_model`, `log_model` and `load_model`, with MLflow's parameters.

By position they are MLflow's as far as the two lists agree; the rest is taken by name only, so that none is misread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.api import packaging
from podium.api.packaging import ModelInfo
from podium.flavors.contract import Stored
from podium.flavors.xgboost.flavor import load_model as load_native
from podium.models.load import flavors_of, put_code_on_path
from podium.models.mlmodel import read_mlmodel

__all__ = ["load_model", "log_model", "save_model"]


def save_model(
    xgb_model: Any,
    path: Path | str,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    *,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    model_format: str = "ubj",
    pyfunc_predict_fn: str = "predict",
    metadata: Mapping[str, Any] | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> None:
    """Write a Booster or an estimator as a model folder; MLflow loads it with `mlflow.xgboost` and `mlflow.pyfunc`.

    Arguments of its own (the others, and what is raised: see `podium.save_model`):
        xgb_model: A trained Booster, or an estimator of xgboost's scikit-learn API.
        path: The folder; must not exist, or be empty.
        model_format: `ubj`, `json` or `xgb`; none of them holds code.
        pyfunc_predict_fn: `predict` or `predict_proba`. MLflow has no such choice here: plain MLflow answers predict.
    """
    packaging.save_model(
        xgb_model,
        path,
        flavor="xgboost",
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
        model_format=model_format,
        pyfunc_predict_fn=pyfunc_predict_fn,
    )


def log_model(
    xgb_model: Any,
    artifact_path: str | None = None,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    *,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    model_format: str = "ubj",
    pyfunc_predict_fn: str = "predict",
    metadata: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    name: str | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
) -> ModelInfo:
    """Save a Booster or an estimator into podium's store, and register it where `registered_model_name` is given.

    Args: see `save_model` here, and `podium.log_model`. `artifact_path` is MLflow's old word for `name`.
    """
    return packaging.log_model(
        xgb_model,
        name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
        params=params,
        metadata=metadata,
        flavor="xgboost",
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
        model_format=model_format,
        pyfunc_predict_fn=pyfunc_predict_fn,
    )


def load_model(model_uri: str | Path) -> Any:
    """The Booster or estimator itself, of `models:/name/version`, `models:/name/stage`, … or a folder.

    Raises:
        NotFound, DigestMismatch, InvalidModel, LoadFailed, MissingDependency.
    """
    folder = packaging.fetch(model_uri)
    flavors = flavors_of(read_mlmodel(folder))
    put_code_on_path(folder, flavors)
    return load_native(Stored(folder, flavors))
