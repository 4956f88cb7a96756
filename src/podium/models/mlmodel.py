"""The MLmodel file: YAML with MLflow's keys, read tolerantly and written with whatever else was in it."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from podium.errors import InvalidModel

FILE = "MLmodel"
# Keys of a flavor's entry that name files of the model; whether these exist is for loading to say.
_PATHS = ("code", "data", "model_path", "pickled_model", "python_model")


def read_mlmodel(folder: Path) -> dict[str, Any]:
    """The whole MLmodel file, dates as text so that it can be sent as JSON. Every key but `flavors` may be absent.

    Raises:
        InvalidModel: No folder, no MLmodel, not YAML, no flavors, or a path that leaves the folder.
    """
    if not folder.is_dir():
        raise InvalidModel(f"There is no folder {folder}.")
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InvalidModel(f"{folder} is not a model: it has no MLmodel file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidModel(f"{path} cannot be read: {error}") from error
    try:
        mapping = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidModel(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    _check(path, mapping)
    plain: dict[str, Any] = _as_json(mapping)
    return plain


def write_mlmodel(folder: Path, mapping: Mapping[str, Any]) -> None:
    """Write the file, keys in alphabetical order as MLflow does; keys that podium does not know stay.

    Raises:
        InvalidModel: What would be written could not be read back.
    """
    path = folder / FILE
    _check(path, mapping)
    text = yaml.safe_dump(_as_json(mapping), default_flow_style=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def _check(path: Path, mapping: object) -> None:
    flavors = mapping.get("flavors") if isinstance(mapping, Mapping) else None
    if not isinstance(flavors, Mapping) or not flavors:
        raise InvalidModel(f"{path} has no flavors; a model needs at least one.")
    for name, entry in flavors.items():
        if entry is not None and not isinstance(entry, Mapping):
            raise InvalidModel(f"{path}: flavor {name} is {type(entry).__name__}; expected a map.")
        for key in _PATHS:
            _check_inside(path, f"flavors.{name}.{key}", (entry or {}).get(key))
    info = mapping.get("saved_input_example_info") if isinstance(mapping, Mapping) else None
    for key in ("artifact_path", "serving_input_path"):
        _check_inside(path, f"saved_input_example_info.{key}", info.get(key) if isinstance(info, Mapping) else None)


def _check_inside(path: Path, key: str, value: object) -> None:
    if isinstance(value, str) and (value.startswith("/") or ".." in value.replace("\\", "/").split("/")):
        raise InvalidModel(f"{path}: {key} is {value!r}, which leaves the model's folder; refused.")


def _as_json(value: Any) -> Any:
    """Dates as MLflow writes them, `2026-11-20 20:38:25.155877`; maps with text keys; the rest as it is."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    return str(value) if isinstance(value, datetime.date) else value
