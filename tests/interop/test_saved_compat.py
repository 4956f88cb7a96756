"""Models of every kind that MLflow saved, asked thousands of requests: podium answers each as MLflow's own server does."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from comparing import without_echoes

HERE = Path(__file__).parent
TIMEOUT_S = 550
PYTHON = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.skipif(not PYTHON, reason="PODIUM_TEST_MLFLOW_PYTHON names no interpreter with mlflow"),
]
FEWEST_MODELS, FEWEST_REQUESTS = 45, 3000
# A class of pydantic's cannot be unpickled where pydantic is not.
NEEDING_PYDANTIC = {"hint-pydantic", "outputs"}

# What MLflow's message holds where podium answers more, by docs/compatibility.md.
WANTED = (
    "int64 to float64", "timezone-naive", "datetime64[ns] is not supported for parsing", "NA values", "NoneType",
    "encoding without a string", "NA or inf", "unconverted data remains",
)  # fmt: skip


def run(python: str, script: str, *arguments: str, **environment: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, str(HERE / script), *arguments],
        env=kept | environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the models, the requests and MLflow's answers."""
    assert PYTHON is not None
    root = tmp_path_factory.mktemp("saved")
    run(PYTHON, "saved_models.py", "save", str(root))
    run(PYTHON, "saved_models.py", "answer", str(root))
    return root


@pytest.mark.parametrize("has_mlflow", [False, True], ids=["without mlflow", "with mlflow"])
def test_podium_answers_what_mlflow_answers(saved: Path, has_mlflow: bool) -> None:
    """In an interpreter of its own, with the stand-ins for MLflow's names, and where mlflow itself is installed."""
    assert PYTHON is not None
    source = str(HERE.parent.parent / "src")
    run(PYTHON if has_mlflow else sys.executable, "saved_answers.py", str(saved), PYTHONPATH=source)

    names = sorted(each.name.partition(".")[0] for each in saved.glob("*.theirs.json"))
    different, count = [], 0
    for name in names:
        parts = ("requests", "theirs", "ours")
        asked, theirs, ours = (json.loads((saved / f"{name}.{part}.json").read_text()) for part in parts)
        if isinstance(ours, dict):
            assert name in NEEDING_PYDANTIC, ours
            assert not has_mlflow
            continue
        count += len(asked)
        for request, their, our in zip(asked, theirs, ours, strict=True):
            if not is_equal(our, their) and not is_wanted(our, their):
                different.append((name, base64.b64decode(request["body"]), base64.b64decode(their["body"]), our))

    assert not different, f"{len(different)} of {count}: {different[:3]}"
    assert len(names) >= FEWEST_MODELS
    assert count >= FEWEST_REQUESTS


def is_equal(our: dict[str, Any], their: dict[str, Any]) -> bool:
    same = (our["status"], our["content_type"]) == (their["status"], their["content_type"])
    return same and shown(our) == shown(their)


def is_wanted(our: dict[str, Any], their: dict[str, Any]) -> bool:
    theirs, ours = base64.b64decode(their["body"]).decode(), base64.b64decode(our["body"]).decode()
    if "out of bounds" in ours or (theirs == "Internal Server Error" and "has no form in JSON" in ours):
        return True
    if "\\u2026" in ours and their["status"] == our["status"]:
        # A second value, or one that is no scalar, is not quoted; all else that says what it is stays.
        return all(json.loads(ours)[part] == json.loads(theirs)[part] for part in ("error_code", "sqlstate", "error_class"))
    return their["status"] == 400 and any(word in theirs for word in WANTED)


def shown(answer: dict[str, Any]) -> Any:
    body = base64.b64decode(answer["body"])
    return without_echoes(body) if body.startswith(b'{"error_code"') else body
