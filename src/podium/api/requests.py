"""One answer, looked into afterwards: what is known of a request, the same to another version, and forgetting it."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from podium.api.coercing import coerced
from podium.api.predicting import predict
from podium.domain.inputs.conversions import leaves
from podium.domain.masking import masked
from podium.domain.references import parse_reference
from podium.domain.rollouts.agreement import Agreement, agree
from podium.errors import InvalidInput, NotFound
from podium.fleet.host.runfiles import find_servers
from podium.monitoring.payloads import kept
from podium.monitoring.payloads.rows import PayloadRow, digest_with
from podium.monitoring.store.contract import MonitorHistory
from podium.monitoring.store.opening import history_of
from podium.monitoring.store.quality import predictions_of
from podium.monitoring.store.quality_writing import erase_request
from podium.registry.resolve import resolve
from podium.settings.environments import EnvironmentOrder
from podium.settings.home import Home
from podium.settings.monitor_store import monitor_store_said

_OK = 200
_BASE64 = ";base64"
_CSV = "text/csv"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A request that was kept, answered again.

    Args:
        row: As it was answered then.
        reference: Who answered now.
        answer: What.
        agreement: Of both answers; None where then there was no answer that could be compared.
    """

    row: PayloadRow
    reference: str
    answer: str
    agreement: Agreement | None


def show(request_id: str, home: Home) -> dict[str, Any]:
    """What is known of a request: in the logs, by labels, of what serves its version, and what its signature converted.

    Raises:
        NotFound: Nothing is.
        InvalidInput: It can be no id.
        DamagedLog, MissingDependency: As `monitoring.payloads.kept.find`.
    """
    _check(request_id)
    history = history_of(home, monitor_store_said())
    line = _access_line(home, request_id)
    rows = kept.find(home.payloads, request_id)
    predictions = _predictions(history, request_id)
    if line is None and not rows and not predictions:
        raise NotFound(
            f"Nothing is known of request {request_id}: no line of an access log under {home.logs}, no row of the "
            f"payload log under {home.payloads} and no prediction in {history.place} has this id. All are kept where the "
            "server ran, and only for a while; payloads only where podium serve was started with --payload-log."
        )
    row = rows[0] if rows else None
    known: Mapping[str, Any] = line or (predictions[0] if predictions else {})
    model = str(row.model if row is not None else known.get("model") or "")
    version = str(row.version if row is not None else known.get("version") or "")
    serving = _serving(home, model, version)
    converted = coerced(row, None if serving is None else serving.pop("wanted"), home)
    return {
        "request_id": request_id,
        "model": model or None,
        "version": version or None,
        "serving": serving,
        "access_log": line,
        "payload": None if row is None else msgspec.to_builtins(row),
        "coercions": converted.columns,
        "coercions_unknown": converted.why,
        "others_with_this_id": max(len(rows) - 1, 0),
        "predictions": predictions,
    }


def replay(
    request_id: str,
    version: str | None,
    uri: str | None,
    order: EnvironmentOrder,
    home: Home,
    tell: Callable[[str], None],
    tolerance: float,
    timeout_s: float,
    allow_code: bool = True,
) -> Replayed:
    """Ask another version what a request was answered, and set both answers beside each other.

    Args:
        request_id: Of a request that the payload log has whole.
        version: Of the model of the same name as the endpoint.
        uri: Or any model.
        order: Which Python it runs in.
        home: PODIUM_HOME.
        tell: Called with lines for people.
        tolerance: The largest part of the larger number that two may differ by.
        timeout_s: For loading and scoring.
        allow_code: Whether loading may run code that the model's folder brings.

    Raises:
        NotFound: The request was not kept, or there is no such version.
        InvalidInput: It can be no id, or was not kept whole, or in a form that no model can be asked in offline.
        PodiumError: As `api.predicting.predict`.
    """
    _check(request_id)
    rows = kept.find(home.payloads, request_id)
    if not rows:
        raise NotFound(
            f"Request {request_id} was not kept: no row under {home.payloads} has this id. Serve with --payload-log jsonl, "
            "and see --payload-sample."
        )
    row = rows[0]
    body, kind = _body_of(row)
    reference = uri or f"models:/{row.model}/{version}"
    found = resolve(parse_reference(reference), home)
    answer = predict(found, body, kind, order, home, tell, timeout_s, allow_code=allow_code).decode("utf-8")
    return Replayed(row, reference, answer, _compared(row, answer, tolerance))


