"""A real MLflow server with a client beside it, both in MLflow's own environment, for tests and benchmarks."""

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from driven import wait_until
from ports import free_port

PYTHON = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
_SCRIPT = Path(__file__).with_name("mlflow_registry.py")


class Mlflow:
    """A server of MLflow's with its artifact proxy, and a client in MLflow's own environment.

    Args:
        folder: Its own; database and artifacts go there.
        uri: A tracking URI to use instead of a server.
    """

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = uri or f"http://127.0.0.1:{self.port}"
        self._server: subprocess.Popen[bytes] | None = None
        self._client: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server; again after `stop`, on the same port with the same database."""
        artifacts = ["--artifacts-destination", str(self.folder / "artifacts"), "--serve-artifacts"]
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(PYTHON), "-m", "mlflow", "server", "--backend-store-uri", self.database, *artifacts, *place],
                cwd=self.folder,
                # Jobs of MLflow's own (evaluations, traces) are nothing to a registry, and eight more processes to start.
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._is_healthy, 180, "MLflow's server is healthy")

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def stop(self) -> None:
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait(60)
            self._server = None

    def suspend(self, *, is_suspended: bool) -> None:
        """SIGSTOP: connections are accepted by the kernel and nothing ever answers."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGSTOP if is_suspended else signal.SIGCONT)

    def do(self, *command: Any) -> Any:
        """One command of `mlflow_registry.py`."""
        if self._client is None:
            environment = {**os.environ, "MLFLOW_TRACKING_URI": self.uri, "GIT_PYTHON_REFRESH": "quiet"}
            with (self.folder / "client.log").open("ab") as log:
                self._client = subprocess.Popen(
                    [str(PYTHON), str(_SCRIPT), self.uri],
                    cwd=self.folder,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
            self._answer()
        assert self._client.stdin is not None
        self._client.stdin.write(json.dumps(command) + "\n")
        self._client.stdin.flush()
        return self._answer()

    def close(self) -> None:
        if self._client is not None:
            self._client.kill()
            self._client.communicate(timeout=550)
        self.stop()

    def _answer(self) -> Any:
        assert self._client is not None
        assert self._client.stdout is not None
        for line in self._client.stdout:
            if line.strip() == '"ready"':
                return None
            if line.startswith('{"answer"'):
                return json.loads(line)["answer"]
        raise AssertionError((self.folder / "client.log").read_text()[-3000:])

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
