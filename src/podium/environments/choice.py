"""Which Python a model runs in, and why: the one that runs podium, one that was built before, or one that is built now."""

import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.environments.build import Tools, build, existing
from podium.environments.interpreters import find_conda, find_interpreter, find_uv
from podium.environments.spec import EnvironmentSpec, check_override, overridden, read_spec
from podium.errors import InvalidModel, Misconfigured
from podium.models.installed import installed_versions
from podium.models.requirements import mismatches, names, python_mismatches, read_requirements
from podium.settings.environments import AUTO, EnvironmentOrder
from podium.settings.home import Home


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a model runs: the interpreter, and a sentence that says why it is this one."""

    python: str
    reason: str


def choose(
    folder: Path,
    mlmodel: Mapping[str, Any],
    order: EnvironmentOrder,
    home: Home,
    tell: Callable[[str], None],
    is_stopped: Callable[[], bool] = lambda: False,
    environ: Mapping[str, str] = os.environ,
) -> Environment:
    """Find the model's Python, or build it.

    Args:
        folder: The model.
        mlmodel: Its MLmodel file.
        order: What was asked for.
        home: Keeps environments, unless the order names another place.
        tell: Called with a line for people before something that takes long.
        is_stopped: As in `build`.
        environ: As in `build`.

    Raises:
        Misconfigured: What was asked for is not to be had here; says the way out.
        InvalidModel, InvalidInput: The model's requirements, or those of the order, cannot be read.
        LoadFailed: Building failed.
        Stopped: `is_stopped` said so.
    """
    check_override(order.override)
    if order.manager == "local":
        return Environment(sys.executable, "the Python that runs podium, as asked for")
    if not order.creates:
        reason = "the Python that runs podium: MLFLOW_DISABLE_ENV_CREATION forbids to build one"
        tell(f"environment: {reason}")
        return Environment(sys.executable, reason)
    because = f"--env-manager {order.manager}"
    if order.manager == AUTO:
        missed = unmet(folder, mlmodel, order)
        if not missed:
            return Environment(sys.executable, "the Python that runs podium, which meets the model's requirements")
        more = f" and {len(missed) - 1} more" if len(missed) > 1 else ""
        because = f"this Python does not meet the model's requirements ({missed[0]}{more})"
    spec = read_spec(folder, mlmodel, order)
    tools = _tools(order, spec, environ)
    root = Path(order.root).expanduser().absolute() / "podium" if order.root else home.environments
    python = existing(root, spec, tools)
    if python is not None:
        return Environment(python, f"an environment that was built before: {because}")
    left = f"; left out, for podium does without: {', '.join(spec.left_out)}" if spec.left_out else ""
    tell(
        f"environment: building one with {tools.name}, {_count(len(spec.lines))}, because {because}{left}; "
        f"see {root / spec.key(tools.identity)}.log"
    )
    python = build(root, spec, tools, environ, is_stopped)
    tell(f"environment: built, {python}")
    return Environment(python, f"built with {tools.name}: {because}")


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
    python = python_mismatches(mlmodel, platform.python_version())
    return (*python, *mismatches(lines, installed_versions(names(lines))))


def _tools(order: EnvironmentOrder, spec: EnvironmentSpec, environ: Mapping[str, str]) -> Tools:
    if order.manager == "conda":
        conda = find_conda(environ)
        if conda is None:
            raise Misconfigured(
                "--env-manager conda: there is no conda, mamba or micromamba on PATH. Install one (MLFLOW_CONDA_HOME may "
                "say where it is), or let the environment be built without: --env-manager virtualenv"
            )
        if spec.conda is None:
            raise Misconfigured("--env-manager conda: the model has no conda.yaml. Use --env-manager virtualenv")
        return Tools(None, conda=conda)
    uv = find_uv(environ)
    if order.manager == "uv" and uv is None:
        raise Misconfigured(
            "--env-manager uv: there is no uv on PATH. Install it (pip install uv), or use --env-manager virtualenv, which "
            "does with Python's own venv and pip where uv is missing."
        )
    return Tools(find_interpreter(spec.minor, environ), uv=uv)


def _count(number: int) -> str:
    return f"{number} requirement" + ("" if number == 1 else "s")
