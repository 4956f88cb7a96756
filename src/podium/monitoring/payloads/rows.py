"""A request with its answer as a row of the inference table, whose columns are those of Databricks' and more."""

import base64
import csv
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from podium.domain.payload_columns import ColumnRules, Nameless, held_to, subjects_in
from podium.errors import PodiumError
from podium.protocols.open_inference.elements import unpack
from podium.protocols.tensors import CONTENT_TYPE as TENSORS
from podium.protocols.tensors import LARGE_TYPE, decode_tensors
from podium.telemetry.seen import Seen

TOO_LARGE = "TOO_LARGE"
UNREADABLE = "UNREADABLE"
HELD_BACK = "HELD_BACK"
NOT_KEPT = "NOT_KEPT"
_OK = 200
_DIGEST_BYTES = 16
_LONGEST_CODE = 100
_JSON, _CSV = "application/json", "text/csv"


class PayloadRow(msgspec.Struct, frozen=True, gc=False):
    """One line of the table.

    Attributes:
        request_time: When it was answered, UTC.
        sampling_fraction: Part of all requests that are kept.
        request, response: As JSON or CSV; what has no text in Base64, its type says `;base64`; None where not kept.
        subjects: Digests of the values that say whose data it is.
        logging_error_codes: What is missing and why: REQUEST_TOO_LARGE, RESPONSE_HELD_BACK …
        requester: As whom the client is known.
    """

    request_id: str
    request_time: datetime
    date: str
    status_code: int
    sampling_fraction: float
    execution_duration_ms: float
    model: str
    version: str
    served_entity_id: str
    path: str
    method: str
    request: str | None
    request_content_type: str
    response: str | None
    response_content_type: str
    requester: str
    error: str
    rows: int
    batch_rows: int
    queue_ms: float
    predict_ms: float
    attempts: int
    subjects: list[str]
    logging_error_codes: list[str]


@dataclass(frozen=True, slots=True)
class Terms:
    """How rows are made.

    Args:
        rules: Which columns are kept.
        subject: The column that says whose data a row is, or None.
        sample: Part of all requests that are kept.
        digest: Of one value, keyed.
    """

    rules: ColumnRules
    subject: str | None
    sample: float
    digest: Callable[[Any], str]


def digest_with(key: bytes) -> Callable[[Any], str]:
    """Digests of values: the same for the same value, and nobody's to guess without the key."""

    def digest(value: Any) -> str:
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 1 and 1.0 are one subject, however a client writes it; so is the text of a CSV
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES, key=key[:64]).hexdigest()

    return digest


def row_of(seen: Seen, terms: Terms) -> PayloadRow:
    """The row of a request; what may not be kept, or cannot be read, is not in it."""
    codes: list[str] = []
    subjects: list[str] = []
    request = _kept(seen.request, seen.request_size, seen.request_type, terms, codes, "REQUEST", subjects)
    if seen.status != _OK and not terms.rules.is_open and seen.answer:
        codes.append(f"RESPONSE_{HELD_BACK}")  # an error may quote what it is about
        response: tuple[str | None, str] = (None, seen.answer_type)
    else:
        response = _kept(seen.answer, seen.answer_size, seen.answer_type, terms, codes, "RESPONSE", None)
    ended = datetime.fromtimestamp(seen.ended, UTC)
    error = seen.error or (_code_in(seen.answer) if seen.status != _OK else "")
    return PayloadRow(
        seen.request_id,
        ended,
        ended.date().isoformat(),
        seen.status,
        terms.sample,
        seen.duration_us / 1000,
        seen.model,
        seen.version,
        f"{seen.model}/{seen.version}" if seen.version else seen.model,
        seen.path,
        seen.method,
        *request,
        *response,
        seen.principal,
        error,
        seen.rows,
        seen.batch_rows,
        seen.queued_us / 1000,
        seen.predict_us / 1000,
        seen.attempts,
        sorted(set(subjects)),
        codes,
    )


def _kept(
    body: bytes | None,
    size: int,
    kind: str,
    terms: Terms,
    codes: list[str],
    what: str,
    subjects: list[str] | None,
) -> tuple[str | None, str]:
    """What is kept of a body, and its content type."""
    if body is None or (not body and size):
        codes.append(f"{what}_{TOO_LARGE if body is None and size else NOT_KEPT}")
        return None, kind
    if not body:
        return None, kind
    mime = kind.partition(";")[0].strip().lower()
    asks_whom = subjects is not None and terms.subject is not None
    if terms.rules.is_open and not asks_whom and mime not in (TENSORS, LARGE_TYPE):
        return _as_text(body, mime, kind)
    try:
        document = _document(body, mime, what)
    except (ValueError, TypeError, KeyError, PodiumError, RecursionError):
        if terms.rules.is_open:
            return _as_text(body, mime, kind)
        codes.append(f"{what}_{UNREADABLE}")
        return None, kind
    if asks_whom and subjects is not None and terms.subject is not None:
        subjects.extend(terms.digest(value) for value in subjects_in(document, terms.subject))
    if terms.rules.is_open:
        return (_json(document), _JSON) if mime in (TENSORS, LARGE_TYPE) else _as_text(body, mime, kind)
    try:
        held = held_to(terms.rules, document, terms.digest)
    except (Nameless, RecursionError):
        codes.append(f"{what}_{UNREADABLE}")
        return None, kind
    if held != document:
        codes.append(f"{what}_{HELD_BACK}")
    return _json(held), _JSON


def _as_text(body: bytes, mime: str, kind: str) -> tuple[str, str]:
    if mime in ("", _JSON, _CSV, "application/problem+json") or mime.startswith("text/"):
        try:
            return body.decode("utf-8"), kind
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode("ascii"), f"{kind};base64"


def _document(body: bytes, mime: str, what: str) -> Any:
    """A body as decoded JSON.

    Raises:
        ValueError, TypeError, KeyError: It is none.
        PodiumError: It is no body of its type.
    """
    if mime == TENSORS:
        return {
            "inputs" if what == "REQUEST" else "outputs": [
                {"name": each.name, "datatype": each.datatype, "shape": list(each.shape), "data": unpack(each)}
                for each in decode_tensors(body)[0]
            ]
        }
    if mime == _CSV:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
        return {"dataframe_split": {"columns": lines[0] if lines else [], "data": [line for line in lines[1:] if line]}}
    return json.loads(body)


def _code_in(answer: bytes | None) -> str:
    """The code of an error that a worker answered; never its text, which may quote what it is about."""
    try:
        code = json.loads(answer or b"").get("error_code")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return code if isinstance(code, str) and len(code) < _LONGEST_CODE else ""


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
