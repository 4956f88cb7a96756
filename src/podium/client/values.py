"""Python values as requests of MLflow's protocol, and its answers as Python values and errors."""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from podium import errors
from podium.client.exchanges import retry_after
from podium.domain.frames import is_frame
from podium.domain.inputs.conversions import leaves
from podium.domain.inputs.unified import is_unified
from podium.models.examples import body_of

_FORMS = frozenset({"dataframe_split", "dataframe_records", "instances", "inputs"})
_BESIDE = frozenset({"params", "signature_name"})
_NOT_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
_SHOWN = 2000

_CLASSES: dict[str, type[errors.PodiumError]] = {
    "BAD_REQUEST": errors.MalformedBody,
    "INVALID_PARAMETER_VALUE": errors.InvalidInput,
    "RESOURCE_DOES_NOT_EXIST": errors.NotFound,
    "ENDPOINT_NOT_FOUND": errors.NotFound,
    "REQUEST_LIMIT_EXCEEDED": errors.Overloaded,
    "TEMPORARILY_UNAVAILABLE": errors.Unavailable,
    "UNSUPPORTED_MEDIA_TYPE": errors.UnsupportedContentType,
}
_BY_STATUS: dict[int, type[errors.PodiumError]] = {
    401: errors.Unauthenticated,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    413: errors.BodyTooLarge,
    415: errors.UnsupportedContentType,
    429: errors.Overloaded,
    503: errors.Unavailable,
    504: errors.DeadlineExceeded,
}
_BY_TEXT: dict[str, type[errors.PodiumError]] = {
    "Encountered an unexpected error while evaluating the model": errors.PredictFailed,
    "The model's process died": errors.WorkerCrashed,
    "The model returned a": errors.UnencodableOutput,
    "The prediction has ": errors.UnencodableOutput,
}


def request_of(data: Any, params: Mapping[str, Any] | None) -> bytes:
    """The body to POST.

    Args:
        data: A DataFrame or Series of rows, an array with rows along axis 0, a dict of such arrays, a list, a dict, a
            scalar; or a dict that is a request of the protocol already, which goes as it is. Missing values become null.
        params: The model's params.

    Raises:
        InvalidInput: It has no form in JSON.
    """
    is_request = isinstance(data, Mapping) and len(_FORMS & data.keys()) == 1 and data.keys() <= _FORMS | _BESIDE
    body = dict(data) if is_request else (_plain_table(data) or body_of(_columns(data)))
    if params is not None:
        body = {**body, **(params if is_unified(body) else {"params": dict(params)})}
    try:
        return json.dumps(body, default=plain_value).encode()
    except (TypeError, ValueError) as error:
        raise errors.InvalidInput(f"The input cannot be written as JSON: {error}") from error


def answer_of(body: bytes, data: Any, nan: str | None = None) -> Any:
    """The predictions of an answer.

    Args:
        body: As it was received, with status 200.
        data: What was asked with; records answer a DataFrame as a DataFrame with its index.
        nan: How the server writes NaN: a `domain.dialect.NanForm`. None where nobody knows: then "NaN" and its like stand
            for numbers among numbers, and are text among text.

    Returns: An array where all values are numbers (null is NaN) or all are text; a dict of such; a DataFrame; or what
        JSON holds.

    Raises:
        PodiumError: The answer is not JSON.
    """
    try:
        content = json.loads(body)
    except ValueError as error:
        raise errors.PodiumError(f"The server's answer is not JSON: {error}") from error
    if not isinstance(content, dict) or "predictions" not in content:
        return content
    predictions, pandas = content["predictions"], sys.modules.get("pandas")
    if isinstance(predictions, dict):
        return {name: _array(each, nan) for name, each in predictions.items()}
    is_table = isinstance(predictions, list) and predictions and all(isinstance(each, dict) for each in predictions)
    if pandas is not None and is_table and isinstance(data, pandas.DataFrame | pandas.Series):
        return pandas.DataFrame(predictions, index=data.index if len(data) == len(predictions) else None)
    return _array(predictions, nan)


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> errors.PodiumError:
    """The error that an answer stands for, as near as the protocol tells it apart."""
    text = body[:_SHOWN].decode("utf-8", "replace")
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    content = content if isinstance(content, dict) else {}
    code, message = str(content.get("error_code", "")), _message(content, text)
    kind = _BY_STATUS.get(status) or _CLASSES.get(code, errors.PodiumError)
    if content.get("error_class") == "SCHEMA_ENFORCEMENT_FAILED":
        kind = errors.SchemaMismatch
    kind = next((named for start, named in _BY_TEXT.items() if message.startswith(start)), kind)
    wait_s = retry_after(headers)
    if kind is errors.Unauthenticated:
        message += " This client takes a key as api_key, or from the variable PODIUM_API_KEY."
    facts: dict[str, Any] = {}
    if kind in _WAITING:
        facts = {"retry_after_s": 1.0 if wait_s is None else wait_s}
    elif kind is errors.BodyTooLarge:
        facts = {"limit_bytes": _number_in(message)}
    error = made_again(kind.__name__, message, facts)
    error.request_id = headers.get("x-request-id") or content.get("request_id")
    error.add_note(f"HTTP {status}, request {error.request_id or 'without an id'}; podium logs has the rest")
    return error


