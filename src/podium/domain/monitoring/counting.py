"""Counts whole arrays into a profile's bins: what a worker does with the columns of each batch, after it has answered.

A column is sorted and the places' bounds are looked up in it, whatever its kind: numbers, missing and infinite ones, those
out of range and categories of whole numbers are all places on one line. With 256 rows at a time that takes 19 ns a number
on a machine where looking each number up among the bounds takes 37 ns.

All cells of a profile lie in one array of 64-bit whole numbers (`BatchCounter.cells`), which may be memory that others
read: whoever knows the profile makes `ModelCounts` of it (`Layout.counts`). Cells only grow.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, nan
from sys import float_info
from typing import Any, Protocol

import numpy as np

from podium.domain.monitoring.bins import CategoryBins, NumberBins, Of, after, category_name
from podium.domain.monitoring.counts import ColumnCounts, ErrorSums, ModelCounts
from podium.domain.monitoring.profile import CategoryProfile, ColumnProfile, NumberProfile, Profile, TextProfile
from podium.domain.monitoring.reconstruction import ERROR_CELLS, ErrorSampler
from podium.domain.monitoring.samples import Ints
from podium.domain.monitoring.values import (
    LONGEST_NAME,
    category_hash,
    column_array,
    is_missing,
    key_mark,
    lengths,
    name,
    numbers,
    tallied,
)
from podium.errors import InvalidInput

# Texts whose places are remembered where each has to be hashed to know it.
_MOST_REMEMBERED = 4096


class ColumnCells(Protocol):
    """Where one column's values are counted, and how its cells are read."""

    size: int

    def add(self, values: Any, cells: Ints) -> None:
        """Count an array's values into the cells, which are this column's."""

    def miss(self, rows: int, cells: Ints) -> None:
        """Count so many rows without a value."""

    def counts(self, cells: list[int]) -> ColumnCounts:
        """What the cells say."""


class NumberCells:
    """Numbers by `NumberBins`.

    The line is cut where bins meet, at the reference's range and at infinity; NaN sorts behind all. So the cells are: minus
    infinity, the pieces of the line, infinity, missing.
    """

    def __init__(self, bins: NumberBins, dtype: str) -> None:
        between = bins.cuts
        cuts = {-float_info.max, inf, *between}
        low = bins.low if bins.low is not None else -inf
        high = bins.high if bins.high is not None else inf
        if bins.low is not None and bins.high is not None:
            cuts |= {low, after(high)}
        starts = sorted(cuts)
        self._line = np.array([-inf, *starts, nan])
        self._dtype = dtype
        self._pieces = [(bisect_right(between, start), start < low, start > high) for start in starts[:-1]]
        self._bins = len(between) + 1
        self.size = len(starts) + 2

    def add(self, values: Any, cells: Ints) -> None:
        # Sorting and looking the cuts up among the values takes half of looking each value up among the cuts.
        ascending = np.sort(numbers(values, self._dtype))
        before = ascending.searchsorted(self._line)
        cells[:-1] += before[1:] - before[:-1]
        cells[-1] += len(ascending) - before[-1]

    def miss(self, rows: int, cells: Ints) -> None:
        cells[-1] += rows

    def counts(self, cells: list[int]) -> ColumnCounts:
        bins = [0] * self._bins
        below = above = 0
        for (index, is_below, is_above), count in zip(self._pieces, cells[1:-2], strict=True):
            bins[index] += count
            below += count * is_below
            above += count * is_above
        non_finite = cells[0] + cells[-2]
        return ColumnCounts(tuple(bins), non_finite + cells[-1], non_finite, below, above)


class LabelCells(NumberCells):
    """Categories that are numbers, each an atom on the line."""

    def __init__(self, bins: CategoryBins, dtype: str) -> None:
        values = bins.numbers()
        ascending = tuple(sorted(values))
        on_line = NumberBins(atoms=ascending)
        super().__init__(on_line, dtype)
        between = on_line.cuts
        self._labels = [bisect_right(between, value) for value in values]

    def counts(self, cells: list[int]) -> ColumnCounts:
        every = super().counts(cells)
        named = tuple(every.bins[label] for label in self._labels)
        return ColumnCounts(named, every.missing, every.non_finite, unseen=every.known - sum(named))


