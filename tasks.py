"""The task runner. Needs nothing but a Python of 3.11 or later; makes its own virtual environments inside the checkout.

    python3 tasks.py demo     train, register, promote, serve and swap a real model; leaves it serving
    python3 tasks.py test     everything: lint, types, import floors, all tests (also those against a real MLflow)
    python3 tasks.py quick    the daily subset: no slow test, none that needs MLflow     [pytest arguments]
    python3 tasks.py check    ruff, formatting, mypy --strict, import floors
    python3 tasks.py mlflow   the environments with MLflow 3 and 2 that `test` compares with, and makes by itself
    python3 tasks.py azurite  Azure's emulator by npm; `test` asks it where it is there
    python3 tasks.py clean    stop what `demo` started; remove environments, caches and .podium

An environment is made again when pyproject.toml, the Python or the checkout's place changed, or when its making was
cut short. Nothing is installed outside the checkout, and VIRTUAL_ENV, PYTHONPATH and the like do not reach what runs here.
"""

# Parses with Python 3.6 and later, so that an old one can say what is wrong rather than fail on the syntax.
import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.abspath(__file__))
OLDEST = (3, 11)
_PROBE = "import sys, venv, ensurepip, sqlite3, ssl; assert sys.version_info >= (3, 11), 'is older than 3.11'"
_CANDIDATES = ("python3.11", "python3.12", "python3.13", "python3", "python")
# What no test imports, or little of it: a third of what lies there. A process that imports some compiles it then, once.
_UNCOMPILED = r"/site-packages/(.*/)?(tests?|debugpy|fontTools|jedi|moto|mypy|mypyc|plotly|pygments|testing/_internal)/"
_TERMS = f"rx=re.compile({_UNCOMPILED!r}), quiet=2, workers=0"
_COMPILE = f"import compileall, re, sysconfig; compileall.compile_dir(sysconfig.get_path('purelib'), {_TERMS})"
# pip's settings that say where packages come from; all others could send them elsewhere than into our environment.
_PIP_SOURCES = {
    "CACHE_DIR", "CERT", "CLIENT_CERT", "CONFIG_FILE", "DEFAULT_TIMEOUT", "EXTRA_INDEX_URL", "FIND_LINKS", "INDEX_URL",
    "KEYRING_PROVIDER", "NO_CACHE_DIR", "NO_INDEX", "PROXY", "RETRIES", "TRUSTED_HOST", "TIMEOUT",
}  # fmt: skip
_FRAMEWORKS = ("torch==2.13.0", "tensorflow-cpu", "keras", "xgboost-cpu", "lightgbm", "catboost", "statsmodels")
_MLFLOW = ("mlflow==3.17.2", "skops", "onnx", "onnxruntime", "skl2onnx", "httpx", *_FRAMEWORKS)
_AZURITE = os.path.join(ROOT, ".venv-azurite", "node_modules", ".bin", "azurite-blob")
# What teams saved for years: the last of the series before, whose own server needs the Starlette of its time.
_MLFLOW_2 = ("mlflow>=2.22,<3", "fastapi<0.117", "starlette<0.48", "httpx", "skops", "onnx", "onnxruntime", *_FRAMEWORKS)
# Much of a test's time goes by waiting for processes that start: a little more at once than there are cores.
_AT_ONCE = min(os.cpu_count() or 1, 3) + 1


class TaskFailed(Exception):
    """What to tell the person; no traceback."""


def _say(text):
    print(text, flush=True)


