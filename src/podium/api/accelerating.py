"""Converting a model to a faster runtime, and what is known of its conversions."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.api.environments import asking_for
from podium.api.sessions import ask_once
from podium.artifacts.derived import Derived, conversions_of, keep, remove_conversions
from podium.artifacts.digest import digest_folder
from podium.domain.worker_variables import kept_variables
from podium.environments.choice import Environment, choose
from podium.errors import DeadlineExceeded, DigestMismatch, LoadFailed, WorkerCrashed
from podium.registry.resolve import Resolved
from podium.settings.environments import EnvironmentOrder
from podium.settings.home import Home

# The last step alone first, for what stands before it is exact then; double precision first: linear models need it, and
# trees, which compare single precision, refute it.
FORMS = ("split", "whole")
PRECISIONS = ("double", "float")


@dataclass(frozen=True, slots=True)
class Accelerated:
    """What came of converting a model.

    Args:
        digest: Of the model, which is the same before and after.
        conversions: One for each attempt, rejected ones too.
    """

    digest: str
    conversions: list[Derived]

    @property
    def is_accepted(self) -> bool:
        return any(each.is_accepted for each in self.conversions)


def accelerate(
    found: Resolved,
    order: EnvironmentOrder,
    home: Home,
    tell: Callable[[str], None],
    forms: Sequence[str] = FORMS,
    precisions: Sequence[str] = PRECISIONS,
    tolerance: float = 1e-5,
    timeout_s: float = 600.0,
    allow_code: bool = True,
) -> Accelerated:
    """Convert, prove, and keep what came of it; the model itself is only read.

    Args:
        found: The model.
        order: Which Python converts: the model's own, or podium's with `podium[accelerate]`.
        home: Keeps what is derived.
        tell: Called with lines for people.
        forms: Of `split` (a pipeline's last step, after the exact ones before it) and `whole`.
        precisions: Of `double` and `float`; tried in this order until one is accepted.
        tolerance: How much numbers may differ, relative to the larger of 1 and their size. Labels may not.
        timeout_s: For loading, converting and proving.
        allow_code: Whether loading may run code that the folder brings.

    Raises:
        LoadFailed: The model does not load, or no converter takes it or is installed; says which.
        WorkerCrashed, DeadlineExceeded: The process died, or was not done in time.
        DigestMismatch: The folder is not what was registered, or changed meanwhile.
    """
    asking = asking_for(found, order, home, tell, allow_code=allow_code)
    digest = digest_folder(found.folder)
    environment = choose(asking)
    with contextlib.ExitStack() as stack:
        stack.callback(environment.release)
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="podium-convert-"))
        asked = {
            "folder": str(found.folder.absolute()),
            "mlmodel": asking.mlmodel,
            "forms": list(forms),
            "precisions": list(precisions),
            "tolerance": tolerance,
            "allows_code": allow_code,
            "out": place,
        }
        report = _run(environment.python, asked, place, timeout_s)
        if report["error"] is not None:
            raise LoadFailed(report["error"] + _where(environment), "conversion")
        if (after := digest_folder(found.folder)) != digest:
            raise DigestMismatch(f"{found.folder} changed while it was converted.\n  before {digest}\n  after  {after}")
        kept = []
        for attempt in report["attempts"]:
            file = attempt.pop("file", None)
            model = Path(file).read_bytes() if attempt["is_accepted"] and file else None
            kept.append(keep(home.derived, digest, attempt, model))
    return Accelerated(digest, kept)


def known_conversions(found: Resolved, home: Home) -> Accelerated:
    """What was made of this model before."""
    digest = digest_folder(found.folder)
    return Accelerated(digest, conversions_of(home.derived, digest))


def forget_conversions(found: Resolved, home: Home) -> int:
    """Remove them; how many there were. A server that runs keeps what it loaded."""
    return remove_conversions(home.derived, digest_folder(found.folder))


def _where(environment: Environment) -> str:
    """Why another Python than this one was asked, where it was: what is missing there is not missing here."""
    if environment.python == sys.executable:
        return ""
    return (
        f"\nIt was converted in the Python that its workers run in, {environment.python} ({environment.reason}). "
        "They need onnxruntime there as well: add what is missing to the model's requirements "
        "(podium models update-pip-requirements -m FOLDER add ...) and register it anew."
    )


def _run(python: str, asked: dict[str, Any], place: str, timeout_s: float) -> dict[str, Any]:
    """Ask the converting process; nothing that it started outlives it.

    Raises:
        DeadlineExceeded: It was not done in time.
        WorkerCrashed: It ended without a report.
    """
    order = json.dumps(asked).encode() + b"\n"
    try:
        status, out = ask_once(
            python, ["podium.worker.proofs.convert"], order, place, kept_variables(os.environ), timeout_s
        )
    except TimeoutError as error:
        raise DeadlineExceeded(f"The model was not converted within {timeout_s:g} s.") from error
    try:
        report: dict[str, Any] = json.loads(out)
    except ValueError as error:
        raise WorkerCrashed(
            f"The converting process exited with status {status} and no report; what it said stands above."
        ) from error
    return report
