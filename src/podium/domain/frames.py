"""Which values are pandas' own, for those who run with and without pandas. Pure, and imports nothing."""

import sys
from typing import Any


def is_frame(data: Any) -> bool:
    """A pandas DataFrame; False where pandas was never imported."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def is_table(data: Any) -> bool:
    """A DataFrame or a Series, whose first axis is rows."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame | pandas.Series)
