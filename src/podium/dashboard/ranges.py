"""Which time a page shows, as the query string says it, so that every view can be bookmarked. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from podium.domain.monitoring.windows import HOUR_S, Span

PRESETS: Mapping[str, int] = {"1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000}
DEFAULT = "24h"
_SHORTEST_S = 60.0
_PARTS = (1, 2, 3, 5, 6, 10, 15, 20, 30)
_HOURS = tuple(hours * HOUR_S for hours in (1, 2, 3, 4, 6, 8, 12, 24, 48, 96))
_LONGEST_S = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A span of time; seconds of the Unix epoch.

    Args:
        start, end: From when until when.
        preset: `24h` for one that moves with the clock; empty for a fixed one.
    """

    start: float
    end: float
    preset: str = ""

    @property
    def length_s(self) -> float:
        return self.end - self.start

    @property
    def query(self) -> dict[str, str]:
        """What stands for it in a query string."""
        return {"range": self.preset} if self.preset else {"from": f"{self.start:.0f}", "to": f"{self.end:.0f}"}

    @property
    def label(self) -> str:
        """For people."""
        if self.preset:
            return f"Last {_WORDS[self.preset]}"
        return f"{_text(self.start)} to {_text(self.end)}"

    def grid(self, now: float, short_s: int, kept_s: float, points: int) -> tuple[Span, int]:
        """Whole stretches of what is counted that cover it, and how long each step is.

        Args:
            now: Seconds of the Unix epoch.
            short_s: The short stretches that are counted: a minute, or five; beside them there are hours.
            kept_s: For how long the short ones are kept.
            points: At most so many steps, nearly.
        """
        shortest = max(self.length_s / points, 1.0)
        steps = _HOURS if self.start < now - kept_s + HOUR_S else (*(short_s * each for each in _PARTS), *_HOURS)
        step = next((each for each in steps if each >= shortest and (each >= HOUR_S or not HOUR_S % each)), steps[-1])
        start = int(self.start // step) * step
        return Span(start, max(start + step, int(-(-self.end // step)) * step)), step


def read_range(query: Mapping[str, str], now: float, default: str = DEFAULT) -> TimeRange:
    """What a query string asks for; whatever makes no sense is the default, as a bookmark of next year's podium may be.

    Args:
        query: `range`, or `from` and `to` in seconds of the Unix epoch.
        now: Likewise.
        default: One of `PRESETS`.
    """
    start, end = _seconds(query.get("from")), _seconds(query.get("to"))
    if start is not None and end is not None and _SHORTEST_S <= end - start <= _LONGEST_S and 0 <= start <= now:
        return TimeRange(start, end)
    preset = query.get("range", default)
    preset = preset if preset in PRESETS else default
    return TimeRange(now - PRESETS[preset], now, preset)


_WORDS = {"1h": "hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days"}


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < 1e11 else None


def _text(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%d %b %Y %H:%M")
