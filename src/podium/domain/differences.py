"""Two servers' answers to one request: what differs, and which differences are meant. Pure."""

import json
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What a server answered."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    Args:
        what: `status`, `content type`, `error code`, `body`.
        theirs: What MLflow has there; `ours` what podium has.
        intended: Why it is meant, as docs/compatibility.md has it; None: nobody meant it.
    """

    what: str
    theirs: str
    ours: str
    intended: str | None = None


# (their status, our status, what the request was): of docs/compatibility.md, what sample requests can meet.
_MEANT = {
    (500, 415, "no content type"): "a crash is no contract",
    (400, 200, "CSV"): "superset: CSV is read by the schema",
    (400, 200, "Parquet"): "superset: whole numbers that are exact as floats",
}
_WORDS_MEANT = "error messages quote no data and no stack trace"
_SHOWN = 200


def differences(theirs: ServerAnswer, ours: ServerAnswer, request: str, tolerance: float = 0.0) -> list[Difference]:
    """What differs between two answers; empty when nothing does.

    Args:
        theirs: MLflow's.
        ours: podium's.
        request: What kind of request it was, for the differences that are meant.
        tolerance: How far two numbers may lie apart, as a part of the larger; 0 means not at all.
    """
    meant = _MEANT.get((theirs.status, ours.status, request))
    found = []
    if theirs.status != ours.status:
        found.append(Difference("status", str(theirs.status), str(ours.status), meant))
    if theirs.content_type != ours.content_type:
        found.append(Difference("content type", theirs.content_type, ours.content_type, meant))
    if theirs.status != ours.status:
        return found
    their_body, our_body = _read(theirs.body), _read(ours.body)
    if theirs.status == 200 or not (isinstance(their_body, dict) and isinstance(our_body, dict)):
        if not _equal(their_body, our_body, tolerance):
            found.append(Difference("body", _shown(theirs.body), _shown(ours.body)))
        return found
    if their_body.get("error_code") != our_body.get("error_code"):
        codes = str(their_body.get("error_code")), str(our_body.get("error_code"))
        found.append(Difference("error code", *codes))
    elif any(their_body.get(name) != our_body.get(name) for name in ("message", "stack_trace")):
        found.append(Difference("body", _shown(theirs.body), _shown(ours.body), _WORDS_MEANT))
    return found


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _equal(left: Any, right: Any, tolerance: float) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(_equal(left[name], right[name], tolerance) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            _equal(one, other, tolerance) for one, other in zip(left, right, strict=True)
        )
    if type(left) is float and type(right) is float:
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return left == right or abs(left - right) <= tolerance * max(abs(left), abs(right))
    # 1 and 1.0 and true are equal to Python and are other answers to a client.
    return type(left) is type(right) and bool(left == right)


def _shown(body: bytes) -> str:
    text = " ".join(body.decode("utf-8", "replace").split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
