"""What is wrong with a machine and how to put it right: one judgement for each thing, from facts. Pure.

Each takes what was measured and answers with a `Finding`, or several. Facts hold no secrets, so findings cannot.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from podium.domain.sizes import size_text
from podium.domain.worker_starts import FORKED

_GIBIBYTE, _MEBIBYTE = 1 << 30, 1 << 20
_OLDEST_PYTHON, _NEWEST_TRIED = (3, 11), (3, 13)
_EARLIEST_S = 1_735_689_600  # 2025-01-01, before any release of podium: a clock that shows less is wrong
_NETWORK_FILES = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse"})


class Level(StrEnum):
    """How bad it is: a problem keeps podium from serving, or from serving safely."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement: what was looked at, how it is, and what to do about it (nothing where it is fine)."""

    check: str
    level: Level
    fact: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it was found: whether it is there, can be written to, by others too, its free bytes, its file system."""

    path: str
    is_there: bool
    is_writable: bool
    is_private: bool
    free_bytes: int
    file_system: str
    skew_s: float = 0.0


@dataclass(frozen=True, slots=True)
class InstalledLibrary:
    """An installed library; `error` is why it cannot be imported, None when it can or was not tried."""

    version: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """The embedded registry: schema numbers, what SQLite's check says (`ok`), why it cannot be read."""

    path: str
    is_there: bool
    schema: int | None = None
    known_schema: int = 0
    integrity: str | None = None
    error: str | None = None


# library, from, library, below: the first from that version on and the second before that version do not work together.
_BAD_PAIRS = (
    ("numpy", "2.0", "pandas", "2.2.2"),
    ("numpy", "2.0", "scikit-learn", "1.4.2"),
    ("numpy", "2.0", "pyarrow", "16.0"),
    ("numpy", "2.0", "onnxruntime", "1.19"),
    ("numpy", "2.0", "torch", "2.3"),
    ("numpy", "2.0", "scipy", "1.13"),
)


def judge_python(version: tuple[int, int, int], implementation: str, is_without_gil: bool) -> Finding:
    """The interpreter itself."""
    name = f"{implementation} {'.'.join(map(str, version))}"
    if version[:2] < _OLDEST_PYTHON or implementation != "CPython":
        return Finding("python", Level.PROBLEM, f"{name} is not supported", "Use CPython 3.11 or newer.")
    if is_without_gil:
        remedy = "Use the ordinary build; extension modules of ML libraries are rarely tried without the GIL."
        return Finding("python", Level.WARNING, f"{name}, built without the GIL", remedy)
    if version[:2] > _NEWEST_TRIED:
        return Finding("python", Level.WARNING, f"{name} is newer than what podium is tried with", "Use 3.11 to 3.13.")
    return Finding("python", Level.OK, name)


def judge_modules(errors: Mapping[str, str | None]) -> list[Finding]:
    """The compiled modules of the gateway: why each cannot be imported, or None."""
    return [
        Finding(f"module {name}", Level.OK, "can be imported")
        if error is None
        else Finding(f"module {name}", Level.PROBLEM, f"cannot be imported: {error}", f"Run: pip install {name}")
        for name, error in errors.items()
    ]


def judge_kernel(errors: Mapping[str, str | None]) -> list[Finding]:
    """Features of the kernel: the error of a trial, or None. Only pidfds can be done without."""
    findings = []
    for name, error in errors.items():
        if error is None:
            findings.append(Finding(f"kernel {name}", Level.OK, "works"))
        elif name == "pidfd":
            remedy = "Allow pidfd_open (Linux 5.3, seccomp profile); until then children are polled for."
            findings.append(Finding(f"kernel {name}", Level.WARNING, f"is refused: {error}", remedy))
        else:
            remedy = "Use Linux 4.5 or newer, and a seccomp profile such as the container engine's default."
            findings.append(Finding(f"kernel {name}", Level.PROBLEM, f"is refused: {error}", remedy))
    return findings


def judge_files(hard: int, connections: int) -> Finding:
    """Open files: each connection takes one. `hard` is what a gateway raises its limit to; -1 is no limit."""
    fact = f"up to {hard if hard >= 0 else 'any number of'} for each process"
    if 0 <= hard < 256:
        return Finding("open files", Level.PROBLEM, fact, "Raise the hard limit: ulimit -Hn 65536")
    if 0 <= hard < connections + 100:
        remedy = f"Raise the hard limit (ulimit -Hn {connections + 1000}), or lower limits.max_connections."
        return Finding("open files", Level.WARNING, f"{fact}, fewer than the {connections} connections allowed", remedy)
    return Finding("open files", Level.OK, fact)


def judge_backlog(somaxconn: int | None, wanted: int) -> Finding:
    """Connections that may wait to be accepted; the kernel cuts what is asked for without a word."""
    if somaxconn is None or somaxconn >= wanted:
        return Finding("backlog", Level.OK, "unknown" if somaxconn is None else f"somaxconn is {somaxconn}")
    remedy = f"Raise it for bursts of new connections: sysctl net.core.somaxconn={wanted}"
    return Finding("backlog", Level.WARNING, f"somaxconn is {somaxconn}, podium asks for {wanted}", remedy)


