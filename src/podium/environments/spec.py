"""What a model needs to run: a Python, and lines for pip; read from the files that MLflow writes beside it."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from podium.environments.conda_packages import CondaPackages, python_of, translated
from podium.errors import InvalidInput, InvalidModel
from podium.flavors.catalog import FLAVORS
from podium.models.environment_files import pip_section
from podium.models.mlmodel import load_yaml, text_of
from podium.settings.environments import EnvironmentOrder

_FORMAT = 2
_MLFLOW = {"mlflow", "mlflow-skinny", "mlflow-tracing"}
# podium reads these loaders' models itself, so that mlflow may be missing; whether it really may is tried (trial.py).
NATIVE_LOADERS = frozenset(module for flavor in FLAVORS for module in flavor.loader_modules)
# What these load is anybody's code, which may import mlflow as late as in the first call.
_CODE_LOADERS = frozenset({"mlflow.pyfunc.model", "mlflow.pyfunc.loaders.code_model"})
_INCLUDES = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s+|=)(\S+)$")
_INSTALLERS = {"pip", "wheel"}
_DISTRIBUTIONS = (".whl", ".zip", ".gz", ".bz2", ".xz")


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """The content of an environment.

    Args:
        python: `3.11.7`, or less of it; None where the model does not say.
        lines: For pip; files that they name are absolute. `asked` are the same as the model's files have them.
        conda: The content of conda.yaml without its lines for pip, where conda is to build it.
        left_out: Requirements of the model that are not installed because podium does without.
        added: Packages that podium's worker needs and the model does not ask for.
        contents: Digest of the files that the lines name.
        folder: The model's, whose files the lines may name.
        created: When the model was saved, as RFC 3339; what the lines leave open may be decided as of then.
        hints: What of the system is to be there, as sentences.
    """

    python: str | None
    lines: tuple[str, ...]
    asked: tuple[str, ...]
    conda: str | None = None
    left_out: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    contents: str = ""
    folder: str = ""
    created: str | None = None
    hints: tuple[str, ...] = ()

    @property
    def minor(self) -> str | None:
        """`3.11`: the part of the version that compiled code and pickles depend on."""
        found = re.match(r"\d+\.\d+", self.python or "")
        return found[0] if found else None

    def key(self, *more: str | None) -> str:
        """A name for the environment: equal for equal content.

        Args:
            more: What else makes it another one: the tools' identity, and by when the lines are resolved.
        """
        facts = [_FORMAT, self.minor, self.asked, self.conda, self.contents, *more]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def read_spec(folder: Path, mlmodel: Mapping[str, Any], order: EnvironmentOrder) -> EnvironmentSpec:
    """What a model's environment holds.

    Args:
        folder: The model's folder.
        mlmodel: Its MLmodel file.
        order: Says whether mlflow is to be there, and which requirements replace the model's own.

    Raises:
        InvalidModel: The folder does not say what it needs, or in a file that cannot be read.
        InvalidInput: A requirement of the order is none.
    """
    python_env = _yaml(folder / "python_env.yaml")
    conda = _yaml(folder / "conda.yaml")
    raw = _raw_lines(folder, python_env, conda)
    for line in raw:
        _check_inside(line, folder)
    lines, left_out = _without_mlflow(raw, mlmodel, order.installs_mlflow)
    lines = overridden(lines, order.override)
    if order.manager != "conda" and conda is not None:
        of_conda = _of_conda(conda, lines, folder)
        lines, hints = [*lines, *of_conda.lines], of_conda.hints
    else:
        hints = ()
    named = {name for name in map(_name, lines) if name}
    added = [name for name in _worker_needs(mlmodel) if name not in named and not _may_hold_more(lines)]
    if order.installs_mlflow and "mlflow" not in named:
        version = mlmodel.get("mlflow_version")
        added.append(f"mlflow=={version}" if isinstance(version, str) and _name(f"mlflow=={version}") else "mlflow")
    absolute = [_absolute(line, folder) for line in lines]
    return EnvironmentSpec(
        python=_python(python_env, conda, mlmodel),
        lines=(*absolute, *added),
        asked=(*lines, *added),
        conda=json.dumps(_without_pip(conda)) if order.manager == "conda" and conda else None,
        left_out=tuple(left_out),
        added=tuple(added),
        contents=_digest_of_files(absolute),
        folder=str(folder.absolute()),
        created=_created(mlmodel),
        hints=hints,
    )


def _of_conda(conda: Mapping[str, Any], lines: Sequence[str], folder: Path) -> CondaPackages:
    """What conda was to install beside Python and pip's packages, in PyPI's words, but for what the lines name anyway.

    Raises:
        InvalidModel: Some of it cannot be said in PyPI's words; lists it.
    """
    found = translated(conda)
    named = {_name(line) for line in lines}
    refused = [entry for entry in found.refused if _name(re.split(r"[\s=<>!~]", entry.rpartition("::")[2])[0]) not in named]
    if refused:
        listed = "".join(f"\n  {entry}" for entry in refused)
        raise InvalidModel(
            f"{folder / 'conda.yaml'} asks conda for what podium knows no package of PyPI's for:{listed}\n"
            "Build the environment with conda or micromamba (--env-manager conda); or name the packages of PyPI's in the "
            "file's pip section (podium models update-pip-requirements adds them to a model's files); or run the model in "
            "this Python: --env-manager local"
        )
    return CondaPackages(tuple(line for line in found.lines if _name(line) not in named), found.hints)


def _created(mlmodel: Mapping[str, Any]) -> str | None:
    """The second after the model was saved; None where the file does not say."""
    try:
        saved = datetime.fromisoformat(str(mlmodel.get("utc_time_created")))
    except ValueError:
        return None
    saved = (saved if saved.tzinfo else saved.replace(tzinfo=UTC)).astimezone(UTC)
    return (saved.replace(microsecond=0) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _raw_lines(folder: Path, python_env: Mapping[str, Any] | None, conda: Mapping[str, Any] | None) -> list[str]:
    """What pip is to be told: by python_env.yaml, by requirements.txt, in older models by conda.yaml."""
    if python_env is not None:
        builds = [str(line) for line in python_env.get("build_dependencies") or [] if _name(str(line)) not in _INSTALLERS]
        return _expanded([*builds, *map(str, python_env.get("dependencies") or [])], folder)
    if (folder / "requirements.txt").is_file():
        return _expanded(["-r requirements.txt"], folder)
    if conda is not None:
        return _expanded(pip_section(conda), folder)
    raise InvalidModel(
        f"{folder} has no python_env.yaml, requirements.txt or conda.yaml, so nobody knows what the model needs. "
        "Run it with --env-manager local, or write a requirements.txt."
    )


def _expanded(lines: Iterable[str], folder: Path) -> list[str]:
    """The lines with `-r FILE` of the model's own folder replaced by the file's lines: mlflow must be found in them."""
    found: list[str] = []
    for line in lines:
        included = _INCLUDES.match(line.strip())
        path = folder / included[2] if included and included[1] in {"-r", "--requirement"} else None
        if path is None or not path.is_file():
            found.append(line.strip())
            continue
        _check_inside(line, folder)
        text = _text(path).replace("\\\n", " ")
        found += [each.strip() for each in text.splitlines() if each.strip() and not each.strip().startswith("#")]
    return found


def _check_inside(line: str, folder: Path) -> None:
    """Refuse a line that has a file read which is none of the model's: its content would stand in logs and images.

    A package outside, by its whole path, is what somebody put there to be installed.

    Raises:
        InvalidModel: Names the line.
    """
    root = folder.resolve()
    for word in re.split(r"[\s=]+", line):
        if ("/" not in word and not (folder / word).is_symlink()) or "://" in word:
            continue
        path = (folder / word).resolve()
        is_package = Path(word).is_absolute() and path.name.endswith(_DISTRIBUTIONS)
        if path.exists() and not is_package and not path.is_relative_to(root):
            raise InvalidModel(
                f"The model's requirements have the line {line!r:.200}, which leads to {path}, outside of its folder "
                f"{folder}; refused. Copy that file into the folder, and name it from there."
            )


def _without_mlflow(lines: Sequence[str], mlmodel: Mapping[str, Any], is_wanted: bool) -> tuple[list[str], list[str]]:
    pyfunc = (mlmodel.get("flavors") or {}).get("python_function") or {}
    loader = pyfunc.get("loader_module")
    # Code shows what it imports when it is called: without an example nobody can tell.
    is_tried = bool(mlmodel.get("saved_input_example_info")) or not (pyfunc.get("code") or loader in _CODE_LOADERS)
    if is_wanted or loader not in NATIVE_LOADERS or not is_tried:
        return list(lines), []
    left_out = [line for line in lines if _name(line) in _MLFLOW]
    return [line for line in lines if line not in left_out], left_out


def check_override(override: Sequence[str]) -> list[str]:
    """The packages that the lines of an override name.

    Raises:
        InvalidInput: A line is no requirement.
    """
    names = []
    for line in override:
        name = _name(line)
        if name is None:
            raise InvalidInput(f"{line!r} is no requirement; expected such as scikit-learn==1.5.0.")
        names.append(name)
    return names


def overridden(lines: Sequence[str], override: Sequence[str]) -> list[str]:
    """The lines, with those of the override in the place of what they have for the same packages."""
    names = check_override(override)
    return [*(line for line in lines if _name(line) not in names), *override]


def _worker_needs(mlmodel: Mapping[str, Any]) -> list[str]:
    """Numpy always; pandas where requests become DataFrames, which mlflow brings along and podium's worker does not."""
    inputs = str((mlmodel.get("signature") or {}).get("inputs") or "")
    return ["numpy"] if '"tensor"' in inputs else ["numpy", "pandas"]


