"""A profile of the first rows in production, for a model that was saved without one: 10,000 rows, or a day's.

No row is kept: each is taken into a profile's counts and samples as it comes. What was wrong in these rows the profile
takes for right, so it says where it is from (`SourceKind.PRODUCTION_BOOTSTRAP`), and is replaced by a captured one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from podium.domain.monitoring.features import Features
from podium.domain.monitoring.profile import Profile, Source, SourceKind
from podium.domain.monitoring.profiling import BOOTSTRAP_ROWS, Profiler, is_bootstrap_ready


class Bootstrap:
    """Takes rows as a counter of batches does, until they are enough.

    Args:
        features: Which columns the model's input has; None takes them as they are.
        began_at: Seconds since 1970.
    """

    def __init__(self, features: Features | None, began_at: float) -> None:
        self._profiler = Profiler(features)
        self._began_at = self._last_at = began_at

    def add(self, rows: int, columns: Mapping[str, Any], predictions: Mapping[str, Any], now: float) -> None:
        """Take a batch; what is beyond 10,000 rows is passed over.

        Args:
            rows: How many rows it has.
            columns: Arrays by the columns' names.
            predictions: Arrays by `value`, `classes` and `score`, as `Answered.by_kind` has them.
            now: Seconds since 1970.

        Raises:
            InvalidInput: The arrays differ in their number of rows. Nothing was taken.
        """
        if self._profiler.rows < BOOTSTRAP_ROWS:
            self._profiler.add(columns, predictions.get("value"), predictions.get("score"), rows)
            self._last_at = now

    def is_ready(self, now: float) -> bool:
        """Whether the rows are enough."""
        return is_bootstrap_ready(self._profiler.rows, now - self._began_at)

    def profile(self) -> Profile:
        """The profile of what was taken. Nothing may be added after.

        Raises:
            InvalidInput: There was no row.
        """
        began, ended = _moment(self._began_at), _moment(self._last_at)
        return self._profiler.profile(Source(SourceKind.PRODUCTION_BOOTSTRAP, 0, began, ended), ended)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
