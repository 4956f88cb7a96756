"""Which packages a model needs, pinned to what is installed: its library's, and those its files and code name themselves.

What a pickle names and what code imports is what loading will import first; what those need in turn is theirs to say.
"""

import ast
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from podium.errors import InvalidInput
from podium.flavors.catalog import FLAVORS
from podium.flavors.contract import Saved
from podium.flavors.mlflow_shims import stands_in_for
from podium.flavors.notes import note
from podium.flavors.owners import module_owners
from podium.flavors.plugins import find, installed, reserved_names
from podium.models.installed import installed_version
from podium.models.requirements import names

_NO_PACKAGE = {"__main__", "__mp_main__"}


def infer_requirements(folder: Path, saved: Saved, takes_tables: bool) -> tuple[list[str], list[str]]:
    """Pinned requirements of a model that is being saved, and notes for people.

    mlflow is among them only where the model's own code asks more of it than podium stands in for; plain MLflow loads the
    model anyhow, since it is mlflow that does so there.

    Args:
        folder: Has the model's files, `code/` included.
        saved: What the flavor wrote.
        takes_tables: The model is given DataFrames, for which its environment needs pandas.
    """
    local = {path.stem for path in folder.glob("code/*") if path.name != "__pycache__"}
    modules = {*saved.modules, *_modules_of_code(folder)} - local - _NO_PACKAGE - sys.stdlib_module_names
    owners = module_owners()
    packages = {canonicalize_name(name): name for name in saved.requirements}
    if takes_tables:
        packages.setdefault(canonicalize_name("pandas"), "pandas")
    notes = []
    if "podium" in modules:
        notes.append(
            "The model's own code imports podium, so that it loads only where podium is installed. Import the same names "
            "of mlflow.pyfunc and mlflow.models to do without: podium stands in for those."
        )
    for module in sorted(modules):
        owner = _owner(module, owners)
        if owner is not None:
            packages.setdefault(canonicalize_name(owner), owner)
        elif module == "podium":
            packages.setdefault(canonicalize_name("podium"), "podium")
        else:
            notes.append(
                f"The model needs the module {module}, which comes from no installed package. Pass code_paths=[...] with "
                "its file or folder, or it will not load elsewhere."
            )
    return sorted((_pin(name) for name in packages.values()), key=str.lower), notes


def with_plugin(saved: Saved, flavor: str) -> Saved:
    """What a flavor wrote, with the package that brings the flavor among its requirements where podium does not."""
    package = _package_of(flavor)
    if package is None or canonicalize_name(package) in map(canonicalize_name, saved.requirements):
        return saved
    return replace(saved, requirements=[*saved.requirements, package])


def note_without_plugin(lines: Sequence[str], flavor: str) -> None:
    """Say so where requirements that somebody gave leave out the package that brings the model's flavor."""
    package = _package_of(flavor)
    if package is not None and canonicalize_name(package) not in map(canonicalize_name, names(lines)):
        note(
            f"pip_requirements leave out {package}, whose flavor {flavor!r} loads this model: an environment that is built "
            "for it will lack that. Use extra_pip_requirements to add to what podium finds by itself."
        )


def _package_of(flavor: str) -> str | None:
    """The distribution that brings a flavor; None for podium's own, for which no metadata is read."""
    if flavor in reserved_names(FLAVORS):
        return None
    plugin = find(flavor, installed(), FLAVORS)
    return None if plugin is None else plugin.distribution


def read_given(given: Sequence[str] | str | Path) -> list[str]:
    """Requirements as people pass them: a list of lines, or the path of a file with them.

    Raises:
        InvalidInput: The file cannot be read, or the list holds something else than text.
    """
    if isinstance(given, str | Path):
        try:
            lines = Path(given).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise InvalidInput(f"The requirements file {given} cannot be read: {error.strerror}.") from error
        return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not all(isinstance(line, str) for line in given):
        raise InvalidInput(
            "pip_requirements is a list of lines such as 'scikit-learn==1.5.0', or the path of a file with them."
        )
    return list(given)


def _owner(module: str, owners: Mapping[str, Sequence[str]]) -> str | None:
    """The installed distribution that a top-level module comes from; the one of the same name where there are several."""
    found = sorted(set(owners.get(module, ())))
    same = [name for name in found if canonicalize_name(name) == canonicalize_name(module)]
    return next(iter(same or found), None)


def _pin(name: str) -> str:
    version = installed_version(name)
    if version is None:
        return name
    try:
        # 2.1.0+cpu exists in no index by that name.
        return f"{name}=={Version(version).public}"
    except InvalidVersion:
        return f"{name}=={version}"


def _modules_of_code(folder: Path) -> set[str]:
    """The top-level modules that a model's .py files import; of mlflow only what podium has no stand-in for."""
    files = [*folder.glob("*.py"), *folder.glob("code/**/*.py")]
    found: set[str] = set()
    for file in files:
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):
            # Not ours to judge: a template, or code for another Python.
            continue
        found |= _imported(tree)
    return found


def _imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names if not _stands_in(each.name, ())}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if not _stands_in(node.module, [each.name for each in node.names]):
                found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Attribute) and _needs_mlflow(node):
            found.add("mlflow")
    return found


def _stands_in(module: str, wanted: Iterable[str]) -> bool:
    return stands_in_for(module) and all(stands_in_for(module, name) for name in wanted)


def _needs_mlflow(node: ast.Attribute) -> bool:
    """Whether `mlflow.a.b` in the code is a name that podium has no stand-in for."""
    parts = [node.attr]
    value: ast.expr = node.value
    while isinstance(value, ast.Attribute):
        parts.append(value.attr)
        value = value.value
    if not isinstance(value, ast.Name) or value.id != "mlflow":
        return False
    module = "mlflow"
    for name in reversed(parts):
        if not stands_in_for(module, name):
            # mlflow.pyfunc.PythonModel.predict: what comes after a name that is known is that object's own.
            return stands_in_for(module)
        module = f"{module}.{name}"
    return False
