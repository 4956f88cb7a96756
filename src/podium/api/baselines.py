"""`podium monitor baseline`: a monitoring profile for a model that was saved without one, as a new version or in a folder.

A registered version is never altered: what is served stays what was registered.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import prod
from pathlib import Path
from typing import Any

from podium.api.predicting import predict
from podium.api.registering import Registry
from podium.artifacts.copies import copy_files
from podium.artifacts.signing import signature_of as signed_at
from podium.domain.frames import is_frame
from podium.domain.monitoring.profile import Profile
from podium.domain.references import FolderRef
from podium.domain.signature import ColumnSchema, Schema
from podium.errors import AlreadyExists, InvalidInput
from podium.models.examples import body_of
from podium.models.load import flavors_of, signature_of
from podium.models.mlmodel import read_mlmodel, write_mlmodel
from podium.models.profiles import AskedModel, make_profile, profile_in, watched_schema, write_profile
from podium.models.reference_data import ReferenceData
from podium.models.row_sample import MOST_ROWS
from podium.registry.contract import Version
from podium.registry.resolve import Resolved, check_digest
from podium.settings.environments import EnvironmentOrder

# What is sent to the model's process at once, in values.
_MOST_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Baseline:
    """A profile that was written.

    Attributes:
        profile: It.
        remarks: What whoever made it should know.
        folder: Where the model with it lies; None where it was registered only.
        version: The new version; None where none was made.
        replaced: The id of the profile that the model had before; None where it had none.
    """

    profile: Profile
    remarks: tuple[str, ...]
    folder: Path | None
    version: Version | None
    replaced: str | None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a model with its new profile goes.

    Attributes:
        output: A folder that is not there yet, or empty; nothing is registered.
        name: The registered model that gets a new version; None takes the one that the model is a version of.
    """

    output: Path | None = None
    name: str | None = None


def write_baseline(
    registry: Registry,
    uri: str,
    reference: ReferenceData,
    place: Destination,
    order: EnvironmentOrder,
    tell: Callable[[str], None],
    timeout_s: float,
    *,
    allow_code: bool = True,
) -> Baseline:
    """Make a profile of a model's reference rows and keep it with the model.

    A model in a folder gets it there; a registered one becomes a new version of its name, in no stage.

    Args:
        registry: Where models are.
        uri: The model.
        reference: The rows; where they have no predictions, the model is asked in its own Python.
        place: Where it goes.
        order: Which Python.
        tell: Called with lines for people.
        timeout_s: For each time that the model is loaded and asked.
        allow_code: Whether loading may run code that the folder brings.

    Raises:
        InvalidInput: The rows are not what the model takes; or it is not said where the model is to go.
        NotFound, InvalidModel, DigestMismatch: There is no such model, or it is not what was registered.
        AlreadyExists: The output folder is there.
    """
    found = registry.resolve(uri)
    target = _target(registry, found, place)
    check_digest(found)
    mlmodel = read_mlmodel(found.folder)
    before = profile_in(found.folder)
    schema = watched_schema(signature_of(mlmodel))
    asked = None
    if reference.predictions is None and "python_function" in flavors_of(mlmodel):

        def ask(rows: Any) -> Any:
            return _answers(found, rows, schema, order, registry, tell, timeout_s, allow_code=allow_code)

        asked = AskedModel(ask, time.monotonic, _rows_at_once(schema))
    made = make_profile(reference, schema, asked, datetime.now(UTC))
    replaced = None if before is None else before.profile_id
    if target is not None and target == found.folder:
        write_profile(target, made.profile, mlmodel)
        write_mlmodel(target, mlmodel)
        return Baseline(made.profile, tuple(made.remarks), target, None, replaced)
    with tempfile.TemporaryDirectory(prefix="podium-baseline-") as draft:
        folder = Path(draft) / "model"
        folder.mkdir()
        copy_files(found.folder, folder)
        write_profile(folder, made.profile, mlmodel)
        write_mlmodel(folder, mlmodel)
        if target is not None:
            shutil.copytree(folder, target, dirs_exist_ok=True)
            return Baseline(made.profile, tuple(made.remarks), target, None, replaced)
        name = place.name or found.name or ""
        logged = registry.log(folder)
    came_from = f"As {found.reference}" if found.version is None else f"As version {found.version} of {found.name}"
    description = f"{came_from}, with the monitoring profile {made.profile.profile_id[:19]}."
    version = registry.register(f"models:/{logged.model_id}", name, description)
    return Baseline(made.profile, tuple(made.remarks), None, version, replaced)


def _target(registry: Registry, found: Resolved, place: Destination) -> Path | None:
    """The folder that gets the profile; None where a version is made.

    Raises:
        InvalidInput: It is not said where to, or the folder may not be changed.
        AlreadyExists: The output is there.
    """
    if place.output is not None:
        output = place.output.absolute()
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise AlreadyExists(f"{output} is there and not empty; name a folder that is not.")
        return output
    if place.name is not None or found.name is not None:
        if found.place is not None and place.name is None:
            raise InvalidInput(
                f"{found.reference} is kept by {found.place}, where podium registers nothing. Name a model of podium's own "
                "registry that gets the new version (--name), or a folder (--output)."
            )
        return None
    if not isinstance(found.reference, FolderRef) or found.place is not None:
        raise InvalidInput(
            f"{found.reference} belongs to no registered model, and is not altered. Say which one gets a new version "
            "(--name), or name a folder to write the model with its profile to (--output)."
        )
    folder = found.folder.resolve()
    if folder.is_relative_to(registry.home.artifacts.resolve()):
        raise InvalidInput(
            f"{folder} is in podium's own store: registered versions are never altered. Name the version instead, "
            "such as models:/NAME/3."
        )
    if signed_at(folder).exists():
        raise InvalidInput(
            f"{folder} is signed ({signed_at(folder).name}); another file in it would make the signature void. Write to "
            "another folder (--output), and sign that."
        )
    return found.folder


def _rows_at_once(schema: Schema | None) -> int:
    """So many that the request stays small: each loads the model anew."""
    if schema is None:
        return 1000
    columns = (
        len(schema.columns)
        if isinstance(schema, ColumnSchema)
        else sum(prod(max(size, 1) for size in tensor.shape[1:]) for tensor in schema.tensors)
    )
    return max(1, min(MOST_ROWS, _MOST_CELLS // max(columns, 1)))


def _answers(
    found: Resolved,
    rows: Any,
    schema: Schema | None,
    order: EnvironmentOrder,
    registry: Registry,
    tell: Callable[[str], None],
    timeout_s: float,
    *,
    allow_code: bool,
) -> Any:
    """What the model answers to rows, as its server would."""
    if is_frame(rows) and isinstance(schema, ColumnSchema):
        taken = [label for label in rows.columns if str(label) in set(schema.names)]
        rows = rows[taken] if taken else rows
    body = json.dumps(body_of(rows)).encode()
    answer = predict(found, body, "json", order, registry.home, tell, timeout_s, allow_code=allow_code)
    return json.loads(answer)["predictions"]
