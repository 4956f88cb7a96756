"""Building an environment so that it is there whole or not at all, once for all who ask for it at the same time.

Where it stands, and who may use it: `kept.py`. What is in it: `resolve.py`. Whether it is good: `trial.py`. Whatever dies
half-way leaves a folder that no marker names; who builds next removes it, and finds in uv's cache what was downloaded.
"""

import contextlib
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from podium.artifacts.tree import size_of
from podium.environments.kept import (
    Lease,
    exclusive,
    kept,
    mark,
    marked,
    remove,
    superfluous,
)
from podium.environments.resolve import EnvironmentRequest, Resolution, kept_resolution, key_of, options_of, resolve
from podium.environments.running import BuildJob
from podium.environments.trial import MODELS, Trial, TrialOutcome, does_not_load, keep_verdict, known_verdict, try_model

_CHECK = "import numpy, platform; print(platform.python_version())"
_LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Built:
    """An environment that is there.

    Args:
        key: Its name.
        python: Its interpreter.
        lease: Held by whoever asked for it; to be released.
        verdict: What came of trying the model; None where it was not tried.
        resolution: What is in it; None where pip or conda decided.
        seconds: What building took; 0 where it was there.
    """

    key: str
    python: str
    lease: Lease
    verdict: TrialOutcome | None = None
    resolution: Resolution | None = None
    seconds: float = 0.0


def log_of(root: Path, request: EnvironmentRequest) -> Path:
    """Where the words of the tools stand that build what is asked for."""
    return root / _LOGS / f"{request.digest}.log"


def existing(root: Path, request: EnvironmentRequest, trial: Trial | None = None) -> Built | None:
    """An environment that was built before, is still there, and good for the model as far as it was to be tried.

    Args:
        root: Where environments are kept.
        request: What is asked for.
        trial: The model that must have been tried in it; None takes it untried.
    """
    resolution = kept_resolution(root, request) if request.is_resolved_first else None
    if request.is_resolved_first and resolution is None:
        return None
    key = key_of(request, resolution)
    if marked(root, key) is None:
        return None
    lease = Lease.take(root, key, time.monotonic() + request.settings.build_timeout_s)
    # Again: before we held the lease somebody may have removed it.
    python = marked(root, key)
    verdict = None if trial is None else known_verdict(root / key, trial)
    if python is None or (trial is not None and verdict is None):
        lease.release()
        return None
    return Built(key, python, lease, verdict, resolution)


def build(root: Path, request: EnvironmentRequest, job: BuildJob, trial: Trial | None = None) -> Built:
    """The environment; builds it unless somebody just did.

    Args:
        root: Where environments are kept; made if missing.
        request: What is asked for.
        job: What runs the tools; its own variables (PIP_INDEX_URL, UV_INDEX_URL) count.
        trial: The model that it must be good for.

    Raises:
        LoadFailed: A tool failed or took too long; says where its words stand.
        DoesNotLoad: The environment was built, and the model does not load in it; it is gone again unless it was there.
        Stopped: `job.is_stopped` said so.
    """
    begun = time.monotonic()
    try:
        # The mode is the last folder's alone, and the one above it is the home, which may be new too.
        root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        root.mkdir(exist_ok=True, mode=0o700)
        # Who asks for the same waits here: there is one log, and one who downloads.
        with exclusive(root / f"{request.digest}.request", job.deadline, job.is_stopped):
            found = existing(root, request, trial)
            if found is not None:
                return found
            job.begin()
            resolution = None
            if request.is_resolved_first:
                resolution = kept_resolution(root, request) or resolve(root, request, job)
            return _build(root, request, resolution, job, trial, begun)
    except OSError as error:
        raise job.not_written(error) from error


def build_at(target: Path, request: EnvironmentRequest, resolution: Resolution | None, job: BuildJob) -> str:
    """Make an environment in a folder, and fill it; for images, which keep environments in their own way.

    Args:
        target: Must not exist; its parent must. The environment cannot be moved from there.
        request: What is asked for; of its settings count where packages come from.
        resolution: What to install; None lets pip or conda decide.
        job: What runs the tools.

    Returns: Its interpreter, which can import numpy.

    Raises:
        LoadFailed, Stopped: As `build`; what is there half-way stays for the caller to remove.
    """
    python = str(target / "bin" / "python")
    tools, spec = request.tools, request.spec
    lines = target.parent / "requirements.txt"
    text = "".join(f"{line}\n" for line in spec.lines) if resolution is None else resolution.lines(spec.folder)
    lines.write_text(text, encoding="utf-8")
    if tools.conda is not None:
        _with_conda(target, request, job, lines)
    elif tools.uv is not None and tools.interpreter is not None:
        source = tools.interpreter.path
        job.run([tools.uv, "venv", "--no-project", "--quiet", "--python", source, str(target)], "making it")
        what = f"installing {len(resolution.packages) if resolution else len(spec.lines)} packages"
        job.tell(f"environment: {what}")
        command = [tools.uv, "pip", "sync", "--python", python, "--no-progress", str(lines)]
        if resolution is not None and resolution.has_hashes:
            command.append("--require-hashes")
        job.run([*command, *options_of(request, resolution.as_of if resolution else None)], what)
    elif tools.interpreter is not None:
        job.run([tools.interpreter.path, "-m", "venv", str(target)], "making it")
        _with_pip(python, request, job, lines)
    job.run([python, "-I", "-c", _CHECK], "importing numpy")
    return python