def judge_home(folder: Folder) -> list[Finding]:
    """PODIUM_HOME: there or to be made, ours alone, with space, on a disk that can lock."""
    check, remedy = "home", "Set PODIUM_HOME to a folder of yours."
    if not folder.is_writable:
        return [Finding(check, Level.PROBLEM, f"{folder.path} cannot be written to", remedy)]
    findings = [Finding(check, Level.OK, f"{folder.path} {'is there' if folder.is_there else 'will be made'}")]
    if folder.is_there and not folder.is_private:
        fact = f"{folder.path} can be entered by others; it holds models, and logs of what clients did"
        findings = [Finding(check, Level.WARNING, fact, f"Run: chmod 700 {folder.path}")]
    if folder.file_system in _NETWORK_FILES:
        fact = f"{folder.path} lies on {folder.file_system}, where SQLite's locks and write-ahead log are not safe"
        findings.append(Finding("home disk", Level.PROBLEM, fact, "Set PODIUM_HOME to a folder on a local disk."))
    if abs(folder.skew_s) > 2:
        fact = f"files at {folder.path} are dated {folder.skew_s:+.0f} s beside this machine's clock"
        findings.append(Finding("home clock", Level.WARNING, fact, "Set both clocks by NTP."))
    return [*findings, judge_space("home space", folder, 100 * _MEBIBYTE, _GIBIBYTE)]


def judge_space(check: str, folder: Folder, least: int, enough: int) -> Finding:
    """Free bytes where models are copied to, or what libraries share memory in."""
    fact = f"{_size(folder.free_bytes)} free at {folder.path}"
    if folder.free_bytes < least:
        return Finding(check, Level.PROBLEM, fact, f"Free at least {_size(enough)}, or put it elsewhere.")
    if folder.free_bytes < enough:
        return Finding(check, Level.WARNING, fact, f"Free at least {_size(enough)}, or put it elsewhere.")
    return Finding(check, Level.OK, fact)


def judge_shared_memory(folder: Folder) -> Finding:
    """The folder of shared memory: podium does without, but the workers of joblib and torch do not."""
    if not folder.is_there or folder.free_bytes < 64 * _MEBIBYTE:
        fact = f"{_size(folder.free_bytes)} free" if folder.is_there else "is not there"
        remedy = "Give the container more: --shm-size=1g. Models that load in parallel (joblib, torch) need it."
        return Finding("shared memory", Level.WARNING, fact, remedy)
    return Finding("shared memory", Level.OK, f"{_size(folder.free_bytes)} free")


def judge_clock(now_s: float) -> Finding:
    """A clock far in the past breaks certificates, and the order of what is recorded."""
    if now_s < _EARLIEST_S:
        return Finding("clock", Level.PROBLEM, "shows a time before this podium was made", "Set it, by NTP for good.")
    return Finding("clock", Level.OK, "shows a possible time")


def judge_processors(processors: float) -> Finding:
    """What affinity and control groups leave: a server is a supervisor, a gateway and a worker at least."""
    fact = f"{processors:g} processor{'' if processors == 1 else 's'}"
    if processors < 1:
        remedy = "Raise the CPU limit to 1 or more: under a quota every request waits for the next period."
        return Finding("processors", Level.WARNING, fact, remedy)
    return Finding("processors", Level.OK, fact)


def judge_memory(available: int) -> Finding:
    """What can be had without swapping or being killed; a worker with scikit-learn takes about 150 MiB."""
    fact = f"{_size(available)} can be had"
    if available < 256 * _MEBIBYTE:
        return Finding("memory", Level.PROBLEM, fact, "Raise the memory limit; one server takes 300 MiB and more.")
    if available < _GIBIBYTE:
        remedy = "Raise the memory limit: during a swap two versions are loaded at once."
        return Finding("memory", Level.WARNING, fact, remedy)
    return Finding("memory", Level.OK, fact)


def judge_libraries(libraries: Mapping[str, InstalledLibrary]) -> list[Finding]:
    """The ML libraries that are installed: can they be imported, and do they go together."""
    findings = []
    for name, library in libraries.items():
        if library.error is not None:
            fact = f"{library.version} cannot be imported: {library.error}"
            findings.append(Finding(f"library {name}", Level.PROBLEM, fact, f"Run: pip install --force-reinstall {name}"))
        else:
            findings.append(Finding(f"library {name}", Level.OK, library.version))
    for first, since, second, below in _BAD_PAIRS:
        if first not in libraries or second not in libraries:
            continue
        one, other = libraries[first].version, libraries[second].version
        if _numbers(one) >= _numbers(since) and _numbers(other) < _numbers(below):
            fact = f"{first} {one} and {second} {other} do not work together"
            remedy = f'Run: pip install "{second}>={below}", or "{first}<{since}"'
            findings.append(Finding(f"{first} with {second}", Level.PROBLEM, fact, remedy))
    return findings


