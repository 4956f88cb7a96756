"""A podium home, tiny versions in it, and servers started through the command line."""

import contextlib
import http.client
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

NAME = "tiny"
PRODUCTION = f"models:/{NAME}/production"

# Answers [version, pid] to each row; a row above 0 takes so many milliseconds, -1 kills the worker.
_GOOD = """
import os, time
VERSION = {version}
def predict(data):
    answers = []
    for row in data:
        {before_answer}
        if row[0] == -1:
            os.kill(os.getpid(), 9)
        time.sleep(max(row[0], 0) / 1000)
        answers.append([VERSION, os.getpid()])
    return answers
class Model:
    def predict(self, data):
        return predict(data)
def _load_pyfunc(path):
    {while_loading}
    return Model()
"""


_EXITING = 4
"""As the kernel has it among the flags of a process."""


class House:
    """A home folder and the commands that use it."""

    def __init__(self, folder: Path, serve: Sequence[str] = ("serve",)) -> None:
        self.folder = folder
        self.serve = serve
        self.home = folder / "home"
        source = str(Path(__file__).resolve().parents[2] / "src")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PODIUM_")},
            "PODIUM_SERVE_ENV_MANAGER": "local",
            "PODIUM_HOME": str(self.home),
            # Workers get no variable of podium's, but those of a language: by this one they are found.
            "LC_TEST_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join([source, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
        }

    def look_elsewhere(self, variables: Mapping[str, str]) -> None:
        """Run commands with other variables, but in this home, and with what is found by it."""
        ours = ("PODIUM_HOME", "LC_TEST_HOME", "PYTHONPATH")
        self.environment = {**variables, **{name: self.environment[name] for name in ours}}

    def model(self, version: int, while_loading: str = "pass", before_answer: str = "pass") -> Path:
        """A model's folder; `while_loading` and `before_answer` are statements that run then."""
        target = self.folder / f"model-{version}"
        (target / "code").mkdir(parents=True)
        (target / "code" / "tinymodel.py").write_text(
            _GOOD.format(version=version, while_loading=while_loading, before_answer=before_answer)
        )
        (target / "MLmodel").write_text(
            "flavors:\n  python_function:\n    loader_module: tinymodel\n    code: code\n"
            f"    python_version: {platform.python_version()}\n"
        )
        return target

    def register(self, version: int, while_loading: str = "pass", before_answer: str = "pass") -> None:
        """One more version of `tiny`."""
        from podium.api.registering import Registry

        Registry(self.home).register(self.model(version, while_loading, before_answer), NAME)

    def promote(self, version: int) -> None:
        from podium.api.registering import Registry

        Registry(self.home).promote(NAME, version)

    def archive(self, version: int) -> None:
        from podium.api.registering import Registry

        Registry(self.home).transition(NAME, version, "Archived")

    def gate(self, name: str) -> "Gate":
        """What a version can be made to wait for while it loads or answers; open."""
        return Gate(self.folder / f"gate-{name}")

    def command(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """A podium command, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "podium", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    @contextlib.contextmanager
    def serving(self, *flags: str, uri: str | None = PRODUCTION, before: Sequence[str] = ()) -> Iterator["Server"]:
        """A server that is ready; stopped at the end if the test did not do so.

        `before` starts the command; without a `uri`, podium.toml says what is served, and where.
        """
        server = Server(self, uri, flags, before)
        try:
            until(lambda: "Try it" in server.said(), "podium serve is ready", server.over)
            # What is not seen now would not be missed at the end either; a namespace has other numbers. Asked again, for a
            # model may go to sleep between the two looks.
            until(lambda: before or server.pids() <= self.processes().keys(), "its processes are seen", server.over)
            yield server
        finally:
            server.end()

    def processes(self) -> dict[int, str]:
        """What runs with this home: process id and command line."""
        marks, found = {f"{name}={self.home}".encode() for name in ("PODIUM_HOME", "LC_TEST_HOME")}, {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if not is_ending(entry) and not marks.isdisjoint((entry / "environ").read_bytes().split(b"\0")):
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found


class Gate:
    """A file that a model's code waits for: what is to be seen while it waits lasts as long as whoever looks needs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.open()

    @property
    def wait(self) -> str:
        """A statement of a model's code, which knows `os` and `time`."""
        return f"while not os.path.exists({str(self._path)!r}): time.sleep(0.01)"

    def open(self) -> None:
        self._path.touch()

    def close(self) -> None:
        self._path.unlink()


def is_ending(entry: Path) -> bool:
    """Whether a process is dead, or was killed and has yet to come to a processor to die on: it does nothing any more."""
    state, *more = (entry / "stat").read_text().rpartition(")")[2].split()
    lines = (entry / "status").read_text().splitlines()
    pending = [int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd:", "ShdPnd:"))]
    return state in "ZX" or bool(int(more[5]) & _EXITING) or any(each >> (signal.SIGKILL - 1) & 1 for each in pending)


class Server:
    """One `podium serve` on a free port."""

    def __init__(self, house: House, uri: str | None, flags: Sequence[str], before: Sequence[str] = ()) -> None:
        self.house = house
        self.out = house.folder / f"serve-{time.monotonic_ns()}.txt"
        named = [] if uri is None else ["-m", uri, "-p", "0"]
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "podium", *house.serve, *named, *flags],
                env=house.environment,
                cwd=house.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.out.read_text(errors="replace")

    def over(self) -> str | None:
        return None if self.process.poll() is None else f"exited {self.process.returncode}: {self.said()}"

    @property
    def status(self) -> dict[str, Any]:
        """`server.json`."""
        for path in (self.house.home / "run").glob("[!.]*/server.json"):
            with contextlib.suppress(FileNotFoundError):
                facts: dict[str, Any] = json.loads(path.read_text())
                if facts["pid"] == self.process.pid:
                    return facts
        return {}

    @property
    def port(self) -> int:
        return int(self.status["port"])

    def ask(self, milliseconds: float = 0, port: int | None = None, path: str = "/invocations") -> tuple[int, Any]:
        """Status and the one row's answer: [version, pid of the worker]."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=240)) as connection:
            body = json.dumps({"inputs": [[milliseconds]]})
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            return response.status, answer["predictions"][0] if response.status == 200 else answer

    def score(self, **headers: str) -> "Scored":
        """One row's answer, by whom, and what it is called."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=240)) as connection:
            said = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", "/invocations", b'{"inputs": [[0]]}', {"Content-Type": "application/json", **said})
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            return Scored(response.headers["x-podium-version"], response.headers["x-request-id"])

    def get(self, path: str) -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=240)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=240)) as connection:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def workers(self, name: str | None = None) -> list[int]:
        """Process ids of an endpoint's replicas that are ready; the default one's without a name."""
        of = self.status if name is None else self.status["endpoints"][name]
        # One that has just died is ready for a moment longer, without a process.
        return [each["pid"] for each in of.get("replicas", ()) if each["state"] == "ready" and each["pid"]]

    def gateways(self) -> list[int]:
        return [gateway["pid"] for gateway in self.status["gateways"]]

    def pids(self) -> set[int]:
        """Its own, and those of its gateways and of the default endpoint's workers."""
        return {self.process.pid, *self.gateways(), *self.workers()}

    def stop(self, limit_s: float = 120) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(60)


