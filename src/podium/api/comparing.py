"""podium's server and MLflow's own beside each other: the same folder, the same requests, what differs."""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from podium.api.http_asking import NO_ANSWER, ask_http
from podium.api.serving import serve
from podium.domain.differences import Difference, ServerAnswer, differences
from podium.errors import Misconfigured, Unavailable
from podium.models.examples import serving_example
from podium.models.load import signature_of
from podium.models.mlmodel import read_mlmodel
from podium.models.sample_requests import SampleRequest, sample_requests
from podium.registry.resolve import Resolved, check_digest
from podium.transport.sessions import end_session

_ASK_S = 60.0
_POLL_S = 0.1
# In MLflow's interpreter: its own application, ended with whoever started it.
_SERVE = """
import os, sys, threading
def watch():
    os.read(int(sys.argv[1]), 1)
    os._exit(1)
threading.Thread(target=watch, daemon=True).start()
import uvicorn
uvicorn.run("mlflow.pyfunc.scoring_server.app:app", host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """One request, both answers, what differs."""

    request: SampleRequest
    theirs: ServerAnswer
    ours: ServerAnswer
    differences: tuple[Difference, ...]


def compare(
    found: Resolved, python: str, more: Sequence[SampleRequest] = (), tolerance: float = 0.0, start_s: float = 120.0
) -> list[Compared]:
    """Ask both servers the same; both are stopped at the end, however it comes about.

    Args:
        found: The model.
        python: An interpreter with mlflow, and with what the model needs.
        more: Requests beside the model's example and those made from its signature.
        tolerance: As in `domain.differences.differences`.
        start_s: For each server to start.

    Raises:
        Unavailable: A server did not start; says what it said.
        PodiumError: As `podium.serve`.
    """
    check_digest(found)
    mlmodel = read_mlmodel(found.folder)
    requests = [*sample_requests(signature_of(mlmodel), serving_example(found.folder, mlmodel)), *more]
    with mlflow_server(found.folder, python, start_s) as theirs, serve(found.folder, port=0) as ours:
        compared = []
        for request in requests:
            answers = _ask(theirs, request), _ask(ours.url, request)
            compared.append(Compared(request, *answers, tuple(differences(*answers, request.kind, tolerance))))
        return compared


def find_mlflow(chosen: str | None) -> str:
    """An interpreter with mlflow: the one that was named, that of the `mlflow` on PATH, this one.

    Raises:
        Misconfigured: None has it; says the way out.
    """
    command = shutil.which("mlflow")
    beside = str(Path(command).resolve().parent / "python") if command else None
    own = sys.executable if importlib.util.find_spec("mlflow") else None
    candidates = [chosen] if chosen is not None else [path for path in (beside, own) if path]
    for python in candidates:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run([python, "-c", "import mlflow, uvicorn"], capture_output=True, timeout=60, check=False)
            if done.returncode == 0:
                return python
    looked = ", ".join(candidates) or "no mlflow on PATH, none in this Python"
    raise Misconfigured(
        f"There is no Python with mlflow ({looked}). Make one and name it: python -m venv mlflow-env && "
        "mlflow-env/bin/pip install mlflow && podium models compare … --mlflow-python mlflow-env/bin/python"
    )


@contextlib.contextmanager
def mlflow_server(folder: Path, python: str, start_s: float) -> Iterator[str]:
    """MLflow's scoring application with a model; the URL while it runs."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="podium-compare-"))
        said = stack.enter_context((Path(place) / "mlflow.log").open("w+b"))
        watched, held = os.pipe()
        stack.callback(os.close, held)
        port = _free_port()
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environ |= {"__pyfunc_model_path__": str(folder.absolute()), "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
        try:
            process = subprocess.Popen(
                [python, "-c", _SERVE, str(watched), str(port)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environ,
                cwd=place,
                pass_fds=(watched,),
                start_new_session=True,
            )
        finally:
            os.close(watched)
        stack.callback(end_session, process)
        url = f"http://127.0.0.1:{port}"
        _until_ready(url, process, said, start_s)
        yield url


def _until_ready(url: str, process: "subprocess.Popen[bytes]", said: IO[bytes], start_s: float) -> None:
    deadline = time.monotonic() + start_s
    while True:
        with contextlib.suppress(*NO_ANSWER):
            if _exchange(url, "GET", "/ping", None, None).status == 200:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            said.seek(0)
            last = said.read()[-2000:].decode("utf-8", "replace")
            raise Unavailable(f"MLflow's server did not start:\n{last}")
        time.sleep(_POLL_S)


def _ask(url: str, request: SampleRequest) -> ServerAnswer:
    try:
        return _exchange(url, "POST", "/invocations", request.body, request.content_type)
    except NO_ANSWER as error:
        return ServerAnswer(0, "", type(error).__name__.encode())


def _exchange(url: str, method: str, path: str, body: bytes | None, content_type: str | None) -> ServerAnswer:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = ask_http(method, url + path, body, headers, timeout_s=_ASK_S)
    return ServerAnswer(answer.status, answer.headers.get("content-type", ""), answer.body)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
