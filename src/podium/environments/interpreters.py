"""Finding a Python of the right version among those that are installed: each is asked once, and again when it changed."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from podium.errors import Misconfigured
from podium.settings.whole_files import write_whole

_ASK_S = 20.0
_TELL_VERSION = "import platform, sys; print(platform.python_version()); print(sys.executable)"
# What podium's worker is written for; it runs in the environment beside the model.
OLDEST = (3, 11)
_SHIMS = "shims"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python on this machine: its executable and `3.11.7`."""

    path: str
    version: str

    @property
    def minor(self) -> str:
        return _minor(self.version)


def find_interpreter(
    wanted: str | None,
    environ: Mapping[str, str],
    uv: str | None = None,
    memory: Path | None = None,
    fetch: Callable[[str], None] | None = None,
) -> Interpreter:
    """A Python of this very version, or else of its minor one: the one that runs podium, one on PATH, uv's or pyenv's.

    The last number may differ: neither pickles nor compiled packages depend on it, and MLflow's insistence on it is what
    makes `mlflow models serve` fail on most machines.

    Args:
        wanted: `3.11.7` or `3.11`; None takes the one that runs podium.
        environ: Where PATH and pyenv's root stand.
        uv: Knows its own.
        memory: A file that keeps what interpreters said of themselves.
        fetch: Installs a version where none is found.

    Raises:
        Misconfigured: There is none, or podium's worker cannot run in it; says what to do.
    """
    own = Interpreter(sys.executable, platform.python_version())
    parts = (wanted or own.version).split(".")
    minor = ".".join(parts[:2])
    if wanted is None or wanted == own.version or (len(parts) < 3 and minor == own.minor):
        return own
    if _number(minor) < OLDEST:
        raise Misconfigured(
            f"The model was saved with Python {minor}, and podium's worker, which runs beside the model in its "
            f"environment, needs {OLDEST[0]}.{OLDEST[1]} or newer. Save the model with a newer Python, or try it as it is "
            "in this one: --env-manager local"
        )
    found = list(_found(minor, wanted, environ, uv, memory))
    if not found and own.minor != minor and fetch is not None:
        fetch(wanted)
        found = list(_found(minor, wanted, environ, uv, memory))
    exact = next((each for each in found if each.version == wanted), None)
    if exact is not None or own.minor == minor or found:
        return exact or (own if own.minor == minor else found[0])
    raise Misconfigured(
        f"The model wants Python {minor}, and there is none: looked for python{minor} on PATH, among uv's and among "
        f"pyenv's. Install one (uv python install {minor}, or pyenv install {minor}), let podium have uv fetch it "
        f"(--env-fetch-python), or run the model in this Python {own.version}: --env-manager local"
    )


def version_of(python: str, memory: Path | None = None) -> str | None:
    """`3.11.7`; None where the file does not run or is no Python: pyenv's shims stand for versions that are not chosen.

    Args:
        python: The executable.
        memory: As in `find_interpreter`.
    """
    try:
        facts = os.stat(python)
    except OSError:
        return None
    mark = f"{os.path.realpath(python)} {facts.st_mtime_ns} {facts.st_size}"
    known = _remembered(memory)
    if isinstance(said := known.get(python), list) and said[:1] == [mark]:
        return str(said[1])
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [python, "-I", "-c", _TELL_VERSION], capture_output=True, text=True, timeout=_ASK_S, check=False
        )
        if done.returncode == 0 and done.stdout.strip():
            version = done.stdout.split()[0]
            if memory is not None and memory.parent.is_dir():
                # Only a shortcut: where it cannot be written, the next one asks again.
                with contextlib.suppress(OSError):
                    write_whole(memory, json.dumps(known | {python: [mark, version]}).encode())
            return version
    return None


def _remembered(memory: Path | None) -> dict[str, object]:
    if memory is None:
        return {}
    try:
        known = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _found(
    minor: str, wanted: str, environ: Mapping[str, str], uv: str | None, memory: Path | None
) -> Iterator[Interpreter]:
    """Those of this minor version; ends with the one of the wanted version."""
    seen = set()
    for candidate in _candidates(minor, environ, uv):
        if candidate in seen:
            continue
        seen.add(candidate)
        version = version_of(candidate, memory)
        if version is not None and _minor(version) == minor:
            yield Interpreter(candidate, version)
            if version == wanted:
                return


def _candidates(minor: str, environ: Mapping[str, str], uv: str | None) -> Iterator[str]:
    # A shim answers for whatever version the working directory chooses; what it stands for is found in its own folder.
    folders = [each for each in environ.get("PATH", "").split(os.pathsep) if each and Path(each).name != _SHIMS]
    on_path = shutil.which(f"python{minor}", path=os.pathsep.join(folders)) if folders else None
    if on_path:
        yield on_path
    for beside in ("/usr/bin", "/usr/local/bin"):
        yield os.path.join(beside, f"python{minor}")
    root = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME") or "/nonexistent") / ".pyenv")
    yield from (str(path) for path in sorted(root.glob(f"versions/{minor}.*/bin/python"), reverse=True))
    kept = Path(environ.get("UV_PYTHON_INSTALL_DIR") or _data_home(environ) / "uv" / "python")
    yield from (str(path) for path in sorted(kept.glob(f"cpython-{minor}.*/bin/python{minor}"), reverse=True))
    if uv is not None and "UV_PYTHON_INSTALL_DIR" not in environ and not kept.is_dir():
        yield from _of_uv(uv, minor, environ)


def _of_uv(uv: str, minor: str, environ: Mapping[str, str]) -> Iterator[str]:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [uv, "python", "find", "--no-project", "--offline", "--managed-python", minor],
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=False,
            env=dict(environ) | {"UV_PYTHON_DOWNLOADS": "never"},
        )
        if done.returncode == 0:
            yield done.stdout.strip()


def _data_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or "/nonexistent") / ".local" / "share")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _number(minor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in minor.split(".") if part.isdigit())
