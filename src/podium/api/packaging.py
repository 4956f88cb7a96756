"""Saving, logging and loading models of whatever flavor: what `podium` itself offers, and its flavors' modules build upon.

import podium

info = podium.log_model(model, "fraud", registered_model_name="fraud", input_example=X[:5])
podium.load_model(info.model_uri).predict(X)
"""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.domain.load_terms import LoadTerms
from podium.domain.references import FolderRef, parse_reference
from podium.domain.signature import Signature
from podium.errors import InvalidInput
from podium.models.infer import infer_signature
from podium.models.load import load_predictor, signature_of
from podium.models.mlmodel import read_mlmodel
from podium.models.predictor import Predictor
from podium.models.profiles import described, profile_in
from podium.models.reference_data import ReferenceData, reference_data
from podium.models.save import save_model as write_model
from podium.settings.home import find_home

__all__ = ["ModelInfo", "ReferenceData", "fetch", "infer_signature", "load_model", "log_model", "save_model"]

PARAMS = "podium.params"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that was logged.

    Attributes:
        model_uri: `models:/m-…`; stays what it is whatever becomes of registered names.
        model_id: The last part of it.
        name: What it was logged as; for people.
        digest: Of its content, as recorded.
        registered_model_name: None when it was only logged.
        registered_model_version: Its number there; None likewise.
        signature: None when there was neither an example nor a type hint to read it from.
        flavors: MLmodel's.
        metadata: MLmodel's.
        note: For people: where it went, what comes next, and what its monitoring profile tells.
        profile_id: Of its monitoring profile; None where it has none.
    """

    model_uri: str
    model_id: str
    model_uuid: str
    name: str | None
    digest: str
    registered_model_name: str | None
    registered_model_version: int | None
    signature: Signature | None
    flavors: dict[str, Any]
    metadata: dict[str, Any] | None
    saved_input_example_info: dict[str, Any] | None
    utc_time_created: str
    note: str
    profile_id: str | None = None

    def __str__(self) -> str:
        return self.note


def save_model(
    model: Any,
    path: Path | str,
    *,
    flavor: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    conda_env: Mapping[str, Any] | str | Path | None = None,
    code_paths: Sequence[str | Path] | None = None,
    metadata: Mapping[str, Any] | None = None,
    row_independent: bool | None = None,
    training_data: Any = None,
    predictions: Any = None,
    labels: Any = None,
    **options: Any,
) -> None:
    """Write a model folder in MLflow's format; plain MLflow loads it.

    Args:
        model: A scikit-learn estimator, an ONNX model, a PythonModel, a function, or the path of a .py file.
        path: The folder; must not exist, or be empty.
        flavor: `sklearn`, `onnx`, `keras`, `tensorflow` or `pyfunc`; None finds the one that takes this model.
        signature: From `infer_signature`; None reads it off a type hint or the example, False leaves it out.
        input_example: What predict takes, or `(that, params)`. Becomes the trial request that servers warm up on.
        pip_requirements: In place of the inferred ones: lines, or the path of a file.
        extra_pip_requirements: Beside the inferred ones.
        conda_env: In place of both.
        code_paths: Files and folders of your own code that the model imports.
        metadata: Free form, kept with the model.
        row_independent: Whether the server may merge requests; None leaves it to what the flavor knows.
        training_data: The rows that it was trained on, as the model takes them, or a file of them: a monitoring profile is
            made of them, which holds counts and no row. A `podium.ReferenceData` says more of them.
        predictions: What the model answered to them; None asks it for some, False leaves its answers out.
        labels: What was true; tells how good the model was.
        options: The flavor's own, such as `serialization_format` or `artifacts`.

    Raises:
        AlreadyExists: The folder is there and not empty.
        InvalidInput: An argument cannot be used.
        MissingDependency: The model's library, or cloudpickle, is not installed.
    """
    write_model(
        model,
        path,
        flavor=flavor,
        signature=signature,
        input_example=input_example,
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        conda_env=conda_env,
        code_paths=code_paths,
        metadata=metadata,
        row_independent=row_independent,
        options=options,
        reference=reference_data(training_data, predictions, labels),
    )


def log_model(
    model: Any,
    name: str | None = None,
    *,
    registered_model_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> ModelInfo:
    """Save a model into podium's own store, and register it where `registered_model_name` is given.

    Args:
        model: As `save_model`.
        name: What to call it; for people, not a registered name.
        registered_model_name: Becomes the next version of this name. None registers nothing, and the result says so.
        tags: Of the version; need a registered name.
        params: What it was trained with; kept in its metadata as `podium.params`.
        metadata: Free form, kept with the model.
        arguments: As `save_model`.

    Raises:
        InvalidInput, MissingDependency, RegistryError.
    """
    from podium.api.registering import Registry

    if tags and registered_model_name is None:
        raise InvalidInput("tags belong to a registered version; pass registered_model_name= as well.")
    kept = {**(metadata or {}), **({PARAMS: dict(params)} if params else {})}
    with tempfile.TemporaryDirectory(prefix="podium-log-") as place:
        folder = Path(place) / "model"
        save_model(model, folder, metadata=kept or None, **arguments)
        mlmodel = read_mlmodel(folder)
        profile = profile_in(folder)
        registry = Registry()
        logged = registry.log(folder, f"m-{mlmodel['model_uuid']}")
    uri = f"models:/{logged.model_id}"
    version = None
    if registered_model_name is not None:
        version = registry.register(uri, registered_model_name, tags=tags).version
    return ModelInfo(
        model_uri=uri,
        model_id=logged.model_id,
        model_uuid=mlmodel["model_uuid"],
        name=name,
        digest=logged.digest,
        registered_model_name=registered_model_name,
        registered_model_version=version,
        signature=signature_of(mlmodel),
        flavors=mlmodel["flavors"],
        metadata=mlmodel.get("metadata"),
        saved_input_example_info=mlmodel.get("saved_input_example_info"),
        utc_time_created=mlmodel["utc_time_created"],
        note=_note(uri, registered_model_name, version) + ("" if profile is None else f"\n{described(profile)}"),
        profile_id=None if profile is None else profile.profile_id,
    )


def load_model(
    model_uri: str | Path, *, model_config: Mapping[str, Any] | None = None, allow_code: bool = True
) -> Predictor:
    """Load a model to call `predict(data, params=None)` on, input checked against its signature as the server does.

    Args:
        model_uri: `models:/name/version`, `models:/name/production`, `models:/name@alias`, `models:/m-…`, or a folder.
        model_config: Overrides values of the model's own config.
        allow_code: Whether loading may run code that the folder brings: pickles, modules, loaders of its own.

    Raises:
        NotFound: Lists each place that was searched.
        DigestMismatch: Not what was registered; nothing was loaded.
        InvalidModel, LoadFailed, MissingDependency.
    """
    folder = fetch(model_uri)
    return load_predictor(folder, read_mlmodel(folder), model_config, terms=LoadTerms(allows_code=allow_code))


def fetch(model_uri: str | Path) -> Path:
    """The folder to load a model from: a folder as it is named, or a verified private copy of what is elsewhere.

    The copy lasts as long as this process, for models may read their artifacts at any time.

    Raises:
        NotFound, DigestMismatch, RegistryError.
    """
    from podium.artifacts.copies import verified_copy
    from podium.registry.embedded import model_folder
    from podium.registry.resolve import resolve

    reference = parse_reference(str(model_uri))
    home = find_home()
    if isinstance(reference, FolderRef) and not Path(reference.path).expanduser().is_file():
        return model_folder(reference, home)
    resolved = resolve(reference, home)
    place = Path(tempfile.mkdtemp(prefix="podium-model-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    verified_copy(resolved.folder, place / "model", resolved.digest)
    return place / "model"


def _note(uri: str, name: str | None, version: int | None) -> str:
    if name is None:
        return (
            f"Logged as {uri}. Nothing was registered; to serve it by name and stage, pass registered_model_name= or run: "
            f"podium models register {uri} NAME"
        )
    return (
        f"Logged as {uri} and registered as models:/{name}/{version}. To serve it: podium models promote {name} {version}"
    )
