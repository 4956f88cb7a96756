"""Paths that a model's own MLmodel file names: inside the model's folder, or refused."""

from pathlib import Path

from podium.errors import InvalidModel


def part_of(folder: Path, relative: object, what: str) -> Path:
    """The file or folder that MLmodel calls `relative`, after links are followed.

    Args:
        folder: The model's folder.
        relative: What MLmodel says, `model.pkl` or `artifacts/words.txt`.
        what: The MLmodel key, for the message.

    Raises:
        InvalidModel: Not a relative path, outside of the folder, or missing.
    """
    if not isinstance(relative, str) or not relative:
        raise InvalidModel(f"MLmodel's {what} is {relative!r}; expected a path inside the model's folder {folder}.")
    root = folder.resolve()
    found = (root / relative).resolve()
    if not found.is_relative_to(root):
        raise InvalidModel(f"MLmodel's {what} is {relative!r}, which leaves the model's folder {folder}; refused.")
    if not found.exists():
        raise InvalidModel(f"MLmodel's {what} names {relative!r}, which is not in the model's folder {folder}.")
    return found
