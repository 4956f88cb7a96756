"""What is monitored of a batch, whatever it is made of: its columns by name, and what the model answered to each row.

One law for the rows that a profile is made of and for those in production, so that the two can be held side by side. Takes
pandas' data frames and Series, arrays, tensors, sparse matrices, mappings of them, and lists of rows.

An answer is one value in each row: a number, a class, a text. Rows of probabilities that add up to 1 are the class with the
highest, by its place, and a score: that of the second class where there are two, else the highest. Answers of several
columns are told by their usual names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from podium.domain.frames import is_frame, is_table
from podium.domain.monitoring.features import MOST_COLUMNS, MOST_ELEMENTS, Features, element_name, element_of
from podium.domain.monitoring.values import name

Array = np.ndarray[Any, Any]

MOST_CHANCES = 20
"""Of so many classes the chance of each is told; of more that of the highest alone."""

# How far rows of probabilities may be from adding up to 1, as 32-bit floats are.
_SUM_SLACK = 1e-3

_TOLD_NAMES = ("prediction", "predictions", "predicted", "label", "labels", "class", "output", "output_label")
_SCORE_NAMES = ("score", "scores", "probability", "probabilities", "output_probability", "confidence")


@dataclass(frozen=True, slots=True)
class Answered:
    """What is monitored of a model's answers.

    Attributes:
        told: What the model said, one value in each row: a number, or a class; None where nothing of it is monitored.
        score: The probability that it told.
        reason: Why nothing is monitored; None where something is.
        scores: The probabilities of all classes, rows by classes; None where they were not told.
        classes: What those are called; None by their places.
    """

    told: Any = None
    score: Any = None
    reason: str | None = None
    scores: Any = None
    classes: tuple[str, ...] | None = None

    def chances(self) -> dict[str, Any] | None:
        """The probability of each class in each row, by the class's name; None where it is not told, or there are many."""
        if self.scores is None or self.scores.shape[1] > MOST_CHANCES:
            return None
        names = self.classes or tuple(map(str, range(self.scores.shape[1])))
        return {each: self.scores[:, place] for place, each in enumerate(names)}

    def by_kind(self) -> dict[str, Any]:
        """As `BatchCounter.add` takes them: the profile knows whether its model tells values or classes."""
        found = {} if self.told is None else {"value": self.told, "classes": self.told}
        return found if self.score is None else found | {"score": self.score}


def inputs_of(data: Any) -> dict[str | None, Any]:
    """A batch's columns and tensors by name; an array that has none stands under None. Empty where it has no columns."""
    if is_frame(data):
        return {str(label): data.iloc[:, place] for place, label in enumerate(data.columns)}
    if is_table(data):
        return {"0" if data.name is None else str(data.name): data}
    if isinstance(data, Mapping):
        found = {str(label): array_of(values) for label, values in data.items()}
        return {label: values for label, values in found.items() if len(getattr(values, "shape", ()))}
    if isinstance(data, list | tuple):
        return _inputs_of_rows(list(data))
    array = array_of(data)
    return {None: array} if isinstance(array, np.ndarray) and array.ndim else {}


def columns_of(data: Any, features: Features | None) -> dict[str, Any]:
    """A batch's columns as a profile has them.

    Args:
        data: What the model is asked.
        features: By its signature; None takes what is there, and names a tensor's elements as a signature would.
    """
    inputs = inputs_of(data)
    if features is not None:
        return features.taken_from(inputs)
    found: dict[str, Any] = {}
    for label, values in inputs.items():
        shape = getattr(values, "shape", (0,))[1:]
        if not shape:
            found["0" if label is None else label] = values
        elif prod(shape) <= MOST_ELEMENTS:
            array = np.asarray(values)
            for index in product(*map(range, shape)):
                found[element_name(label, index)] = element_of(array, index)
    return dict(list(found.items())[: 2 * MOST_COLUMNS])


def answers_of(answer: Any) -> Answered:
    """What is monitored of a model's answer to a batch."""
    inputs = inputs_of(answer)
    if not inputs:
        return Answered(reason=f"it answers {type(answer).__name__}, not one value in each row")
    if len(inputs) > 1:
        return _of_several({str(label): values for label, values in inputs.items()})
    return _of_one(next(iter(inputs.values())))


def array_of(values: Any) -> Any:
    """An array of what a library has in place of one: tensors on whatever device, sparse matrices. Tables stay."""
    if isinstance(values, np.ndarray) or is_table(values):
        return values
    if isinstance(values, list | tuple):
        return _array_of_list(list(values))
    if hasattr(values, "toarray") and len(getattr(values, "shape", ())) == 2:
        # One that is wider is not monitored, and would take the memory of all its zeros.
        return values.toarray() if values.shape[1] <= MOST_ELEMENTS else values
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        values = values.detach().cpu()
    if hasattr(values, "numpy") and hasattr(values, "shape"):
        return np.asarray(values.numpy())
    return np.asarray(values) if hasattr(values, "__array__") else values