def _with_conda(target: Path, request: EnvironmentRequest, job: BuildJob, lines: Path) -> None:
    conda = request.tools.conda or ""
    content = target.parent / "environment.yml"
    # JSON is YAML.
    content.write_text(request.spec.conda or "{}", encoding="utf-8")
    command = ["create", "--yes"] if request.tools.name == "micromamba" else ["env", "create"]
    offline = ["--offline"] if request.settings.is_offline else []
    job.tell(f"environment: {request.tools.name} makes it")
    job.run([conda, *command, *offline, "--prefix", str(target), "--file", str(content)], "making it")
    _with_pip(str(target / "bin" / "python"), request, job, lines)


def _with_pip(python: str, request: EnvironmentRequest, job: BuildJob, lines: Path) -> None:
    command = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-r", str(lines)]
    if not request.has_builds:
        command += ["--only-binary", ":all:"]
    if request.settings.wheels is not None:
        folder = Path(request.settings.wheels).expanduser().absolute()
        command += ["--no-index", "--find-links", str(folder)]
    what = f"installing {len(request.spec.lines)} requirements"
    job.tell(f"environment: {what}")
    job.run(command, what)


def _build(
    root: Path, request: EnvironmentRequest, resolution: Resolution | None, job: BuildJob, trial: Trial | None, begun: float
) -> Built:
    key = key_of(request, resolution)
    lease = Lease.take(root, key, job.deadline)
    try:
        with exclusive(root / f"{key}.lock", job.deadline, job.is_stopped):
            python = marked(root, key)
            if python is None:
                python, verdict = _make(root, key, request, resolution, job, trial)
            else:
                verdict = None if trial is None else _judge(root / key, python, trial, job)
        return Built(key, python, lease, verdict, resolution, time.monotonic() - begun)
    except BaseException:
        lease.release()
        raise


def _make(
    root: Path, key: str, request: EnvironmentRequest, resolution: Resolution | None, job: BuildJob, trial: Trial | None
) -> tuple[str, TrialOutcome | None]:
    (root / f"{key}.json").unlink(missing_ok=True)
    shutil.rmtree(root / key, ignore_errors=True)
    target = root / key / secrets.token_hex(4)
    # Whoever was killed may have left something that still writes there; it goes when it is done.
    target.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        python = build_at(target, request, resolution, job)
        verdict = None if trial is None else _judge(root / key, python, trial, job)
        facts = {
            "python": python,
            "version": _version_in(target) or (request.tools.interpreter.version if request.tools.interpreter else ""),
            "tool": request.tools.name,
            "packages": request.spec.lines if resolution is None else resolution.packages,
            "size_bytes": size_of(target),
            "built_at": time.time(),
            "as_of": None if resolution is None else resolution.as_of,
            "notices": [resolution.notice] if resolution is not None and resolution.notice else [],
            "log": str(job.log),
        }
        mark(root, key, facts)
    except BaseException:
        shutil.rmtree(root / key, ignore_errors=True)
        raise
    for left in (root / key).iterdir():
        if left.is_dir() and left.name not in {target.name, MODELS}:
            shutil.rmtree(left, ignore_errors=True)
    _evict(root, request.settings.most_bytes)
    return python, verdict


def _judge(place: Path, python: str, trial: Trial, job: BuildJob) -> TrialOutcome:
    verdict = try_model(python, trial, job)
    if not verdict.loads:
        raise does_not_load(verdict, job)
    keep_verdict(place, trial, verdict)
    return verdict


def _evict(root: Path, most_bytes: int) -> None:
    """Let the least recently used go where there are too many of them."""
    if most_bytes:
        for each in superfluous(kept(root), time.time(), most_bytes=most_bytes):
            with contextlib.suppress(OSError):
                remove(root, each.key)


def _version_in(target: Path) -> str | None:
    """What the environment itself says of its Python; conda chooses its own."""
    with contextlib.suppress(OSError):
        for line in (target / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() in {"version_info", "version"}:
                return ".".join(value.strip().split(".")[:3])
    return None
