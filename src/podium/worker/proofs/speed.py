"""How long a call takes by each of two ways, on the same rows, in turns."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from podium.domain.worth import MEASURED_ROWS
from podium.worker.proofs.cases import Case

_CALLS = 25
_LEAST_CALLS = 3

Answering = Callable[[int, bytes, list[str]], Any]
"""An answer to so many rows, from their records and their texts."""


def measure(
    original: Answering, other: Answering, case: Case, sizes: Sequence[int] = MEASURED_ROWS, limit_s: float = 1.0
) -> dict[str, list[float]]:
    """Microseconds of a call by its rows, as text: the original's and the other's. Medians, so one disturbance is none.

    Args:
        original: What would answer otherwise.
        other: The way that is to be judged.
        case: Rows that both of them answer; repeated to the size that is wanted.
        sizes: Rows of a call.
        limit_s: When a size has taken this long, it is not asked again.
    """
    found = {}
    for size in sizes:
        rows = Case(case.kind, tuple(np.resize(np.asarray(column), size) for column in case.columns), case.plan)
        found[str(size)] = _timed((original, other), (size, rows.block, rows.texts), limit_s)
    return found


def _timed(ways: Sequence[Answering], given: tuple[int, bytes, list[str]], limit_s: float) -> list[float]:
    taken: list[list[float]] = [[] for _ in ways]
    begun = time.monotonic()
    for turn in range(_CALLS + 1):
        if turn > _LEAST_CALLS and time.monotonic() - begun > limit_s:
            break
        for way, times in zip(ways, taken, strict=True):
            start = time.perf_counter()
            way(*given)
            times.append(time.perf_counter() - start)
    # The first call fills caches.
    return [round(statistics.median(times[1:]) * 1e6, 1) for times in taken]
