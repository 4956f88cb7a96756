"""MLflow's own scoring app and podium's codec and predictor: what each answers, and what counts as equal."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import scoring_functions as functions

from podium.domain.signature import Signature
from podium.errors import PodiumError
from podium.flavors.contract import RowIndependence
from podium.flavors.type_hints import fit
from podium.models.predictor import Predictor
from podium.protocols.mlflow.codec import decode, encode
from podium.protocols.mlflow.problems import problem

HERE = Path(__file__).parent
SERVER_TIMEOUT_S = 550


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


def theirs(models: Mapping[str, Any], cases: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """MLflow's response to every case, by title; skips where there is no MLflow."""
    python = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
    if not python:
        pytest.skip("PODIUM_TEST_MLFLOW_PYTHON names no Python with MLflow")
    asked = {
        "models": {
            name: {"function": model.function, "signature": model.signature, "hint": model.hint}
            for name, model in models.items()
        },
        "cases": [
            {"model": case.model, "content_type": case.content_type, "body": base64.b64encode(case.body).decode()}
            for case in cases
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
    return {
        case.title: {**answer, "body": base64.b64decode(answer["body"])}
        for case, answer in zip(cases, answers, strict=True)
    }


def ours(case: Any, models: Mapping[str, Any]) -> tuple[int, str, bytes]:
    """Podium's status, content type and body, by its codec and predictor."""
    model = models[case.model]
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
    (re.compile(r"(?<=schema of) '.*?'(?= with type)", re.DOTALL), " data"),
    (re.compile(r"\nInput: \n.*", re.DOTALL), ""),
    (re.compile(r"(?<=fields. Got )\{.*?\}"), lambda found: "".join(sorted(found[0]))),
    (
        re.compile(r"(Invalid properties|Missing required properties)([^{]*)\{.*?\}"),
        lambda found: "".join(sorted(found[0])),
    ),
    # Of values that are no scalars podium says only what they are.
    (re.compile(r"(, got|for value|of data|convert (?:data|value)) `[\[{].*?[\]}]`(?=\"|'|$| with| to| from)"), r"\1"),
    (re.compile(r"(, got|for value|of data|convert (?:data|value)) `(<\w+>|…)`"), r"\1"),
    # Type hints: MLflow quotes every element and what pydantic was given, podium the first scalar.
    (re.compile(r"\(('[^']*'|\\*\"[^\"]*\"), (?=\\*['\"](Expect|Failed|Data|Key))"), "("),
    (re.compile(r"input_value=.*?, input_type"), "input_type"),
    (re.compile(r"; passed data: .*?(?=\. Check)"), ""),
    (re.compile(r"UnicodeDecodeError\('utf-8', b.*?, (\d+), (\d+), "), r"UnicodeDecodeError('utf-8', \1, \2, "),
    (re.compile(r"(?<=there were extra inputs: )\[.*?\]"), lambda found: "".join(sorted(found[0]))),
    (re.compile(r"exactly one of the input fields \{.*?\}"), "exactly one of the input fields {}"),
    (re.compile(r"(?<=Invalid parameters found: )\{.*", re.DOTALL), lambda found: "".join(sorted(found[0]))),
    (re.compile(r"[\"\\]"), "'"),
    (re.compile(r"'+"), "'"),
    (re.compile(r"[ ,]+(?=$|[)'])"), ""),
]


def without_echoes(body: bytes) -> dict[str, Any]:
    """An error's fields, without what podium leaves out and without the order of sets."""
    fields = json.loads(body)
    fields.pop("stack_trace", None)
    for pattern, instead in _ECHOES:
        fields["message"] = pattern.sub(instead, fields["message"])
    return fields
