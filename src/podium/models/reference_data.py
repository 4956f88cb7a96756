"""The rows that a monitoring profile is made of, in whatever form people have them, chunk by chunk."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from podium.domain.frames import is_frame, is_table
from podium.domain.monitoring.batches import answers_of, array_of, inputs_of, rows_at, rows_in
from podium.domain.monitoring.profile import SourceKind
from podium.domain.monitoring.quality.tallies import class_name
from podium.domain.monitoring.quality.tasks import SaidTask
from podium.domain.monitoring.values import Kind, kind_of, numbers
from podium.errors import InvalidInput
from podium.models.data_files import chunks_of_file

CHUNK_ROWS = 65_536
_CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class ReferenceData:
    """What a model's monitoring profile is made of, where more is to be said of it than `training_data=X` says.

    Attributes:
        data: What the model takes: a data frame, an array, a dict of arrays or tensors, a list of rows; the path of a CSV,
            Parquet or JSON lines file; an iterator over chunks of these, or a function that begins one anew.
        predictions: What the model answers to them, as it answers: one of each row; or a column's name in `data`. None
            asks the model, for at most 20,000 of the rows and 30 seconds; False leaves predictions out.
        labels: What was true; likewise, or None.
        times: When each row was, for what seasons do; likewise. None takes the frame's index of moments, or the only column
            of moments that the model does not take.
        kind: `training` or `validation`: whether the model was made from these rows.
        left_out: Columns that are not to be monitored.
        is_private: Smallest and largest are told as the quantiles 0.1 % and 99.9 %.
        hash_key_file: A file with a secret: the columns' categories are told as keyed hashes, and only a server that has
            the same key (`serve.monitor_key_file`) counts them. None tells them by name.
        task: What the model is for: `binary`, `multiclass` or `regression`; None goes by its answers and the labels.
        positive: The class that a task of two classes is about; None takes the usual one.
    """

    data: Any
    predictions: Any = None
    labels: Any = None
    times: Any = None
    kind: str = SourceKind.TRAINING.value
    left_out: Sequence[str] = ()
    is_private: bool = False
    positive: str | None = None
    task: str | None = None
    hash_key_file: str | Path | None = None

    def __post_init__(self) -> None:
        kinds = [SourceKind.TRAINING.value, SourceKind.VALIDATION.value]
        if self.kind not in kinds:
            raise InvalidInput(f"kind is {self.kind!r}; expected one of {', '.join(kinds)}.")
        if isinstance(self.left_out, str):
            raise InvalidInput(f"left_out is {self.left_out!r}; expected a list of columns' names.")
        _ = self.purpose  # refuse words that it does not know

    @property
    def purpose(self) -> SaidTask:
        """What the model is for, as far as that was said.

        Raises:
            InvalidInput: It cannot be so.
        """
        # True and 1 name classes as well as their texts do.
        try:
            return SaidTask.of(self.task, None if self.positive is None else class_name(self.positive))
        except ValueError as error:
            raise InvalidInput(str(error)) from error

    @property
    def is_repeatable(self) -> bool:
        """Whether it can be read twice."""
        return not isinstance(self.data, Iterator)


def reference_data(training_data: Any, predictions: Any, labels: Any) -> ReferenceData | None:
    """What `log_model(..., training_data=, predictions=, labels=)` says; None where it says nothing.

    Raises:
        InvalidInput: Predictions or labels of no rows, or said twice.
    """
    said = [name for name, value in (("predictions", predictions), ("labels", labels)) if value is not None]
    if training_data is None:
        if said and predictions is not False:
            raise InvalidInput(f"{said[0]} belongs to the rows that it is of: pass training_data= as well.")
        return None
    if not isinstance(training_data, ReferenceData):
        return ReferenceData(training_data, predictions, labels)
    if said:
        raise InvalidInput(f"{said[0]} is an argument of the ReferenceData that is passed as training_data: say it there.")
    return training_data


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some of the rows.

    Attributes:
        inputs: What the model takes, in the form in which it came.
        rows: How many.
        predictions: What the model answered, in its form; None where nobody said it.
        labels: One in each row, or None.
        times: Seconds since 1970 or NaN, one in each row, or None.
    """

    inputs: Any
    rows: int
    predictions: Any = None
    labels: Any = None
    times: Any = None


def chunks_of(reference: ReferenceData, model_inputs: frozenset[str] | None = None) -> Iterator[Chunk]:
    """All rows, in chunks of at most 65,536 and about 64 MB.

    Args:
        reference: Where they are.
        model_inputs: Names of what the model takes; None where nobody knows.

    Raises:
        InvalidInput: They have no rows, or a column or a length is not as it was said to be.
    """
    start = 0
    for piece in _pieces(reference.data):
        rows = rows_in(piece) or 0
        inputs, asides = piece, {}
        for name, given in (
            ("predictions", reference.predictions),
            ("labels", reference.labels),
            ("times", reference.times),
        ):
            if isinstance(given, str):
                asides[name] = _column(piece, given, name)
                inputs = _without(inputs, given)
            elif given is not None and given is not False:
                asides[name] = _part(given, start, rows, name)
        times = asides.get("times")
        if times is None:
            times = _times_in(inputs, model_inputs)
        labels = asides.get("labels")
        yield Chunk(
            inputs,
            rows,
            asides.get("predictions"),
            None if labels is None else _labels(labels),
            None if times is None else numbers(array_of(times), "datetime"),
        )
        start += rows
    if not start:
        raise InvalidInput("The data to profile have no rows. Give the rows that the model was trained on.")
    for name, given in (("predictions", reference.predictions), ("labels", reference.labels), ("times", reference.times)):
        count = None if given is None or isinstance(given, str | bool) else rows_in(array_of(given))
        if count is not None and count != start:
            raise InvalidInput(f"{name} has {count} rows and the data {start}; expected as many.")


