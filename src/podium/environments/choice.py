"""Which Python a model runs in, and why: the one that runs podium, one that was built before, or one that is built now."""

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from podium.domain.load_terms import DEFAULT_TERMS, LoadTerms
from podium.domain.model_files.code import line_needs, refuse
from podium.environments.build import Built, build, existing, log_of
from podium.environments.interpreters import find_interpreter
from podium.environments.kept import Lease
from podium.environments.resolve import EnvironmentRequest
from podium.environments.running import BuildJob
from podium.environments.spec import NATIVE_LOADERS, EnvironmentSpec, check_override, overridden, read_spec
from podium.environments.tools import Tools, find_conda, find_uv, tool_environ
from podium.environments.trial import Confine, DoesNotLoad, Trial
from podium.errors import InvalidModel, LoadFailed, Misconfigured
from podium.models.installed import installed_version, installed_versions
from podium.models.requirements import mismatches, names, python_mismatches, read_requirements
from podium.settings.environments import AUTO, EnvironmentOrder
from podium.settings.home import Home

_FETCH_S = 600.0


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a model runs.

    Args:
        python: The interpreter.
        reason: A sentence that says why it is this one.
        key: The environment's name; None for the Python that runs podium.
        notices: What people should know of it.
        lease: Keeps it from being removed until `release`.
    """

    python: str
    reason: str
    key: str | None = None
    notices: tuple[str, ...] = ()
    lease: Lease | None = None

    def release(self) -> None:
        """Let it be removed by whoever makes room."""
        if self.lease is not None:
            self.lease.release()


@dataclass(frozen=True, slots=True)
class Asking:
    """A model, and who asks for its environment.

    Args:
        folder: The model's.
        mlmodel: Its MLmodel file.
        order: What was asked for.
        root: Where environments are kept.
        tell: Called with a line for people before something that takes long.
        is_stopped: As in `running.BuildJob`.
        environ: Variables for the tools and the model.
        terms: On which the model may be loaded when it is tried.
        confine: As in `trial.Trial`.
    """

    folder: Path
    mlmodel: Mapping[str, Any]
    order: EnvironmentOrder
    root: Path
    tell: Callable[[str], None] = lambda _: None
    is_stopped: Callable[[], bool] = lambda: False
    environ: Mapping[str, str] | None = None
    terms: LoadTerms = DEFAULT_TERMS
    confine: Confine | None = None

    def request(self) -> EnvironmentRequest:
        """What is asked for, in what there is on this machine.

        Raises:
            Misconfigured, InvalidModel, InvalidInput: As `choose`.
        """
        environ = os.environ if self.environ is None else self.environ
        spec = read_spec(self.folder, self.mlmodel, self.order)
        if not self.terms.allows_code:
            refuse(line_needs(spec.asked), self.terms, environ)
        return EnvironmentRequest(spec, self._tools(spec, environ), self.order.settings, self.terms.allows_code)

    def job(self, request: EnvironmentRequest) -> BuildJob:
        """What runs the tools for it."""
        environ = tool_environ(os.environ if self.environ is None else self.environ)
        deadline = time.monotonic() + self.order.settings.build_timeout_s
        return BuildJob(log_of(self.root, request), environ, deadline, self.tell, self.is_stopped)

    @property
    def trial(self) -> Trial:
        """The model, to be tried."""
        return Trial(self.folder, self.mlmodel, self.terms, self.confine)

    def _tools(self, spec: EnvironmentSpec, environ: Mapping[str, str]) -> Tools:
        uv = find_uv(environ)
        if self.order.manager == "conda" and spec.conda is not None:
            conda = find_conda(environ)
            if conda is None:
                raise Misconfigured(
                    "--env-manager conda: there is no conda, mamba or micromamba on PATH. Install one (MLFLOW_CONDA_HOME "
                    "may say where it is), or let uv build what conda.yaml asks for: --env-manager virtualenv"
                )
            return Tools(None, conda=conda)
        if self.order.manager == "conda":
            raise Misconfigured("--env-manager conda: the model has no conda.yaml. Use --env-manager virtualenv")
        if self.order.manager == "uv" and uv is None:
            raise Misconfigured(
                "--env-manager uv: there is no uv on PATH. Install it (pip install 'podium[uv]'), or use --env-manager "
                "virtualenv, which does with Python's own venv and pip where uv is missing."
            )
        if self.order.settings.is_offline and uv is None and self.order.settings.wheels is None:
            raise Misconfigured(
                "--env-offline needs uv, whose cache it builds from: pip install 'podium[uv]'. Without uv, name a folder "
                "of wheels: --env-wheels DIR"
            )
        fetch = None
        if uv is not None and self.order.settings.downloads_python and not self.order.settings.is_offline:
            fetch = self._fetcher(uv, environ)
        return Tools(find_interpreter(spec.python, environ, uv, self.root / "interpreters.json", fetch), uv=uv)

    def _fetcher(self, uv: str, environ: Mapping[str, str]) -> Callable[[str], None]:
        def fetch(version: str) -> None:
            self.tell(f"environment: uv fetches Python {version}")
            allowed = {**tool_environ(environ), "UV_PYTHON_DOWNLOADS": "manual"}
            deadline = time.monotonic() + _FETCH_S
            job = BuildJob(self.root / "logs" / "interpreters.log", allowed, deadline, self.tell, self.is_stopped)
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            job.begin()
            job.run([uv, "python", "install", "--no-progress", version], f"fetching Python {version}")

        return fetch


def root_of(order: EnvironmentOrder, home: Home) -> Path:
    """Where the environments of an order are kept."""
    return Path(order.root).expanduser().absolute() / "podium" if order.root else home.environments


def choose(asking: Asking) -> Environment:
    """Find the model's Python, or build it.

    Args:
        asking: The model and the order.

    Raises:
        Misconfigured: What was asked for is not to be had here; says the way out.
        InvalidModel, InvalidInput: The model's requirements, or those of the order, cannot be read.
        LoadFailed: Building failed, or the model does not load in what was built.
        Stopped: `is_stopped` said so.
    """
    order = asking.order
    check_override(order.override)
    if order.python is not None:
        return _named(order.python)
    if order.manager == "local":
        return Environment(sys.executable, "the Python that runs podium, as asked for")
    if not order.creates:
        reason = "the Python that runs podium: MLFLOW_DISABLE_ENV_CREATION forbids to build one"
        asking.tell(f"environment: {reason}")
        return Environment(sys.executable, reason)
    because = f"--env-manager {order.manager}"
    if order.manager == AUTO:
        missed = unmet(asking.folder, asking.mlmodel, order)
        if not missed:
            return Environment(sys.executable, "the Python that runs podium, which meets the model's requirements")
        more = f" and {len(missed) - 1} more" if len(missed) > 1 else ""
        if not asking.terms.allows_code:
            # Packages are code, and whoever made the model chose them.
            reason = f"the Python that runs podium: allow_code = false, and none is built unasked ({missed[0]}{more})"
            asking.tell(f"environment: {reason}")
            return Environment(sys.executable, reason)
        because = f"this Python does not meet the model's requirements ({missed[0]}{more})"
    return _obtain(asking, asking.request(), because)


def _named(python: str) -> Environment:
    path = os.path.abspath(os.path.expanduser(python))
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        raise Misconfigured(f"worker_python is {python}, which is no program that runs here. Name a Python: DIR/bin/python")
    return Environment(path, "the interpreter that worker_python names")


def unmet(folder: Path, mlmodel: Mapping[str, Any], order: EnvironmentOrder) -> tuple[str, ...]:
    """What keeps the model from running here; mlflow does not where podium reads the model without it."""
    try:
        spec = read_spec(folder, mlmodel, order)
        left_out = set(spec.left_out)
    except InvalidModel:
        # A folder that says nothing of what it needs gives no reason to build anything.
        left_out = set()
    own = [line for line in read_requirements(folder) if line not in left_out]
    lines = overridden(own, order.override)
    loader = str(((mlmodel.get("flavors") or {}).get("python_function") or {}).get("loader_module"))
    is_mlflows = loader.startswith("mlflow.") and loader not in NATIVE_LOADERS
    loaders = [f"mlflow: has the loader {loader}, not installed"] if is_mlflows and not installed_version("mlflow") else []
    python = python_mismatches(mlmodel, platform.python_version())
    return (*python, *loaders, *mismatches(lines, installed_versions(names(lines))))


def _obtain(asking: Asking, request: EnvironmentRequest, because: str) -> Environment:
    """The environment without mlflow where the model does without, else with it."""
    fuller = _with_mlflow(asking) if request.spec.left_out else None
    found = _existing(asking, request, fuller)
    if found is not None:
        return _environment(found, f"an environment that was built before: {because}")
    _tell_of(asking, request, because)
    try:
        built = build(asking.root, request, asking.job(request), asking.trial)
    except DoesNotLoad as error:
        if fuller is None:
            raise
        asking.tell(f"environment: the model does not load without mlflow; trying with it. {_first_line(error.message)}")
        try:
            built = build(asking.root, fuller, asking.job(fuller), asking.trial)
        except LoadFailed as second:
            raise error from second
        return _said(asking, built, f"with mlflow, without which the model does not load: {because}")
    if fuller is not None and built.verdict is not None and built.verdict.scores is False:
        asking.tell("environment: the model's example does not score without mlflow; trying with it")
        better = _scoring(asking, fuller)
        if better is not None:
            built.lease.release()
            return _said(asking, better, f"with mlflow, without which the model's example does not score: {because}")
    return _said(asking, built, because)


def _existing(asking: Asking, request: EnvironmentRequest, fuller: EnvironmentRequest | None) -> Built | None:
    """The one without mlflow where the model scores in it, else the one with it, else the first after all."""
    # Where something is left out it is tried for each model once; else the worker's own load says the same.
    found = existing(asking.root, request, None if fuller is None else asking.trial)
    scores = None if found is None or found.verdict is None else found.verdict.scores
    if fuller is None or (found is not None and scores is not False):
        return found
    better = existing(asking.root, fuller, asking.trial)
    if better is not None and found is not None:
        found.lease.release()
    return better or found


def _scoring(asking: Asking, request: EnvironmentRequest) -> Built | None:
    """The environment with mlflow, where the model's example scores in it."""
    try:
        built = build(asking.root, request, asking.job(request), asking.trial)
    except LoadFailed:
        return None
    if built.verdict is not None and built.verdict.scores:
        return built
    built.lease.release()
    return None


