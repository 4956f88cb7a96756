"""A whole podium, driven through its command line only, and what it leaves behind.

Each one has a home and a temp folder of its own; whatever was started is found again by its home in /proc/*/environ, so
that nothing outlives a test and an orphan is seen.
"""

import contextlib
import dataclasses
import http.client
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from load import Sample, read_samples
from ports import free_port

_HERE = Path(__file__).resolve().parent
_AFTER_S = 1.0


class Podium:
    """A home folder and the commands that use it.

    Args:
        folder: Existing and empty; everything goes there. Commands run by `interpreter`, the tests' own unless it is set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.temp = folder / "tmp"
        self.interpreter = sys.executable
        self.temp.mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PODIUM_")},
            "PODIUM_SERVE_ENV_MANAGER": "local",
            "PODIUM_HOME": str(self.home),
            # Workers get no variable of podium's, but those of a language: by this one they are found.
            "LC_TEST_HOME": str(self.home),
            "TMPDIR": str(self.temp),
        }
        if path := os.environ.get("PYTHONPATH"):
            # The commands run elsewhere; what was said relative to here stays what it is.
            self.environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(part) for part in path.split(os.pathsep))

    def run(self, *arguments: str, timeout_s: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        done = subprocess.run(
            [self.interpreter, "-m", "podium", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"podium {' '.join(arguments)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def python(self, script: str, *arguments: str) -> str:
        """Run a script that uses the Python API; returns what it printed."""
        done = subprocess.run(
            [self.interpreter, "-c", script, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"the script exited {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def serve(self, uri: str | None, *flags: str, prefix: Sequence[str] = ()) -> "Server":
        """Start `podium serve` on a free port; returns once it is ready.

        `prefix` is a command to run it under; without a `uri`, podium.toml says what is served.
        """
        port = free_port()
        log = self.folder / f"serve-{port}.log"
        named = [] if uri is None else ["-m", uri]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*prefix, self.interpreter, "-m", "podium", "serve", *named, "-p", str(port), *flags],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = Server(self, process, port, log)
        try:
            wait_until(lambda: server.answers("/readyz"), 120, "podium serve is ready", server.has_ended)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{server.said()}") from None
        # What is not seen now would not be missed at the end either.
        assert server.children("podium.serving")
        assert server.children("podium.worker")
        return server

    def processes(self) -> dict[int, str]:
        """Every process that runs with this home: its id and command line."""
        mark = f"LC_TEST_HOME={self.home}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0") and not is_zombie(int(entry.name)):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def leftovers(self) -> list[str]:
        """Sockets under the home or the temp folder, entries in the temp folder, shared memory of podium's."""
        sockets = [
            str(path)
            for top in (self.home, self.temp)
            for path in top.rglob("*")
            if path.exists() and stat.S_ISSOCK(path.stat().st_mode)
        ]
        shared = [str(path) for path in Path("/dev/shm").glob("*podium*")]
        return sockets + shared + [str(path) for path in self.temp.iterdir()]

    def end(self) -> None:
        """Kill what still runs with this home: the last resort of a fixture, never a substitute for a clean stop."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.processes(), 120, "killed processes are gone")


class Server:
    """One `podium serve`, and what a client or a person with a shell can do with it."""

    def __init__(self, podium: Podium, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.podium, self.process, self.port, self._log = podium, process, port, log

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def has_ended(self) -> str | None:
        """What `podium serve` said, if it is over; None while it runs."""
        return f"exited {self.process.returncode}" if self.process.poll() is not None else None

    def answers(self, path: str) -> bool:
        """Whether GET answers 200 now."""
        try:
            return self.get(path)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        return self._ask("GET", path, None)

    def post(self, body: Any, path: str = "/invocations") -> tuple[int, dict[str, str], bytes]:
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=240)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"content-type": "application/json"} if body else {})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def status(self, *flags: str, check: bool = True) -> dict[str, Any]:
        """`podium status --json`."""
        done = self.podium.run("status", "-p", str(self.port), "--json", *flags, check=check)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def settle(self, timeout_s: float = 300) -> int:
        """`podium status --wait`; returns its exit status once what is wanted is what runs, or is known not to come."""
        return self.podium.run("status", "-p", str(self.port), "--wait", timeout_s=timeout_s, check=False).returncode

    def children(self, module: str) -> list[int]:
        """Process ids of the server's workers (`podium.worker`) or gateways (`podium.serving`)."""
        return sorted(pid for pid, command in self.podium.processes().items() if module in command.split())

    def stop(self, timeout_s: float = 120) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@dataclasses.dataclass(frozen=True, slots=True)
class Versions:
    """What was registered: the model's name and URI, a request, and what each version answers to it."""

    name: str
    uri: str
    body: dict[str, Any]
    expected: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """A running load generator, to go on until `ends` (CLOCK_MONOTONIC) at least; None for one that ends by itself.

    It goes on for a second after whatever was done meanwhile, too: what breaks then is seen.
    """

    process: subprocess.Popen[bytes]
    out: Path
    ends: float | None

    def samples(self) -> list[Sample]:
        """End it when its time is over, and read what it saw."""
        if self.ends is not None:
            ends = max(self.ends, time.monotonic() + _AFTER_S)
            wait_until(lambda: time.monotonic() > ends, 600, "the load's time is over")
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(300) == 0
        return read_samples(self.out)


@contextlib.contextmanager
def loading(server: Server, versions: Versions, seconds: float, rate: float = 150.0) -> Iterator[Load]:
    """Run the load generator in a process of its own while the block runs, for `seconds` at least from its first answer."""
    process, out = _start_load(server, versions, "--rate", str(rate))
    try:
        # One that is still starting would see nothing of what the block does first, and die of the signal that ends it.
        wait_until(out.exists, 150, "the load is under way", lambda: "it has ended" if process.poll() is not None else None)
        yield Load(process, out, time.monotonic() + seconds)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)


def burst(server: Server, versions: Versions, requests: int) -> list[Sample]:
    """Send so many requests at once, or as fast as the generator can; returns what became of them."""
    process, out = _start_load(server, versions, "--rate", str(requests * 20), "--seconds", "0.05")
    return Load(process, out, None).samples()


def _start_load(server: Server, versions: Versions, *flags: str) -> tuple[subprocess.Popen[bytes], Path]:
    folder = server.podium.folder
    (folder / "body.json").write_text(json.dumps(versions.body))
    (folder / "expected.json").write_text(json.dumps(versions.expected))
    out = folder / f"samples-{time.monotonic_ns()}.jsonl"
    files = ["--body", folder / "body.json", "--expect", folder / "expected.json", "--out", out]
    command = [sys.executable, _HERE / "load.py", "--port", server.port, *files, *flags]
    return subprocess.Popen([str(part) for part in command]), out


def wait_until(
    holds: Callable[[], Any], limit_s: float, what: str, is_hopeless: Callable[[], str | None] = lambda: None
) -> None:
    """Poll a condition until it holds.

    Raises:
        AssertionError: It did not within the limit, or `is_hopeless` gave a reason why it never will.
    """
    deadline = time.monotonic() + limit_s
    while not holds():
        reason = is_hopeless()
        assert reason is None, f"{what}: {reason}"
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.02)


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and only waits to be reaped."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False
