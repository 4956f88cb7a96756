"""How far a single day of the reference is from all of it: what a season does to a column that nothing happened to.

Where the reference has a time column, its days are counted like windows by the finished profile, in a second pass: bins
must be known before anything can be counted in them. The 99th percentile over days goes into the profile, and drift is
only what is further away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from podium.domain.monitoring.comparison import compared
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.counts import ColumnCounts, ModelCounts
from podium.domain.monitoring.drift.contract import Histograms
from podium.domain.monitoring.drift.psi import PopulationStability
from podium.domain.monitoring.guard import pooled
from podium.domain.monitoring.profile import FEW_ROWS, ColumnProfile, Profile, TextProfile
from podium.domain.monitoring.values import numbers

DAY_S = 86_400.0

# Of days, so that a percentile of them says something; and so that memory is bounded.
FEWEST_DAYS = 5
MOST_DAYS = 1_500

_SHARE = 0.99
_PSI = PopulationStability()


class Days:
    """Counts a reference's rows by day, in chunks and any order.

    Args:
        layout: The finished profile's.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._days: dict[int, BatchCounter] = {}
        self.passed_over = 0

    def add(self, times: Any, columns: Mapping[str, Any], predictions: Mapping[str, Any]) -> None:
        """Count rows. Those without a time, and those of days beyond `MOST_DAYS`, are passed over.

        Args:
            times: When each row was: moments, or seconds since 1970.
            columns: Arrays by the columns' names, as for `BatchCounter.add`.
            predictions: Arrays by the kind of prediction.
        """
        days = np.floor(numbers(times) / DAY_S)
        arrays = {name: np.asarray(values) for name, values in columns.items()}
        answers = {name: np.asarray(values) for name, values in predictions.items()}
        for day in np.unique(days[np.isfinite(days)]).tolist():
            rows = np.flatnonzero(days == day)
            counter = self._days.get(int(day))
            if counter is None and len(self._days) == MOST_DAYS:
                self.passed_over += len(rows)
                continue
            counter = self._days.setdefault(int(day), counter or BatchCounter(self._layout))
            counter.add(
                len(rows),
                {name: values[rows] for name, values in arrays.items()},
                {name: values[rows] for name, values in answers.items()},
            )
        self.passed_over += int(np.count_nonzero(~np.isfinite(days)))

    def counts(self) -> list[ModelCounts]:
        """Each day's counts, the earliest first."""
        return [self._days[day].counts() for day in sorted(self._days)]


def with_variation(profile: Profile, days: Sequence[ModelCounts]) -> Profile:
    """The profile with what its columns vary by; as it is, where fewer than five days have 500 rows.

    Args:
        profile: The finished profile that the days were counted by.
        days: The counts of each.
    """
    told = [day for day in days if day.rows >= FEW_ROWS]
    if len(told) < FEWEST_DAYS:
        return profile
    columns = {name: _varied(column, [day.columns[name] for day in told]) for name, column in profile.columns.items()}
    present = profile.predictions.present()
    answers: dict[str, Any] = {
        name: _varied(column, [day.predictions[name] for day in told]) for name, column in present.items()
    }
    return replace(profile, columns=columns, predictions=replace(profile.predictions, **answers))


def _psi(column: ColumnProfile, day: ColumnCounts) -> float:
    """As a window of the column is judged by (`findings.py`)."""
    return _PSI.score(pooled(Histograms(*compared(column, day, is_fine=True)).used()))


def _varied(column: ColumnProfile, days: Sequence[ColumnCounts]) -> ColumnProfile:
    if not column.counts.known:
        return column
    scores = sorted(_psi(column, day) for day in days if day.known >= FEW_ROWS)
    if len(scores) < FEWEST_DAYS:
        return column
    # The smallest that 99 of 100 days do not exceed, rounded up, as sums differ between processors in their last digits.
    most = ceil(scores[ceil(_SHARE * len(scores)) - 1] * 1e6) / 1e6
    if isinstance(column, TextProfile):
        return replace(column, length=replace(column.length, chunk_psi_q99=most))
    return replace(column, chunk_psi_q99=most)
