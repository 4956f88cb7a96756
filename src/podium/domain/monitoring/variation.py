"""How far single days and hours of the reference are from all of it: what seasons do to a column that nothing happened to.

Where the reference has a time column, its days and its hours are counted like windows by the finished profile, in a second
pass: bins must be known before anything can be counted in them. The 99th percentile over days and the largest over hours go
into the profile, and drift is only what is further away: a window of an hour at night is not held against whole days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil, floor
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

DAY_S, HOUR_S = 86_400.0, 3_600.0
HOURS = 24

# Of days, so that a percentile of them says something; and so that memory is bounded.
FEWEST_DAYS = 5
MOST_DAYS = 1_500
# What an hour of the day needs, and what it is to have on average, as a night has less.
_FEW_OF_AN_HOUR, _ROWS_OF_AN_HOUR = 200, 600
_MOST_GROUPS = 31

_SHARE = 0.99
_PSI = PopulationStability()


class Days:
    """Counts a reference's rows by day, in chunks and any order.

    Args:
        layout: The finished profile's.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._most = MOST_DAYS
        self._stretches: dict[int, BatchCounter] = {}
        self.passed_over = 0

    def add(self, times: Any, columns: Mapping[str, Any], predictions: Mapping[str, Any]) -> None:
        """Count rows. Those without a time, and those of stretches beyond the most that there may be, are passed over.

        Args:
            times: When each row was: moments, or seconds since 1970.
            columns: Arrays by the columns' names, as for `BatchCounter.add`.
            predictions: Arrays by the kind of prediction.
        """
        stretches = self._stretch(numbers(times))
        arrays = {name: np.asarray(values) for name, values in columns.items()}
        answers = {name: np.asarray(values) for name, values in predictions.items()}
        for stretch in np.unique(stretches[np.isfinite(stretches)]).tolist():
            rows = np.flatnonzero(stretches == stretch)
            counter = self._stretches.get(int(stretch))
            if counter is None and len(self._stretches) == self._most:
                self.passed_over += len(rows)
                continue
            counter = self._stretches.setdefault(int(stretch), counter or BatchCounter(self._layout))
            counter.add(
                len(rows),
                {name: values[rows] for name, values in arrays.items()},
                {name: values[rows] for name, values in answers.items()},
            )
        self.passed_over += int(np.count_nonzero(~np.isfinite(stretches)))

    def counts(self) -> list[ModelCounts]:
        """Each stretch's counts, the earliest first."""
        return [self._stretches[stretch].counts() for stretch in sorted(self._stretches)]

    def _stretch(self, times: np.ndarray) -> np.ndarray:
        """In which stretch each row lies: a whole number, or none."""
        return np.floor(times / DAY_S)


class Hours(Days):
    """Counts them by hour of the day, each hour of as many days together as it takes to have rows enough.

    Args:
        layout: The finished profile's.
        rows: How many there are.
        since, until: The first and the last one's time, in seconds since 1970.
    """

    def __init__(self, layout: Layout, rows: int, since: float, until: float) -> None:
        super().__init__(layout)
        days = floor(until / DAY_S) - floor(since / DAY_S) + 1
        enough = ceil(_ROWS_OF_AN_HOUR * HOURS * days / max(rows, 1))
        self._days = max(enough, ceil(days / _MOST_GROUPS))
        self._first = floor(since / DAY_S)
        self._most = (_MOST_GROUPS + 1) * HOURS

    def _stretch(self, times: np.ndarray) -> np.ndarray:
        group = np.floor((np.floor(times / DAY_S) - self._first) / self._days)
        return group * HOURS + np.floor(times % DAY_S / HOUR_S)


def with_variation(profile: Profile, days: Sequence[ModelCounts], hours: Sequence[ModelCounts] = ()) -> Profile:
    """The profile with what its columns vary by; as it is, where fewer than five days have 500 rows.

    Args:
        profile: The finished profile that both were counted by.
        days: The counts of each.
        hours: The counts of each.
    """
    told = [day for day in days if day.rows >= FEW_ROWS]
    if len(told) < FEWEST_DAYS:
        return profile

    def varied(column: ColumnProfile, name: str, role: str) -> ColumnProfile:
        by_day, by_hour = ([getattr(each, role)[name] for each in counts] for counts in (told, hours))
        return _varied(column, by_day, by_hour)

    columns = {name: varied(column, name, "columns") for name, column in profile.columns.items()}
    present = profile.predictions.present()
    answers: dict[str, Any] = {name: varied(column, name, "predictions") for name, column in present.items()}
    return replace(profile, columns=columns, predictions=replace(profile.predictions, **answers))


def _psi(column: ColumnProfile, counts: ColumnCounts) -> float:
    """As a window of the column is judged by (`findings.py`)."""
    return _PSI.score(_histograms(column, counts))


def _psi_of_hour(column: ColumnProfile, counts: ColumnCounts) -> float:
    """The same beyond what noise alone brings: an hour may have few rows."""
    histograms = _histograms(column, counts)
    return max(0.0, _PSI.score(histograms) - (len(histograms.reference) - 1) / counts.known)


def _histograms(column: ColumnProfile, counts: ColumnCounts) -> Histograms:
    return pooled(Histograms(*compared(column, counts, is_fine=True)).used())


def _varied(column: ColumnProfile, days: Sequence[ColumnCounts], hours: Sequence[ColumnCounts]) -> ColumnProfile:
    if not column.counts.known:
        return column
    by_day = sorted(_psi(column, each) for each in days if each.known >= FEW_ROWS)
    by_hour = [_psi_of_hour(column, each) for each in hours if each.known >= _FEW_OF_AN_HOUR]
    if len(by_day) < FEWEST_DAYS:
        return column
    day = _rounded(by_day[ceil(_SHARE * len(by_day)) - 1])
    # A day has 24 of them: what one in a hundred exceeds would be exceeded every few days.
    hour = _rounded(max(by_hour)) if by_hour else None
    if isinstance(column, TextProfile):
        return replace(column, length=replace(column.length, chunk_psi_q99=day, hour_psi_max=hour))
    return replace(column, chunk_psi_q99=day, hour_psi_max=hour)


def _rounded(psi: float) -> float:
    """Up, as sums differ between processors in their last digits."""
    return ceil(psi * 1e6) / 1e6
