"""An answer's bytes as one prediction in each row, by the one law of `domain/monitoring/batches.py`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from podium.domain.monitoring.batches import answers_of
from podium.domain.monitoring.values import LONGEST_NAME
from podium.errors import PodiumError
from podium.protocols.open_inference.elements import unpack
from podium.protocols.tensors import CONTENT_TYPE as TENSORS
from podium.protocols.tensors import Tensor, decode_tensors

MOST_ROWS = 1000
"""Of one answer are kept: the first ones."""
_BINARY = "application/octet-stream"
_JSON = "json"


class UnreadableAnswer(ValueError):
    """Nothing of an answer can be kept; the text says why, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class PredictedRow:
    """What was predicted in one row.

    Args:
        prediction: A number, a short text or a truth value; None where there was nothing of the kind.
        score: The probability that came with it.
        chances: That of each class, by its name, to nine digits; None where not all of them came.
    """

    prediction: Any
    score: float | None = None
    chances: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class PredictedRows:
    """What an answer says.

    Args:
        first: Of its rows, `MOST_ROWS` at most.
        count: How many it has in all.
    """

    first: tuple[PredictedRow, ...]
    count: int


def rows_of(content_type: str, answer: bytes) -> PredictedRows:
    """What was predicted.

    Raises:
        UnreadableAnswer: It is in a form that is not read, or has not one value in each row.
    """
    try:
        found = answers_of(_columns(content_type.partition(";")[0].strip().lower(), answer))
    except UnreadableAnswer:
        raise
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, PodiumError) as error:
        raise UnreadableAnswer(f"It is not what its type {content_type!r} says ({type(error).__name__}).") from error
    if found.told is None:
        raise UnreadableAnswer(f"Nothing of it can be held against labels: {found.reason}.")
    told = np.asarray(found.told)
    scores = None if found.score is None else np.asarray(found.score)
    chances = _chances(found.chances(), min(len(told), MOST_ROWS))
    rows = [
        PredictedRow(_plain(value), None if scores is None else _chance(scores[place]), chances[place])
        for place, value in enumerate(told[:MOST_ROWS].tolist())
    ]
    if all(row.prediction is None for row in rows):
        raise UnreadableAnswer("It has no number, truth value or short text in any row.")
    return PredictedRows(tuple(rows), len(told))


def _chances(columns: Mapping[str, Any] | None, rows: int) -> Sequence[Mapping[str, float] | None]:
    if columns is None:
        return [None] * rows
    shares = zip(*(np.asarray(values[:rows], np.float64).tolist() for values in columns.values()), strict=True)
    # As many digits as floats of 32 bits have: more would be kept for nothing.
    return [
        dict(zip(columns, (float(f"{each:.9g}") for each in row), strict=True)) if all(map(isfinite, row)) else None
        for row in shares
    ]


def _columns(mime: str, answer: bytes) -> Any:
    if mime == TENSORS:
        return {each.name: _array(each) for each in decode_tensors(answer)[0]}
    if mime == _BINARY:
        return _with_bytes(answer)
    if mime and not mime.endswith(_JSON):
        raise UnreadableAnswer(f"Answers of type {mime!r} are not read.")
    document = json.loads(answer)
    if not isinstance(document, Mapping):
        return _typed(document)
    if isinstance(document.get("outputs"), list) and all(_is_tensor(each) for each in document["outputs"]):
        return {each["name"]: _shaped(each["data"], each["shape"]) for each in document["outputs"]}
    return _typed(document.get("predictions", document))


def _typed(rows: Any) -> Any:
    """Rows of named values as columns, those of fractions as numbers: JSON has types of values, and none of columns."""
    if isinstance(rows, list) and rows and all(isinstance(each, Mapping) for each in rows):
        rows = {name: [each.get(name) for each in rows] for name in dict.fromkeys(key for each in rows for key in each)}
    if not isinstance(rows, Mapping):
        return rows
    return {
        name: np.asarray(values) if isinstance(values, list) and {type(each) for each in values} == {float} else values
        for name, values in rows.items()
    }


def _with_bytes(answer: bytes) -> dict[str, Any]:
    """The Open Inference Protocol's answers with binary data: JSON, then the outputs' bytes in its order."""
    document, end = json.JSONDecoder().raw_decode(answer.decode("latin-1"))
    found: dict[str, Any] = {}
    for each in document["outputs"]:
        size = (each.get("parameters") or {}).get("binary_data_size")
        if size is None:
            found[each["name"]] = _shaped(each["data"], each["shape"])
        else:
            found[each["name"]] = _array(
                Tensor(each["name"], each["datatype"], tuple(each["shape"]), answer[end : end + size])
            )
            end += size
    return found


def _array(tensor: Tensor) -> Any:
    if tensor.form == _JSON:
        return _shaped(json.loads(bytes(tensor.data)), tensor.shape)
    if tensor.form:
        raise UnreadableAnswer(f"Output {tensor.name!r} is in a form that is not read.")
    return _shaped(unpack(tensor), tensor.shape)


def _shaped(data: Any, shape: Any) -> Any:
    # A null in JSON stands for NaN.
    values = np.asarray(data)
    if values.dtype.kind == "O" and values.ndim == 1:
        kinds = {type(each) for each in data} - {type(None)}
        if kinds <= {int, float}:
            values = np.asarray([np.nan if each is None else each for each in data], np.float64)
    return values.reshape(tuple(shape))


def _is_tensor(output: Any) -> bool:
    return isinstance(output, Mapping) and {"name", "shape", "data"} <= output.keys()


def _plain(value: Any) -> Any:
    """As JSON has it; None for what is no class and no number: missing, infinite, or text that is too long for a name."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_NAME else None
    if isinstance(value, bool | int):
        return value if abs(value) < 2**63 else None
    return value if isinstance(value, float) and isfinite(value) else None


def _chance(value: Any) -> float | None:
    try:
        chance = float(value)
    except (TypeError, ValueError):
        return None
    return chance if 0 <= chance <= 1 else None
