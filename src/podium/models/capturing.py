"""Captures a monitoring profile while a model is saved: of the rows that it was trained on, and of its answers to them."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podium.domain.monitoring.batches import rows_at
from podium.domain.monitoring.profile import Profile
from podium.domain.signature import ColumnSchema, Signature
from podium.errors import PodiumError
from podium.flavors.contract import Saved
from podium.flavors.notes import note
from podium.models.load import load_written
from podium.models.profiles import ASK_ROWS, AskedModel, make_profile, watched_schema, write_profile
from podium.models.reference_data import ReferenceData, chunks_of

# A signature is read off so many of the first rows.
_HEAD_ROWS = 1000


def first_rows(reference: ReferenceData) -> Any:
    """Rows to read a signature off; None of an iterator, which would be without them afterwards."""
    if not reference.is_repeatable:
        return None
    first = next(chunks_of(reference)).inputs
    return rows_at(first, slice(0, _HEAD_ROWS))


def capture(
    model: Any,
    folder: Path,
    saved: Saved,
    signature: Signature | None,
    reference: ReferenceData,
    mlmodel: dict[str, Any],
) -> Profile:
    """Write a profile into a model's folder that is being saved; what is to be known of it becomes warnings.

    Args:
        model: What was saved.
        folder: With the flavor's files.
        saved: What the flavor wrote.
        signature: The model's.
        reference: The rows.
        mlmodel: The MLmodel file; the profile's id goes into its metadata.

    Raises:
        InvalidInput: The rows are not what the model takes, or what was said of them is wrong.
    """
    asking = None
    if reference.predictions is None and "python_function" in saved.flavors:
        try:
            asking = _asking(model, folder, saved, signature)
        except PodiumError as error:
            note(f"The model's predictions are not profiled, as it could not be loaded: {error.message}")
    made = make_profile(reference, watched_schema(signature), asking, datetime.now(UTC))
    for remark in made.remarks:
        note(f"Monitoring profile: {remark}")
    write_profile(folder, made.profile, mlmodel)
    return made.profile


def with_optional(signature: Signature, profile: Profile) -> Signature:
    """The signature that was read off the first rows, by all of them: a column that lacks values somewhere is optional."""
    schema = signature.inputs
    if not isinstance(schema, ColumnSchema):
        return signature
    found = [(column, profile.columns.get(name)) for name, column in zip(schema.names, schema.columns, strict=True)]
    columns = tuple(
        replace(column, required=column.required and (seen is None or not seen.counts.missing)) for column, seen in found
    )
    return replace(signature, inputs=replace(schema, columns=columns))


def _asking(model: Any, folder: Path, saved: Saved, signature: Signature | None) -> AskedModel:
    """What is profiled is what will be served."""
    predictor = load_written(folder, saved.flavors, signature)
    static = predictor.rows.static_batch
    return AskedModel(predictor.predict, time.monotonic, static or ASK_ROWS, static is not None, _tells_classes(model))


def _tells_classes(model: Any) -> bool | None:
    """A classifier has classes, as scikit-learn and those like it call them; others tell it by what they answer."""
    try:
        return True if len(model.classes_) else None
    except Exception:  # noqa: BLE001 - an attribute of somebody's object, which may be computed
        return None