@dataclass(frozen=True, slots=True)
class Erased:
    """What was removed.

    Args:
        payloads: Rows of the payload log.
        predictions: Rows of answers, and labels, in the monitor's database.
    """

    payloads: int
    predictions: int


def erase(home: Home, request_id: str | None, subject: str | None) -> Erased:
    """Remove what was kept of a request, or of all requests of whoever they are about.

    Args:
        home: PODIUM_HOME.
        request_id: Whose rows go; None by the subject.
        subject: A value of the column that --payload-subject named when they were kept.

    Raises:
        InvalidInput: Neither is said, or what can be no id.
        NotFound: No key was ever made, so that no row has a subject.
        DamagedLog, MissingDependency: As `monitoring.payloads.kept.erase`.
        MonitorStoreError: The monitor's database cannot be written.
    """
    if request_id is None and not subject:
        raise InvalidInput("Say whose rows to erase: a request id, or --subject VALUE.")
    if request_id is not None:
        _check(request_id)
        payloads = kept.erase(home.payloads, lambda row: row.request_id == request_id)
        return Erased(payloads, _erase_predictions(home, {request_id}))
    if not home.payload_key.is_file():
        raise NotFound(f"No row here says whose data it is: there is no {home.payload_key}.")
    mark = digest_with(home.payload_key.read_bytes())(subject)
    # First what only the log's rows lead to: after a failure the same command finds them again.
    predictions = _erase_predictions(home, kept.requests_about(home.payloads, mark))
    return Erased(kept.erase(home.payloads, lambda row: mark in row.subjects), predictions)


def _check(request_id: str) -> None:
    """See that it can be an id at all: a command line may hold any bytes.

    Raises:
        InvalidInput: It cannot.
    """
    try:
        request_id.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"{ascii(request_id)[:200]} is no request id: it is not UTF-8. Copy it from X-Request-ID."
        ) from error


def _erase_predictions(home: Home, request_ids: Iterable[str]) -> int:
    wanted = sorted(request_ids)
    if not wanted:
        return 0
    history = history_of(home, monitor_store_said())
    try:
        with history.reading():
            pass
    except NotFound:
        return 0
    with history.writing() as connection:
        return sum(erase_request(connection, each) for each in wanted)


def _predictions(history: MonitorHistory, request_id: str) -> list[dict[str, Any]]:
    """What the monitor keeps of its answer, row by row, and what was true."""
    try:
        with history.reading() as connection:
            found = predictions_of(connection, request_id)
    except NotFound:
        return []
    return [
        {
            "model": each.key.model,
            "version": each.key.version,
            "variant": each.variant,
            "row": each.place,
            "prediction": each.prediction,
            "score": each.score,
            "label": each.label,
            "labelled_at": None if each.labelled_at is None else _moment(each.labelled_at),
            "weight": each.weight,
        }
        for each in found
    ]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _access_line(home: Home, request_id: str) -> dict[str, Any] | None:
    """The newest line of a request in any access log."""
    mark = json.dumps(request_id).encode()
    found: list[dict[str, Any]] = []
    for path in sorted(home.logs.glob("*/access.log*")):
        try:
            with path.open("rb") as lines:
                found.extend(
                    entry for line in lines if mark in line and (entry := _entry(line)).get("request_id") == request_id
                )
        except FileNotFoundError:
            continue  # rotated away meanwhile
    return max(found, key=lambda entry: str(entry.get("time")), default=None)


