"""MLflow's own scoring server and podium's codec and predictor, asked the same requests."""

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import scoring_cases as cases
import scoring_functions as functions
from scoring_models import MODELS

from podium.domain.signature import Signature
from podium.errors import PodiumError
from podium.flavors.contract import RowIndependence
from podium.flavors.type_hints import fit
from podium.models.predictor import Predictor
from podium.protocols.mlflow.codec import decode, encode
from podium.protocols.mlflow.problems import problem

HERE = Path(__file__).parent
SERVER_TIMEOUT_S = 240


CASES = cases.all_cases()

pytestmark = pytest.mark.mlflow


class Fake:
    """The same function that MLflow's model calls, loaded."""

    native = None

    def __init__(self, model: Any) -> None:
        self._hint = model.hint
        self._function = getattr(functions, model.function)

    def predict(self, data: Any, params: Any = None) -> Any:
        match self._hint:
            case "list[str]":
                return [text.upper() for text in fit(data, list[str])]
            case "list[float]":
                return [number * 2 for number in fit(data, list[float])]
            case _:
                return self._function(data, params)


@pytest.fixture(scope="module")
def theirs() -> dict[str, dict[str, Any]]:
    """MLflow's response to every case, by title."""
    python = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
    if not python:
        pytest.skip("PODIUM_TEST_MLFLOW_PYTHON names no Python with MLflow")
    asked = {
        "models": {
            name: {"function": model.function, "signature": model.signature, "hint": model.hint}
            for name, model in MODELS.items()
        },
        "cases": [
            {"model": case.model, "content_type": case.content_type, "body": base64.b64encode(case.body).decode()}
            for case in CASES
        ],
    }
    done = subprocess.run(
        [python, str(HERE / "mlflow_scoring_server.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=SERVER_TIMEOUT_S,
        check=False,
        cwd=Path("/"),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answers = json.loads(done.stdout)
    return {case.title: answer for case, answer in zip(CASES, answers, strict=True)}


def _ours(case: Any) -> tuple[int, str, bytes]:
    model = MODELS[case.model]
    signature = None
    if model.signature is not None:
        signature = Signature.from_dict(model.signature, is_from_type_hint=model.hint is not None)
    predictor = Predictor(Fake(model), signature, "python_function", RowIndependence(False, "a test's"), {})
    try:
        decoded = decode(case.body, case.content_type, signature)
        prediction = predictor.predict(decoded.data, decoded.params)
        return 200, "application/json", encode(prediction, decoded.is_enveloped)
    except PodiumError as error:
        answer = problem(error)
        return answer.status, answer.content_type, answer.body


# What podium leaves out of MLflow's messages: the data that they quote.
_ECHOES = [
    (re.compile(r"Failed to predict data .*? \nError: ", re.DOTALL), "Failed to predict data. \nError: "),
    (re.compile(r"(?<=schema of data) '.*?'(?= with schema)", re.DOTALL), ""),
    (re.compile(r"(?<=schema of data) `.*?`(?= with dtype)", re.DOTALL), ""),
    (re.compile(r"(?<=schema of) '.*?'(?= with type)", re.DOTALL), " data"),
    (re.compile(r"(?<=convert data) `.*?`(?= to type)", re.DOTALL), ""),
    (re.compile(r"\nInput: \n.*", re.DOTALL), ""),
    (re.compile(r"(?<=fields. Got )\{.*?\}"), lambda found: "".join(sorted(found[0]))),
    (re.compile(r"could not convert string to float: '.*?'"), "could not convert string to float"),
    (re.compile(r"invalid literal for int\(\) with base 10: '.*?'"), "invalid literal for int() with base 10"),
    (re.compile(r"Python integer -?\d+ out"), "Python integer out"),
    (re.compile(r' ".*?" at position \d+'), ""),
    (re.compile(r"unable to parse: [^'\n]*"), "unable to parse"),
    (re.compile(r"(, got|for value) `[^<`]*`"), ""),
    (re.compile(r"Failed to convert value `.*?` from"), "Failed to convert value from"),
    (re.compile(r"can't encode character .*? in position.*?range\(128\)"), "can't encode character"),
    (re.compile(r"(?<=collection of some kind), '.*?' was passed"), ""),
    (re.compile(r"nanosecond timestamp: [\d:. -]*\d"), "nanosecond timestamp"),
    # Type hints: MLflow quotes each element that does not fit, podium says where it stands.
    (re.compile(r"invalid elements: .*", re.DOTALL), "invalid elements"),
    (re.compile(r"UnicodeDecodeError\('utf-8', b.*?, (\d+), (\d+), "), r"UnicodeDecodeError('utf-8', \1, \2, "),
    (re.compile(r"exactly one of the input fields \{.*?\}"), "exactly one of the input fields {}"),
    (re.compile(r"[\"\\]"), "'"),
    (re.compile(r"'+"), "'"),
    (re.compile(r"[ ,]+(?=$|[)'])"), ""),
]


def _without_echoes(body: bytes) -> dict[str, Any]:
    fields = json.loads(body)
    fields.pop("stack_trace", None)
    for pattern, instead in _ECHOES:
        fields["message"] = pattern.sub(instead, fields["message"])
    return fields


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_podium_answers_as_mlflow_answers(case: Any, theirs: dict[str, dict[str, Any]]) -> None:
    """Status, content type and body are equal, but for echoes of the data and the differences made on purpose."""
    their_body = base64.b64decode(theirs[case.title]["body"])
    their_status = theirs[case.title]["status"]

    status, content_type, body = _ours(case)

    if case.ours is not None:
        expected_status, part = case.ours
        assert (status, part in body.decode()) == (expected_status, True), (status, body, their_status, their_body)
        assert (status, body) != (their_status, their_body)
        return
    assert status == their_status, (body, their_body)
    if case.is_status_enough:
        return
    assert content_type == theirs[case.title]["content_type"]
    if status != 200 and content_type == "application/json":
        assert _without_echoes(body) == _without_echoes(their_body)
    else:
        assert body == their_body


@pytest.mark.parametrize("case", [case for case in CASES if case.ours is None], ids=lambda case: case.title)
def test_no_error_quotes_the_body(case: Any) -> None:
    """Long text and numbers of a request are in no error body."""
    status, _, body = _ours(case)

    if status != 200:
        assert b"secret" not in body
        assert b"Traceback" not in body


def test_the_comparison_is_large() -> None:
    """At least 200 requests are compared, and most of them for full equality."""
    exact = [case for case in CASES if case.ours is None and not case.is_status_enough]

    assert len(CASES) >= 200
    assert len(exact) >= 0.85 * len(CASES)
