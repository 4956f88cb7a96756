"""What a model says of the Python that it needs, as facts for `domain/audits/audit.py`; nothing runs, nobody is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from podium.domain.audits.audit import release_of
from podium.domain.audits.facts import AuditedPython, Facts, PickledFile, SavedLibrary, WantedRequirement
from podium.environments.spec import NATIVE_LOADERS, overridden
from podium.models.code_needs import code_needs
from podium.models.requirements import Comparison, compared, located_requirements, names

_MLFLOW = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})
# flavor: where MLmodel has the version of its library, and the packages that the library may come in.
_LIBRARIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sklearn": ("sklearn_version", ("scikit-learn",)),
    "pytorch": ("pytorch_version", ("torch",)),
    "tensorflow": ("keras_version", ("keras",)),
    "keras": ("keras_version", ("keras",)),
    "xgboost": ("xgb_version", ("xgboost", "xgboost-cpu")),
    "lightgbm": ("lgb_version", ("lightgbm",)),
    "catboost": ("catboost_version", ("catboost",)),
    "statsmodels": ("statsmodels_version", ("statsmodels",)),
    "python_function": ("cloudpickle_version", ("cloudpickle",)),
}
# b"\x80" and the protocol.
_HEAD_BYTES = 2


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What was read in a model's folder, once.

    Args:
        requirements: Place and line of each: `requirements.txt:3`, `scikit-learn==1.5.0`.
        libraries: Flavor, packages, version and place of each library that wrote the model.
        python: The version that it was saved with, as far as it says.
        pickles: File and protocol of each pickle whose protocol can be seen.
        is_pickled: Whether loading it unpickles anything.
        stateful: The flavors whose files hold the library's objects, and not a format of data.
        needs_mlflow: Whether podium cannot read it without mlflow.
    """

    requirements: tuple[tuple[str, str], ...]
    libraries: tuple[tuple[str, tuple[str, ...], str, str], ...]
    python: str | None
    pickles: tuple[tuple[str, int], ...]
    is_pickled: bool
    stateful: frozenset[str]
    needs_mlflow: bool

    @property
    def lines(self) -> list[str]:
        return [line for _, line in self.requirements]

    @property
    def packages(self) -> list[str]:
        """All that it is about: what the requirements name, and the libraries that wrote it."""
        return list(dict.fromkeys([*names(self.lines), *(name for each in self.libraries for name in each[1])]))


def facts_of_model(folder: Path, mlmodel: Mapping[str, Any], override: Sequence[str] = ()) -> ModelFacts:
    """Read a model's folder.

    Args:
        folder: The model's.
        mlmodel: Its MLmodel file.
        override: Requirements that take the place of its own.
    """
    flavors = {name: entry for name, entry in (mlmodel.get("flavors") or {}).items() if isinstance(entry, Mapping)}
    pyfunc = flavors.get("python_function") or {}
    pickled = [need for need in code_needs(folder, mlmodel) if need.is_pickle and need.is_code]
    located = located_requirements(folder)
    kept = set(overridden([line for _, line in located], override))
    more = [("the override", line) for line in override]
    python = pyfunc.get("python_version")
    loader = str(pyfunc.get("loader_module"))
    return ModelFacts(
        requirements=(*(each for each in located if each[1] in kept), *more),
        libraries=tuple(_libraries(flavors)),
        python=python if isinstance(python, str) and python[:1].isdigit() else None,
        pickles=tuple((need.what, found) for need in pickled if (found := _protocol(folder, need.what)) is not None),
        is_pickled=bool(pickled),
        stateful=frozenset(flavor for flavor in flavors if _holds_state(flavor, flavors[flavor], is_pickled=bool(pickled))),
        needs_mlflow=loader.startswith("mlflow.") and loader not in NATIVE_LOADERS,
    )


