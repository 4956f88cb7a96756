"""What the signature made of a kept request's values: worked out when somebody asks, so that no request pays for it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from podium.domain.inputs.coercions import coercions
from podium.domain.references import AliasRef, FolderRef, LatestRef, StageRef, VersionRef, parse_reference
from podium.errors import PodiumError
from podium.models.load import signature_of
from podium.models.mlmodel import read_mlmodel
from podium.monitoring.payloads.rows import PayloadRow
from podium.registry.embedded import model_folder, resolve_in
from podium.registry.snapshot import read_snapshot
from podium.settings.home import Home

_TIMEOUT_S = 5.0
_BASE64, _CSV = ";base64", "text/csv"


@dataclass(frozen=True, slots=True)
class Coerced:
    """What is known of a request's conversions.

    Args:
        columns: What was converted: `column`, `sent`, `taken`, `values`; None where that cannot be told.
        why: Why not; None where it can.
    """

    columns: list[dict[str, Any]] | None
    why: str | None = None


def coerced(row: PayloadRow | None, uri: str | None, home: Home) -> Coerced:
    """Set a kept request beside the signature of the model that answered it.

    Args:
        row: As the payload log has it; None where it was not kept.
        uri: What its endpoint serves now, if it serves this version; None goes by the endpoint's name.
        home: PODIUM_HOME. Only files on this machine are read, nothing is fetched.
    """
    try:
        return _coerced(row, uri, home)
    except (PodiumError, OSError) as error:
        told = error.message if isinstance(error, PodiumError) else str(error)
        return Coerced(None, f"the model's signature cannot be read here: {told.partition(chr(10))[0]}")
    except (ValueError, RecursionError):
        return Coerced(None, "the request is no JSON")


def _coerced(row: PayloadRow | None, uri: str | None, home: Home) -> Coerced:
    if row is None:
        return Coerced(None, "the request was not kept")
    if row.request is None or any(code.startswith("REQUEST_") for code in row.logging_error_codes):
        return Coerced(None, "the request was not kept whole")
    kind = row.request_content_type.partition(";")[0].strip().lower()
    if kind == _CSV or row.request_content_type.endswith(_BASE64):
        return Coerced(None, f"a request of {kind} has no JSON types to be converted")
    if not row.batch_rows:
        return Coerced(None, "the request was refused before the model was asked")
    signature = signature_of(read_mlmodel(_folder_of(row, uri, home)))
    if signature is None or signature.inputs is None or signature.is_from_type_hint:
        return Coerced(None, "the model's signature declares no columns")
    found = coercions(json.loads(row.request), signature.inputs)
    if found is None:
        return Coerced(None, "the request has no form in which columns are told apart")
    return Coerced([asdict(each) for each in found])


def _folder_of(row: PayloadRow, uri: str | None, home: Home) -> Path:
    """The model's own folder, where it is on this machine."""
    reference = None if uri is None else parse_reference(uri)
    if isinstance(reference, FolderRef):
        return model_folder(reference, home)
    name = reference.name if isinstance(reference, VersionRef | StageRef | LatestRef | AliasRef) else row.model
    wanted = parse_reference(f"models:/{name}/{row.version}")
    return read_snapshot(home.registry, lambda reader: resolve_in(reader, wanted, home), _TIMEOUT_S).value.folder