def _may_hold_more(lines: Sequence[str]) -> bool:
    """A nested file of requirements names what we do not see."""
    return any((found := _INCLUDES.match(line)) and found[1] in {"-r", "--requirement"} for line in lines)


def _absolute(line: str, folder: Path) -> str:
    included = _INCLUDES.match(line)
    if included and (folder / included[2]).is_file():
        return f"{included[1]} {(folder / included[2]).absolute()}"
    first, *rest = line.split(" ")
    if first and not first.startswith("-") and "/" in first and "://" not in first and (folder / first).exists():
        return " ".join([str((folder / first).absolute()), *rest])
    return line


def _digest_of_files(lines: Iterable[str]) -> str:
    """Of all that the lines name: files, packages as folders, and what files of requirements name in their turn."""
    digest = hashlib.sha256()
    pending, seen = list(lines), set[Path]()
    while pending:
        line = pending.pop(0)
        included = _INCLUDES.match(line)
        path = Path(included[2] if included else line.split(" ")[0])
        if not path.is_absolute() or path in seen:
            continue
        seen.add(path)
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
            nested = _text(path).replace("\\\n", " ").splitlines() if included else []
            pending += [_absolute(each.strip(), path.parent) for each in nested]
        elif path.is_dir():
            for each in sorted(each for each in path.rglob("*") if each.is_file()):
                digest.update(str(each.relative_to(path)).encode() + b"\0")
                digest.update(hashlib.sha256(each.read_bytes()).digest())
    return digest.hexdigest()


