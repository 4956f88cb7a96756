"""podium itself as a folder that pip installs: an image is built from the podium that made its Dockerfile."""

import importlib.metadata
import json
import shutil
import tomllib
from pathlib import Path

from podium._version import __version__
from podium.errors import NotFound

_SOURCE = Path(__file__).resolve().parents[1]
_PROJECT = """\
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "podium"
version = "{version}"
requires-python = ">=3.11"
dependencies = {dependencies}

[project.scripts]
podium = "podium.cli.main:main"

[tool.setuptools.packages.find]
where = ["src"]

[tool.setuptools.package-data]
"*" = ["*"]
"""


def write_own_package(folder: Path, dependencies: list[str] | None = None) -> None:
    """Write podium's sources as they run here, and what they need, as a project.

    Args:
        folder: Made.
        dependencies: Requirement lines; None takes `own_dependencies`.

    Raises:
        NotFound: As `own_dependencies`.
    """
    lines = own_dependencies() if dependencies is None else dependencies
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(_SOURCE, folder / "src" / "podium", ignore=ignored)
    text = _PROJECT.format(version=__version__, dependencies=json.dumps(lines))
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def own_dependencies() -> list[str]:
    """The requirement lines of podium's own processes: of the checkout that runs here, else of the installed package.

    Raises:
        NotFound: There is neither.
    """
    checkout = _SOURCE.parents[1] / "pyproject.toml"
    if checkout.is_file():
        project = tomllib.loads(checkout.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == "podium":
            return list(project["dependencies"])
    try:
        lines = importlib.metadata.requires("podium") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise NotFound(
            "What podium itself needs is not known: it runs from sources without a pyproject.toml and is not installed. "
            "Install it: pip install podium"
        ) from error
    return [line for line in lines if "extra ==" not in line]
