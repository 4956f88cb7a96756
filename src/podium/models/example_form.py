"""The form that a model wants its input in because its example had it (MLflow's `TypeFromExample` hint).

Such a model's signature has columns, but its predict() was written for what the example was: a list, a dict or one value.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from podium.domain.reasons import reason
from podium.errors import InvalidModel
from podium.models.examples import FILE


def form_from_example(folder: Path, mlmodel: Mapping[str, Any]) -> Any:
    """The example whose form input is to have; None where the model did not ask for it or takes frames and arrays.

    Raises:
        InvalidModel: The model asks for it and its example cannot be read.
    """
    info = mlmodel.get("saved_input_example_info") or {}
    if not mlmodel.get("type_hint_from_example") or info.get("type") != "json_object":
        return None
    path = folder / str(info.get("artifact_path", FILE))
    try:
        example = json.loads(path.read_text(encoding="utf-8"))
        return example["inputs"] if info.get("params") else example
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidModel(
            f"The model takes input in the form of its example, and {path} cannot be read: {reason(error)}."
        ) from error


def in_form_of(example: Any, frame: Any) -> Any:
    """A frame as a list, a dict or one value, whichever the example is."""
    if np.isscalar(example):
        return frame.iloc[0, 0]
    if isinstance(example, dict):
        # Several rows have no form as one dict; MLflow hands the frame over then, and so do we.
        return frame.to_dict(orient="records")[0] if len(frame) == 1 else frame
    if isinstance(example, list):
        if len(frame.columns) == 1 and all(np.isscalar(item) for item in example):
            return frame.iloc[:, 0].tolist()
        return frame.to_dict(orient="records")
    return frame
