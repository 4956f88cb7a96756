"""A model's input example: what is written beside the model, and the request body that can be made of it.

Format: MLflow's `input_example.json` and `serving_input_example.json`; missing values are null, bytes base64, dates ISO.
"""

import base64
import datetime
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from podium.domain.inputs.unified import is_unified
from podium.errors import InvalidInput

FILE, _SERVING_FILE = "input_example.json", "serving_input_example.json"


@dataclass(frozen=True, slots=True)
class Example:
    """An input example as its author gave it.

    Args:
        data: What predict takes.
        params: The params to go with it, or None.
    """

    data: Any
    params: dict[str, Any] | None = None

    @classmethod
    def of(cls, given: Any) -> "Example":
        """Read `data` or `(data, params)`."""
        if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict):
            return cls(given[0], given[1])
        return cls(given)


def write_example(folder: Path, example: Example) -> dict[str, Any]:
    """Write both files; returns MLmodel's `saved_input_example_info`.

    Raises:
        InvalidInput: An example that has no form in JSON; names its type.
    """
    info, stored, body = _forms(example.data)
    if example.params is not None:
        info["params"] = "true"
        stored = {"inputs": stored, "params": example.params}
        body = {**body, **(example.params if is_unified(body) else {"params": example.params})}
    try:
        stored_text = json.dumps(stored, default=_plain)
        body_text = json.dumps(body, default=_plain, indent=2)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The input example cannot be written as JSON: {error}") from error
    (folder / FILE).write_text(stored_text, encoding="utf-8")
    (folder / _SERVING_FILE).write_text(body_text, encoding="utf-8")
    return {"artifact_path": FILE, "serving_input_path": _SERVING_FILE, **info}


def body_of(data: Any) -> dict[str, Any]:
    """The request body for an input, as plain JSON values: missing values are null, bytes base64, dates ISO.

    Raises:
        InvalidInput: It has no form in the protocol; names its type.
    """
    try:
        body: dict[str, Any] = json.loads(json.dumps(_forms(data)[2], default=_plain))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The input cannot be written as JSON: {error}") from error
    return body


def serving_example(folder: Path, mlmodel: Mapping[str, Any]) -> str | None:
    """The JSON text to POST as a trial request: the serving example, or one made from the input example of an older model.

    Returns: None where the model has no example, or one that cannot be read.
    """
    info = mlmodel.get("saved_input_example_info")
    if not isinstance(info, Mapping):
        return None
    text = _read(folder, info.get("serving_input_path") or _SERVING_FILE)
    if text is not None:
        return text
    stored = _read(folder, info.get("artifact_path"))
    return None if stored is None else _body_of_stored(stored, info)


def _read(folder: Path, name: object) -> str | None:
    if not isinstance(name, str):
        return None
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        return None
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError):
        return None
    return text


def _body_of_stored(text: str, info: Mapping[str, Any]) -> str | None:
    stored, params = json.loads(text), None
    if info.get("params") and isinstance(stored, dict) and "params" in stored:
        params, stored = stored["params"], stored.get("inputs")
    body: dict[str, Any]
    match info.get("type"):
        case "dataframe" if info.get("pandas_orient", "split") in {"split", "values"}:
            body = {"dataframe_split": stored if isinstance(stored, dict) else {"data": stored}}
        case "dataframe" if info.get("pandas_orient") == "records":
            body = {"dataframe_records": stored}
        case "ndarray" if isinstance(stored, dict) and set(stored) <= {"inputs", "instances"}:
            # Older files were written in TF Serving's form, envelope and all.
            body = stored
        case "sparse_matrix_csr" | "sparse_matrix_csc" as kind if isinstance(stored, dict):
            body = {"inputs": _dense(stored, kind == "sparse_matrix_csr")}
        case "json_object" if is_unified(stored):
            body = stored
        case "ndarray" | "json_object":
            body = {"inputs": stored}
        case _:
            return None
    if params is not None:
        body = {**body, **(params if is_unified(body) else {"params": params})}
    return json.dumps(body)


