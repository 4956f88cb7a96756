"""Trying a model in a clean process: does it load without what this session has imported, and score its own example."""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from podium.domain.load_terms import LoadTerms
from podium.domain.worker_variables import kept_variables
from podium.errors import InvalidModel
from podium.models.installed import installed_versions
from podium.models.mlmodel import read_mlmodel
from podium.models.requirements import mismatches, names, python_mismatches, read_requirements
from podium.settings.source_tree import environ_for_children
from podium.transport.sessions import end_session

_LOG_SHOWN = 4000


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What came of it.

    Attributes:
        is_valid: It loaded, and scored its example if it has one.
        step: What failed (`read`, `load`, `decode`, `predict`, `encode`, `crash`, `timeout`), or `done`.
        message: Why, for people; None when all went well.
        cause: A word for programs: of loading, one of the names in `domain/causes.py`; None likewise.
        has_example: False: it only loaded, nothing was scored.
        answer: The start of the response to its example.
        mismatches: Requirements that this environment does not meet; they alone do not make a model invalid.
        log: The end of what the process wrote, with the traceback.
    """

    is_valid: bool
    step: str
    message: str | None = None
    cause: str | None = None
    flavor: str | None = None
    python: str | None = None
    has_signature: bool = False
    has_example: bool = False
    load_s: float | None = None
    predict_s: float | None = None
    answer: str | None = None
    row_reason: str | None = None
    mismatches: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    log: str = field(default="", repr=False)


def validate(folder: Path, timeout_s: float = 120, allow_code: bool = True) -> ValidationReport:
    """Load the model in a process of its own, with this interpreter, and score its serving example.

    Nothing is raised for a model that is at fault: the report says what is.

    Args:
        folder: The model's folder.
        timeout_s: For all of it; the process is killed after that.
        allow_code: Whether loading may run code that the folder brings.
    """
    try:
        mlmodel = read_mlmodel(folder)
        missed = unmet(folder, mlmodel)
    except InvalidModel as error:
        return ValidationReport(False, "read", error.message, "invalid_model")
    # A folder of its own as working directory: modules that only lie beside the training script must not be found.
    with tempfile.TemporaryDirectory(prefix="podium-check-") as place:
        command = [sys.executable, "-P", "-m", "podium.worker.check", str(folder.absolute())]
        command.append(json.dumps(asdict(LoadTerms(allows_code=allow_code))))
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=place,
            env=environ_for_children(kept_variables(os.environ)),
            start_new_session=True,
        )
        try:
            out, err = process.communicate(json.dumps(mlmodel).encode(), timeout=timeout_s)
        except subprocess.TimeoutExpired as late:
            message = f"The model neither loaded nor failed within {timeout_s:g} s."
            return ValidationReport(False, "timeout", message, "timeout", mismatches=missed, log=_end(late.stderr or b""))
        finally:
            end_session(process)
    return _report(process.returncode, out, _end(err), missed)


def unmet(folder: Path, mlmodel: Mapping[str, Any]) -> tuple[str, ...]:
    """The model's requirements that this interpreter does not meet, each as a sentence."""
    lines = read_requirements(folder)
    python = python_mismatches(mlmodel, platform.python_version())
    return (*python, *mismatches(lines, installed_versions(names(lines))))


def _report(status: int, out: bytes, log: str, missed: tuple[str, ...]) -> ValidationReport:
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:
        if status < 0:
            name = signal.Signals(-status).name
            hint = " It may have run out of memory." if name == "SIGKILL" else ""
            return ValidationReport(
                False, "crash", f"The process was killed by {name}.{hint}", "signal", mismatches=missed, log=log
            )
        message = f"The process exited with status {status} and no report."
        return ValidationReport(False, "crash", message, "load_error", mismatches=missed, log=log)
    return ValidationReport(
        is_valid=found["is_valid"],
        step=found["step"],
        message=found["message"],
        cause=found["cause"],
        flavor=found.get("flavor"),
        python=found["python"],
        has_signature=found.get("has_signature", False),
        has_example=found["has_example"],
        load_s=found.get("load_s"),
        predict_s=found.get("predict_s"),
        answer=found["answer"],
        row_reason=found.get("row_reason"),
        mismatches=missed,
        warnings=tuple(found["warnings"]),
        log=log,
    )


def _end(text: bytes) -> str:
    return text.decode("utf-8", errors="replace")[-_LOG_SHOWN:]
