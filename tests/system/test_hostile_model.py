"""A model that attacks the server which loads it: what each isolation keeps from it, as SECURITY.md says."""

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driven import Podium, Server
from reachable import opened

SECRET = "AKIA-of-the-server"
# Saved by a script of its own, so that the attack travels inside the pickle.
SAVE = r"""
import sys
import podium

HOME, PORT = sys.argv[1], int(sys.argv[2])

def attempts(home, listener, pids, port, traces=True):
    import ctypes, glob, os, socket, sqlite3

    def connect(where):
        socket.create_connection(("127.0.0.1", where), timeout=2).close()

    def read(*patterns):
        # Its own copy it may read.
        named = [path for pattern in patterns for path in glob.glob(home + pattern) if os.path.isfile(path)]
        found = [path for path in named if "/models/1-" not in path]
        if not found:
            raise FileNotFoundError
        for path in found:
            with open(path, "rb") as file:
                file.read(1)

    def promote():
        if not os.path.exists(home + "/registry.db"):
            raise FileNotFoundError
        with sqlite3.connect(home + "/registry.db", timeout=2) as base:
            base.execute("CREATE TABLE owned (x)")
            base.execute("DROP TABLE owned")

    def others():
        mine = os.getpid()
        if not pids:
            raise FileNotFoundError
        return [pid for pid in pids if pid != mine]

    def trace():
        libc = ctypes.CDLL(None, use_errno=True)
        if not traces or all(libc.ptrace(16, pid, None, None) == -1 for pid in others()):
            raise PermissionError
        for pid in others():
            libc.ptrace(17, pid, None, None)

    def memory():
        for pid in others():
            with open(f"/proc/{pid}/mem", "rb"):
                pass

    def kill():
        for pid in others():
            os.kill(pid, 0)

    def environ():
        if not any("AKIA-of-the-server" in value or name.startswith("PODIUM_HOME") for name, value in os.environ.items()):
            raise PermissionError

    def parents():
        found = b"".join(open(f"/proc/{pid}/environ", "rb").read() for pid in [os.getppid(), *others()])
        if b"AKIA-of-the-server" not in found:
            raise PermissionError

    def descriptors():
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
        listening = 0
        for number in numbers:
            try:
                with socket.socket(fileno=os.dup(number)) as sock:
                    listening += sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            except OSError:
                pass
        if not listening:
            raise PermissionError

    tries = {
        "read the registry": lambda: read("/registry.db"),
        "read other models": lambda: read("/artifacts/sha256/*/*", "/run/*/models/*/*"),
        "write the registry": promote,
        "reach podium": lambda: connect(port),
        "call home": lambda: connect(listener),
        "trace": trace,
        "read memory": memory,
        "signal": kill,
        "have its variables": environ,
        "read its variables": parents,
        "inherit a listener": descriptors,
    }
    result = {}
    for name, attempt in tries.items():
        try:
            attempt()
            result[name] = "done"
        except BaseException as error:
            result[name] = type(error).__name__
    return result

class Hostile(podium.pyfunc.PythonModel):
    def __init__(self, attempts, home, listener):
        self.attempts, self.home, self.listener = attempts, home, listener

    def load_context(self, context):
        self.at_load = self.attempts(self.home, self.listener, [], 9)

    def predict(self, context, model_input, params=None):
        import json
        asked = json.loads(model_input[0])
        now = self.attempts(self.home, self.listener, asked["pids"], asked["port"], asked["traces"])
        return [json.dumps({"at load": self.at_load, "now": now})]

podium.pyfunc.log_model(python_model=Hostile(attempts, HOME, PORT), name="m", registered_model_name="hostile")
podium.Registry().promote("hostile", 1)
"""
FILES = {"read the registry", "read other models", "write the registry"}
NETWORK = {"reach podium", "call home"}
SIBLINGS = {"trace", "read memory", "signal", "read its variables"}
NEVER = {"have its variables", "inherit a listener"}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def hostile(podium: Podium, listener: socket.socket) -> str:
    podium.environment["AWS_SECRET_ACCESS_KEY"] = SECRET
    podium.python(SAVE, str(podium.home), str(listener.getsockname()[1]))
    return "models:/hostile/production"


