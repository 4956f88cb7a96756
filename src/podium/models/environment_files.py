"""The three files that say how to make an environment for a model: requirements.txt, conda.yaml, python_env.yaml."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from podium.errors import InvalidInput
from podium.models.installed import installed_version

_BUILD_PACKAGES = ("pip", "setuptools", "wheel")


def write_environment_files(
    folder: Path, requirements: Sequence[str], conda_env: Mapping[str, Any] | str | Path | None
) -> None:
    """Write the files, in MLflow's layout.

    Args:
        folder: The model's folder.
        requirements: Lines for pip. Left out of account when `conda_env` has a pip section, which then counts.
        conda_env: A conda environment, or the path of its YAML file; None makes one from the requirements.

    Raises:
        InvalidInput: A conda environment without dependencies, or a file that cannot be read.
    """
    conda = _default_conda(requirements) if conda_env is None else _read_conda(conda_env)
    lines = requirements if conda_env is None else pip_section(conda)
    (folder / "requirements.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "conda.yaml").write_text(yaml.safe_dump(conda, default_flow_style=False), encoding="utf-8")
    python = {
        "python": platform.python_version(),
        "build_dependencies": [_pinned(name, "==") for name in _BUILD_PACKAGES],
        "dependencies": ["-r requirements.txt"],
    }
    (folder / "python_env.yaml").write_text(
        yaml.safe_dump(python, sort_keys=False, default_flow_style=False), encoding="utf-8"
    )


def pip_section(conda: Mapping[str, Any]) -> list[str]:
    """The lines for pip in a conda environment."""
    for entry in conda.get("dependencies") or []:
        if isinstance(entry, Mapping) and isinstance(entry.get("pip"), list):
            return [str(line) for line in entry["pip"]]
    return []


def _default_conda(requirements: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "podium-env",
        "channels": ["conda-forge"],
        # At most, not exactly: conda-forge gets a release of pip later than PyPI.
        "dependencies": [f"python={platform.python_version()}", _pinned("pip", "<="), {"pip": list(requirements)}],
    }


def _read_conda(given: Mapping[str, Any] | str | Path) -> dict[str, Any]:
    if isinstance(given, Mapping):
        conda: Any = dict(given)
    else:
        try:
            conda = yaml.safe_load(Path(given).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise InvalidInput(f"conda_env {given} cannot be read: {error}") from error
    if not isinstance(conda, dict) or not isinstance(conda.get("dependencies"), list):
        raise InvalidInput(
            "conda_env has no list of dependencies; expected a conda environment, or the path of its YAML file."
        )
    return conda


def _pinned(name: str, operator: str) -> str:
    version = installed_version(name)
    return name if version is None else f"{name}{operator}{version}"
