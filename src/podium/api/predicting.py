"""Scoring one request offline: in a process of its own, in the model's own environment, within a time."""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from podium.api.environments import asking_for
from podium.api.sessions import ask_once
from podium.domain.worker_variables import kept_variables
from podium.environments.choice import choose
from podium.errors import DeadlineExceeded, ModelError, WorkerCrashed
from podium.registry.resolve import Resolved
from podium.settings.environments import EnvironmentOrder
from podium.settings.home import Home

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv"}


def predict(
    found: Resolved,
    body: bytes,
    content_type: str,
    order: EnvironmentOrder,
    home: Home,
    tell: Callable[[str], None],
    timeout_s: float,
    extra: Mapping[str, str] | None = None,
    allow_code: bool = True,
) -> bytes:
    """What the model answers to a request's body: the bytes that the server would answer.

    Args:
        found: The model.
        body: In any form that the scoring endpoint takes.
        content_type: Of CONTENT_TYPES.
        order: Which Python.
        home: Keeps environments.
        tell: Called with lines for people.
        timeout_s: For loading and scoring; building an environment does not count.
        extra: Variables for the model's process, and for what builds its environment.
        allow_code: Whether loading may run code that the folder brings.

    Raises:
        ModelError: The model does not load, refuses the body, or fails; the message says which.
        WorkerCrashed, DeadlineExceeded: The process died, or was not done in time.
        DigestMismatch: The folder is not what was registered.
        Misconfigured, LoadFailed, InvalidModel: As `environments.choice.choose`.
    """
    asking = asking_for(found, order, home, tell, allow_code=allow_code, extra=extra)
    environment = choose(asking)
    asked = {
        "folder": str(found.folder.absolute()),
        "mlmodel": asking.mlmodel,
        "content_type": CONTENT_TYPES[content_type],
        "allows_code": allow_code,
    }
    try:
        return _score(environment.python, asked, body, {**kept_variables(os.environ), **(extra or {})}, timeout_s)
    finally:
        environment.release()


def _score(python: str, asked: dict[str, Any], body: bytes, environ: Mapping[str, str], timeout_s: float) -> bytes:
    with tempfile.TemporaryDirectory(prefix="podium-predict-") as place:
        order = json.dumps(asked).encode() + b"\n" + body
        try:
            status, out = ask_once(python, ["podium.worker.score"], order, place, environ, timeout_s)
        except TimeoutError as error:
            raise DeadlineExceeded(f"The model neither answered nor failed within {timeout_s:g} s.") from error
    head, newline, answer = out.partition(b"\n")
    if not newline:
        raise WorkerCrashed(_death(status))
    failure = json.loads(head)["error"]
    if failure is not None:
        raise ModelError(failure)
    return answer


def _death(status: int) -> str:
    if status >= 0:
        return f"The model's process exited with status {status} and no answer; what it said stands above."
    name = signal.Signals(-status).name
    hint = " It may have run out of memory." if name == "SIGKILL" else ""
    return f"The model's process was killed by {name}.{hint}"
