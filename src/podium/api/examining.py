"""The facts that `podium doctor` judges, measured on this machine; nothing stays but what was there before."""

import array
import contextlib
import ctypes
import fcntl
import importlib
import importlib.metadata
import json
import locale
import os
import platform
import resource
import select
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

from podium.api.endpoint import choose
from podium.domain.audits import diagnosis
from podium.domain.audits.diagnosis import Finding, Folder, InstalledLibrary, RegistryFacts
from podium.domain.worker_starts import why_fresh
from podium.environments.tools import find_uv
from podium.errors import Misconfigured
from podium.flavors.catalog import FLAVORS
from podium.flavors.contract import Preloadable
from podium.fleet.host.machine import available_memory, cpu_limit
from podium.fleet.host.runfiles import RunningServer, find_dead, find_servers
from podium.fleet.workers.gpus import visible_gpus
from podium.fleet.workers.isolation import check_sandbox
from podium.registry.migrations import SCHEMA
from podium.registry.snapshot import file_state
from podium.settings.home import Home
from podium.settings.provenance import Chosen
from podium.settings.source_tree import environ_for_children

_BACKLOG = 4096
_PR_GET_CHILD_SUBREAPER = 37
_IMPORT_S = 60.0
_SHARED = Path("/dev/shm")  # noqa: S108
# distribution: module. What takes seconds to import is not: its version tells enough.
_LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "scikit-learn": "sklearn",
    "skops": "skops",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "xgboost": None,
    "xgboost-cpu": None,
    "lightgbm": None,
    "catboost": None,
    "statsmodels": None,
    "torch": None,
    "tensorflow": None,
    "tensorflow-cpu": None,
    "keras": None,
    "mlflow": None,
    "mlflow-skinny": None,
}
_TRY_IMPORTS = """
import importlib, json, sys
found = {}
for name, module in json.loads(sys.argv[1]).items():
    try:
        importlib.import_module(module)
    except BaseException as error:
        found[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]
print(json.dumps(found))
"""


def examine(home: Home, environ: Mapping[str, str] = os.environ, timeout_s: float = 3.0) -> list[Finding]:
    """Look at everything and judge it.

    Args:
        home: PODIUM_HOME; need not exist.
        environ: Variables: settings, and where MLflow's servers are.
        timeout_s: How long to wait for each of those.
    """
    error, chosen = _settings(environ)
    port = chosen["serve.port"]
    running = find_servers(home)
    return [
        diagnosis.judge_python(
            (sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
            platform.python_implementation(),
            bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        ),
        *diagnosis.judge_modules({name: _attempt(partial(importlib.import_module, name)) for name in _MODULES}),
        *diagnosis.judge_kernel({name: _attempt(trial) for name, trial in _KERNEL.items()}),
        diagnosis.judge_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1], chosen["limits.max_connections"]),
        diagnosis.judge_backlog(_somaxconn(), _BACKLOG),
        diagnosis.judge_processors(cpu_limit()),
        diagnosis.judge_memory(available_memory()),
        *diagnosis.judge_home(_folder(home.root)),
        diagnosis.judge_shared_memory(_folder(_SHARED)),
        diagnosis.judge_clock(time.time()),
        diagnosis.judge_locale(locale.getpreferredencoding(False), sys.getfilesystemencoding()),
        *diagnosis.judge_libraries(_libraries()),
        diagnosis.judge_gpus(len(visible_gpus(environ))),
        diagnosis.judge_uv(find_uv(environ)),
        diagnosis.judge_sandbox(_attempt(check_sandbox)),
        _worker_start(chosen, has_gpu=bool(visible_gpus(environ))),
        diagnosis.judge_settings(error),
        diagnosis.judge_port(port, _ours(running, port) or _taken(chosen["serve.host"], port)),
        diagnosis.judge_registry(_registry(home.registry)),
        diagnosis.judge_runs(len(running), find_dead(home)),
        *_mlflow(environ, timeout_s),
    ]


def _settings(environ: Mapping[str, str]) -> tuple[str | None, Chosen]:
    """Why they cannot be read, or None; and what holds: then podium's own."""
    try:
        return None, choose([], environ=environ)
    except Misconfigured as refused:
        return refused.message, choose([], environ={}, folder=Path(os.devnull))


def _worker_start(chosen: Chosen, *, has_gpu: bool) -> Finding:
    """By the settings for every model; one model may have others."""
    wish = chosen["serve.worker_start"]
    reason = why_fresh(wish, chosen["serve.isolation"], chosen["serve.threads"], (), is_linux=sys.platform == "linux")
    forkable = [
        flavor.name
        for flavor in FLAVORS
        if isinstance(flavor, Preloadable) and flavor.preloads({}, has_gpu=has_gpu) is not None
    ]
    return diagnosis.judge_worker_start(reason, wish, _attempt(_try_adoption), forkable)


def _attempt(trial: Callable[[], object]) -> str | None:
    """Why it failed, or None."""
    try:
        trial()
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return None


def _try_memfd() -> None:
    os.close(os.memfd_create("podium-doctor"))


def _try_seals() -> None:
    descriptor = os.memfd_create("podium-doctor", os.MFD_ALLOW_SEALING)
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    finally:
        os.close(descriptor)