def facts_of(
    model: ModelFacts,
    place: AuditedPython,
    installed: Mapping[str, str | None],
    markers: Mapping[str, str] | None = None,
    highest_protocol: int | None = None,
) -> Facts:
    """The model beside a Python.

    Args:
        model: What it wants.
        place: The Python.
        installed: Versions by name there; None or absent where a package is missing.
        markers: That Python's, for requirements with markers; None is this one's.
        highest_protocol: Of the pickles that it reads; None where it was not asked.
    """
    versions: dict[str, str | None] = {canonicalize_name(name): version for name, version in installed.items()}
    places: dict[str, str] = {}
    for where, line in model.requirements:
        places.setdefault(line, where)
    wanted = [
        _wanted(each, places[each.line], is_dispensable=not model.needs_mlflow)
        for each in compared(model.lines, versions, markers)
    ]
    asked = {each.package for each in wanted}
    saved = []
    for flavor, packages, version, where in model.libraries:
        there = next(((name, found) for name in packages if (found := versions.get(name))), None)
        # A library that nobody asks for need not be there: another one may read its file.
        if there is not None or asked & set(packages):
            name, found = there or (next(name for name in packages if name in asked), None)
            saved.append(SavedLibrary(name, version, found, flavor in model.stateful, where))
    if model.is_pickled:
        saved += [of_numpy for each in wanted if (of_numpy := _numpy(each)) is not None]
    protocol = highest_protocol or 0
    pickles = [PickledFile(file, found, protocol) for file, found in model.pickles] if highest_protocol else []
    return Facts(
        place=place,
        wanted=wanted,
        saved=saved,
        saved_python=model.python or ("" if place.version else None),
        python_where="MLmodel: flavors.python_function.python_version",
        is_pickled=model.is_pickled,
        pickles=pickles,
        is_silent=not model.requirements,
    )


def is_exact(comparison: Comparison) -> bool:
    """Whether a requirement names one version."""
    asked = comparison.specifier
    return comparison.is_direct or (asked.startswith("==") and "*" not in asked and "," not in asked)


def _wanted(each: Comparison, where: str, *, is_dispensable: bool) -> WantedRequirement:
    package = canonicalize_name(each.name) if each.is_readable else each.name
    return WantedRequirement(
        package=package,
        line=each.line,
        where=where,
        specifier=each.specifier,
        version=each.version,
        is_readable=each.is_readable,
        is_met=each.is_met,
        is_exact=is_exact(each),
        is_dispensable=is_dispensable and package in _MLFLOW,
    )


def _holds_state(flavor: str, entry: Mapping[str, Any], *, is_pickled: bool) -> bool:
    """Skops is a pickle in this; cloudpickle itself is only what writes."""
    return flavor != "python_function" and (is_pickled or entry.get("serialization_format") == "skops")


def _numpy(wanted: WantedRequirement) -> SavedLibrary | None:
    """What numpy 2 pickles names `numpy._core`, which numpy 1 has not; the other way it has a stand-in."""
    if wanted.package != "numpy" or not wanted.is_exact or wanted.version is None:
        return None
    saved = wanted.specifier.lstrip("=")
    if release_of(saved)[:1] < (2,) or release_of(wanted.version)[:1] >= (2,):
        return None
    return SavedLibrary("numpy", saved, wanted.version, holds_state=True, where=wanted.where)


def _libraries(flavors: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...], str, str]]:
    found = []
    for flavor, (key, packages) in _LIBRARIES.items():
        version = (flavors.get(flavor) or {}).get(key)
        if isinstance(version, str) and version[:1].isdigit():
            found.append((flavor, packages, version[:40], f"MLmodel: flavors.{flavor}.{key}"))
    return found


def _protocol(folder: Path, named: str) -> int | None:
    """Of a pickle as it begins; None where it is compressed, in an archive, or no file of the folder."""
    root = folder.resolve()
    path = (root / named).resolve()
    try:
        if not path.is_relative_to(root) or not path.is_file():
            return None
        with path.open("rb") as file:
            start = file.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return None
    return start[1] if len(start) == _HEAD_BYTES and start[0] == 0x80 else None
