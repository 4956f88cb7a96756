"""Loading a model: the worker's side, which reads no YAML and imports the standard library and numpy only.

`load_predictor` loads exactly the folder that it is given; whoever calls it has checked the folder's digest before.
"""

import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.domain.dialect import COMPAT, Dialect
from podium.domain.load_terms import DEFAULT_TERMS, LoadTerms
from podium.domain.signature import Signature
from podium.errors import InvalidModel, LoadFailed, PodiumError
from podium.flavors.choice import flavor_loading
from podium.flavors.contract import Flavor, Loaded, RowIndependence, Stored
from podium.flavors.folders import part_of
from podium.flavors.mlflow_shims import ADVICE, is_mlflow_importable
from podium.flavors.notes import note
from podium.models.code_needs import check_code
from podium.models.example_form import form_from_example
from podium.models.predictor import Predictor

_CONFIG_VARIABLES = ("MLFLOW_PYFUNC_INFERENCE_CONFIG", "SERVING_MODEL_CONFIG")
ROW_INDEPENDENT = "podium.row_independent"


def load_predictor(
    folder: Path,
    mlmodel: Mapping[str, Any],
    model_config: Mapping[str, Any] | None = None,
    dialect: Dialect = COMPAT,
    terms: LoadTerms = DEFAULT_TERMS,
) -> Predictor:
    """Load a model to be called.

    Args:
        folder: The model's folder, verified.
        mlmodel: The whole MLmodel file.
        model_config: Overrides values of the model's own config; unknown keys are dropped with a warning. The
            variables MLFLOW_PYFUNC_INFERENCE_CONFIG and SERVING_MODEL_CONFIG (JSON) do so too, with less weight.
        dialect: How strictly it takes requests.
        terms: Where it is to compute, and whether its folder may run code.

    Raises:
        InvalidModel: The folder has no model that can be scored, or a part of it is missing.
        LoadFailed: Importing or unpickling raised, or the terms allow no code and the model needs some; `cause` says which.
        MissingDependency: A library that podium knows is not installed.
    """
    flavors = flavors_of(mlmodel)
    entry = flavors.get("python_function")
    if entry is None:
        raise InvalidModel(
            f'{folder}: the model does not have the "python_function" flavor, so it cannot be scored. '
            f"It has {sorted(flavors)}; the load_model of that flavor reads it."
        )
    if (mlmodel.get("metadata") or {}).get("mlflow.model.isExternal"):
        raise InvalidModel(
            f"{folder} only records a model that lives elsewhere (mlflow.model.isExternal); there is nothing to load."
        )
    check_code(folder, mlmodel, terms)
    signature = signature_of(mlmodel)
    config = merge_config(entry.get("config"), model_config)
    put_code_on_path(folder, flavors)
    flavor = flavor_loading(flavors)
    loaded = load_guarded(flavor, Stored(folder, flavors, config, signature, terms))
    name = next((each for each in flavors if each != "python_function"), "python_function")
    rows = _rows(flavor, loaded, signature, mlmodel)
    return Predictor(loaded, signature, name, rows, mlmodel, form_from_example(folder, mlmodel), dialect)


def load_written(folder: Path, flavors: Mapping[str, Mapping[str, Any]], signature: Signature | None) -> Predictor:
    """A model that is being saved, as it was written: what it says is what will be served.

    Args:
        folder: With the flavor's files.
        flavors: Of an MLmodel file that is not written yet; with `python_function`.
        signature: The model's, as far as it is known.

    Raises:
        LoadFailed, InvalidModel, MissingDependency: As `load_guarded`.
    """
    flavor = flavor_loading(flavors)
    config = flavors["python_function"].get("config")
    loaded = load_guarded(flavor, Stored(folder, flavors, config, signature))
    return Predictor(loaded, signature, flavor.name, flavor.rows(loaded, signature), {})


def load_guarded(flavor: Flavor, stored: Stored) -> Loaded:
    """Load by a flavor; whatever the libraries or the model's own code raise becomes LoadFailed with its cause.

    Raises:
        LoadFailed, InvalidModel, MissingDependency.
    """
    try:
        return flavor.load(stored)
    except PodiumError:
        raise
    except ImportError as error:
        raise LoadFailed(_import_message(error), cause="import_error") from error
    except MemoryError as error:
        raise LoadFailed(f"Loading the model ran out of memory: {error}", cause="out_of_memory") from error
    except (Exception, SystemExit) as error:
        raise LoadFailed(f"Loading the model failed: {type(error).__name__}: {error}") from error


def flavors_of(mlmodel: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """MLmodel's flavors; an entry without content is an empty map."""
    return {name: entry or {} for name, entry in (mlmodel.get("flavors") or {}).items()}


def signature_of(mlmodel: Mapping[str, Any]) -> Signature | None:
    """MLmodel's signature, or None.

    Raises:
        InvalidModel: It cannot be read.
    """
    parts = mlmodel.get("signature")
    if not isinstance(parts, Mapping):
        return None
    return Signature.from_dict(parts, is_from_type_hint=bool(mlmodel.get("is_signature_from_type_hint")))


def put_code_on_path(folder: Path, flavors: Mapping[str, Mapping[str, Any]]) -> Path | None:
    """Put the model's own modules at the front of sys.path, as MLflow does; returns their folder."""
    for entry in (flavors.get("python_function", {}), *flavors.values()):
        if entry.get("code"):
            code = part_of(folder, entry["code"], "code")
            sys.path.insert(0, str(code))
            importlib.invalidate_caches()
            return code
    return None


def merge_config(own: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The model's config with what overrides it. Only keys that it already has may be overridden.

    Raises:
        InvalidModel: A variable with a config in it is not a JSON object.
    """
    overrides: dict[str, Any] = {}
    for variable in _CONFIG_VARIABLES:
        overrides |= _config_in(variable)
    overrides |= given or {}
    if not own:
        if overrides:
            note(f"The model takes no model_config; {sorted(overrides)} were ignored.")
        return None
    ignored = sorted(overrides.keys() - own.keys())
    if ignored:
        note(f"model_config: {ignored} were ignored; the model's config has {sorted(own)}.")
    return {name: overrides.get(name, value) for name, value in own.items()}


def _config_in(variable: str) -> dict[str, Any]:
    text = os.environ.get(variable)
    if not text:
        return {}
    try:
        config = json.loads(text)
    except ValueError as error:
        raise InvalidModel(f"{variable} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise InvalidModel(f"{variable} is a JSON {type(config).__name__}; expected an object.")
    return config


def _rows(flavor: Flavor, loaded: Loaded, signature: Signature | None, mlmodel: Mapping[str, Any]) -> RowIndependence:
    """What the flavor knows, unless whoever logged the model said otherwise."""
    row = flavor.rows(loaded, signature)
    declared = (mlmodel.get("metadata") or {}).get(ROW_INDEPENDENT)
    if declared is None or row.static_batch is not None:
        return row
    if declared:
        return row if row.is_known_independent else RowIndependence(True, "declared row_independent when it was logged")
    return RowIndependence(False, "declared not row_independent when it was logged")


def _import_message(error: ImportError) -> str:
    message = f"Importing what the model needs failed: {error}."
    name = (error.name or "").partition(".")[0]
    if name == "mlflow" and not is_mlflow_importable():
        return message if ADVICE in message else f"{message} {ADVICE}"
    if isinstance(error, ModuleNotFoundError) and name:
        return f"{message} Install {name} in this environment, or save the model with code_paths if it is your own module."
    return message