def attacked(server: Server, traces: bool = True) -> dict[str, dict[str, str]]:
    """What the model's attempts came to, at load and while it answers; the server serves on.

    Args:
        traces: Whether it tries to stop the others as a debugger does; where nothing keeps it from that, it succeeds.
    """
    pids = [server.pid, *server.children("podium.serving"), *server.children("podium.worker")]
    asked = json.dumps({"pids": pids, "port": server.port, "traces": traces})
    answers = [server.post({"inputs": [asked]}) for _ in range(2)]
    assert [answer[0] for answer in answers] == [200, 200]
    found: dict[str, dict[str, str]] = json.loads(json.loads(answers[1][2])["predictions"][0])
    assert sorted(pids) == sorted([server.pid, *server.children("podium.serving"), *server.children("podium.worker")])
    return found


def done(results: dict[str, str]) -> set[str]:
    return {name for name, result in results.items() if result == "done"}


def production(podium: Podium) -> Any:
    return json.loads(podium.run("models", "show", "hostile", "--json").stdout)["versions"][0]["stage"]


def test_without_isolation_a_model_can_do_what_its_user_can(podium: Podium, hostile: str):
    """It has no variable and no listener of the server's; that is all, and SECURITY.md says so."""
    server = podium.serve(hostile, "-w", "2", "--gateways", "1")
    found = attacked(server, traces=False)

    assert done(found["at load"]) >= FILES | {"call home"}
    assert done(found["now"]) >= FILES | NETWORK | {"signal", "read its variables"}
    assert done(found["now"]).isdisjoint(NEVER)
    assert server.stop() == 0


def test_in_a_sandbox_every_attempt_fails_and_the_server_serves_on(podium: Podium, hostile: str):
    """No file but its own, no network, no other process; at load and at predict."""
    if not can_sandbox():
        pytest.skip("bubblewrap is not installed, or this machine allows no user namespaces")
    server = podium.serve(hostile, "-w", "2", "--gateways", "1", "--isolation", "sandbox")
    found = attacked(server)

    assert done(found["at load"]) == set()
    assert done(found["now"]) == set()
    assert server.status()["isolation"].startswith("sandbox: ")
    assert production(podium) == "Production"
    assert server.stop() == 0


@pytest.fixture
def entered() -> Iterator[Path]:
    """A place for temporary files that every user may enter, as /tmp, and where nobody else puts any."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o1777)
        yield Path(made)


def test_as_another_user_files_and_processes_of_the_server_are_out_of_reach(podium: Podium, hostile: str, entered: Path):
    """The network is not, and what runs as the same user can be signalled: SECURITY.md says so."""
    prefix = opened()
    if prefix is None:
        pytest.skip("this process may not become another user")
    podium.environment["TMPDIR"] = str(entered)
    server = podium.serve(hostile, "--gateways", "1", "--isolation", "user", "--worker-user", "nobody", prefix=prefix)
    copies = list(entered.glob("podium-copies-*"))
    found = attacked(server)

    assert done(found["at load"]) == {"call home"}
    assert done(found["now"]) == NETWORK
    assert server.status()["isolation"].startswith("user: ")
    assert server.stop() == 0
    assert len(copies) == 1
    assert list(entered.glob("podium-copies-*")) == []


def test_a_user_that_cannot_be_had_is_refused_with_a_way_out(podium: Podium, hostile: str):
    said = podium.run("serve", "-m", hostile, "--isolation", "user", check=False)
    assert said.returncode == 2
    assert "needs worker_user" in said.stderr

    said = podium.run("serve", "-m", hostile, "--isolation", "user", "--worker-user", "no-such-user", check=False)
    assert said.returncode == 2
    assert "no such user" in said.stderr


def can_sandbox() -> bool:
    if shutil.which("bwrap") is None:
        return False
    command = ["bwrap", "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "--proc", "/proc", "--", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