def _message(content: Mapping[str, Any], text: str) -> str:
    """What the answer says, in MLflow's words, the Open Inference Protocol's, or those of neither."""
    return str(content.get("message") or content.get("error") or content.get("detail") or text)


_WAITING = frozenset({errors.Overloaded, errors.Unavailable})


def _number_in(message: str) -> int:
    """The first number of a message; 0 where it has none."""
    found = re.search(r"\d+", message)
    return int(found[0]) if found else 0


def made_again(name: str, message: str, facts: Mapping[str, Any]) -> errors.PodiumError:
    """An error of another process, with its message and attributes."""
    kind = getattr(errors, name, errors.PodiumError)
    error: errors.PodiumError = kind.__new__(kind)
    error.args = (message,)
    for attribute, value in facts.items():
        setattr(error, attribute, tuple(value) if isinstance(value, list) else value)
    return error


def plain_value(value: Any) -> Any:
    """What json cannot write itself, in a request that a person wrote."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _array(value: Any, nan: str | None) -> Any:
    if not isinstance(value, list):
        return value
    cells = list(leaves(value))
    is_told = nan == "string" or (nan is None and any(_is_number(cell) for cell in cells))
    if is_told and all(_is_number(cell) or cell in _NOT_FINITE for cell in cells):
        value, cells = _numbers(value), []
    are_numbers = all(_is_number(cell) for cell in cells)
    if not are_numbers and not all(isinstance(cell, str) for cell in cells):
        return value
    try:
        return np.array(value, dtype=float if any(cell is None for cell in cells) else None)
    except ValueError:
        # Rows of different lengths.
        return value


def _columns(data: Any) -> Any:
    """A dict with arrays or Series among its values as a dict of arrays; anything else as it is."""
    pandas = sys.modules.get("pandas")
    series: tuple[Any, ...] = () if pandas is None else (pandas.Series,)
    if not isinstance(data, Mapping) or not any(isinstance(each, (np.ndarray, *series)) for each in data.values()):
        return data
    return {name: each.to_numpy() if isinstance(each, series) else _array_of(name, each) for name, each in data.items()}


def _array_of(name: str, column: Any) -> Any:
    if isinstance(column, np.ndarray) or not isinstance(column, list | tuple):
        return column
    try:
        return np.array(column, dtype=object if any(each is None for each in leaves(column)) else None)
    except ValueError:
        raise errors.InvalidInput(
            f"The input {name!r} has rows of different lengths; expected an array, or lists."
        ) from None


def _plain_table(data: Any) -> dict[str, Any] | None:
    """The request for a data frame of numbers and truth values; None for what else it may be. As `body_of`, in bulk."""
    if not is_frame(data) or not data.columns.is_unique or not all(isinstance(name, str) for name in data.columns):
        return None
    if not len(data) or not all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in data.dtypes):
        return None
    columns = [_listed(data[name].to_numpy()) for name in data.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return {"dataframe_split": {"columns": list(data.columns), "data": rows}}


def _listed(column: "np.ndarray[Any, Any]") -> list[Any]:
    if column.dtype.kind != "f" or not np.isnan(column).any():
        return list(column.tolist())
    return [None if value != value else value for value in column.tolist()]


def _is_number(leaf: Any) -> bool:
    return leaf is None or isinstance(leaf, int | float)


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return _NOT_FINITE[value] if isinstance(value, str) else value