class NameCells:
    """Categories that are texts: a cell for each name, then `unseen`, then missing."""

    def __init__(self, bins: CategoryBins) -> None:
        self._places = {text: place for place, text in enumerate(bins.names)}
        # Of texts as they arrive.
        self._known = self._places
        self._unseen = len(bins)
        self.size = len(bins) + 2

    def add(self, values: Any, cells: Ints) -> None:
        found = [0] * self.size
        known = self._known.get
        for value, count in tallied(values).items():
            place = known(value)
            found[self._place(value) if place is None else place] += count
        cells += found

    def miss(self, rows: int, cells: Ints) -> None:
        cells[-1] += rows

    def counts(self, cells: list[int]) -> ColumnCounts:
        *named, unseen, missing = cells
        return ColumnCounts(tuple(named), missing, unseen=unseen)

    def _place(self, value: Any) -> int:
        if type(value) is str:
            return self._unseen
        return self._unseen + 1 if is_missing(value) else self._places.get(name(value), self._unseen)


class HashedCells(NameCells):
    """Categories whose names are keyed hashes: a cell for each, then `unseen`, infinite, missing."""

    def __init__(self, bins: CategoryBins, dtype: str, key: bytes) -> None:
        super().__init__(bins)
        self._of = bins.of
        self._dtype = dtype
        self._key = key
        self._known = {}
        self.size = len(bins) + 3

    def add(self, values: Any, cells: Ints) -> None:
        if self._of is Of.TEXT:
            super().add(values, cells)
            return
        found = [0] * self.size
        for value, count in zip(*np.unique(numbers(values, self._dtype), return_counts=True), strict=True):
            found[self._number_place(float(value))] += int(count)
        cells += found

    def counts(self, cells: list[int]) -> ColumnCounts:
        *named, unseen, infinite, missing = cells
        return ColumnCounts(tuple(named), infinite + missing, infinite, unseen=unseen)

    def _number_place(self, value: float) -> int:
        if value - value != 0:
            return -1 if value != value else -2
        text = category_name(value, self._of)
        if text is None:
            return self._unseen
        place = self._known.get(text)
        return self._text_place(text) if place is None else place

    def _place(self, value: Any) -> int:
        if type(value) is not str and is_missing(value):
            return -1
        return self._text_place(name(value))

    def _text_place(self, text: str) -> int:
        place = self._places.get(category_hash(self._key, text), self._unseen)
        if len(self._known) < _MOST_REMEMBERED and len(text) <= LONGEST_NAME:
            self._known[text] = place
        return place


class UncountedCells(HashedCells):
    """The cells of `HashedCells` where nobody has the key: what is not known is not counted, not even as unseen."""

    def __init__(self, bins: CategoryBins, dtype: str) -> None:
        super().__init__(bins, dtype, b"")

    def add(self, values: Any, cells: Ints) -> None:
        """Counts nothing: without the key every value would look unseen."""

    def miss(self, rows: int, cells: Ints) -> None:
        """Nothing either: what is missing is a share of what is counted."""


class LengthCells(NumberCells):
    """Texts by their lengths."""

    def add(self, values: Any, cells: Ints) -> None:
        super().add(lengths(values), cells)


def cells_for(column: ColumnProfile, key: bytes | None) -> ColumnCells:
    """Where a column of a profile is counted.

    Args:
        column: The column.
        key: That its categories were hashed with; where they were and it is None, nothing of the column is counted.
    """
    match column:
        case NumberProfile():
            return NumberCells(column.bins, column.dtype)
        case TextProfile():
            return LengthCells(column.length.bins, "float64")
        case CategoryProfile():
            if column.bins.is_hashed:
                if key is None:
                    return UncountedCells(column.bins, column.dtype)
                return HashedCells(column.bins, column.dtype, key)
            return NameCells(column.bins) if column.bins.of is Of.TEXT else LabelCells(column.bins, column.dtype)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a column's cells lie: `start` to `end` among all."""

    name: str
    start: int
    end: int
    cells: ColumnCells


