"""Records and texts of the input plan as the data that a model takes: one data frame or array for a whole batch.

What is made here equals what the reference codec and the enforcement make of the same requests: values, types, labels,
index and memory layout (the order of a matrix in memory decides which BLAS kernel runs, and with it the last bits).
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from podium.domain.inputs.columns import COLUMNS, pandas_for
from podium.domain.inputs.conversions import NUMPY_TYPES
from podium.domain.inputs.plan import TEXT, InputPlan
from podium.domain.signature import DataType
from podium.flavors.claims import Batch, Inputs


class Assembler:
    """Makes batches for one plan.

    Raises:
        MissingDependency: The plan has columns, and there is no pandas.
    """

    __slots__ = ("assemble",)

    assemble: Callable[[int, bytes | memoryview, list[str]], Any]
    """The data of so many rows, in fresh memory: their records one after another, their texts row by row.

    Raises:
        ValueError: Not as many bytes or texts as the rows need.
    """

    def __init__(self, plan: InputPlan) -> None:
        if plan.kind == "columns":
            self.assemble = _Frames(plan).assemble
        elif plan.kind == "tensor":
            self.assemble = _Array(plan).assemble
        else:
            self.assemble = _Arrays(plan).assemble


class Batches:
    """Batches for a cheaper way of answering: the records where they lie, as a table for each type.

    Args:
        plan: Of columns, or of one tensor of vectors.
    """

    __slots__ = ("_dtypes", "_record", "_texts", "_widths", "inputs")

    def __init__(self, plan: InputPlan) -> None:
        dtypes: list[np.dtype[Any] | None]
        if plan.kind == "columns":
            dtypes = [None if field.type == TEXT else NUMPY_TYPES[DataType(field.type)] for field in plan.fields]
            names: tuple[str, ...] | None = tuple(str(field.name) for field in plan.fields)
            order = plan.record
        else:
            first = plan.fields[0]
            dtypes, names, order = [np.dtype(first.type)] * first.size, None, tuple(range(first.size))
        kinds: dict[np.dtype[Any], list[int]] = {}
        for position in order:
            kinds.setdefault(dtypes[position], []).append(position)  # type: ignore[arg-type]
        places = {position: (-1, i) for i, position in enumerate(plan.texts if names is not None else ())}
        for part, positions in enumerate(kinds.values()):
            places.update({position: (part, column) for column, position in enumerate(positions)})
        self.inputs = Inputs(names, tuple(dtypes), tuple(places[i] for i in range(len(dtypes))))
        self._dtypes = [dtype.newbyteorder("<") for dtype in kinds]
        self._widths = [len(positions) for positions in kinds.values()]
        self._record = _record_type([(d, (w,)) for d, w in zip(self._dtypes, self._widths, strict=True)])
        self._texts = plan.texts_per_row if names is not None else 0

    def make(self, rows: int, block: bytes | memoryview, texts: list[str]) -> Batch:
        """The batch of so many rows.

        Raises:
            ValueError: Not as many bytes or texts as the rows need.
        """
        _check_texts(texts, rows * self._texts)
        if len(self._dtypes) == 1:
            parts = [np.frombuffer(block, self._dtypes[0]).reshape(rows, self._widths[0])]
        elif self._dtypes:
            records = np.frombuffer(block, self._record)
            _check_rows(records, rows)
            parts = [records[name] for name in self._record.names or ()]
        else:
            parts = []
        return Batch(rows, parts, texts, self._texts)


def takes_batches(plan: InputPlan) -> bool:
    """Whether `Batches` are made for this plan."""
    return plan.kind == "columns" or (plan.kind == "tensor" and len(plan.fields[0].shape) == 1)


class _Array:
    def __init__(self, plan: InputPlan) -> None:
        field = plan.fields[0]
        self._dtype = np.dtype(field.type)
        self._little = self._dtype.newbyteorder("<")
        self._shape = field.shape

    def assemble(self, rows: int, block: bytes | memoryview, texts: list[str]) -> Any:
        _check_texts(texts, 0)
        # A copy: what a buffer lends is read-only, and may begin at any address.
        return np.array(np.frombuffer(block, self._little).reshape(rows, *self._shape), self._dtype)


class _Arrays:
    def __init__(self, plan: InputPlan) -> None:
        self._names = [str(field.name) for field in plan.fields]
        self._dtypes = [np.dtype(field.type) for field in plan.fields]
        self._record = _record_type([
            (dtype.newbyteorder("<"), field.shape) for dtype, field in zip(self._dtypes, plan.fields, strict=True)
        ])  # fmt: skip

    def assemble(self, rows: int, block: bytes | memoryview, texts: list[str]) -> Any:
        _check_texts(texts, 0)
        records = np.frombuffer(block, self._record)
        _check_rows(records, rows)
        parts = zip(self._names, self._dtypes, self._record.names or (), strict=True)
        return {name: np.array(records[part], dtype, order="C") for name, dtype, part in parts}


class _Frames:
    """Data frames with one block of memory for each type, as pandas itself makes them of columns.

    In a block each column is contiguous: `to_numpy()` of the frame is in Fortran's order.
    """

    def __init__(self, plan: InputPlan) -> None:
        self._pandas = pandas_for(COLUMNS)
        self._columns = self._pandas.Index([str(field.name) for field in plan.fields])
        self._text_positions = plan.texts
        groups: dict[str, list[int]] = {}
        for position in plan.record:
            groups.setdefault(plan.fields[position].type, []).append(position)
        self._dtypes = [NUMPY_TYPES[DataType(kind)] for kind in groups]
        self._places = [np.array(places, np.intp) for places in groups.values()]
        self._record = _record_type([
            (dtype.newbyteorder("<"), (len(places),)) for dtype, places in zip(self._dtypes, self._places, strict=True)
        ])  # fmt: skip
        # The type that this pandas gives to text, which depends on its version, its options, and on pyarrow.
        self._text_type: Any = self._pandas.DataFrame({"text": ["text"]}).dtypes.iloc[0]
        self._text_places = [np.array([position], np.intp) for position in plan.texts]
        self._build = _from_blocks() or self._from_columns

    def assemble(self, rows: int, block: bytes | memoryview, texts: list[str]) -> Any:
        if rows < 1:
            raise ValueError("a batch has at least one row")
        _check_texts(texts, rows * len(self._text_positions))
        blocks = []
        if self._dtypes:
            if len(self._dtypes) == 1:
                parts = [np.frombuffer(block, self._record[0].base).reshape(rows, len(self._places[0]))]
            else:
                records = np.frombuffer(block, self._record)
                _check_rows(records, rows)
                parts = [records[name] for name in self._record.names or ()]
            for part, dtype, places in zip(parts, self._dtypes, self._places, strict=True):
                blocks.append((np.array(part.T, dtype, order="C"), places))
        step = len(self._text_positions)
        for i, places in enumerate(self._text_places):
            blocks.append((self._texts(texts[i::step]), places))
        # A view of the names: a model that names the index of one frame's columns must not rename the next one's.
        return self._build(blocks, self._pandas.RangeIndex(rows), self._columns.view())

    def _texts(self, texts: list[str]) -> Any:
        if self._text_type.kind == "O" and not hasattr(self._text_type, "construct_array_type"):
            values = np.empty((1, len(texts)), dtype=object)
            values[0] = texts
            return values
        return self._text_type.construct_array_type()._from_sequence(texts, dtype=self._text_type)

    def _from_columns(self, blocks: list[tuple[Any, Any]], index: Any, columns: Any) -> Any:
        """The frame by pandas' public constructor, where blocks cannot be handed over."""
        pandas = self._pandas
        if len(blocks) == 1 and isinstance(blocks[0][0], np.ndarray):
            return pandas.DataFrame(blocks[0][0].T, index=index, columns=columns, copy=False)
        values: list[Any] = [None] * len(columns)
        for block, places in blocks:
            if isinstance(block, np.ndarray):
                for row, position in enumerate(places):
                    values[position] = block[row]
            else:
                values[places[0]] = block
        # Copied, and by that put together by types.
        return pandas.DataFrame(dict(zip(columns, values, strict=True)), index=index, copy=True)


def _record_type(parts: list[tuple["np.dtype[Any]", tuple[int, ...]]]) -> "np.dtype[Any]":
    return np.dtype([(f"part{i}", dtype, shape) for i, (dtype, shape) in enumerate(parts)])


def _from_blocks() -> Callable[[list[tuple[Any, Any]], Any, Any], Any] | None:
    """Pandas' own way to take blocks as they are; None before pandas 3."""
    try:
        internals = importlib.import_module("pandas.api.internals")
    except ImportError:
        return None
    return getattr(internals, "create_dataframe_from_blocks", None)


def _check_rows(records: "np.ndarray[Any, Any]", rows: int) -> None:
    if len(records) != rows:
        raise ValueError(f"expected the records of {rows} rows, got {len(records)}")


def _check_texts(texts: list[str], expected: int) -> None:
    if len(texts) != expected:
        raise ValueError(f"expected {expected} texts, got {len(texts)}")
