"""What goes from step to step of a pipeline that is restated in numpy: inputs as they came, or a matrix of one type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.flavors.claims import Batch, Inputs, NotTakenError
from podium.flavors.sklearn.finals import without_names
from podium.flavors.sklearn.own import is_own

Run = Callable[[Batch], Any]
# Where a column of numbers comes from: the input's position, and what it was multiplied by and moved by; None: elsewhere.
Origin = tuple[int, float, float] | None


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """Inputs as they come, by position; not gathered yet."""

    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A matrix of one type, in fresh memory.

    Args:
        run: Makes it of a batch.
        dtype: Its type.
        origins: A value for each column.
        is_sparse: scikit-learn would hold it in a sparse matrix.
    """

    run: Run
    dtype: "np.dtype[Any]"
    origins: tuple[Origin, ...]
    is_sparse: bool = False


Stage = ColumnSource | Numbers
Restate = Callable[["Steps", Any, Any], Stage]
# A column's type (None: text), how to read its values as Python's from a batch or a matrix, and where they come from.
Column = tuple["np.dtype[Any] | None", Callable[[Batch, Any], Sequence[Any]], Origin]


class Steps:
    """Compiles transformers for one kind of input.

    Args:
        inputs: What batches look like.
        known: By the name of its class, what restates a transformer.

    Attributes:
        categories: For inputs by position, the values that encoders know.
    """

    def __init__(self, inputs: Inputs, known: Mapping[str, "Restate"]) -> None:
        self.inputs = inputs
        self._known = known
        self.categories: dict[int, list[Any]] = {}

    def start(self) -> ColumnSource:
        """All inputs."""
        return ColumnSource(tuple(range(len(self.inputs.dtypes))))

    def after(self, transformer: Any, stage: Stage) -> Stage:
        """What a fitted transformer makes of a stage.

        Raises:
            NotTakenError: Not known to be done exactly.
        """
        if transformer is None or transformer == "passthrough":
            return stage
        if not is_own(transformer, ("transform",)):
            raise NotTakenError(f"{type(transformer).__name__} is not scikit-learn's own")
        name = type(transformer).__name__
        if name == "Pipeline":
            for _, step in transformer.steps:
                stage = self.after(step, stage)
            return stage
        if name in self._known:
            return self._known[name](self, transformer, stage)
        return self._own_method(transformer, stage)

    def numbers(self, stage: Stage) -> Numbers:
        """The stage as a matrix.

        Raises:
            NotTakenError: It holds text, or truth values beside numbers.
        """
        if isinstance(stage, Numbers):
            return stage
        dtypes = [self.inputs.dtypes[position] for position in stage.positions]
        known = [dtype for dtype in dtypes if dtype is not None]
        if len(known) < len(dtypes) or not known:
            raise NotTakenError("text where numbers are wanted")
        if len({dtype.kind == "b" for dtype in known}) > 1:
            raise NotTakenError("pandas makes objects of truth values beside numbers")
        dtype = np.result_type(*known)
        origins = tuple((position, 1.0, 0.0) for position in stage.positions)
        return Numbers(_gather(self.inputs, stage.positions, dtype), dtype, origins)

    def is_text(self, source: ColumnSource) -> bool:
        """Whether all of it is text."""
        return all(self.inputs.dtypes[position] is None for position in source.positions)

    def columns(self, stage: Stage) -> list[Column]:
        """The columns one by one."""
        if isinstance(stage, Numbers):
            return [(stage.dtype, _column_of(i), origin) for i, origin in enumerate(stage.origins)]
        found: list[Column] = []
        for position in stage.positions:
            part, column = self.inputs.places[position]
            read = _text_column(column) if part < 0 else _part_column(part, column)
            found.append((self.inputs.dtypes[position], read, (position, 1.0, 0.0)))
        return found

    def _own_method(self, transformer: Any, stage: Stage) -> Stage:
        """Any other transformer of scikit-learn's that is known to look at one row at a time, on a matrix."""
        nameless = without_names(transformer)
        if nameless is None or type(transformer).__name__ == "FunctionTransformer":
            raise NotTakenError(f"{type(transformer).__name__} is not known")
        before = self.numbers(stage)
        if before.is_sparse or before.dtype.kind == "b":
            raise NotTakenError("a sparse matrix or truth values")
        made = nameless.transform(np.zeros((1, len(before.origins)), before.dtype))
        if type(made) is not np.ndarray or made.ndim != 2:
            raise NotTakenError("it makes no matrix")
        return Numbers(lambda batch: nameless.transform(before.run(batch)), made.dtype, (None,) * made.shape[1])


def _gather(inputs: Inputs, positions: tuple[int, ...], dtype: "np.dtype[Any]") -> Run:
    """Copies inputs into a fresh matrix."""
    moves: dict[int, tuple[list[int], list[int]]] = {}
    for target, position in enumerate(positions):
        part, column = inputs.places[position]
        sources, targets = moves.setdefault(part, ([], []))
        sources.append(column)
        targets.append(target)
    plans = [(part, _run_of(sources), _run_of(targets)) for part, (sources, targets) in moves.items()]
    width = len(positions)
    if len(plans) == 1 and isinstance(plans[0][1], slice):
        part, source, _ = plans[0]
        return lambda batch: np.array(batch.parts[part][:, source], dtype, order="C")

    def run(batch: Batch) -> Any:
        made = np.empty((batch.rows, width), dtype)
        for part, source, target in plans:
            made[:, target] = batch.parts[part][:, source]
        return made

    return run


def _run_of(places: list[int]) -> Any:
    """A slice where the places follow one another, which is cheaper."""
    is_run = places == list(range(places[0], places[0] + len(places)))
    return slice(places[0], places[0] + len(places)) if is_run else np.array(places, np.intp)


def _text_column(which: int) -> Callable[[Batch, Any], Sequence[Any]]:
    return lambda batch, _: batch.text(which)


def _part_column(part: int, column: int) -> Callable[[Batch, Any], Sequence[Any]]:
    return lambda batch, _: batch.parts[part][:, column].tolist()


def _column_of(column: int) -> Callable[[Batch, Any], Sequence[Any]]:
    return lambda _, rows: rows[:, column].tolist()
