"""Where a value stands on an axis, and which values an axis names. Pure."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_TIMES = (
    _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR,
    _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY, 91 * _DAY, 182 * _DAY, 364 * _DAY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` stand from `start` to `end`; what lies outside stands at the nearer end."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value stands."""
        if self.high <= self.low:
            return (self.start + self.end) / 2
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return self.start + share * (self.end - self.start)


def ticks(high: float, most: int = 4, low: float = 0.0) -> list[float]:
    """Round values from `low` to the first one that is not below `high`; at least two.

    Args:
        high: The highest value that is to stand below the last tick.
        most: How many steps there are at most, nearly.
        low: The lowest.
    """
    if not math.isfinite(high) or high <= low:
        return [low, low + 1.0]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((factor * power for factor in _STEPS if factor * power >= raw * (1 - 1e-9)), 10 * power)
    first = math.floor(low / step) * step
    steps = math.ceil((high - first) / step - 1e-9)
    return [round(first + step * number, 12) for number in range(steps + 1)]


def time_ticks(start: float, end: float, most: int = 7) -> list[tuple[float, str]]:
    """Round times within a span, each with its text; seconds of the Unix epoch, UTC."""
    length = end - start
    if not 0 < length < 1e10:
        return []
    step = next((step for step in _TIMES if length / step <= most), _TIMES[-1])
    first = math.ceil(start / step)
    found = [float(number * step) for number in range(first, int(end // step) + 1)]
    return [(when, _label(when, step)) for when in found]


def _label(when: float, step: int) -> str:
    at = datetime.fromtimestamp(when, UTC)
    if step >= _DAY or (at.hour == 0 and at.minute == 0):
        return at.strftime("%d %b") if step < 182 * _DAY else at.strftime("%b %Y")
    return at.strftime("%H:%M")