def _dense(stored: Mapping[str, Any], is_by_row: bool) -> list[list[float]]:
    rows, columns = stored["shape"]
    table = [[0.0] * columns for _ in range(rows)]
    for major in range(len(stored["indptr"]) - 1):
        for at in range(stored["indptr"][major], stored["indptr"][major + 1]):
            minor = stored["indices"][at]
            row, column = (major, minor) if is_by_row else (minor, major)
            table[row][column] = stored["data"][at]
    return table


def _forms(data: Any) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """The info's type, what is stored and what is posted, by the type of the example."""
    pandas, sparse = sys.modules.get("pandas"), sys.modules.get("scipy.sparse")
    if pandas is not None and isinstance(data, pandas.Series):
        data = data.to_frame()
    if pandas is not None and isinstance(data, pandas.DataFrame):
        split = _split(data)
        return (
            {"type": "dataframe", "pandas_orient": "split" if "columns" in split else "values"},
            split,
            {"dataframe_split": split},
        )
    if isinstance(data, np.ndarray):
        listed = _without_nan(data)
        return {"type": "ndarray"}, listed, {"inputs": listed}
    if sparse is not None and isinstance(data, sparse.csr_matrix | sparse.csc_matrix):
        stored = {
            "data": _without_nan(data.data),
            "indices": data.indices.tolist(),
            "indptr": data.indptr.tolist(),
            "shape": list(data.shape),
        }
        return {"type": f"sparse_matrix_{data.format}"}, stored, {"inputs": _without_nan(data.toarray())}
    if isinstance(data, dict) and any(isinstance(each, np.ndarray) for each in data.values()):
        if not all(isinstance(each, np.ndarray) for each in data.values()):
            raise InvalidInput("The input is a dict with arrays and other things; make all of its values arrays.")
        listed = {str(name): _without_nan(each) for name, each in data.items()}
        return {"type": "ndarray"}, listed, {"inputs": listed}
    if hasattr(data, "model_dump"):
        data = data.model_dump()
    if isinstance(data, list | dict | str | bytes | int | float | bool | datetime.date | np.generic):
        stored = _missing_as_null(data)
        return {"type": "json_object"}, stored, (stored if is_unified(stored) else {"inputs": stored})
    raise InvalidInput(
        f"The input is of the type {type(data).__name__}; expected a DataFrame, Series, array, dict of arrays, sparse "
        "matrix, list, dict or scalar, or a tuple (example, params)."
    )


def _split(frame: Any) -> dict[str, Any]:
    import pandas

    # MLflow writes a single column of lists or dicts too, so that isna may answer with an array.
    rows = [
        [None if pandas.api.types.is_scalar(cell) and pandas.isna(cell) else _missing_as_null(cell) for cell in row]
        for row in frame.itertuples(index=False, name=None)
    ]
    is_numbered = list(frame.columns) == list(range(frame.shape[1]))
    return {"data": rows} if is_numbered else {"columns": [_plain_name(name) for name in frame.columns], "data": rows}


def _plain_name(name: Any) -> Any:
    return name.item() if isinstance(name, np.generic) else name


def _without_nan(array: "np.ndarray[Any, Any]") -> Any:
    if array.dtype.kind == "f" and np.isnan(array).any():
        plain = array.astype(object)
        plain[np.isnan(array)] = None
        return plain.tolist()
    if array.dtype.kind == "M":
        return np.datetime_as_string(array).tolist()
    return _missing_as_null(array.tolist())


def _missing_as_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _missing_as_null(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_missing_as_null(each) for each in value]
    return None if isinstance(value, float) and value != value else value


def _plain(value: Any) -> Any:
    """What json cannot write itself."""
    if isinstance(value, np.ndarray):
        return _without_nan(value)
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes | bytearray):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")
