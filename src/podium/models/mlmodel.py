"""The MLmodel file: YAML with MLflow's keys, read tolerantly and written with whatever else was in it.

The file comes from whoever made the model, and is read by processes that serve others: whatever is in it becomes a value of
bounded size that fits JSON, or InvalidModel, and nothing else.
"""

import base64
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from podium.errors import InvalidModel

FILE = "MLmodel"
# Keys of a flavor's entry that name files of the model; whether these exist is for loading to say.
_PATHS = ("code", "data", "model_path", "pickled_model", "python_model")
_MOST_BYTES = 8 * 1024 * 1024
# Aliases let a few lines stand for billions of values (the "billion laughs"); what they stand for is what is weighed:
# characters, and sixteen more for each value.
_MOST_WEIGHT = 32 * 1024 * 1024
_VALUE_WEIGHT = 16


def read_mlmodel(folder: Path) -> dict[str, Any]:
    """The whole MLmodel file, dates as text so that it can be sent as JSON. Every key but `flavors` may be absent.

    Raises:
        InvalidModel: No folder, no MLmodel, not YAML, too large, no flavors, or a path that leaves the folder.
    """
    if not folder.is_dir():
        raise InvalidModel(f"There is no folder {folder}.")
    path = folder / FILE
    try:
        text = text_of(path)
    except FileNotFoundError as error:
        raise InvalidModel(f"{folder} is not a model: it has no MLmodel file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidModel(f"{path} cannot be read: {error}") from error
    mapping: dict[str, Any] = load_yaml(text, path)
    _check(path, mapping)
    return mapping


def load_yaml(text: str, path: Path) -> Any:
    """What YAML says, as values that fit JSON: dates as text, bytes as base64, sets as lists, keys as text.

    Raises:
        InvalidModel: Not YAML, values that no JSON holds, nested too deep, or too many of them. Names `path`.
    """
    try:
        plain = _as_json(_safe_load(text))
        json.dumps(plain)
    except yaml.YAMLError as error:
        raise InvalidModel(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise InvalidModel(f"{path} is nested too deep, or in itself.") from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        # PyYAML lets through what its constructors raise: a thirteenth month, a number without digits.
        raise InvalidModel(f"{path} has a value that cannot be read: {type(error).__name__}: {error}"[:1000]) from error
    return plain


def text_of(path: Path) -> str:
    """A small file of a model's folder as text.

    Raises:
        OSError, UnicodeDecodeError: It cannot be read, or is not UTF-8.
        InvalidModel: It is larger than 8 MiB.
    """
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InvalidModel(f"{path} is larger than {_MOST_BYTES >> 20} MiB; such a file has a few kilobytes.")
    return content.decode("utf-8")


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


def _safe_load(text: str) -> Any:
    """As `yaml.safe_load`, but what aliases and merges stand for is counted before any of it is made.

    Raises:
        ValueError: They stand for too many values.
        RecursionError: Something holds itself.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _weight(node, {}) > _MOST_WEIGHT:
            raise ValueError("its aliases stand for too much")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _weight(node: yaml.Node, known: dict[yaml.Node, int | None]) -> int:
    """How much text a node stands for. `known` are those seen before; None: it is being looked at."""
    if node in known:
        weight = known[node]
        if weight is None:
            raise RecursionError
        return weight
    known[node] = None
    weight = _VALUE_WEIGHT
    if isinstance(node, yaml.MappingNode):
        weight += sum(_weight(key, known) + _weight(value, known) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        weight += sum(_weight(each, known) for each in node.value)
    else:
        weight += len(node.value)
    known[node] = weight
    return weight


def _as_json(value: Any) -> Any:
    """Dates as MLflow writes them, `2026-11-20 20:38:25.155877`; bytes as base64; sets as lists; maps with text keys."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, datetime.date) else value
