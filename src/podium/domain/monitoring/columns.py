"""Makes a column's profile of its values, taken chunk by chunk: which kind it is, its bins, and what may be told of it.

What a column is, is decided when all was seen. Truth values are categories. Whole numbers of at most ten different values
are categories, others numbers. Text of more than 1,000 different values, of more different values than half its rows, or
with a value of more than 128 characters is text: only its lengths are kept. Objects are numbers if all of them are.

Private by default: a category, or a number with a bin of its own, has ten rows at least; rarer categories are counted
together; no text is kept. `Privacy` says what more is asked for.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from math import isfinite, nan, sqrt
from typing import Any

import numpy as np

from podium.domain.monitoring.bins import STORED, CategoryBins, NumberBins, Of, after, can_be_atom, category_name
from podium.domain.monitoring.counts import ColumnCounts
from podium.domain.monitoring.profile import SHARES, CategoryProfile, ColumnProfile, NumberProfile, TextProfile
from podium.domain.monitoring.samples import Floats, Sampler, Summed, WeightedSample
from podium.domain.monitoring.values import (
    LONGEST_NAME,
    Kind,
    category_hash,
    column_array,
    is_missing,
    kind_of,
    lengths,
    name,
    numbers,
    tallied,
)
from podium.errors import InvalidInput

MOST_CATEGORIES = 100
FEWEST_ROWS = 10
MOST_LABELS = 10
MOST_DISTINCT_TEXTS = 1000

# All names of a column together, in characters, so that a profile stays a small file.
_MOST_NAMES = 4096
# Rows of a bin, so that its count says something.
_LEAST_IN_BIN = 5
_NUMPY_NAMES = {"O": "object", "U": "str", "S": "str", "T": "str"}
_GAPPED = {"i": "int64", "u": "uint64", "b": "bool"}

# Where a range is told as quantiles: this share of the rows lies beyond each.
_OUTER = 0.001


@dataclass(frozen=True, slots=True)
class Privacy:
    """What a profile may tell beyond its defaults.

    Attributes:
        hides_range: Smallest and largest are told as the quantiles 0.1 % and 99.9 %; ten rows at least lie in each bin.
        hash_key: Categories are told as keyed hashes; whoever counts by the profile needs the key. Never stored in it.
    """

    hides_range: bool = False
    hash_key: bytes | None = None


@dataclass(slots=True)
class NumberSeen:
    """What was seen of numbers."""

    sampler: Sampler = field(default_factory=Sampler)
    labels: dict[float, int] | None = field(default_factory=dict)
    nan: int = 0
    infinite: int = 0

    def add(self, values: Floats) -> None:
        is_finite = np.isfinite(values)
        finite = values[is_finite]
        is_nan = int(np.count_nonzero(np.isnan(values)))
        self.nan += is_nan
        self.infinite += len(values) - len(finite) - is_nan
        self.sampler.add(finite)
        if self.labels is not None:
            found, counts = np.unique(finite, return_counts=True)
            for value, count in zip(found[: MOST_CATEGORIES + 1].tolist(), counts.tolist(), strict=False):
                self.labels[value] = self.labels.get(value, 0) + count
            if len(self.labels) > MOST_CATEGORIES:
                self.labels = None


@dataclass(slots=True)
class TextSeen:
    """What was seen of texts."""

    lengths: NumberSeen = field(default_factory=NumberSeen)
    names: dict[str, int] | None = field(default_factory=dict)

    def add(self, values: Any) -> None:
        self.lengths.add(lengths(values))
        if self.names is None:
            return
        for value, count in tallied(values).items():
            if not is_missing(value):
                text = name(value)
                if len(text) > LONGEST_NAME or (text not in self.names and len(self.names) == MOST_DISTINCT_TEXTS):
                    self.names = None
                    return
                self.names[text] = self.names.get(text, 0) + count


class ColumnSeen:
    """A column's values until now.

    Args:
        label: Its name, for errors.
        dtype: Its declared type; empty where the values tell.
    """

    def __init__(self, label: str, dtype: str = "") -> None:
        self._label = label
        self._dtype = dtype
        self._kinds: set[Kind] = set()
        self._types: set[str] = set()
        self._number = NumberSeen()
        self._text = TextSeen(names=None) if dtype == "binary" else TextSeen()
        self._number_rows = self._text_rows = self._rows = 0

    def add(self, values: Any) -> int:
        """Take a chunk, and say how many rows it has. Nothing of it is kept but numbers in a sample and short names."""
        array = column_array(values)
        # What pandas has of whole numbers and truth values with gaps becomes an array of floats or of objects.
        kept = getattr(getattr(values, "dtype", None), "kind", array.dtype.kind)
        found = _NUMPY_NAMES.get(array.dtype.kind, array.dtype.name)
        if kept != array.dtype.kind:
            found = _GAPPED.get(kept, found)
        self._types.add(found)
        kind = kind_of(self._dtype or found)
        self._rows += len(array)
        self._kinds |= kinds_in(array.tolist()) if kind is Kind.OBJECT else {kind}
        if kind in (Kind.TEXT, Kind.OBJECT):
            self._text.add(array)
            self._text_rows += len(array)
        if kind is not Kind.TEXT:
            self._number.add(numbers(array, self._dtype))
            self._number_rows += len(array)
        return len(array)

    def profile(self, rows: int, privacy: Privacy, is_label: bool | None = None) -> ColumnProfile:
        """The column's profile.

        Args:
            rows: Of all columns; those that this one did not have are missing in it.
            privacy: What it may tell.
            is_label: Up to a hundred whole numbers of any type are categories; None goes by the law of columns, False
                takes all for numbers.

        Raises:
            InvalidInput: It held numbers in one chunk and text in another, and no type was declared.
        """
        absent = rows - self._rows
        if Kind.TEXT in self._kinds:
            if self._text_rows != self._rows:
                raise InvalidInput(
                    f"Column {self._label!r} has numbers in one part of the rows and text in another. "
                    "Give the model a signature, or read the column as one type."
                )
            return text_profile(self._type("str"), self._text, absent, privacy)
        labels = self._number.labels
        is_column_of_labels = self._kinds <= {Kind.WHOLE, Kind.BOOLEAN} and len(labels or ()) <= MOST_LABELS
        if labels and (is_column_of_labels if is_label is None else is_label):
            of = Of.BOOLEAN if self._kinds == {Kind.BOOLEAN} else Of.INTEGER
            names = {category_name(value, of): count for value, count in labels.items()}
            if None not in names:
                missing = self._number.nan + self._number.infinite + absent
                known = {label: count for label, count in names.items() if label is not None}
                return category_profile(self._type("int64"), known, of, missing, self._number.infinite, privacy)
        # Moments with a zone are objects, and text in JSON.
        dtype = "datetime" if self._kinds == {Kind.MOMENT} and self._types == {"object"} else self._type("float64")
        return number_profile(self._dtype or dtype, self._number, absent, privacy)

    def _type(self, common: str) -> str:
        """The declared type; or the one that all chunks had; or one that holds them all."""
        if self._dtype:
            return self._dtype
        return next(iter(self._types)) if len(self._types) == 1 else common


def kinds_in(objects: list[Any]) -> set[Kind]:
    """What these objects are. What is missing says nothing."""
    kinds: set[Kind] = set()
    for kind in set(map(type, objects)):
        if issubclass(kind, bool | np.bool_):
            kinds.add(Kind.BOOLEAN)
        elif issubclass(kind, int | np.integer):
            kinds.add(Kind.WHOLE)
        elif issubclass(kind, float | np.floating):
            kinds |= {Kind.NUMBER} if any(type(value) is kind and value == value for value in objects) else set()
        elif issubclass(kind, Decimal | timedelta | np.timedelta64):
            kinds.add(Kind.NUMBER)
        elif issubclass(kind, date | np.datetime64) and kind.__name__ != "NaTType":
            kinds.add(Kind.MOMENT)
        elif not all(is_missing(value) for value in objects if type(value) is kind):
            kinds.add(Kind.TEXT)
    return kinds


def text_profile(dtype: str, seen: TextSeen, absent: int, privacy: Privacy) -> ColumnProfile:
    """Categories, or lengths where there are too many different texts."""
    known = seen.lengths.sampler.count
    if seen.names is not None and len(seen.names) * 2 <= known:
        return category_profile(dtype, seen.names, Of.TEXT, seen.lengths.nan + absent, 0, privacy)
    return TextProfile(dtype, number_profile("float64", seen.lengths, absent, privacy))


def category_profile(
    dtype: str, names: dict[str, int], of: Of, missing: int, non_finite: int, privacy: Privacy
) -> CategoryProfile:
    """The most frequent categories by name, the others together.

    Args:
        dtype: The column's type.
        names: How many rows have which.
        of: What the values are.
        missing: Rows without a value.
        non_finite: Of them, infinite.
        privacy: Whether names are told.
    """
    frequent = sorted((-count, label) for label, count in names.items() if count >= FEWEST_ROWS)[:MOST_CATEGORIES]
    told: list[tuple[str, int]] = []
    length = 0
    for negative, label in frequent:
        shown = label if privacy.hash_key is None else category_hash(privacy.hash_key, label)
        length += len(shown)
        if length > _MOST_NAMES:
            break
        told.append((shown, -negative))
    bins = CategoryBins(tuple(label for label, _ in told), of, is_hashed=privacy.hash_key is not None)
    counted = tuple(count for _, count in told)
    other = sum(names.values()) - sum(counted)
    return CategoryProfile(dtype, bins, ColumnCounts(counted, missing, non_finite, unseen=other), len(names))


def number_profile(
    dtype: str, seen: NumberSeen, absent: int, privacy: Privacy, fixed: NumberBins | None = None
) -> NumberProfile:
    """Bins at the quantiles, and what lies in them.

    Args:
        dtype: The column's type.
        seen: Its values.
        absent: Rows that had no such column.
        privacy: How smallest and largest are told.
        fixed: Bins that are given, in place of those that the values make.
    """
    sample, moments = seen.sampler.finished()
    missing = seen.nan + seen.infinite + absent
    if not moments.count:
        bins = fixed or NumberBins()
        return NumberProfile(dtype, bins, ColumnCounts((0,) * len(bins), missing, seen.infinite))
    low, high = _range(sample, moments, privacy)
    bins = fixed or NumberBins(*_cut(sample, FEWEST_ROWS if privacy.hides_range else _LEAST_IN_BIN), low, high)
    places = np.searchsorted(np.array(bins.cuts), sample.values, side="right")
    weights = np.bincount(places, weights=sample.weights, minlength=len(bins))
    floor, ceiling = bins.low if bins.low is not None else low, bins.high if bins.high is not None else high
    counts = ColumnCounts(
        tuple(int(weight) for weight in weights),
        missing,
        seen.infinite,
        int(sample.weights[sample.values < floor].sum()),
        int(sample.weights[sample.values >= after(ceiling)].sum()),
    )
    quantiles = (min(max(quantile, low), high) for quantile in sample.quantiles(SHARES))
    std = sqrt(moments.squares / moments.count) if moments.squares >= 0 else nan
    return NumberProfile(
        dtype, bins, counts, _told(moments.mean), _told(std), tuple(_rounded(quantile) for quantile in quantiles)
    )


def _cut(sample: WeightedSample, least_in_bin: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The edges and the atoms."""
    least = max(FEWEST_ROWS, -(-sample.rows // STORED))
    atoms = [value for value, _ in sample.heavy(least) if can_be_atom(value)]
    rest = sample.without(atoms)
    # Pairs, so that two of them make a bin that is decided on.
    bins = 2 * min(STORED // 2, rest.rows // (2 * least_in_bin))
    edges = set(rest.quantiles([place / bins for place in range(1, bins)])) if bins > 1 else set()
    return tuple(sorted(edges)), tuple(atoms)


def _range(sample: WeightedSample, moments: Summed, privacy: Privacy) -> tuple[float, float]:
    """Smallest and largest; where those are not to be told, quantiles with ten rows at least beyond them."""
    low, high = moments.low, moments.high
    if low is None or high is None:
        raise ValueError("a column without numbers has no range")
    if not privacy.hides_range:
        return low + 0.0, high + 0.0
    share = min(0.5, max(_OUTER, FEWEST_ROWS / sample.rows))
    return sample.quantile(share), sample.quantile(1 - share)


def _told(value: float) -> float | None:
    return _rounded(value) if isfinite(value) else None


def _rounded(value: float) -> float:
    """To nine digits: sums differ in the last ones between processors."""
    return float(f"{value:.9g}")
