"""Adding requirements to a model's folder and removing them, in both files that list them, as MLflow does."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement

from podium.errors import InvalidInput, InvalidModel
from podium.models.environment_files import pip_section
from podium.models.mlmodel import text_of

_FILES = ("conda.yaml", "requirements.txt")


def add_requirements(folder: Path, lines: Sequence[str]) -> list[str]:
    """Put requirements into a model's files; one for a package that is there already takes its place.

    Args:
        folder: The model's; both files are replaced, each whole.
        lines: Requirements for pip. Several for one package become one that means all of them.

    Returns: The lines of conda.yaml's pip section now.

    Raises:
        InvalidInput: A line is no requirement.
        InvalidModel: A file is missing or cannot be read.
    """
    new = _together(_parsed(lines))
    return _edit(folder, lambda old: {**old, **{name: str(each) for name, each in new.items()}})


def remove_requirements(folder: Path, lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take packages out of a model's files, whatever version the lines ask for.

    Returns: The lines of conda.yaml's pip section now, and the names that it did not have.

    Raises:
        InvalidInput, InvalidModel: As `add_requirements`.
    """
    names = [each.name for each in _parsed(lines)]
    before = _keyed(pip_section(_conda(_read(folder / "conda.yaml"), folder)))
    after = _edit(folder, lambda old: {name: line for name, line in old.items() if name not in names})
    return after, [name for name in names if name not in before]


def _edit(folder: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> list[str]:
    conda = _conda(_read(folder / "conda.yaml"), folder)
    pip = list(change(_keyed(pip_section(conda))).values())
    plain = list(change(_keyed(_read(folder / "requirements.txt").splitlines())).values())
    contents = (yaml.safe_dump(_with_pip(conda, pip), default_flow_style=False), "\n".join(plain))
    drafts = [folder / f".{name}.{os.getpid()}.part" for name in _FILES]
    try:
        for draft, content in zip(drafts, contents, strict=True):
            draft.write_text(content, encoding="utf-8")
        for draft, name in zip(drafts, _FILES, strict=True):
            draft.replace(folder / name)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    return pip


def _parsed(lines: Sequence[str]) -> list[Requirement]:
    found, wrong = [], []
    for line in lines:
        try:
            found.append(Requirement(line.strip().lower()))
        except InvalidRequirement:
            wrong.append(line)
    if wrong:
        raise InvalidInput(f"Found invalid requirements: {wrong}. Expected such as scikit-learn==1.5.0.")
    return found


def _together(requirements: Sequence[Requirement]) -> dict[str, Requirement]:
    found: dict[str, Requirement] = {}
    for each in requirements:
        known = found.setdefault(each.name, each)
        if known is not each:
            known.specifier &= each.specifier
            known.extras |= each.extras
    return found


def _keyed(lines: Sequence[str]) -> dict[str, str]:
    """Lines by package. Options and comments, on which MLflow fails, stay where they are."""
    keyed: dict[str, str] = {}
    for line in filter(None, lines):
        try:
            requirement = Requirement(line)
            keyed[requirement.name] = str(requirement)
        except InvalidRequirement:
            keyed[f" {line}"] = line
    return keyed


def _with_pip(conda: Mapping[str, Any], lines: list[str]) -> dict[str, Any]:
    def is_pip(entry: Any) -> bool:
        return isinstance(entry, Mapping) and "pip" in entry

    before = list(conda.get("dependencies") or [])
    after = [{"pip": lines} if is_pip(entry) else entry for entry in before]
    return {**conda, "dependencies": after if any(map(is_pip, before)) else [*after, {"pip": lines}]}


def _conda(text: str, folder: Path) -> dict[str, Any]:
    try:
        conda = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidModel(f"{folder / 'conda.yaml'} is not YAML.") from error
    if not isinstance(conda, dict):
        raise InvalidModel(f"{folder / 'conda.yaml'} is no conda environment.")
    return conda


def _read(path: Path) -> str:
    try:
        return text_of(path)
    except (OSError, UnicodeDecodeError) as error:
        both = " and ".join(_FILES)
        raise InvalidModel(f"{path} cannot be read; a model's requirements stand in both {both}.") from error