def choose_python():
    """The first Python that can make our environments: the one running, or else one on the PATH.

    Raises:
        TaskFailed: None can; says what each lacks and how to get one.
    """
    if sys.platform != "linux":
        raise TaskFailed(
            f"podium serves on Linux only (it hands over sockets and sealed memory by descriptor); this is {sys.platform}."
        )
    lacking = []
    found = [path for path in map(shutil.which, _CANDIDATES) if path]
    for candidate in dict.fromkeys([sys.executable, *found]):
        probe = subprocess.Popen(
            [candidate, "-c", _PROBE], env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        said = probe.communicate()[1].decode(errors="replace").strip().splitlines()
        if probe.returncode == 0:
            return candidate
        lacking.append(f"  {candidate}: {said[-1] if said else 'does not start'}")
    raise TaskFailed(
        "podium needs Python 3.11 or later with its venv, ensurepip, sqlite3 and ssl modules. Found:\n"
        + "\n".join(lacking)
        + "\nOn Debian and Ubuntu: apt-get install python3 python3-venv."
        + " With pyenv: pyenv install 3.11, then pyenv shell 3.11."
    )


def clean_environment(**extra):
    """The environment for what runs here: without another environment's marks, Python's switches and podium's settings."""
    kept = {}
    for name, value in os.environ.items():
        if name in {"VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "__PYVENV_LAUNCHER__", "PYTEST_ADDOPTS", "COVERAGE_PROCESS_START"}:
            continue
        if name.startswith(("PYTHON", "MLFLOW_", "RUFF_", "MYPY")):
            continue
        if name.startswith("PODIUM_") and not name.startswith("PODIUM_TEST_"):
            continue
        if name.startswith("PIP_") and name[4:] not in _PIP_SOURCES:
            continue
        kept[name] = value
    kept.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_USER="0", PIP_NO_INPUT="1", PYTHONUNBUFFERED="1", **extra)
    return kept


def environment(name, python, requirements, shown, is_compiled=True):
    """Make `.venv-<name>` unless it stands as wanted, and return its Python. Two runs at once take turns.

    Args:
        name: demo, test, mlflow or mlflow2.
        python: The Python to make it with.
        requirements: pip's arguments.
        shown: What it is for, for the person who waits.
        is_compiled: Whether most of it is compiled now, rather than each module when it is first imported.
    """
    folder = os.path.join(ROOT, ".venv-" + name)
    inside = _inside(name)
    stamp = os.path.join(folder, "podium-stamp.json")
    with _turn(folder + ".lock"):
        wanted = _stamp(python, requirements, folder)
        if _read(stamp) == wanted and _starts(inside):
            return inside
        _say(f"==> making .venv-{name}: {shown} (once; some minutes on a slow line)")
        shutil.rmtree(folder, ignore_errors=True)
        _run_quietly("making the environment", [python, "-m", "venv", folder])
        pip = [inside, "-m", "pip", "install", "--progress-bar", "off", "--no-compile"]
        if name != "demo":
            # The PyTorch without a GPU's code may lie where pip alone is told.
            _run_quietly("installing PyTorch", [*pip, _FRAMEWORKS[0], *(["uv"] if name == "test" else [])])
        if name == "demo" or not _is_installed_by_uv(inside, requirements):
            _run_quietly("installing", [*pip, *requirements])
        if is_compiled:
            # On all cores, where pip has one. Some packages hold files that no Python compiles: its status says nothing.
            _run_quietly("compiling", [inside, "-c", _COMPILE])
        with open(stamp, "w") as file:
            file.write(wanted)
    return inside


def _is_installed_by_uv(inside, requirements):
    """Whether uv did it, which is several times quicker: where pip is told of no other index, and nothing went wrong."""
    asking = subprocess.Popen([inside, "-m", "pip", "config", "list"], env=clean_environment(), stdout=subprocess.PIPE)
    told = asking.communicate()[0].decode(errors="replace")
    if any(name in told for name in (".index-url=", ".no-index=")) or not os.path.exists(_inside("test")):
        return False
    try:
        uv = [_inside("test"), "-m", "uv", "pip", "install", "--quiet", "--python", inside]
        _run_quietly("installing by uv", [*uv, *requirements])
        return True
    except TaskFailed as failure:
        _say(str(failure))
        return False


def _inside(name):
    return os.path.join(ROOT, ".venv-" + name, "bin", "python")


def _starts(python):
    return subprocess.call([python, "-c", "import pip"], env=clean_environment(), stderr=subprocess.DEVNULL) == 0


def _stamp(python, requirements, folder):
    asked = [python, "-c", "import sys; print(sys.version, sys.base_prefix)"]
    version = subprocess.check_output(asked, env=clean_environment(), text=True)
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = hashlib.sha256(file.read()).hexdigest()
    return json.dumps({"project": project, "python": version.strip(), "pip": list(requirements), "folder": folder})


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


@contextlib.contextmanager
def _turn(path):
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _say("    another run is making this environment; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_quietly(label, command):
    """Run a command, printing a line every few seconds with the last thing it said; all it said if it fails."""
    started = time.monotonic()
    said = []
    process = subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    reader = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
    reader.start()
    due = 2.0
    while True:
        try:
            process.wait(timeout=max(0.05, started + due - time.monotonic()))
            break
        except subprocess.TimeoutExpired:
            last = next((line.strip() for line in reversed(said) if line.strip() and not line.startswith("WARNING")), "")
            _say(f"    {label}, {time.monotonic() - started:.0f} s: {last[:100]}")
            due += 5.0
    reader.join(timeout=10)
    if process.returncode != 0:
        raise TaskFailed(f"{''.join(said)}\n{label} failed (exit {process.returncode}): {' '.join(command)}")
    _say(f"    {label}: done in {time.monotonic() - started:.0f} s")


def demo(arguments):
    """Run the main job; the server it leaves behind keeps its data in PODIUM_HOME, or in .podium here."""
    inside = environment("demo", choose_python(), ("-e", ".[sklearn]"), "podium and scikit-learn")
    home = os.environ.get("PODIUM_HOME") or os.path.join(ROOT, ".podium")
    script = os.path.join("examples", "main_job.py")
    return _run([inside, script, *arguments], PODIUM_HOME=os.path.abspath(os.path.expanduser(home)))


def test(arguments):
    """Everything, then one line with the totals. A failed check counts as a failed test: tests/house runs the checks.

    What needs no MLflow begins while the environments with MLflow are still made.
    """
    if arguments:
        raise TaskFailed("test runs everything; for a part: python3 tasks.py quick tests/domain -k batching")
    with tempfile.TemporaryDirectory(prefix="podium-test-") as scratch:
        return _test(_test_environment(choose_python()), scratch)


def _test(inside, scratch):
    at_once = ["-n", str(_AT_ONCE), "--dist", "loadfile", "--no-loadscope-reorder", "-m", "not alone"]
    rooms = ["tests/" + room for room in sorted(os.listdir(os.path.join(ROOT, "tests"))) if room[0] not in "._"]
    rooms = [room for room in rooms if os.path.isdir(os.path.join(ROOT, room))]
    # Whole servers wait for each other much of the time, and MLflow computes: they go well together.
    late = {"tests/fleet", "tests/system", *map(os.path.dirname, _marked("mlflow"))} & set(rooms)
    totals = {"passed": 0, "failed": 0, "skipped": 0}

    def run(title, *chosen):
        _say("==> " + title)
        report = os.path.join(scratch, str(len(os.listdir(scratch))) + ".xml")
        command = [inside, "-m", "pytest", "--durations=25", "--junitxml", report, *chosen]
        variables = {"PODIUM_TEST_MLFLOW_PYTHON": _inside("mlflow"), "PODIUM_TEST_MLFLOW_2_PYTHON": _inside("mlflow2")}
        if os.path.exists(_AZURITE):
            variables["PODIUM_TEST_AZURITE"] = _AZURITE
        _add(totals, report, _run(command, **variables))

    with _meanwhile("mlflow", os.path.join(scratch, "mlflow.log")) as making:
        early = (room for room in rooms if room not in late)
        run(f"rooms that need no MLflow, {_AT_ONCE} files at once", *at_once, *early)
    if making.returncode == 0:
        run(f"rooms with a real MLflow or whole servers, {_AT_ONCE} files at once", *at_once, *sorted(late))
    else:
        _say("==> no environment with MLflow could be made, see above: half of the tests have not run")
        totals["failed"] += 1
    run("what wants the machine for itself", "-v", "-m", "alone", *_marked("alone"))
    _say(f"\n{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if totals["failed"] or not totals["passed"] else 0


@contextlib.contextmanager
def _meanwhile(task, log):
    """Run another task while the block does, and wait for its end; what it said is shown then."""
    with open(log, "w") as said:
        process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), task], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        yield process
        process.wait()
    finally:
        process.kill()
        process.wait()
        _say((_read(log) or "").strip())


def _marked(marker):
    """The test files that use a marker. pytest alone would import all of them to find out."""
    files = glob.glob(os.path.join(ROOT, "tests", "**", "test_*.py"), recursive=True)
    return sorted(os.path.relpath(path, ROOT) for path in files if "pytest.mark." + marker in (_read(path) or ""))


def mlflow(_arguments):
    """Make the two environments that tests compare with."""
    python = choose_python()
    environment("mlflow", python, _MLFLOW, "a real MLflow, to compare with", is_compiled=False)
    environment("mlflow2", python, _MLFLOW_2, "an MLflow 2, whose models are to load", is_compiled=False)
    return 0


def azurite(_arguments):
    """Azure's Blob service for tests, where there is npm; without it they are skipped, and say so.

    Not of `test` itself: npm has no deadline, and one that cannot reach its registry would hold up everything.
    """
    folder, npm = os.path.join(ROOT, ".venv-azurite"), shutil.which("npm")
    if npm and not os.path.exists(_AZURITE) and "PODIUM_TEST_AZURITE" not in os.environ:
        command = [npm, "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "azurite@3"]
        _run_quietly("installing azurite", command)
    return 0


def _add(totals, report, status):
    """Add one pytest run's counts; a run that ended without a report, or failed with none counted, is one failure."""
    failed = passed = skipped = 0
    try:
        for suite in ElementTree.parse(report).iter("testsuite"):
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
            passed += int(suite.get("tests", 0))
        passed -= failed + skipped
    except (OSError, ElementTree.ParseError):
        failed = 1
    totals["passed"] += passed
    totals["failed"] += max(failed, 1) if status != 0 else failed
    totals["skipped"] += skipped


def quick(arguments):
    """The subset for every day."""
    inside = _test_environment(choose_python())
    return _run([inside, "-m", "pytest", "-q", "-m", "not slow and not mlflow", *arguments])


def check(_arguments):
    """All four checks, even when an early one fails."""
    inside = _test_environment(choose_python())
    failed = 0
    for title, command in CHECKS.items():
        _say("==> " + title)
        failed += _run([inside, *command]) != 0
    _say(f"{failed} of {len(CHECKS)} checks failed" if failed else "all checks passed")
    return min(failed, 1)


CHECKS = {
    "ruff check": ("-m", "ruff", "check", "."),
    "ruff format --check": ("-m", "ruff", "format", "--check", "."),
    "mypy --strict": ("-m", "mypy"),
    "import floors": ("-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"),
}


def clean(_arguments):
    """Stop the demo's server, then remove what the tasks made."""
    podium = os.path.join(ROOT, ".venv-demo", "bin", "podium")
    if os.path.exists(podium) and os.path.isdir(os.path.join(ROOT, ".podium", "run")):
        _run([podium, "stop"], PODIUM_HOME=os.path.join(ROOT, ".podium"))
    made = [".podium", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"]
    made += [entry for entry in os.listdir(ROOT) if entry.startswith(".venv-")]
    for name in made:
        path = os.path.join(ROOT, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        elif os.path.lexists(path):
            os.unlink(path)
    return 0


def _test_environment(python):
    return environment("test", python, ("-e", ".[test,lint]"), "podium with everything that its tests need")


def _run(command, **extra):
    """Run with this terminal; Ctrl-C reaches the child too, which is waited for."""
    process = subprocess.Popen(command, cwd=ROOT, env=clean_environment(**extra))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


TASKS = {"demo": demo, "test": test, "quick": quick, "check": check, "mlflow": mlflow, "azurite": azurite, "clean": clean}


def main(arguments):
    """Run one task; returns the exit status: 0 done, 1 failed, 2 asked wrongly or no usable Python."""
    if not arguments or arguments[0] not in TASKS:
        is_help = bool(arguments) and arguments[0] in {"-h", "--help", "help"}
        _say(__doc__.strip())
        if arguments and not is_help:
            print(f"\nerror: there is no task {arguments[0]!r}.", file=sys.stderr, flush=True)
        return 0 if is_help else 2
    try:
        if sys.version_info < OLDEST:
            os.execve(choose_python(), [choose_python(), os.path.join(ROOT, "tasks.py"), *arguments], dict(os.environ))
        return TASKS[arguments[0]](arguments[1:])
    except TaskFailed as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
