"""Try a model in a process of its own: load it, score its example, say what happened as one line of JSON.

    python -m podium.worker.check FOLDER [TERMS-AS-JSON] < MLmodel-as-JSON

What the model's own code prints goes to stderr, so that stdout holds the report alone. Exit 0 when all went well, else 1.
"""

import json
import os
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.domain.causes import load_cause
from podium.domain.load_terms import DEFAULT_TERMS, LoadTerms
from podium.errors import PodiumError

_PODIUM = f"{Path(__file__).resolve().parents[1]}{os.sep}"
_SHOWN_BYTES = 2000


def check(folder: Path, mlmodel: Mapping[str, Any], terms: LoadTerms = DEFAULT_TERMS) -> dict[str, Any]:
    """Load a model and score its serving example through the protocol's own codec.

    Returns: The report: `is_valid`; `step`, the one that failed or `done`; `message` and `cause` of a failure; times in
        seconds; `answer`, the start of the response; `warnings`. Without an example a model is valid once it loads.
    """
    report: dict[str, Any] = {
        "is_valid": False,
        "step": "load",
        "message": None,
        "cause": None,
        "python": platform.python_version(),
        "answer": None,
        "has_example": False,
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            _run(folder, mlmodel, terms, report)
        except PodiumError as error:
            _print_trace(error.__cause__)
            report["message"] = _message(error)
            report["cause"] = load_cause(error) if report["step"] == "load" else error.code.lower()
        except Exception as error:  # noqa: BLE001 - the model's own code runs here, in a library of another version
            traceback.print_exception(error)
            report["message"] = f"{type(error).__name__}: {error}"
            report["cause"] = load_cause(error)
    report["warnings"] = list(dict.fromkeys(str(each.message) for each in caught))
    return report


def _run(folder: Path, mlmodel: Mapping[str, Any], terms: LoadTerms, report: dict[str, Any]) -> None:
    from podium.models.examples import serving_example
    from podium.models.load import load_predictor
    from podium.protocols.mlflow.codec import decode, encode

    started = time.monotonic()
    predictor = load_predictor(folder, mlmodel, terms=terms)
    report |= {
        "flavor": predictor.flavor,
        "load_s": round(time.monotonic() - started, 6),
        "is_row_independent": predictor.rows.is_known_independent,
        "row_reason": predictor.rows.reason,
        "has_signature": predictor.signature is not None,
        "step": "decode",
    }
    example = serving_example(folder, mlmodel)
    if example is not None:
        report["has_example"] = True
        decoded = decode(example.encode(), "application/json", predictor.signature)
        report["step"] = "predict"
        started = time.monotonic()
        prediction = predictor.predict(decoded.data, decoded.params)
        report["predict_s"] = round(time.monotonic() - started, 6)
        report["step"] = "encode"
        answer = encode(prediction, decoded.is_enveloped)
        report["answer"] = answer[:_SHOWN_BYTES].decode("utf-8", errors="replace")
    report |= {"step": "done", "is_valid": True}


def _print_trace(cause: BaseException | None) -> None:
    """Where in the model's own code it was; what podium itself raised, its message says."""
    if cause is None or cause.__traceback__ is None:
        return
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(cause.__traceback__)]
    if files[-1].startswith(_PODIUM):
        return
    trace = cause.__traceback__
    while trace.tb_next is not None and trace.tb_frame.f_code.co_filename.startswith(_PODIUM):
        trace = trace.tb_next
    traceback.print_exception(cause.with_traceback(trace))


def _message(error: PodiumError) -> str:
    cause = error.__cause__
    if cause is None or str(cause) in error.message:
        return error.message
    return f"{error.message} ({type(cause).__name__}: {cause})"


def main() -> int:
    """Read the MLmodel file from stdin, check, print the report."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        terms = LoadTerms(**json.loads(sys.argv[2])) if len(sys.argv) > 2 else DEFAULT_TERMS
        report = check(Path(sys.argv[1]), json.load(sys.stdin), terms)
        out.write(json.dumps(report) + "\n")
    return 0 if report["is_valid"] else 1


if __name__ == "__main__":
    sys.exit(main())
