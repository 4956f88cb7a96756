"""Trying a model in an environment with podium's own worker code, before the environment counts as good for it."""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.domain.load_terms import DEFAULT_TERMS, LoadTerms
from podium.environments.running import BuildJob
from podium.errors import LoadFailed
from podium.settings.source_tree import child_command, child_environ
from podium.settings.whole_files import write_whole

Confine = Callable[[list[str], dict[str, str]], tuple[list[str], dict[str, str]]]
"""Makes of a command and its variables what runs it with less rights: the model's code runs here."""
MODELS = "models"  # in an environment's folder
_MISSING = re.compile(r"No module named '([\w.]+)'")


@dataclass(frozen=True, slots=True)
class Trial:
    """A model that is to be tried.

    Args:
        folder: The model's.
        mlmodel: Its MLmodel file.
        terms: On which it may be loaded.
        confine: As its worker will be confined; None for not at all.
    """

    folder: Path
    mlmodel: Mapping[str, Any]
    terms: LoadTerms = DEFAULT_TERMS
    confine: Confine | None = None

    @property
    def identity(self) -> str:
        """A name for the model: its MLmodel file, and which files of which sizes it has."""
        files = sorted(
            (str(path.relative_to(self.folder)), path.stat().st_size) for path in self.folder.rglob("*") if path.is_file()
        )
        return hashlib.sha256(json.dumps([self.mlmodel, files], sort_keys=True).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What came of it.

    Args:
        loads: Whether the model loaded.
        scores: Whether its example was scored; None where it has none.
        message: What went wrong, for people.
    """

    loads: bool
    scores: bool | None = None
    message: str | None = None


class DoesNotLoad(LoadFailed):
    """The environment is whole, and the model does not load in it."""


def known_verdict(place: Path, trial: Trial) -> TrialOutcome | None:
    """What came of it before.

    Args:
        place: The environment's folder, of all its builds.
        trial: The model.
    """
    try:
        return TrialOutcome(**json.loads((place / MODELS / trial.identity).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def keep_verdict(place: Path, trial: Trial, verdict: TrialOutcome) -> None:
    """Write down that the environment is good for the model.

    Args:
        place: The environment's folder, of all its builds.
        trial: The model.
        verdict: What came of it.
    """
    folder = place / MODELS
    folder.mkdir(exist_ok=True, mode=0o700)
    write_whole(folder / trial.identity, json.dumps(dataclasses.asdict(verdict)).encode())


def try_model(python: str, trial: Trial, job: BuildJob) -> TrialOutcome:
    """Load the model in the environment, and score its example.

    Args:
        python: The environment's interpreter.
        trial: The model.
        job: Keeps what the model says in its log.

    Raises:
        LoadFailed: The process died.
        Stopped: As in `BuildJob.run`.
    """
    terms = json.dumps(dataclasses.asdict(trial.terms))
    command = child_command(["podium.worker.check", str(trial.folder.absolute()), terms], python)
    environ = child_environ(python, job.environ)
    if trial.confine is not None:
        command, environ = trial.confine(command, environ)
    said = os.memfd_create("podium-trial")
    try:
        what = "trying the model in its environment"
        job.tell(f"environment: {what}")
        status = job.status_of(command, what, environ, json.dumps(trial.mlmodel).encode(), stdout=said)
        os.lseek(said, 0, os.SEEK_SET)
        with os.fdopen(os.dup(said), "rb") as out:
            report = _report(out.read())
    finally:
        os.close(said)
    if report is None:
        raise job.failure(f"the process that tried the model in it ended with status {status} and said nothing")
    if report["is_valid"]:
        return TrialOutcome(loads=True, scores=True if report["has_example"] else None)
    message = str(report["message"])
    job.note(message)
    return TrialOutcome(loads=report["step"] != "load", scores=False, message=message)


def does_not_load(verdict: TrialOutcome, job: BuildJob) -> DoesNotLoad:
    """The error for a model that does not load in what was built for it.

    Args:
        verdict: Says so.
        job: Has the log.
    """
    missing = _MISSING.search(verdict.message or "")
    remedy = (
        f"\nIts requirements do not name what has {missing[1].partition('.')[0]}: add it to them "
        "(podium models update-pip-requirements), and register the model again."
        if missing
        else ""
    )
    return DoesNotLoad(
        f"The model does not load in the environment that its requirements ask for: {verdict.message}{remedy}\n"
        f"All of it: {job.log}\nTo run the model in podium's own Python instead: --env-manager local",
        "environment",
    )


def _report(text: bytes) -> dict[str, Any] | None:
    try:
        report = json.loads(text)
    except ValueError:
        return None
    return report if isinstance(report, dict) and "is_valid" in report else None