def _entry(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _serving(home: Home, model: str, version: str) -> dict[str, Any] | None:
    """How this version is served here now, if it is; `wanted` is its reference as it was given, not to be told."""
    for server in find_servers(home):
        entry = (server.facts.get("endpoints") or {}).get(model)
        about = entry.get("model") if isinstance(entry, Mapping) else None
        if isinstance(about, Mapping) and isinstance(entry, Mapping) and about.get("version") == version:
            named = ("flavor", "python", "batching", "runtime")
            uri = str(entry.get("uri", ""))
            return {"wanted": uri, "uri": masked(uri), **{name: about.get(name) for name in named}}
    return None


def _body_of(row: PayloadRow) -> tuple[bytes, str]:
    """The request as a model can be asked it offline, and which of `predict`'s content types it is."""
    if row.request is None or any(code.startswith("REQUEST_") for code in row.logging_error_codes):
        told = ", ".join(row.logging_error_codes) or "it has no body"
        raise InvalidInput(
            f"Request {row.request_id} was not kept whole ({told}), so that no other version can be asked the same. "
            "Columns that were left out or hashed are gone; see --payload-column, --payload-hash and --payload-max-body."
        )
    if row.request_content_type.endswith(_BASE64):
        raise InvalidInput(f"Request {row.request_id} is {row.request_content_type}; only JSON and CSV can be replayed.")
    if row.request_content_type.partition(";")[0].strip() == _CSV:
        return row.request.encode(), "csv"
    try:
        body = json.loads(row.request)
        if isinstance(body, Mapping) and isinstance(body.get("inputs"), list) and _are_tensors(body["inputs"]):
            return json.dumps({"inputs": {each["name"]: _shaped(each) for each in body["inputs"]}}).encode(), "json"
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        # Whatever somebody sent was kept, also what no model was ever asked.
        raise InvalidInput(
            f"Request {row.request_id} is no JSON that a model can be asked offline: {type(error).__name__}. "
            f"It was answered with {row.status_code}."
        ) from error
    return row.request.encode(), "json"


def _are_tensors(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(each, Mapping) and "datatype" in each and "shape" in each for each in values)


def _shaped(tensor: Mapping[str, Any]) -> list[Any]:
    """A tensor's elements as nested lists; a column of one element a row as a flat one, as MLflow has columns."""
    flat, shape = list(leaves(tensor["data"])), [int(size) for size in tensor["shape"]]
    if math.prod(shape) != len(flat):
        raise InvalidInput(f"Input {tensor['name']!r} has {len(flat)} elements; its shape is {shape}.")
    while len(shape) > 1:
        size = shape.pop()
        if size != 1 or len(shape) > 1:
            flat = [flat[start : start + size] for start in range(0, len(flat), size)] if size else []
    return flat


def _compared(row: PayloadRow, answer: str, tolerance: float) -> Agreement | None:
    if row.status_code != _OK or row.response is None or "RESPONSE_HELD_BACK" in row.logging_error_codes:
        return None
    try:
        theirs, ours = json.loads(row.response), json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if isinstance(theirs, Mapping) and isinstance(theirs.get("outputs"), list):
        told = [each.get("data") if isinstance(each, Mapping) else each for each in theirs["outputs"]]
        return agree([list(leaves(each)) for each in told], _columns(ours), tolerance)
    return agree(theirs, ours, tolerance)


def _columns(answer: Any) -> list[list[Any]]:
    """An answer of MLflow's protocol as the flat elements of each of its columns."""
    predictions = answer.get("predictions", answer) if isinstance(answer, Mapping) else answer
    if isinstance(predictions, Mapping):
        return [list(leaves(column)) for column in predictions.values()]
    if isinstance(predictions, list) and predictions and all(isinstance(each, Mapping) for each in predictions):
        return [[value for each in predictions for value in leaves(each.get(name))] for name in predictions[0]]
    return [list(leaves(predictions))]
