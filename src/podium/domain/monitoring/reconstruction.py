"""How far rows are from what few directions keep of them, and a worker's sums of that over a sample of its rows.

Only sums are kept, never rows: how many were looked at, their errors, and the errors' squares (`ErrorSums`). They add up
over workers and stretches of time, so that a window's mean error is that of all of them.

Looking at rows takes longer than counting them. So in each stretch of five minutes the first 2,000 rows are looked at, and
of the slices after these one in sixteen; of a slice at most 256 rows, evenly. A window that has enough rows for its columns
has enough for this, and one of many more is known from all of its time. Slices of less than 32 rows are put together first,
for a look has a fixed price.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.domain.monitoring.bins import Of
from podium.domain.monitoring.counts import ERROR_UNITS
from podium.domain.monitoring.profile import CategoryProfile, ColumnProfile, Multivariate, NumberProfile, Profile
from podium.domain.monitoring.samples import Floats, Ints
from podium.domain.monitoring.values import column_array, is_missing, name, numbers
from podium.domain.monitoring.windows import SLOT_S

ERROR_CELLS = 3
ONE_IN = 16
ENOUGH_ROWS = 2000
MOST_LOOKED_AT = 256
FEW_ROWS, GATHERED_ROWS = 32, 128

# No profile's rows are as far; what is, says that something is wrong, and one row must not fill a cell.
_MOST_ERROR = 1024.0


class Encoder:
    """Makes numbers of rows, one in each column.

    A number is itself, cut to the range from the 1st to the 99th percentile of the reference; NaN where it is missing. A
    category is the share that it has in the reference: that of the most frequent one where it is missing, 0 where it is
    not named.

    Args:
        columns: The profile's.
        names: Of those that are wanted, as `can_be_together` has them.
    """

    def __init__(self, columns: Mapping[str, ColumnProfile], names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._takes = [_taker(columns[each]) for each in names]
        # The share of the most frequent category.
        self._usual = np.array([_shares(columns[each])[1] for each in names])
        bounds = [_bounds(columns[each]) for each in names]
        self._low = np.array([low for low, _ in bounds])
        self._high = np.array([high for _, high in bounds])

    def rows(self, arrays: Mapping[str, Any], rows: int) -> Floats:
        """The rows of arrays, by name; a column that is not there, or None, is missing in all of them."""
        found = np.empty((len(self._names), rows))
        for place, (each, take) in enumerate(zip(self._names, self._takes, strict=True)):
            values = arrays.get(each)
            found[place] = np.nan if values is None else take(column_array(values))
        by_row: Floats = found.T
        by_row[~np.isfinite(by_row)] = np.nan
        np.copyto(by_row, self._usual, where=np.isnan(by_row) & ~np.isnan(self._usual))
        encoded: Floats = np.clip(by_row, self._low, self._high)
        return encoded


def _number_column(column: ColumnProfile) -> NumberProfile | None:
    if isinstance(column, CategoryProfile):
        return None
    return column if isinstance(column, NumberProfile) else column.length


def _bounds(column: ColumnProfile) -> tuple[float, float]:
    number = _number_column(column)
    return (-np.inf, np.inf) if number is None or not number.quantiles else (number.quantiles[0], number.quantiles[-1])


def _shares(column: ColumnProfile) -> tuple[dict[str, float], float]:
    """Of each category by name, and the largest; NaN for numbers."""
    if not isinstance(column, CategoryProfile):
        return {}, np.nan
    rows = max(column.counts.known, 1)
    shares = {key: count / rows for key, count in zip(column.bins.names, column.counts.bins, strict=True)}
    return shares, max(shares.values(), default=0.0)


def _taker(column: ColumnProfile) -> Callable[[Any], Any]:
    """What makes numbers of a column's array: NaN where a value is missing."""
    number = _number_column(column)
    if number is not None:
        return lambda values: numbers(values, number.dtype)
    assert isinstance(column, CategoryProfile)
    shares, dtype = _shares(column)[0], column.dtype
    if column.bins.of is not Of.TEXT and not column.bins.is_hashed:
        return _of_numbers(dict(zip(column.bins.numbers(), shares.values(), strict=True)), dtype)

    def of_texts(values: Any) -> list[float]:
        known = shares.get
        return [
            known(each, 0.0) if type(each) is str else np.nan if is_missing(each) else known(name(each), 0.0)
            for each in values.tolist()
        ]

    return of_texts


def _of_numbers(shares: Mapping[float, float], dtype: str) -> Callable[[Any], Any]:
    """Categories that are whole numbers or truth values, by the law that they are counted by."""
    ascending = sorted(shares)
    # A place behind all, for numbers beyond the last category.
    values = np.array([*ascending, np.inf])
    told = np.array([*(shares[each] for each in ascending), 0.0])

    def taken(column: Any) -> Floats:
        given = numbers(column, dtype)
        places = np.minimum(values.searchsorted(given), len(ascending))
        found: Floats = np.where(values[places] == given, told[places], 0.0)
        found[~np.isfinite(given)] = np.nan
        return found

    return taken


def encoded(columns: Mapping[str, ColumnProfile], names: Sequence[str], arrays: Mapping[str, Any]) -> Floats:
    """Rows as numbers, one column each, as `Encoder` has them.

    Args:
        columns: The profile's.
        names: Of those that are wanted.
        arrays: By name, of one length.
    """
    return Encoder(columns, names).rows(arrays, len(next(iter(arrays.values()))) if arrays else 0)


