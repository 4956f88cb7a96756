"""The servers: how each is started on a model's folder, which protocol it speaks, and where its answer stands."""

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MLFLOW = "mlflow==3.17.2"


@dataclass(frozen=True, slots=True)
class Server:
    """One contender.

    Args:
        name: As in tables.
        environment: Of `environments.ENVIRONMENTS`; "" for what is no Python.
        protocol: Which of the request files it gets: "mlflow", "v2" or "bento".
        path: Where requests go.
        only: The models that it is measured with; empty for all.
        without: Models that it has no reader of.
        flags, env: Beyond what is common to all servers of its kind.
    """

    name: str
    environment: str
    protocol: str
    path: str
    only: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def measures(self, model: str) -> bool:
        """Whether it is measured with this model."""
        return model not in self.without and (not self.only or model in self.only)


_NO_TORCH = ("torch-mlp",)
PEERS = (
    Server("mlflow", "mlflow", "mlflow", "/invocations"),
    Server("fastapi", "fastapi", "mlflow", "/invocations", without=_NO_TORCH),
    Server("mlserver", "mlserver", "v2", "/v2/models/bench/infer", without=_NO_TORCH),
    Server("bentoml", "bentoml", "bento", "/predict", without=_NO_TORCH),
)
PODIUM = Server("podium", "podium", "mlflow", "/invocations")
_FIRST = ("logistic-ndarray",)
_WINDOW = ("logistic-ndarray", "forest-dataframe")
_TREES = ("forest-ndarray", "forest-dataframe", "pipeline")
VARIANTS = (
    # What answers: the model itself, and its conversion to ONNX where `podium` answers by an exact shortcut.
    Server("podium-original", "podium", "mlflow", "/invocations", _TREES, ("--runtime", "original")),
    Server("podium-onnx", "podium", "mlflow", "/invocations", _TREES, ("--runtime", "onnx")),
    Server("podium-2-gateways", "podium", "mlflow", "/invocations", _FIRST, ("--gateways", "2")),
    Server("podium-no-window", "podium", "mlflow", "/invocations", _WINDOW, ("--gather-percent", "0")),
    Server("podium-uvicorn", "podium", "mlflow", "/invocations", _FIRST),
    Server("fastapi-lean", "fastapi", "mlflow", "/invocations", _FIRST, env={"LEAN": "1"}),
    Server("nginx", "", "mlflow", "/invocations", _FIRST),
)
ALL = {server.name: server for server in (PODIUM, *PEERS, *VARIANTS)}


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run, where and with which additional environment variables."""

    argv: Sequence[str]
    env: Mapping[str, str]
    port: int


def launch(server: Server, python: Path, model: Path, work: Path) -> Launch:
    """Prepare a folder of its own for this server and say how to start it.

    Args:
        server: Which.
        python: The interpreter of its environment.
        model: MLflow's folder.
        work: An empty folder.
    """
    port = free_port()
    kind = server.name if server.name in _KINDS else server.name.partition("-")[0]
    argv, env = _KINDS[kind](str(python), model, work, port)
    return Launch([*argv, *server.flags], {**env, **server.env}, port)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def predictions(protocol: str, body: bytes) -> list[float]:
    """All numbers of an answer, in order."""
    answer = json.loads(body)
    if protocol == "v2":
        answer = [output["data"] for output in answer["outputs"]]
    elif protocol == "mlflow":
        answer = answer["predictions"]
    return numbers(answer)


def numbers(value: Any) -> list[float]:
    """The leaves of nested lists and objects."""
    match value:
        case dict():
            return [leaf for item in value.values() for leaf in numbers(item)]
        case list():
            return [leaf for item in value for leaf in numbers(item)]
        case _:
            return [float(value)]


_Start = tuple[list[str], dict[str, str]]


def _podium(python: str, model: Path, work: Path, port: int) -> _Start:
    argv = [python, "-m", "podium", "serve", "-m", str(model), "-p", str(port), "-w", "1"]
    return argv, {"PYTHONPATH": str(ROOT / "src"), "PODIUM_HOME": str(work / "home")}


def _podium_onnx(python: str, model: Path, work: Path, port: int) -> _Start:
    """Convert first; a model whose conversion is not accepted has no such server."""
    argv, env = _podium(python, model, work, port)
    subprocess.run(
        [python, "-m", "podium", "models", "accelerate", str(model)], env={**os.environ, **env}, check=True, timeout=600
    )
    return argv, env


def _podium_uvicorn(python: str, model: Path, work: Path, port: int) -> _Start:
    """The same application under somebody else's HTTP."""
    flags = ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    env = {"PODIUM_SERVE_MODEL_URI": str(model), "PODIUM_SERVE_PORT": "0"}
    return [python, "-m", "uvicorn", "podium.serving.asgi:app", *flags], env | _podium(python, model, work, port)[1]


def _mlflow(python: str, model: Path, work: Path, port: int) -> _Start:
    flags = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [python, "-m", "mlflow", "models", "serve", "-m", str(model), *flags], {"HOME": str(work)}


def _fastapi(python: str, model: Path, work: Path, port: int) -> _Start:  # noqa: ARG001  one shape for all
    flags = ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    env = {"MODEL_FOLDER": str(model), "PYTHONPATH": str(HERE)}
    return [python, "-m", "uvicorn", "fastapi_endpoint:app", *flags], env


def _mlserver(python: str, model: Path, work: Path, port: int) -> _Start:
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "metrics_dir": str(work),
        "parallel_workers": 0,
        "debug": False,
    }
    (work / "settings.json").write_text(json.dumps(settings))
    is_onnx = (model / "model.onnx").exists()
    bench = {
        "name": "bench",
        "implementation": "mlserver_onnx.OnnxModel" if is_onnx else "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(model / ("model.onnx" if is_onnx else "model.pkl"))},
    }
    (work / "model-settings.json").write_text(json.dumps(bench))
    return [python, "-m", "mlserver.cli.main", "start", str(work)], {"PYTHONPATH": str(HERE)}


def _bentoml(python: str, model: Path, work: Path, port: int) -> _Start:
    argv = [python, "-m", "bentoml", "serve", "bento_service:Bench", "--host", "127.0.0.1", "--port", str(port)]
    env = {"MODEL_FOLDER": str(model), "PYTHONPATH": str(HERE), "BENTOML_HOME": str(work), "BENTOML_DO_NOT_TRACK": "True"}
    return [*argv, "--working-dir", str(HERE)], env


_NGINX = """
worker_processes 1; daemon off; pid {work}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {work}/b; proxy_temp_path {work}/p; fastcgi_temp_path {work}/f;
  uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{{"predictions": [1]}}'; }}
  }}
}}
"""


def _nginx(_: str, model: Path, work: Path, port: int) -> _Start:  # noqa: ARG001  one shape for all
    (work / "nginx.conf").write_text(_NGINX.format(work=work, port=port))
    return ["nginx", "-p", str(work), "-c", str(work / "nginx.conf")], {}


_KINDS = {
    "podium": _podium,
    "podium-onnx": _podium_onnx,
    "podium-uvicorn": _podium_uvicorn,
    "mlflow": _mlflow,
    "fastapi": _fastapi,
    "mlserver": _mlserver,
    "bentoml": _bentoml,
    "nginx": _nginx,
}