def _with_mlflow(asking: Asking) -> EnvironmentRequest:
    return replace(asking, order=replace(asking.order, installs_mlflow=True)).request()


def _tell_of(asking: Asking, request: EnvironmentRequest, because: str) -> None:
    spec, interpreter = request.spec, request.tools.interpreter
    left = f"; left out, for podium does without: {', '.join(spec.left_out)}" if spec.left_out else ""
    count = f"{len(spec.lines)} requirement" + ("" if len(spec.lines) == 1 else "s")
    log = log_of(asking.root, request)
    asking.tell(f"environment: building one with {request.tools.name}, {count}, because {because}{left}; see {log}")
    is_exact = spec.python is not None and spec.python.count(".") == 2
    if interpreter is not None and is_exact and interpreter.version != spec.python:
        asking.tell(f"environment: Python {interpreter.version} stands in for {spec.python}, which is not here")
    for hint in spec.hints:
        asking.tell(f"environment: {hint}")


def _said(asking: Asking, built: Built, because: str) -> Environment:
    tool = "built" if built.seconds else "an environment that was built meanwhile"
    when = f"built in {built.seconds:.1f} s" if built.seconds else "somebody else built it meanwhile"
    asking.tell(f"environment: {when}, {built.python}")
    environment = _environment(built, f"{tool}: {because}")
    if built.verdict is not None and built.verdict.scores is False:
        notice = f"the model's example does not score in it: {built.verdict.message}"
        asking.tell(f"environment: {notice}")
        return replace(environment, notices=(*environment.notices, notice))
    return environment


def _environment(built: Built, reason: str) -> Environment:
    notice = built.resolution.notice if built.resolution is not None else None
    return Environment(built.python, reason, built.key, (notice,) if notice else (), built.lease)


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:300]