def _pieces(data: Any) -> Iterator[Any]:
    """What a model can be asked at once."""
    if isinstance(data, str | Path):
        yield from chunks_of_file(Path(data), CHUNK_ROWS)
        return
    if callable(data) and rows_in(data) is None and not hasattr(data, "__iter__"):
        yield from _streamed(data())
        return
    whole = _known_form(data)
    if whole is not None:
        yield from _cut(whole)
        return
    yield from _streamed(data)


def _streamed(chunks: Any) -> Iterator[Any]:
    if not isinstance(chunks, Iterable) or isinstance(chunks, str | bytes):
        raise _unknown(chunks)
    for chunk in chunks:
        form = _known_form(chunk)
        if form is None:
            raise _unknown(chunk)
        yield from _cut(form)


def _unknown(data: Any) -> InvalidInput:
    return InvalidInput(
        f"A monitoring profile cannot be made of a {type(data).__name__}; expected a data frame, an array, a dict of "
        "arrays, a list of rows, the path of a file, or an iterator over chunks of these."
    )


def _known_form(data: Any) -> Any:
    """A table, an array, or a mapping or list of such; None where it is none of them."""
    if is_table(data):
        return data
    if hasattr(data, "to_pandas"):
        return data.to_pandas()
    if isinstance(data, Mapping):
        arrays = {label: array_of(values) for label, values in data.items()}
        return arrays if arrays and all(rows_in(values) is not None for values in arrays.values()) else None
    if isinstance(data, list):
        is_of_chunks = bool(data) and (is_frame(data[0]) or getattr(data[0], "ndim", 1) > 1)
        return None if is_of_chunks else inputs_of(data).get(None, data)
    array = array_of(data)
    return array if rows_in(array) is not None and hasattr(array, "shape") else None


def _cut(data: Any) -> Iterator[Any]:
    rows = rows_in(data) or 0
    size = max(1, min(CHUNK_ROWS, int(_CHUNK_BYTES * rows / max(1, _bytes_in(data)))) if rows else 1)
    for start in range(0, rows, size):
        yield data if size >= rows else rows_at(data, slice(start, start + size))


def _bytes_in(data: Any) -> int:
    if isinstance(data, Mapping):
        return sum(map(_bytes_in, data.values()))
    if is_table(data):
        return int(np.prod(data.shape)) * 8
    return int(getattr(data, "nbytes", 0))


def _column(piece: Any, name: str, what: str) -> Any:
    found: Any = inputs_of(piece).get(name)
    if found is None:
        columns = ", ".join(repr(each) for each in list(inputs_of(piece))[:20] if each is not None)
        raise InvalidInput(f"{what}: the data have no column {name!r}; they have {columns or 'no named columns'}.")
    return found


def _without(piece: Any, name: str) -> Any:
    if is_frame(piece):
        return piece.loc[:, [str(label) != name for label in piece.columns]]
    if isinstance(piece, Mapping):
        return {label: values for label, values in piece.items() if str(label) != name}
    return [{label: value for label, value in row.items() if str(label) != name} for row in piece]


def _part(given: Any, start: int, rows: int, what: str) -> Any:
    values = array_of(given) if not isinstance(given, Mapping) else {name: array_of(each) for name, each in given.items()}
    count = rows_in(values)
    if count is None:
        raise InvalidInput(f"{what} is a {type(given).__name__}; expected one value in each row, or a column's name.")
    if count < start + rows:
        raise InvalidInput(f"{what} has {count} rows and the data {start + rows} or more; expected as many.")
    return rows_at(values, slice(start, start + rows))


def _labels(given: Any) -> Any:
    """One value in each row; of rows of zeros and a one, the place of the one."""
    array = given.to_numpy() if is_frame(given) else given
    if getattr(array, "ndim", 1) > 1:
        found = answers_of(np.asarray(array, dtype=np.float64) if array.shape[1] > 1 else array)
        if found.told is None:
            raise InvalidInput(f"labels have the shape {list(array.shape)}; expected one value in each row.")
        return found.told
    return array


def _times_in(inputs: Any, model_inputs: frozenset[str] | None) -> Any:
    """The moments that a table's index holds, or its only column of moments that the model does not take."""
    if not is_frame(inputs):
        return None
    if getattr(inputs.index, "tz_localize", None) is not None and hasattr(inputs.index, "asi8"):
        return inputs.index
    if model_inputs is None:
        return None
    names = [label for label in inputs.columns if str(label) not in model_inputs]
    moments = [
        label for label in names if kind_of(str(inputs[label].dtype)) is Kind.MOMENT or inputs[label].dtype.kind == "M"
    ]
    return inputs[moments[0]] if len(moments) == 1 else None