def _python(
    python_env: Mapping[str, Any] | None, conda: Mapping[str, Any] | None, mlmodel: Mapping[str, Any]
) -> str | None:
    if python_env is not None and python_env.get("python"):
        return str(python_env["python"])
    if (asked := python_of((conda or {}).get("dependencies") or [])) is not None:
        return asked
    saved = ((mlmodel.get("flavors") or {}).get("python_function") or {}).get("python_version")
    return saved if isinstance(saved, str) else None


def _without_pip(conda: Mapping[str, Any]) -> dict[str, Any]:
    dependencies = [entry for entry in conda.get("dependencies") or [] if not isinstance(entry, Mapping)]
    if "pip" not in {re.split(r"[<>=! ]", str(entry))[0] for entry in dependencies}:
        dependencies.append("pip")
    return {"channels": conda.get("channels") or ["conda-forge"], "dependencies": dependencies}


def _name(line: str) -> str | None:
    try:
        return canonicalize_name(Requirement(line.split(" #", 1)[0].split(" --hash", 1)[0].strip()).name)
    except InvalidRequirement:
        return None


def _yaml(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    content = load_yaml(_text(path), path)
    if not isinstance(content, Mapping):
        raise InvalidModel(f"{path} is no map of names and values.")
    return content


def _text(path: Path) -> str:
    try:
        return text_of(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidModel(f"{path} cannot be read: {error}") from error
