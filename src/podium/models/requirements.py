"""A model's requirements: reading the files that list them, and comparing them with what is installed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from podium.models.environment_files import pip_section

_BUILD_PACKAGES = {"python", "pip", "setuptools", "wheel"}
# Every model that MLflow saved asks for all of mlflow; podium loads them without it.
_NOT_NEEDED = {"mlflow", "mlflow-skinny"}


def read_requirements(folder: Path) -> list[str]:
    """The requirement lines of a model: of requirements.txt, or of conda.yaml in older models; or none.

    Comments, options for pip (`--index-url`) and constraints are left out; `-r other.txt` is followed inside the folder.
    """
    path = folder / "requirements.txt"
    if path.is_file():
        return list(_lines_of(path, folder.resolve(), depth=0))
    return _lines_of_conda(folder / "conda.yaml")


def names(lines: Sequence[str]) -> list[str]:
    """The packages that requirement lines name, in order, each once; lines that are no requirement are left out."""
    found = dict.fromkeys(requirement.name for requirement in map(_parse, lines) if requirement is not None)
    return list(found)


def mismatches(lines: Sequence[str], installed: Mapping[str, str | None]) -> list[str]:
    """Say for each requirement that is not met what it wants and what is there: `scikit-learn: wants ==1.3.0, found 1.9.1`.

    A requirement on mlflow counts only where mlflow is installed: podium needs none to load MLflow's models, and says so
    when one of them does.

    Args:
        lines: Requirement lines; those for another platform (markers) are passed over.
        installed: Versions by name; None or absent where a package is missing.
    """
    versions = {canonicalize_name(name): version for name, version in installed.items()}
    found = []
    for requirement in map(_parse, lines):
        if requirement is None or (requirement.marker is not None and not requirement.marker.evaluate()):
            continue
        name = canonicalize_name(requirement.name)
        version = versions.get(name)
        wants = f"wants {requirement.specifier}" if requirement.specifier else "is wanted"
        if version is None:
            if name not in _NOT_NEEDED:
                found.append(f"{requirement.name}: {wants}, not installed")
        elif not _contains(requirement, version):
            found.append(f"{requirement.name}: {wants}, found {version}")
    return found


def _contains(requirement: Requirement, version: str) -> bool:
    try:
        # Without the local part: torch==2.1.0 is met by 2.1.0+cpu.
        return requirement.specifier.contains(version.partition("+")[0], prereleases=True)
    except InvalidVersion:
        return False


def _parse(line: str) -> Requirement | None:
    try:
        return Requirement(line.split(" #", maxsplit=1)[0].split(" --hash", maxsplit=1)[0].strip())
    except InvalidRequirement:
        return None


def _lines_of(path: Path, root: Path, depth: int) -> Iterator[str]:
    text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    for line in map(str.strip, text.splitlines()):
        if line.startswith(("-r ", "--requirement ")):
            other = (path.parent / line.split(None, 1)[1]).resolve()
            if depth < 5 and other.is_relative_to(root) and other.is_file():
                yield from _lines_of(other, root, depth + 1)
        elif line and not line.startswith(("#", "-")):
            yield line


def _lines_of_conda(path: Path) -> list[str]:
    try:
        conda = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    if not isinstance(conda, Mapping) or not isinstance(conda.get("dependencies"), list):
        return []
    own = []
    for entry in conda["dependencies"]:
        if isinstance(entry, str):
            # scikit-learn=0.22.1=py37 in conda's words; channel::package before it, a build after it
            name, _, rest = entry.rpartition("::")[2].partition("=")
            version = rest.lstrip("=").partition("=")[0]
            if name.strip() not in _BUILD_PACKAGES and not any(sign in name for sign in "<>!~"):
                own.append(f"{name.strip()}=={version}" if version else name.strip())
    return own + pip_section(conda)