@dataclass(frozen=True, slots=True)
class Meter:
    """What is fitted, as arrays."""

    mean: Floats
    std: Floats
    components: Floats

    @classmethod
    def of(cls, together: Multivariate) -> "Meter":
        std = np.asarray(together.std, dtype=np.float64)
        components = np.asarray(together.components, dtype=np.float64).reshape(-1, len(together.columns))
        return cls(np.asarray(together.mean, dtype=np.float64), np.where(std > 0, std, 1.0), components)

    def errors(self, rows: Floats) -> Floats:
        """How far each row is from what the directions keep of it, in standard deviations."""
        scaled = (np.where(np.isnan(rows), self.mean, rows) - self.mean) / self.std
        rest = scaled - scaled @ self.components.T @ self.components
        distances: Floats = np.sqrt((rest * rest).sum(axis=1))
        return distances


def errors(together: Multivariate, rows: Floats) -> Floats:
    """How far each row is from what the directions keep of it, in standard deviations.

    Args:
        together: What was fitted.
        rows: As `encoded`.
    """
    return Meter.of(together).errors(rows)


class ErrorSampler:
    """What a profile's errors are measured by."""

    def __init__(self, encoder: Encoder, meter: Meter, names: Sequence[str]) -> None:
        self._encoder, self._meter, self._names = encoder, meter, tuple(names)

    @classmethod
    def of(cls, profile: Profile) -> "ErrorSampler | None":
        """None where the profile does not say how its columns go together, or of how many rows it knows that."""
        together = profile.multivariate
        if together is None or not together.rows or not all(each in profile.columns for each in together.columns):
            return None
        return cls(Encoder(profile.columns, together.columns), Meter.of(together), together.columns)

    def begun(self, clock: Callable[[], float]) -> "ErrorSampling":
        """A new sample's beginning.

        Args:
            clock: Seconds that pass.
        """
        return ErrorSampling(self, self._names, clock)

    def measure(self, arrays: Mapping[str, Any], rows: int, cells: Ints) -> None:
        """Look at rows, and add them to the sums.

        Args:
            arrays: By name, of one length; None where one is missing.
            rows: That length.
            cells: As `ErrorSums`: rows, errors, squares.
        """
        found = self._meter.errors(self._encoder.rows(arrays, rows))
        found = np.minimum(np.nan_to_num(found, nan=_MOST_ERROR), _MOST_ERROR)
        cells += (rows, round(float(found.sum()) * ERROR_UNITS), round(float((found * found).sum()) * ERROR_UNITS))


class ErrorSampling:
    """Chooses which rows are looked at.

    Args:
        sampler: Looks at them.
        names: Of the columns that it wants.
        clock: Seconds that pass.
    """

    def __init__(self, sampler: ErrorSampler, names: Sequence[str], clock: Callable[[], float]) -> None:
        self._sampler, self._names, self._clock = sampler, tuple(names), clock
        self._stretch, self._looked_at, self._slices = -1, 0, 0
        self._gathered: list[tuple[int, Mapping[str, Any]]] = []
        self._gathered_rows = 0

    def add(self, rows: int, columns: Mapping[str, Any], cells: Ints) -> None:
        """A slice of rows was counted: look at it, gather it, or let it go.

        Args:
            rows: How many.
            columns: Arrays with one value in each row, by name; None where one is missing. They are kept for a moment.
            cells: The sums.
        """
        if not self._is_wanted():
            return
        step = max(1, -(-rows // MOST_LOOKED_AT))
        looked_at = -(-rows // step)
        self._looked_at += looked_at
        if rows < FEW_ROWS:
            self._gather(rows, columns, cells)
            return
        taken = {each: None if columns[each] is None else columns[each][::step] for each in self._names}
        self._sampler.measure(taken, looked_at, cells)

    def _is_wanted(self) -> bool:
        stretch = int(self._clock() // SLOT_S)
        if stretch != self._stretch:
            self._stretch, self._looked_at = stretch, 0
        self._slices += 1
        return self._looked_at < ENOUGH_ROWS or self._slices % ONE_IN == 0

    def _gather(self, rows: int, columns: Mapping[str, Any], cells: Ints) -> None:
        self._gathered.append((rows, columns))
        self._gathered_rows += rows
        if self._gathered_rows < GATHERED_ROWS:
            return
        gathered, total = self._gathered, self._gathered_rows
        self._gathered, self._gathered_rows = [], 0
        sizes = [size for size, _ in gathered]
        joined = {name: _joined([arrays[name] for _, arrays in gathered], sizes) for name in self._names}
        self._sampler.measure(joined, total, cells)


def _joined(pieces: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Arrays as one; None stands for so many rows that have no value."""
    if any(piece is None for piece in pieces):
        if all(piece is None for piece in pieces):
            return None
        pieces = [
            np.full(size, None, object) if piece is None else piece for piece, size in zip(pieces, sizes, strict=True)
        ]
    first = pieces[0].dtype
    if any(piece.dtype != first for piece in pieces):
        pieces = [piece.astype(object) for piece in pieces]
    return np.concatenate(pieces)
