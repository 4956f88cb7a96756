"""Finding what builds an environment: a Python of the right version, uv, conda."""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from podium.errors import Misconfigured

_ASK_S = 20.0
_TELL_VERSION = "import platform, sys; print(platform.python_version()); print(sys.executable)"
# What podium's worker is written for; it runs in the environment beside the model.
OLDEST = (3, 11)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python on this machine: its executable and `3.11.7`."""

    path: str
    version: str


def find_interpreter(minor: str | None, environ: Mapping[str, str]) -> Interpreter:
    """A Python of this minor version: the one that runs podium, one on PATH, one of uv's or pyenv's.

    The last number may differ: neither pickles nor compiled packages depend on it, and MLflow's insistence on it is what
    makes `mlflow models serve` fail on most machines.

    Args:
        minor: `3.11`; None takes the one that runs podium.
        environ: Where PATH and pyenv's root stand.

    Raises:
        Misconfigured: There is none, or podium's worker cannot run in it; says what to do.
    """
    own = Interpreter(sys.executable, platform.python_version())
    if minor is None or _minor(own.version) == minor:
        return own
    if tuple(map(int, minor.split("."))) < OLDEST:
        raise Misconfigured(
            f"The model was saved with Python {minor}, and podium's worker, which runs beside the model in its "
            f"environment, needs {OLDEST[0]}.{OLDEST[1]} or newer. Save the model with a newer Python, or try it as it is "
            "in this one: --env-manager local"
        )
    for candidate in _candidates(minor, environ):
        version = version_of(candidate)
        if version is not None and _minor(version) == minor:
            return Interpreter(candidate, version)
    raise Misconfigured(
        f"The model wants Python {minor}, and there is none: looked for python{minor} on PATH, among uv's and among "
        f"pyenv's. Install one (uv python install {minor}, or pyenv install {minor}), or run the model in this Python "
        f"{own.version}: --env-manager local"
    )


def version_of(python: str) -> str | None:
    """`3.11.7`; None where the file does not run or is no Python: pyenv's shims stand for versions that are not chosen."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [python, "-I", "-c", _TELL_VERSION], capture_output=True, text=True, timeout=_ASK_S, check=False
        )
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.split()[0]
    return None


def find_uv(environ: Mapping[str, str]) -> str | None:
    """Uv on PATH, or installed beside the interpreter that runs podium."""
    return shutil.which("uv", path=environ.get("PATH")) or shutil.which("uv", path=str(Path(sys.executable).parent))


def find_conda(environ: Mapping[str, str]) -> str | None:
    """Conda of MLFLOW_CONDA_HOME or on PATH; mamba and micromamba do as well."""
    home = environ.get("MLFLOW_CONDA_HOME")
    if home:
        return shutil.which("conda", path=os.path.join(home, "bin"))
    chosen = environ.get("MLFLOW_CONDA_CREATE_ENV_CMD")
    names = [chosen] if chosen else ["micromamba", "mamba", "conda"]
    return next((found for name in names if (found := shutil.which(name, path=environ.get("PATH")))), None)


def _candidates(minor: str, environ: Mapping[str, str]) -> Iterator[str]:
    on_path = shutil.which(f"python{minor}", path=environ.get("PATH"))
    if on_path:
        yield on_path
    for beside in ("/usr/bin", "/usr/local/bin"):
        yield os.path.join(beside, f"python{minor}")
    root = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME") or "/nonexistent") / ".pyenv")
    yield from (str(path) for path in sorted(root.glob(f"versions/{minor}.*/bin/python"), reverse=True))
    uv = find_uv(environ)
    if uv is not None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                [uv, "python", "find", "--no-project", "--offline", minor],
                capture_output=True,
                text=True,
                timeout=_ASK_S,
                check=False,
                env=dict(environ),
            )
            if done.returncode == 0:
                yield done.stdout.strip()


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
