"""What was counted of a model's columns, as values that add up exactly, whoever counted: threads, workers, nodes.

A row of a column falls into exactly one place: a bin, `unseen`, or `missing`. `non_finite` says how many of the missing
were infinite; `below` and `above` say how many of those in bins lie outside what the reference had.

What `unseen` holds: every category that the profile does not name. The profile's own `unseen` are its rare categories,
whose names it must not give away; so they, and nothing else, are what a window's `unseen` is to be compared with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from operator import add, sub

from podium.errors import PodiumError

ERROR_UNITS = 1024


class OtherProfile(PodiumError):
    """Counts of one profile's bins were to be put together with another's: the places differ, the sum would be a lie.

    Args:
        ours: The id of the profile that the counts at hand were counted by.
        theirs: The other one's.
    """

    code = "OTHER_PROFILE"

    def __init__(self, ours: str, theirs: str) -> None:
        self.ours = ours
        self.theirs = theirs
        super().__init__(
            f"Counts by profile {ours} cannot be put together with counts by profile {theirs}: their bins differ. "
            "Count both by the same profile."
        )


class CountsWentBack(PodiumError):
    """The later of two counts is the smaller: whoever counted began anew between them. Take the later as it is."""

    code = "COUNTS_WENT_BACK"


@dataclass(frozen=True, slots=True)
class ColumnCounts:
    """One column's counts.

    Attributes:
        bins: One for each bin.
        missing: Rows without a value to put into a bin: None, NaN, infinite, not a number where one is meant.
        non_finite: Of the missing: infinite.
        below: Of those in bins: smaller than the reference's smallest.
        above: Of those in bins: greater than the reference's largest.
        unseen: Categories without a name in the profile.
    """

    bins: tuple[int, ...]
    missing: int = 0
    non_finite: int = 0
    below: int = 0
    above: int = 0
    unseen: int = 0

    @property
    def known(self) -> int:
        """The rows that have a value."""
        return sum(self.bins) + self.unseen

    @property
    def rows(self) -> int:
        """All rows."""
        return self.known + self.missing

    @property
    def cells(self) -> tuple[int, ...]:
        """All its numbers: those beside the bins first, in the order of the attributes."""
        return (self.missing, self.non_finite, self.below, self.above, self.unseen, *self.bins)

    @classmethod
    def from_cells(cls, cells: tuple[int, ...]) -> "ColumnCounts":
        """The column whose `cells` these are."""
        missing, non_finite, below, above, unseen, *bins = cells
        return cls(tuple(bins), missing, non_finite, below, above, unseen)

    def __add__(self, other: "ColumnCounts") -> "ColumnCounts":
        return ColumnCounts.from_cells(tuple(map(add, self.cells, other.cells)))

    def __sub__(self, other: "ColumnCounts") -> "ColumnCounts":
        return ColumnCounts.from_cells(tuple(map(sub, self.cells, other.cells)))


@dataclass(frozen=True, slots=True)
class ErrorSums:
    """How far rows were from what the profile's directions keep of them, as whole numbers that add up exactly.

    Attributes:
        rows: A sample of those that were counted.
        total: The sum of their errors, in 1024ths.
        squares: The sum of the errors' squares, in 1024ths.
    """

    rows: int = 0
    total: int = 0
    squares: int = 0

    @property
    def mean(self) -> float:
        """Of one row; there is one at least."""
        return self.total / self.rows / ERROR_UNITS

    @property
    def deviation(self) -> float:
        """The standard deviation of one row's error; there is one row at least."""
        return sqrt(max(self.squares / self.rows / ERROR_UNITS - self.mean**2, 0.0))

    def __add__(self, other: "ErrorSums") -> "ErrorSums":
        return ErrorSums(self.rows + other.rows, self.total + other.total, self.squares + other.squares)

    def __sub__(self, other: "ErrorSums") -> "ErrorSums":
        return ErrorSums(self.rows - other.rows, self.total - other.total, self.squares - other.squares)


@dataclass(frozen=True, slots=True)
class ModelCounts:
    """What was counted of a model by one profile.

    Attributes:
        profile_id: The profile whose bins these are.
        rows: Rows seen.
        columns: Of each input that the profile has; each sees all rows.
        predictions: Of each kind of prediction that the profile has: `value`, `classes`, `score`.
        together: Of the columns together, where the profile says how they go together.
    """

    profile_id: str
    rows: int
    columns: Mapping[str, ColumnCounts]
    predictions: Mapping[str, ColumnCounts]
    together: ErrorSums = ErrorSums()

    def __add__(self, other: "ModelCounts") -> "ModelCounts":
        """Both together.

        Raises:
            OtherProfile: They were counted by different profiles.
        """
        self._require(other)
        return ModelCounts(
            self.profile_id,
            self.rows + other.rows,
            {name: counts + other.columns[name] for name, counts in self.columns.items()},
            {name: counts + other.predictions[name] for name, counts in self.predictions.items()},
            self.together + other.together,
        )

    def __sub__(self, earlier: "ModelCounts") -> "ModelCounts":
        """What was counted since `earlier`, where both are what one counter had counted until then.

        Raises:
            OtherProfile: They were counted by different profiles.
            CountsWentBack: The counter began anew between them.
        """
        self._require(earlier)
        since = ModelCounts(
            self.profile_id,
            self.rows - earlier.rows,
            {name: counts - earlier.columns[name] for name, counts in self.columns.items()},
            {name: counts - earlier.predictions[name] for name, counts in self.predictions.items()},
            self.together - earlier.together,
        )
        parts = (*since.columns.values(), *since.predictions.values())
        if min(since.rows, since.together.rows) < 0 or any(min(part.cells) < 0 for part in parts):
            raise CountsWentBack(
                f"{self.rows} rows were counted by profile {self.profile_id}, and {earlier.rows} before that: the counter "
                "began anew in between. Take the later counts as they are."
            )
        return since

    def _require(self, other: "ModelCounts") -> None:
        if self.profile_id != other.profile_id:
            raise OtherProfile(self.profile_id, other.profile_id)
