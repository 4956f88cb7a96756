"""Building an environment so that it is there whole or not at all, once for all who ask for it at the same time.

    <root>/<key>.json        the marker: written last, in one step; only what it names is ever used
    <root>/<key>/<random>/   the environment, where it stays: an environment that is moved is broken
    <root>/<key>.lock        held while building
    <root>/<key>.log         what the tools said

Whatever dies half-way leaves a folder that no marker names; who builds next removes it.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.environments.interpreters import Interpreter
from podium.environments.spec import EnvironmentSpec
from podium.errors import LoadFailed
from podium.settings.whole_files import write_whole

_POLL_S = 0.1
_LONGEST_BUILD_S = 3600.0
_SHOWN_LINES = 12
_CHECK = "import numpy, platform; print(platform.python_version())"


@dataclass(frozen=True, slots=True)
class Tools:
    """What builds.

    Args:
        interpreter: For a virtual environment; None leaves the Python to conda.
        uv, conda: Their executables, where they are to be used.
    """

    interpreter: Interpreter | None
    uv: str | None = None
    conda: str | None = None

    @property
    def name(self) -> str:
        if self.conda is not None:
            return Path(self.conda).name
        return "uv" if self.uv is not None else "venv and pip"

    @property
    def identity(self) -> str:
        """What makes environments of equal content different."""
        if self.interpreter is None:
            return f"conda {os.uname().machine}"
        return f"{os.path.realpath(self.interpreter.path)} {self.interpreter.version}"


class Stopped(Exception):
    """Whoever wanted the environment does not want it any more."""


def existing(root: Path, spec: EnvironmentSpec, tools: Tools) -> str | None:
    """The interpreter of an environment that was built before and is still there."""
    marker = root / f"{spec.key(tools.identity)}.json"
    try:
        python = json.loads(marker.read_bytes())["python"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return python if isinstance(python, str) and os.access(python, os.X_OK) else None


def build(
    root: Path,
    spec: EnvironmentSpec,
    tools: Tools,
    environ: Mapping[str, str],
    is_stopped: Callable[[], bool] = lambda: False,
    limit_s: float = _LONGEST_BUILD_S,
) -> str:
    """The interpreter of the environment; builds it unless somebody just did.

    Args:
        root: Where environments are kept; made if missing.
        spec: What it is to hold.
        tools: What builds it.
        environ: For the tools; their own variables (PIP_INDEX_URL, UV_INDEX_URL) count.
        is_stopped: Asked again and again; once it says so, what runs is ended.
        limit_s: For waiting and building together.

    Raises:
        LoadFailed: A tool failed or took too long; says where its words stand.
        Stopped: `is_stopped` said so.
    """
    deadline = time.monotonic() + limit_s
    key = spec.key(tools.identity)
    # The mode is the last folder's alone, and the one above it is the home, which may be new too.
    root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    root.mkdir(exist_ok=True, mode=0o700)
    log = root / f"{key}.log"
    with _lock(root / f"{key}.lock", deadline, is_stopped):
        python = existing(root, spec, tools)
        if python is not None:
            return python
        shutil.rmtree(root / key, ignore_errors=True)
        (root / f"{key}.json").unlink(missing_ok=True)
        target = root / key / secrets.token_hex(4)
        target.parent.mkdir(mode=0o700)
        with _opened(log) as descriptor:
            run = _Runner(descriptor, log, _tool_environ(environ), deadline, is_stopped)
            try:
                python = _make(target, spec, tools, run)
                run([python, "-I", "-c", _CHECK])
            except BaseException:
                shutil.rmtree(root / key, ignore_errors=True)
                raise
        facts = {"python": python, "tool": tools.name, "requirements": len(spec.lines)}
        write_whole(root / f"{key}.json", json.dumps(facts).encode())
        return python


def _make(target: Path, spec: EnvironmentSpec, tools: Tools, run: "_Runner") -> str:
    """Make the environment and fill it; returns its interpreter."""
    lines = target.parent / "requirements.txt"
    lines.write_text("".join(f"{line}\n" for line in spec.lines), encoding="utf-8")
    python = str(target / "bin" / "python")
    if tools.conda is not None:
        content = target.parent / "environment.yml"
        # JSON is YAML.
        content.write_text(spec.conda or "{}", encoding="utf-8")
        command = ["create", "--yes"] if tools.name == "micromamba" else ["env", "create"]
        run([tools.conda, *command, "--prefix", str(target), "--file", str(content)])
        run([python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-r", str(lines)])
    elif tools.uv is not None and tools.interpreter is not None:
        run([tools.uv, "venv", "--no-project", "--quiet", "--python", tools.interpreter.path, str(target)])
        run([tools.uv, "pip", "install", "--python", python, "--requirement", str(lines)])
    elif tools.interpreter is not None:
        run([tools.interpreter.path, "-m", "venv", str(target)])
        run([python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-r", str(lines)])
    return python


class _Runner:
    """Runs one tool after the other, each ended when its time is over or nobody wants its work any more."""

    def __init__(
        self,
        descriptor: int,
        log: Path,
        environ: Mapping[str, str],
        deadline: float,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._descriptor, self._log, self._environ = descriptor, log, environ
        self._deadline, self._is_stopped = deadline, is_stopped

    def __call__(self, command: Sequence[str]) -> None:
        os.write(self._descriptor, f"$ {' '.join(command)}\n".encode())
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._descriptor,
                stderr=self._descriptor,
                env=dict(self._environ),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise LoadFailed(f"{command[0]} cannot be started: {error.strerror}.", "environment") from error
        try:
            status = self._wait(process)
        finally:
            # Also what it started itself: pip's builds of packages.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if status is None:
            raise LoadFailed(self._message(f"{Path(command[0]).name} did not come to an end in time"), "environment")
        if status != 0:
            raise LoadFailed(self._message(f"{Path(command[0]).name} ended with status {status}"), "environment")

    def _wait(self, process: "subprocess.Popen[bytes]") -> int | None:
        while time.monotonic() < self._deadline:
            if self._is_stopped():
                raise Stopped
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_POLL_S)
        return None

    def _message(self, what: str) -> str:
        said = "\n".join(f"  {line}" for line in _last_lines(self._log))
        return (
            f"The model's environment could not be built: {what}.\n{said}\n"
            f"All of it: {self._log}\nTo run the model in podium's own Python instead: --env-manager local"
        )


@contextlib.contextmanager
def _lock(path: Path, deadline: float, is_stopped: Callable[[], bool]) -> Iterator[None]:
    """Hold the lock; whoever dies gives it back."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if is_stopped():
                    raise Stopped from error
                if time.monotonic() > deadline:
                    raise LoadFailed(
                        f"Somebody else has been building this environment for too long; {path} is held.", "environment"
                    ) from error
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(log: Path) -> Iterator[int]:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _tool_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would let our packages into theirs; uv hears what pip was told of indexes."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
    }
    for of_pip, of_uv in _SAME_IN_UV.items():
        if of_pip in kept and of_uv not in kept:
            kept[of_uv] = kept[of_pip]
    return kept


_SAME_IN_UV = {
    "PIP_INDEX_URL": "UV_INDEX_URL",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}


def _last_lines(log: Path) -> list[str]:
    """The end of what the tools said, without passwords in addresses."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")[-8000:]
    except OSError:
        return []
    return [re.sub(r"://[^/@\s]*@", "://****@", line)[:400] for line in text.splitlines() if line.strip()][-_SHOWN_LINES:]
