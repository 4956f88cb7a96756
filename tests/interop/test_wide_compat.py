"""Signatures and requests that chance made: both sides answer alike, but for the differences that are wanted."""

import json
import re
from typing import Any

import pytest
import wide
from comparing import ours, theirs, without_echoes
from scoring_models import CSV, PARQUET, Case, Model

pytestmark = [pytest.mark.mlflow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SEEDS = (11, 12)
MODELS_EACH, REQUESTS_EACH = 60, 40

_ZONE = re.compile(rb"\d\dZ\b|[+-]\d\d:\d\d\b")
_NULLS = (
    "NoneType",
    "NaN",
    "NA values",
    "NA or inf",
    "encoding without a string",
    "float64 to int",
    "object to",
    "got float",
)


def wanted(case: Case, model: Model, status: int, message: str, their_status: int, their_message: str) -> str | None:
    """Which difference of docs/compatibility.md this is, or None."""
    kinds = {entry["type"] for entry in model.inputs or []}
    has_optional = any(not entry.get("required", True) for entry in model.inputs or [])
    if "out of bounds" in message and status == 400:
        return "what would wrap around is refused"
    if their_status != 400:
        return None
    if "…" in message and status == their_status and "Invalid parameters found" in their_message:
        return "a second value is not quoted"
    is_mixed = "doesn't match format" in their_message or "unconverted data remains" in their_message
    if "timezone-naive" in their_message or (is_mixed and _ZONE.search(case.body)):
        return "time zones are taken"
    if case.content_type == CSV and "datetime" in kinds and "is not supported for parsing" in their_message:
        return "datetimes in CSV are taken"
    if case.content_type == PARQUET and "int64 to float64" in their_message:
        return "whole numbers in Parquet are taken for doubles"
    if has_optional and any(word in their_message for word in _NULLS):
        return "null is taken for optional columns"
    if "unexpected error while evaluating" in their_message and "Invalid parameters found" in message:
        return "a ragged list as a param is named"
    return None


@pytest.mark.parametrize("seed", SEEDS)
def test_podium_answers_as_mlflow_answers_whatever_is_asked(seed: int) -> None:
    """Status, content type and body of each; a wanted difference is one of those that are documented."""
    models = wide.models(seed, MODELS_EACH)
    cases = wide.cases(seed, models, REQUESTS_EACH)
    answers = theirs(models, cases)

    different, found = [], set()
    for case in cases:
        their = answers[case.title]
        status, content_type, body = ours(case, models)
        if (status, content_type) == (their["status"], their["content_type"]) and _shown(body) == _shown(their["body"]):
            continue
        name = wanted(case, models[case.model], status, _message(body), their["status"], _message(their["body"]))
        found.add(name)
        if name is None:
            different.append((case.title, models[case.model].signature, their["status"], their["body"], status, body))

    assert not different, f"{len(different)} of {len(cases)}: {different[:3]}"
    assert len(found) >= 3


def _shown(body: bytes) -> Any:
    return without_echoes(body) if body.startswith(b'{"error_code"') else body


def _message(body: bytes) -> str:
    return str(json.loads(body).get("message", "")) if body.startswith(b'{"error_code"') else ""