class Layout:
    """Which cell of a profile is whose. The first counts the rows; columns follow by name, then predictions.

    Where the profile says how columns go together, the last three are the `ErrorSums` of a sample of the rows.

    Args:
        profile: Its id stands for the layout: the same profile has the same one everywhere, with the key or without.
        key: That its categories were hashed with, if they were. Without it, or with another, their columns have no counts.

    Attributes:
        uncounted: The columns of which nothing is counted, as their names are hashed and the key is not here.
    """

    def __init__(self, profile: Profile, key: bytes | None = None) -> None:
        self.profile_id = profile.profile_id
        self.size = 1
        if key is not None and profile.key_mark and key_mark(key) != profile.key_mark:
            key = None
        self.columns = [self._slot(name, profile.columns[name], key) for name in sorted(profile.columns)]
        present = profile.predictions.present()
        self.predictions = [self._slot(name, present[name], key) for name in sorted(present)]
        self.errors = ErrorSampler.of(profile)
        every = (*self.columns, *self.predictions)
        self.uncounted = tuple(slot.name for slot in every if isinstance(slot.cells, UncountedCells))
        self._counted = self.size
        if self.errors is not None:
            self.size += ERROR_CELLS

    def _slot(self, label: str, column: ColumnProfile, key: bytes | None) -> Slot:
        cells = cells_for(column, key)
        start = self.size
        self.size += cells.size
        return Slot(label, start, self.size, cells)

    def counts(self, cells: Ints) -> ModelCounts:
        """What the cells say. They may be a copy of another process' memory."""
        every = cells.tolist()
        return ModelCounts(
            self.profile_id,
            every[0],
            {slot.name: slot.cells.counts(every[slot.start : slot.end]) for slot in self.columns},
            {slot.name: slot.cells.counts(every[slot.start : slot.end]) for slot in self.predictions},
            ErrorSums(*every[self._counted :]),
        )

    def error_cells(self, cells: Ints) -> Ints:
        """Those of the `ErrorSums`, of all cells; none where the profile has nothing to measure errors by."""
        return cells[self._counted :]


class BatchCounter:
    """Counts batches by one layout.

    Args:
        layout: Which cell is whose.
        cells: Where to count, `layout.size` whole numbers of 64 bits; a new array where none is given. Only one may write.
        clock: Seconds that pass: more rows are looked at together as time goes by. Without, it stands still.
    """

    def __init__(self, layout: Layout, cells: Ints | None = None, clock: Callable[[], float] = lambda: 0.0) -> None:
        self._layout = layout
        self.cells = np.zeros(layout.size, np.int64) if cells is None else cells
        self._errors = None if layout.errors is None else layout.errors.begun(clock)

    def add(self, rows: int, columns: Mapping[str, Any], predictions: Mapping[str, Any]) -> None:
        """Count a batch. What the profile does not have is passed over; what the batch does not have is missing in it.

        Args:
            rows: How many rows the batch has.
            columns: Arrays by the columns' names.
            predictions: Arrays by `value`, `classes`, `score`.

        Raises:
            InvalidInput: An array has not so many rows, or several values in each. Nothing was counted.
        """
        found = [(slot, columns.get(slot.name)) for slot in self._layout.columns]
        found += [(slot, predictions.get(slot.name)) for slot in self._layout.predictions]
        arrays = [(slot, None if values is None else column_array(values)) for slot, values in found]
        for slot, array in arrays:
            if array is not None and len(array) != rows:
                raise InvalidInput(f"{slot.name!r} has {len(array)} rows in a batch of {rows}; expected as many.")
        if self._errors is not None:
            self._errors.add(rows, {slot.name: array for slot, array in arrays[: len(self._layout.columns)]},
                             self._layout.error_cells(self.cells))  # fmt: skip
        self.cells[0] += rows
        for slot, array in arrays:
            cells = self.cells[slot.start : slot.end]
            if array is None:
                slot.cells.miss(rows, cells)
            else:
                slot.cells.add(array, cells)

    def counts(self) -> ModelCounts:
        """What was counted until now."""
        return self._layout.counts(self.cells)