def judge_gpus(count: int) -> Finding:
    """GPUs that this process may use; whether a library can is the worker's to say."""
    return Finding("gpu", Level.OK, f"{count} in sight" if count else "none in sight: models compute on the processor")


def judge_uv(path: str | None) -> Finding:
    """What builds environments for models; Python's own venv and pip do without it."""
    return Finding("uv", Level.OK, path or "not found: env_manager = 'uv' needs it (pip install 'podium[uv]')")


def judge_sandbox(error: str | None) -> Finding:
    """Whether isolation = 'sandbox' can be asked for here; nothing needs it unless it is."""
    return Finding("sandbox", Level.OK, "bubblewrap works" if error is None else " ".join(error.split()))


def judge_worker_start(reason: str | None, wish: str, refusal: str | None, forkable: Sequence[str]) -> Finding:
    """How a server's workers would start here, by its settings.

    Args:
        reason: Why none is forked (`domain/worker_starts.py`), or None.
        wish: The setting `worker_start`.
        refusal: Why the kernel does not hand a fork server's children over, or None.
        forkable: Flavors whose workers may be forked.
    """
    check, fresh = "worker start", "each in an interpreter of its own"
    why = reason if reason is not None else refusal
    if why is None:
        fact = f"forked from a process that has their libraries: {', '.join(forkable)}; all others {fresh}"
        return Finding(check, Level.OK, f"{fact}. podium status says it of each worker")
    if wish == FORKED:
        remedy = "Take worker_start = 'forked' back, or what stands against it."
        return Finding(check, Level.WARNING, f"{fresh}, though worker_start is forked: {why}", remedy)
    return Finding(check, Level.OK, f"{fresh}: {why}")


def judge_registry(facts: RegistryFacts) -> Finding:
    """The embedded registry: readable, of a schema that this podium knows, whole."""
    if facts.error is not None:
        remedy = "Restore it from a backup, or give its owner's rights back."
        return Finding("registry", Level.PROBLEM, f"{facts.path} cannot be read: {facts.error}", remedy)
    if not facts.is_there:
        return Finding("registry", Level.OK, f"{facts.path}: nothing is registered yet")
    if facts.schema is not None and facts.schema > facts.known_schema:
        fact = f"{facts.path} has schema {facts.schema}, this podium knows {facts.known_schema}"
        return Finding("registry", Level.PROBLEM, fact, "Run the podium that wrote it, or a newer one.")
    if facts.integrity != "ok":
        remedy = "Restore it from a backup; sqlite3 registry.db .recover saves what can be read."
        return Finding("registry", Level.PROBLEM, f"{facts.path} is damaged: {facts.integrity}", remedy)
    return Finding("registry", Level.OK, f"{facts.path}: schema {facts.schema}, whole")


def judge_runs(running: int, dead: Sequence[str]) -> Finding:
    """Folders of servers that were killed."""
    if dead:
        fact = f"{len(dead)} left by servers that were killed: {', '.join(dead[:5])}"
        return Finding("run folders", Level.WARNING, fact, "Nothing to do: the next podium serve removes them.")
    return Finding("run folders", Level.OK, f"{running} server{'' if running == 1 else 's'} running, nothing left behind")


def judge_port(port: int, taken_by: str | None) -> Finding:
    """Whether a server could listen where the settings say. `taken_by` is None when it could."""
    if taken_by is None or port == 0:
        return Finding("port", Level.OK, f"{port} is free" if port else "any free one is taken")
    remedy = "Serve on another one (-p 0 takes any), or stop what listens there."
    return Finding("port", Level.WARNING, f"{port} cannot be had: {taken_by}", remedy)


def judge_settings(error: str | None) -> Finding:
    """podium.toml and the PODIUM_ variables."""
    if error is not None:
        return Finding("settings", Level.PROBLEM, error, "Mend it; docs/reference/settings.md lists every setting.")
    return Finding("settings", Level.OK, "can be read; podium serve --show-settings prints them")


def judge_locale(encoding: str, file_encoding: str) -> Finding:
    """What text files and file names are read as."""
    if {_plain(encoding), _plain(file_encoding)} != {"utf8"}:
        fact = f"text is {encoding}, file names are {file_encoding}"
        return Finding("locale", Level.WARNING, fact, "Set LC_ALL=C.UTF-8, or PYTHONUTF8=1.")
    return Finding("locale", Level.OK, "UTF-8")


def judge_mlflow(variable: str, place: str, error: str | None) -> Finding:
    """A store that MLflow's variables name; `place` is without user and password, `error` why it does not answer."""
    if error is not None:
        remedy = f"Start it, or mend {variable}. What podium serves already, it keeps serving."
        return Finding(variable, Level.WARNING, f"{place} does not answer: {error}", remedy)
    return Finding(variable, Level.OK, f"{place} answers")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+", maxsplit=1)[0])[:3])


def _plain(encoding: str) -> str:
    return encoding.lower().replace("-", "").replace("_", "")


def _size(count: int) -> str:
    if count >= 1 << 50:
        return "any amount"
    return size_text(count)
