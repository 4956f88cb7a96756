"""What is kept of a batch after it was answered, so that it can be counted later: copies, and how large they are."""

from typing import Any

import numpy as np

from podium.domain.frames import is_table
from podium.domain.monitoring.batches import rows_at
from podium.worker.rows import count_rows

MOST_ANSWER_BYTES = 8 * 2**20
_CELL_BYTES = 16


def copied(answer: Any) -> Any:
    """An answer that the model cannot change any more; None for one that is too large to be a value in each row."""
    if bytes_in(answer) > MOST_ANSWER_BYTES:
        return None
    return answer.copy() if isinstance(answer, np.ndarray | list) else answer


def bytes_in(data: Any) -> int:
    """About how much memory a batch takes; 0 for what nobody knows."""
    if isinstance(data, dict):
        return sum(bytes_in(values) for values in data.values())
    return int(getattr(data, "nbytes", 0)) if not is_table(data) else _CELL_BYTES * int(np.prod(data.shape))


def every(answer: Any, rows: int, step: int) -> Any:
    """The answers to each `step`-th row, where there is one to each row."""
    return rows_at(answer, slice(None, None, step)) if count_rows(answer) == rows else None