def rows_in(data: Any) -> int | None:
    """How many rows a batch has; None where it has none that could be counted."""
    if isinstance(data, Mapping):
        sizes = [rows_in(values) for values in data.values()]
        return sizes[0] if sizes else None
    shape = getattr(data, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else None
    return len(data) if isinstance(data, list | tuple) else None


def rows_at(data: Any, wanted: Any) -> Any:
    """Some rows of a batch, as the same kind of thing.

    Args:
        data: The batch.
        wanted: A slice, or an array of places.
    """
    if isinstance(data, Mapping):
        return {label: rows_at(values, wanted) for label, values in data.items()}
    if is_table(data):
        return data.iloc[wanted]
    if isinstance(data, list | tuple):
        return list(data)[wanted] if isinstance(wanted, slice) else [data[place] for place in wanted.tolist()]
    return data[wanted]


def _inputs_of_rows(rows: list[Any]) -> dict[str | None, Any]:
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = dict.fromkeys(label for row in rows for label in row)
        return {str(label): _array_of_list([row.get(label) for row in rows]) for label in names}
    array = _array_of_list(rows)
    # One value in each row is the only column; rows of several are an array.
    return {"0" if array.ndim == 1 else None: array}


def _array_of_list(values: list[Any]) -> Array:
    """Lists of equal length as an array of numbers or texts; anything else one object in each row."""
    if values and isinstance(values[0], list | tuple | np.ndarray):
        try:
            array = np.asarray(values)
        except ValueError:
            array = np.empty(0, object)
        if array.dtype.kind != "O" and array.ndim > 1:
            return array
    return np.fromiter(values, dtype=object, count=len(values))


def _of_one(values: Any) -> Answered:
    shape = getattr(values, "shape", (0,))
    if len(shape) == 1:
        if np.asarray(values).dtype.kind == "O" and any(isinstance(each, list | dict | np.ndarray) for each in values):
            return Answered(reason="it answers lists or objects, not one value in each row")
        return Answered(values)
    array = np.asarray(values)
    if prod(shape[1:]) == 1:
        return Answered(array.reshape(shape[0]))
    return _of_probabilities(array)


def _of_probabilities(array: Array) -> Answered:
    """The class by its place, and the score; where a row is no distribution, both are missing in it."""
    several = Answered(reason=f"it answers {prod(array.shape[1:])} values in each row, and they are no probabilities")
    if array.ndim != 2 or array.dtype.kind != "f" or array.shape[1] < 2:
        return several
    is_told: Array = np.all((array >= 0) & (array <= 1), axis=1)
    is_told &= np.abs(array.sum(axis=1, where=is_told[:, None]) - 1) <= _SUM_SLACK
    if not is_told.any():
        return several
    place = np.where(np.isnan(array), -1.0, array).argmax(axis=1)
    score = array[:, 1] if array.shape[1] == 2 else array.max(axis=1)
    if is_told.all():
        return Answered(place, score, scores=array)
    rows = np.where(is_told[:, None], array, np.nan)
    return Answered(np.where(is_told, place, np.nan), np.where(is_told, score, np.nan), scores=rows)


def _of_several(columns: Mapping[str, Any]) -> Answered:
    """Columns that are probabilities together; or one that is named as what was told, and maybe one as its score."""
    arrays = [np.asarray(values) for values in columns.values()]
    if all(array.ndim == 1 and array.dtype.kind == "f" for array in arrays):
        found = _of_probabilities(np.stack(arrays, axis=1))
        if found.told is not None:
            return found
    told = next((columns[name] for name in _TOLD_NAMES if name in columns), None)
    answered = _of_one(told) if told is not None else Answered()
    if answered.told is None:
        names = ", ".join(map(repr, list(columns)[:5]))
        return Answered(reason=f"it answers {len(columns)} columns ({names}), none of them named prediction or label")
    scores = next((columns[name] for name in _SCORE_NAMES if name in columns), None)
    return answered if scores is None else _with_scores(answered.told, scores)


def _with_scores(told: Any, scores: Any) -> Answered:
    """One probability in each row, or what rows of probabilities say; ONNX has maps of them by class."""
    classes = None
    if np.asarray(scores).dtype.kind == "O" and all(isinstance(each, Mapping) and each for each in scores):
        keys = [tuple(each) for each in scores]
        classes = tuple(map(name, keys[0])) if len(set(keys)) == 1 else None
        is_named = classes is not None and len(set(classes)) == len(classes)
        scores = [list(each.values()) for each in scores]
    else:
        is_named = False
    array = np.asarray(array_of(scores))
    if array.ndim == 1 or array.dtype.kind != "f":
        return Answered(told, array if array.dtype.kind == "f" else None)
    found = _of_probabilities(array.astype(np.float64))
    if is_named:
        return Answered(told, found.score, scores=found.scores, classes=classes)
    # Whose chance stands where nobody says: by places only where the class that is told is that of the highest.
    is_by_place = found.told is not None and np.array_equal(np.asarray(told), found.told)
    return Answered(told, found.score, scores=found.scores if is_by_place else None)
