"""The image of a model, built and run for real: small rights, read-only root, a memory limit, health, drain."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import containers
import pytest
import yaml
from containers import Podman
from driven import wait_until
from ports import free_port
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import podium.sklearn

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the base image that is made here has Python 3.11"),
]
X, Y = load_wine(return_X_y=True, as_frame=True)
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "kubernetes"


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    reason = containers.lacking()
    if reason is not None:
        pytest.skip(reason)
    return containers.open_podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "wine"
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    podium.sklearn.save_model(estimator, folder, input_example=X[:3])
    return folder


@pytest.fixture(scope="module")
def image(podman: Podman, model: Path) -> Iterator[str]:
    """Built by the command that people use."""
    name = f"localhost/podium-test-{uuid.uuid4().hex[:8]}"
    command = ["models", "build-docker", "-m", str(model), "-n", name, "--engine", "buildah"]
    done = subprocess.run(
        [sys.executable, "-m", "podium", *command], env=podman.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    yield name
    podman("rmi", "-f", name)


class Running:
    """A container that serves."""

    def __init__(self, podman: Podman, container: str) -> None:
        self.podman, self.container = podman, container
        self.port = containers.published(podman, container)

    def post(self, body: bytes, limit_s: float = 120) -> tuple[int, bytes]:
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/invocations", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=limit_s) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def until_ready(self, limit_s: float = 240) -> None:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                    return
            except OSError:
                assert self.podman.inspect(self.container, "{{.State.Running}}") == "true", self.logs()
                time.sleep(0.05)
        raise AssertionError(self.logs())

    def logs(self) -> str:
        done = subprocess.run(
            ["podman", "logs", self.container], env=self.podman.environ, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr


@pytest.fixture
def running(podman: Podman, image: str) -> Iterator[Running]:
    limits = ["--read-only", "--memory=512m", "--pids-limit=100", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    container = podman("run", "-d", "-p", "127.0.0.1::8080", *limits, image).strip()
    try:
        server = Running(podman, container)
        server.until_ready()
        yield server
    finally:
        podman("rm", "-f", "-v", container, check=False)


def is_healthy(podman: Podman, container: str) -> bool:
    command = ["podman", "healthcheck", "run", container]
    return subprocess.run(command, env=podman.environ, capture_output=True, check=False).returncode == 0


def test_the_image_serves_with_a_read_only_root_and_few_rights(podman: Podman, running: Running, model: Path):
    body = (model / "serving_input_example.json").read_bytes()

    assert running.post(body) == (200, b'{"predictions": [0, 0, 0]}')
    assert podman("exec", running.container, "id", "-u").strip() == "10001"
    written = subprocess.run(
        ["podman", "exec", running.container, "touch", "/opt/ml/model/x"],
        env=podman.environ,
        capture_output=True,
        check=False,
    )
    assert written.returncode != 0
    # One that takes longer than the image's three seconds is not healthy; the machine may be busy for once.
    wait_until(lambda: is_healthy(podman, running.container), 240, "the container is healthy")


def test_the_model_sees_none_of_podiums_packages(podman: Podman, running: Running):
    code = "import importlib.util as u; print([n for n in ('uvloop', 'msgspec', 'click', 'podium') if u.find_spec(n)])"

    assert podman("exec", running.container, "/opt/environment/bin/python", "-c", code).strip() == "[]"
    status = json.loads(podman("exec", running.container, "podium", "status", "--json"))
    assert "/opt/environment/bin/python" in json.dumps(status)


def test_sigterm_drains_and_ends_with_status_zero(podman: Podman, running: Running):
    podman("stop", "-t", "200", running.container)

    assert podman.inspect(running.container, "{{.State.ExitCode}}") == "0"
    assert "requests in flight are finished" in running.logs()


def test_the_image_keeps_no_builder_and_no_address_of_an_index(podman: Podman, image: str):
    history = podman("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    variables = podman.inspect(image, "{{.Config.Env}}")

    assert "INDEX_URL" not in variables
    assert "PIP_" not in variables
    assert podman("run", "--rm", "--entrypoint", "sh", image, "-c", "ls -d /opt/uv 2>/dev/null; true").strip() == ""
    assert "HEALTHCHECK" in history


def test_the_pod_of_the_example_runs(podman: Podman, image: str, model: Path, tmp_path: Path):
    """Kubernetes' own words for it, played by podman: probes, limits, a read-only root, a user without rights."""
    deployment = next(
        each for each in yaml.safe_load_all((EXAMPLES / "deployment.yaml").read_text()) if each["kind"] == "Deployment"
    )
    spec = deployment["spec"]["template"]["spec"]
    spec["containers"][0] |= {"image": image, "imagePullPolicy": "Never"}
    spec["containers"][0]["ports"][0]["hostPort"] = port = free_port()
    spec.pop("topologySpreadConstraints", None)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"podium-{uuid.uuid4().hex[:6]}"}, "spec": spec}
    file = tmp_path / "pod.yaml"
    file.write_text(yaml.safe_dump(pod))
    podman("kube", "play", str(file))
    try:
        server = Running.__new__(Running)
        server.podman, server.container, server.port = (
            podman,
            f"{pod['metadata']['name']}-{spec['containers'][0]['name']}",
            port,
        )
        server.until_ready()

        assert server.post((model / "serving_input_example.json").read_bytes())[0] == 200
    finally:
        podman("kube", "down", str(file), check=False)
