"""How far another machine's clock is from a clock of our own, and how sure that is: Cristian's method, kept up to date.

Each answer of the other machine bounds the difference from both sides; bounds of several answers are cut with each other
and widened with age, because clocks drift (F. Cristian, Probabilistic clock synchronization, Distrib. Comput. 3, 1989;
the cut as in Marzullo and Owicki, Maintaining the time in a distributed system, PODC 1983).
"""

from dataclasses import dataclass

DRIFT = 1e-4
"""Clocks of two machines come apart by at most so many seconds a second: ten times what quartz does."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What another clock said, between two looks at ours; it was anywhere from `least` to `most`.

    Args:
        asked_at, heard_at: Seconds of our clock, which never jumps.
        least, most: Seconds of the other one; they differ where it shows whole seconds.
    """

    asked_at: float
    heard_at: float
    least: float
    most: float

    @property
    def middle(self) -> float:
        """What it most likely showed."""
        return (self.least + self.most) / 2


@dataclass(frozen=True, slots=True)
class Offset:
    """What must be added to our clock to have the other one: from `low` to `high`, as of `at` of our clock."""

    low: float
    high: float
    at: float

    def now(self, ours: float) -> float:
        """The other clock, as well as is known, when ours shows this."""
        return ours + (self.low + self.high) / 2

    def uncertainty_s(self, ours: float) -> float:
        """By how much `now` may be wrong."""
        return (self.high - self.low) / 2 + DRIFT * max(0.0, ours - self.at)


def corrected(offset: Offset | None, reading: Reading) -> Offset:
    """The offset after another reading. Where the two exclude each other, a clock was set, and the newer one counts."""
    low, high = reading.least - reading.heard_at, reading.most - reading.asked_at
    if offset is None:
        return Offset(low, high, reading.heard_at)
    wider = DRIFT * max(0.0, reading.heard_at - offset.at)
    lowest, highest = max(low, offset.low - wider), min(high, offset.high + wider)
    return Offset(lowest, highest, reading.heard_at) if lowest <= highest else Offset(low, high, reading.heard_at)