class Scored(NamedTuple):
    """What an answer says of itself."""

    version: str
    request_id: str


class Load:
    """Some threads that ask one after the other, until told to stop: (status, answer) or the error of each request."""

    def __init__(self, server: Server, threads: int = 3, milliseconds: float = 2, path: str = "/invocations") -> None:
        self.answers: list[tuple[int, Any]] = []
        self.errors: list[Exception] = []
        self._server, self._milliseconds, self._port, self._path = server, milliseconds, server.port, path
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.answers) > 5, "the load is under way")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(120)

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                self.answers.append(self._server.ask(self._milliseconds, self._port, self._path))
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(error)
                if isinstance(error, ConnectionRefusedError):
                    return

    @property
    def failed(self) -> list[Any]:
        return [answer for answer in self.answers if answer[0] != 200] + self.errors

    def versions(self) -> list[int]:
        """The versions that answered, in their order, without repetitions."""
        answered = [answer[0] for status, answer in list(self.answers) if status == 200]
        return [version for i, version in enumerate(answered) if i == 0 or answered[i - 1] != version]


def until(
    holds: Callable[[], Any], what: str, hopeless: Callable[[], str | None] = lambda: None, limit_s: float = 120
) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + limit_s
    while not holds():
        reason = hopeless()
        assert reason is None, f"{what}: {reason}"
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.02)
