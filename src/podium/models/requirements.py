"""A model's requirements: reading the files that list them, and comparing them with what is installed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from podium.errors import InvalidModel
from podium.models.environment_files import pip_section
from podium.models.mlmodel import load_yaml, text_of

_MOST_BYTES, _MOST_FILES, _MOST_LINES = 1 << 20, 20, 5000
# As against an address, a path or an option, which may all be right and cannot be compared.
_LIKE_A_REQUIREMENT = re.compile(r"[\w.\-]+(\[[^\]]*\])?\s*[=<>!~]")
_BUILD_PACKAGES = {"python", "pip", "setuptools", "wheel"}
# Every model that MLflow saved asks for all of mlflow; podium loads them without it.
_NOT_NEEDED = {"mlflow", "mlflow-skinny"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A requirement, and what is installed for it.

    Args:
        name: As the line writes it.
        line: As it stands in its file.
        specifier: `>=1.0,<2`; empty where every version will do.
        version: What is installed; None where nothing is.
        is_readable: Whether the line is a requirement at all; nothing else is known of one that is not.
        is_met: Whether what is installed will do.
        is_direct: Whether the line names an address or a file, which is one version.
    """

    name: str
    line: str
    specifier: str = ""
    version: str | None = None
    is_readable: bool = True
    is_met: bool = False
    is_direct: bool = False


def read_requirements(folder: Path) -> list[str]:
    """The requirement lines of a model: of requirements.txt, or of conda.yaml in older models; or none.

    Comments, options for pip (`--index-url`) and constraints are left out; `-r other.txt` is followed inside the folder.
    Of whatever there is, the first 5000 lines count: a server compares them again and again.
    """
    return [line for _, line in located_requirements(folder)]


def located_requirements(folder: Path) -> list[tuple[str, str]]:
    """The same, each with its place: `requirements.txt:3`."""
    path = folder / "requirements.txt"
    if path.is_file():
        return list(islice(_lines_of(path.resolve(), folder.resolve(), set()), _MOST_LINES))
    return [("conda.yaml", line) for line in _lines_of_conda(folder / "conda.yaml")[:_MOST_LINES]]


def names(lines: Sequence[str]) -> list[str]:
    """The packages that requirement lines name, in order, each once; lines that are no requirement are left out."""
    found = dict.fromkeys(requirement.name for requirement in map(parsed, lines) if requirement is not None)
    return list(found)


def mismatches(lines: Sequence[str], installed: Mapping[str, str | None]) -> list[str]:
    """Say for each requirement that is not met what it wants and what is there: `scikit-learn: wants ==1.3.0, found 1.9.1`.

    A requirement on mlflow counts only where mlflow is installed: podium needs none to load MLflow's models, and says so
    when one of them does.

    Args:
        lines: Requirement lines; those for another platform (markers) are passed over.
        installed: Versions by name; None or absent where a package is missing.
    """
    found = []
    for each in compared(lines, installed):
        wants = f"wants {each.specifier}" if each.specifier else "is wanted"
        if not each.is_readable:
            found.append(f"{each.line[:100]}: no requirement that can be read")
        elif each.version is None:
            if canonicalize_name(each.name) not in _NOT_NEEDED:
                found.append(f"{each.name}: {wants}, not installed")
        elif not each.is_met:
            found.append(f"{each.name}: {wants}, found {each.version}")
    return found


def compared(
    lines: Sequence[str], installed: Mapping[str, str | None], markers: Mapping[str, str] | None = None
) -> list[Comparison]:
    """Set each requirement beside what is installed; those for another platform are passed over.

    Args:
        lines: Requirement lines.
        installed: Versions by name; None or absent where a package is missing.
        markers: What the markers of the lines are about, of the interpreter that was asked; None is this one.
    """
    versions = {canonicalize_name(name): version for name, version in installed.items()}
    found = []
    for line in lines:
        requirement = parsed(line)
        if requirement is None and _LIKE_A_REQUIREMENT.match(line):
            found.append(Comparison(line, line, is_readable=False))
        if requirement is None or not applies(requirement, markers):
            continue
        version = versions.get(canonicalize_name(requirement.name))
        is_met, asked = version is not None and contains(requirement, version), str(requirement.specifier)
        is_direct = requirement.url is not None
        found.append(Comparison(requirement.name, line, asked, version, is_met=is_met, is_direct=is_direct))
    return found


def python_mismatches(mlmodel: Mapping[str, Any], running: str) -> list[str]:
    """Say where a model was saved with another minor version of Python: pickled code may not run in this one.

    Args:
        mlmodel: The MLmodel file.
        running: `3.11.7`
    """
    saved = ((mlmodel.get("flavors") or {}).get("python_function") or {}).get("python_version")
    if not isinstance(saved, str) or saved.split(".")[:2] == running.split(".")[:2]:
        return []
    return [f"Python: the model was saved with {saved[:20]}, this is {running}"]


def contains(requirement: Requirement, version: str) -> bool:
    """Whether a version will do."""
    try:
        # Without the local part: torch==2.1.0 is met by 2.1.0+cpu.
        return requirement.specifier.contains(version.partition("+")[0], prereleases=True)
    except InvalidVersion:
        return False


def applies(requirement: Requirement, markers: Mapping[str, str] | None = None) -> bool:
    """Whether a requirement is for this platform and Python, or for the one that `markers` are of."""
    try:
        return requirement.marker is None or requirement.marker.evaluate(None if markers is None else dict(markers))
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion):
        return True  # a marker that makes no sense excuses nothing


@lru_cache(maxsize=8192)
def parsed(line: str) -> Requirement | None:
    """A requirement line; None where it is none: an address, a path, an option, nonsense."""
    try:
        return Requirement(line.split(" #", maxsplit=1)[0].split(" --hash", maxsplit=1)[0].strip())
    except InvalidRequirement:
        return None


def _lines_of(path: Path, root: Path, seen: set[Path]) -> Iterator[tuple[str, str]]:
    """The lines of a file and of those that it includes, each file once: files may include each other in circles."""
    seen.add(path)
    with path.open("rb") as file:
        text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    shown = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
    for number, line in _numbered(text):
        if line.startswith(("-r ", "--requirement ")):
            other = _included(path, line.split(None, 1)[1])
            if other is not None and other not in seen and other.is_relative_to(root) and len(seen) < _MOST_FILES:
                yield from _lines_of(other, root, seen)
        elif line and not line.startswith(("#", "-")):
            yield f"{shown}:{number}", line


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """Lines, what a backslash continues put together, with the number of the first."""
    gathered: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        gathered.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield number - len(gathered) + 1, " ".join(gathered).strip()
            gathered = []
    if gathered:
        yield len(text.splitlines()) - len(gathered) + 1, " ".join(gathered).strip()


def _included(path: Path, name: str) -> Path | None:
    try:
        other = (path.parent / name).resolve()
        return other if other.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None  # no name that a file can have


def _lines_of_conda(path: Path) -> list[str]:
    try:
        conda = load_yaml(text_of(path), path)
    except (OSError, UnicodeDecodeError, InvalidModel):
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