def _try_pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))


def _try_epoll() -> None:
    select.epoll().close()


def _try_adoption() -> None:
    """Whether the kernel knows PR_SET_CHILD_SUBREAPER; it is only asked."""
    if ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(ctypes.c_int()), 0, 0, 0) != 0:
        raise OSError("the kernel does not hand a fork server's children over (PR_SET_CHILD_SUBREAPER)")


def _try_descriptors() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])
        _, received, _, _ = socket.recv_fds(theirs, 1, 1)
        for descriptor in received:
            os.close(descriptor)


_MODULES = ("uvloop", "httptools")
_KERNEL = {
    "memfd": _try_memfd,
    "seals": _try_seals,
    "pidfd": _try_pidfd,
    "epoll": _try_epoll,
    "SCM_RIGHTS": _try_descriptors,
}


def _somaxconn() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/sys/net/core/somaxconn").read_text())
    return None


def _folder(path: Path) -> Folder:
    """A folder, or the nearest above it that is there."""
    there = next(each for each in (path, *path.parents) if each.exists())
    is_writable, skew_s = there.is_dir() and os.access(there, os.W_OK | os.X_OK), 0.0
    free = os.statvfs(there)
    if is_writable:
        try:
            with tempfile.NamedTemporaryFile(dir=there, prefix=".podium-doctor-") as file:
                skew_s = os.fstat(file.fileno()).st_mtime - time.time()
        except OSError:
            is_writable = False
    is_private = path.exists() and path.stat().st_mode & 0o077 == 0
    free_bytes = free.f_bavail * free.f_frsize
    return Folder(str(path), path.is_dir(), is_writable, is_private, free_bytes, _file_system(there), skew_s)


def _file_system(path: Path) -> str:
    """Of the mount with the longest path above it."""
    best, kind = "", "unknown"
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, place, name, *_ = line.split()
            place = place.replace("\\040", " ")
            if len(place) >= len(best) and path.resolve().is_relative_to(place):
                best, kind = place, name
    return kind


def _libraries() -> dict[str, InstalledLibrary]:
    versions = {}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    wanted = {name: _LIBRARIES[name] for name in versions if _LIBRARIES[name]}
    # In a process of its own: what is broken may take its process with it.
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRY_IMPORTS, json.dumps(wanted)],
            capture_output=True,
            text=True,
            timeout=_IMPORT_S,
            env=environ_for_children(),
            check=False,
        )
        errors = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
        crash = f"importing it ended Python with status {done.returncode}" if done.returncode else None
    except subprocess.TimeoutExpired:
        errors, crash = {}, f"importing it takes more than {_IMPORT_S:g} s"
    return {
        name: InstalledLibrary(version, errors.get(name, crash if name in wanted else None))
        for name, version in versions.items()
    }


def _ours(running: Sequence[RunningServer], port: int) -> str | None:
    return next((f"podium serves {each.uris} there" for each in running if each.facts["port"] == port), None)


def _taken(host: str, port: int) -> str | None:
    if port == 0:
        return None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _registry(path: Path) -> RegistryFacts:
    try:
        if not path.exists():
            return RegistryFacts(str(path), is_there=False, known_schema=SCHEMA)
        # As `registry.snapshot` opens it: a file that nobody has open is complete by itself, and nothing is put beside it.
        mode = "mode=ro&immutable=1" if file_state(path).is_alone else "mode=ro"
        uri = f"file:{quote(str(path))}?{mode}"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=3.0)) as connection:
            (schema,) = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
            (integrity,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return RegistryFacts(str(path), True, int(schema), SCHEMA, str(integrity))
    except (sqlite3.Error, OSError, TypeError, ValueError) as error:
        return RegistryFacts(str(path), is_there=True, known_schema=SCHEMA, error=str(error))


def _mlflow(environ: Mapping[str, str], timeout_s: float) -> list[Finding]:
    found = {}
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        if uri := environ.get(variable):
            found[variable] = (without_secrets(uri), _attempt_store(uri, timeout_s))
    return [diagnosis.judge_mlflow(variable, place, error) for variable, (place, error) in found.items()]


def without_secrets(uri: str) -> str:
    """A URI without user, password and query, any of which may be a secret."""
    try:
        parts = urllib.parse.urlsplit(uri)
    except ValueError:
        return "a URI that cannot be read"
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _attempt_store(uri: str, timeout_s: float) -> str | None:
    """Why a store does not answer, without its address; None when it does, or when only a database's client could tell."""
    scheme, _, rest = uri.partition(":")
    if scheme in {"http", "https"}:
        # Without credentials: a server that refuses us answers.
        place = without_secrets(uri).rstrip("/")
        try:
            with urllib.request.urlopen(f"{place}/health", timeout=timeout_s):  # noqa: S310
                return None
        except urllib.error.HTTPError as error:
            return None if error.code < 500 else f"HTTP {error.code}"
        except (OSError, ValueError) as error:
            return str(getattr(error, "reason", error))
    if scheme.startswith("sqlite"):
        path = Path(rest.removeprefix("///"))
        return None if path.is_file() else "there is no such file"
    if scheme in {"file", uri}:
        return None if Path(urllib.parse.urlsplit(uri).path).is_dir() else "there is no such folder"
    return None
