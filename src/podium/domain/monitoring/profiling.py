"""Makes a profile of rows that come in chunks, in one pass and bounded memory: 1e6 rows of 100 columns take 180 MB.

The same rows in the same order give the same profile, however they are cut into chunks. Up to 65,536 rows everything is
exact; beyond, quantiles and the counts in bins are off by at most 0.005 % of the rows per million (`samples.py`); rows,
missing values, categories, smallest, largest and mean stay exact.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from podium.domain.monitoring.bins import STORED, NumberBins
from podium.domain.monitoring.columns import ColumnSeen, NumberSeen, Privacy, number_profile
from podium.domain.monitoring.features import LONGEST_LABEL, MOST_COLUMNS, Features
from podium.domain.monitoring.profile import (
    ENOUGH_ROWS,
    FEW_ROWS,
    CategoryProfile,
    ColumnProfile,
    Predictions,
    Profile,
    Source,
)
from podium.domain.monitoring.values import column_array, key_mark, numbers, require_column
from podium.errors import InvalidInput

SCORE_BINS = NumberBins(tuple(place / STORED for place in range(1, STORED)), (), 0.0, 1.0)

# A profile is bootstrapped from the first rows in production: from so many, or from what came within a day.
BOOTSTRAP_ROWS = 10_000
BOOTSTRAP_SECONDS = 24 * 3600


class Profiler:
    """Takes rows, chunk by chunk, and makes a profile of them.

    Args:
        features: Which columns, and of which types; None takes whatever comes, and types from the values.
        is_classifier: Whether predictions are classes or values; None tells it by their kind: categories or numbers.
        privacy: What the profile may tell.
        left_out: Columns that are not to be monitored, where `features` is None.
    """

    def __init__(
        self,
        features: Features | None = None,
        is_classifier: bool | None = None,
        privacy: Privacy | None = None,
        left_out: frozenset[str] = frozenset(),
    ) -> None:
        self._is_open = features is None
        self._is_classifier = is_classifier
        self._privacy = privacy or Privacy()
        # Classes are the model's words, and quality goes by them: they are told as they are.
        self._of_answers = replace(self._privacy, hash_key=None)
        self._left_out = dict(features.left_out) if features is not None else {}
        self._asked = left_out
        self._columns = {f.name: ColumnSeen(f.name, f.dtype) for f in features.columns} if features is not None else {}
        self._value = ColumnSeen("prediction")
        self._score = NumberSeen()
        self._value_rows = self._score_rows = self._predicted_rows = 0
        self.rows = 0

    def add(self, columns: Mapping[str, Any], value: Any = None, score: Any = None, rows: int = 0) -> None:
        """Take a chunk of rows.

        Args:
            columns: Arrays by the columns' names; a data frame will do. A column that is not there is missing in all rows.
            value: What the model predicted: numbers, or classes.
            score: Of a classification: the probability that it told.
            rows: How many there are, where no array says it.

        Raises:
            InvalidInput: The arrays differ in their number of rows, or one has several values in each. Nothing was taken.
        """
        arrays = {str(label): values for label, values in columns.items()}
        for given in (*arrays.values(), *(each for each in (value, score) if each is not None)):
            require_column(given)
        sizes = {label: len(values) for label, values in arrays.items()}
        sizes |= {label: len(given) for label, given in (("prediction", value), ("score", score)) if given is not None}
        if len(set(sizes.values())) > 1:
            least, most = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
            raise InvalidInput(
                f"The columns of a profile differ in length: {least!r} has {sizes[least]} rows, "
                f"{most!r} has {sizes[most]}. Give as many of each."
            )
        if self._is_open:
            self._welcome(arrays)
        for label in list(self._columns):
            if label in arrays:
                self._take(label, arrays[label])
        self.rows += next(iter(sizes.values()), rows)
        if value is not None or score is not None:
            self.add_predictions(value, score)

    def add_predictions(self, value: Any = None, score: Any = None) -> None:
        """Take what the model predicted for rows that were taken before, all of them or a sample.

        Args:
            value: As `add` has it.
            score: Likewise, as many.
        """
        rows = len(value if value is not None else score)
        self._predicted_rows += rows
        if value is not None:
            self._value_rows += self._value.add(value)
        if score is not None:
            self._score.add(numbers(column_array(score)))
            self._score_rows += rows

    def profile(self, source: Source, created_at: str) -> Profile:
        """The profile of all rows that were taken. Nothing may be added after.

        Args:
            source: Where they came from; its `rows` are set to what was taken.
            created_at: RFC 3339, UTC.

        Raises:
            InvalidInput: There was no row.
        """
        if not self.rows:
            raise InvalidInput("A profile needs rows, and there was none. Give the rows that the model was trained on.")
        columns: dict[str, ColumnProfile] = {}
        for label, seen in self._columns.items():
            try:
                columns[label] = seen.profile(self.rows, self._privacy)
            except InvalidInput as error:
                self._left_out[label] = _reason(error)
        predictions = self._predictions()
        return Profile(
            created_at=created_at,
            source=replace(source, rows=self.rows),
            columns=columns,
            predictions=predictions,
            left_out=self._left_out,
            is_private=self._privacy.hides_range,
            key_mark=self._mark_in(columns),
        )

    def _mark_in(self, columns: Mapping[str, ColumnProfile]) -> str:
        """By which the key is known; empty where it hashed nothing."""
        key = self._privacy.hash_key
        is_used = any(isinstance(each, CategoryProfile) and each.bins.is_hashed for each in columns.values())
        return key_mark(key) if key is not None and is_used else ""

    def _take(self, label: str, values: Any) -> None:
        """A column that cannot be counted is left out, and the others go on: objects are whoever's who made them."""
        try:
            self._columns[label].add(values)
        except Exception as error:  # noqa: BLE001 - what somebody's objects raise when they are compared or written
            del self._columns[label]
            self._left_out[label] = _reason(error)

    def _welcome(self, arrays: Mapping[str, Any]) -> None:
        """Columns that were not there before."""
        for label in arrays:
            if label in self._columns or label in self._left_out:
                continue
            if len(label) > LONGEST_LABEL:
                self._left_out[label[:LONGEST_LABEL]] = f"its name has {len(label)} characters"
            elif label in self._asked:
                self._left_out[label] = "left out on request"
            elif len(self._columns) < MOST_COLUMNS:
                self._columns[label] = ColumnSeen(label)
            elif len(self._left_out) < MOST_COLUMNS:
                self._left_out[label] = f"beyond the {MOST_COLUMNS} columns that are monitored"

    def _predictions(self) -> Predictions:
        score = None
        if self._score_rows:
            score = number_profile(
                "float64", self._score, self._predicted_rows - self._score_rows, self._of_answers, SCORE_BINS
            )
        if not self._value_rows:
            return Predictions(score=score)
        # A score is a class's.
        is_label = True if self._is_classifier is None and self._score_rows else self._is_classifier
        try:
            value = self._value.profile(self._predicted_rows, self._of_answers, is_label=is_label)
        except InvalidInput as error:
            self._left_out["(prediction)"] = _reason(error)
            return Predictions(score=score)
        if isinstance(value, CategoryProfile):
            return Predictions(classes=value, score=score)
        return Predictions(value=value, score=score)


def _reason(error: Exception) -> str:
    """Why a column is left out, as a profile tells it; what others' errors say may be somebody's data."""
    return (error.message if isinstance(error, InvalidInput) else f"{type(error).__name__} when it was read")[
        :LONGEST_LABEL
    ]


def concerns(profile: Profile) -> list[str]:
    """What whoever made a profile should know of it; nothing where it is as it should be."""
    rows = profile.source.rows
    found = []
    if rows < FEW_ROWS:
        found.append(f"It was made of {rows} rows. Fewer than {FEW_ROWS} say little: give {ENOUGH_ROWS} or more.")
    if profile.is_bootstrapped:
        found.append("It was made of the first rows in production: what was wrong then, it takes for right.")
    return found


def is_bootstrap_ready(rows: int, seconds: float) -> bool:
    """Whether the first rows in production are enough for a profile: 10,000, or a day's if those are 500 at least.

    Args:
        rows: That came until now.
        seconds: Since the first.
    """
    return rows >= BOOTSTRAP_ROWS or (seconds >= BOOTSTRAP_SECONDS and rows >= FEW_ROWS)
