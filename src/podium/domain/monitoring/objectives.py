"""Service level objectives: how much of a model's error budget is left, and whether it burns too fast.

A budget is the share of requests that may be bad in a period: an objective of 99.9 % has 0.1 %. The burn rate says how
many times faster than evenly it is spent: at 14.4 an hour takes 2 % of what 30 days have. An alert asks for a long window,
so that it means something, and a short one, so that it ends when the trouble ends (Google, The Site Reliability Workbook,
2018, chapter 5, multiwindow, multi-burn-rate alerts).
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from podium.domain.monitoring.growth import Growth, Line
from podium.errors import InvalidInput

HOUR_S = 3600.0
DAY_S = 86_400.0
_SURELY_BAD = 0.9
_MOST = 0.999999


class ObjectiveKind(StrEnum):
    """What an objective counts as bad."""

    AVAILABILITY = "availability"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Slo:
    """Which share of a model's requests must be good.

    Args:
        kind: Availability: answered without a 5xx status, which a time-out (504) is too; a client that left (499) is
            nobody's fault. Latency: answered within `threshold_s`, errors too.
        target: The share, above 0 and at most 0.999999.
        threshold_s: Of a latency objective; an edge of the buckets that durations are counted in (`quantiles.edge_at`).
        period_s: Over which the budget is spent; 7 to 90 days.

    Raises:
        InvalidInput: One of them is not so.
    """

    kind: ObjectiveKind = ObjectiveKind.AVAILABILITY
    target: float = 0.999
    threshold_s: float | None = None
    period_s: float = 30 * DAY_S

    def __post_init__(self) -> None:
        if not 0 < self.target <= _MOST:
            raise InvalidInput(
                f"The target of an objective is a share above 0 and at most {_MOST}, got {self.target!r}: write 0.999 for "
                "99.9 %. With hardly a budget any bad request would be an alert."
            )
        if not 7 * DAY_S <= self.period_s <= 90 * DAY_S:
            raise InvalidInput(f"The period of an objective is 7 to 90 days, got {self.period_s / DAY_S:g} days.")
        if (self.kind is ObjectiveKind.LATENCY) != (self.threshold_s is not None):
            raise InvalidInput("A latency objective needs threshold_s, and an availability objective has none.")
        if self.threshold_s is not None and not 0 < self.threshold_s < math.inf:
            raise InvalidInput(f"The threshold of a latency objective is above 0 s, got {self.threshold_s!r}.")

    @property
    def budget(self) -> float:
        """The share of requests that may be bad."""
        return round(1 - self.target, 12)


@dataclass(frozen=True, slots=True)
class LowTraffic:
    """What the long window must hold before a burn rate means anything.

    Args:
        least_requests: Requests at all.
        least_bad: Bad ones among them.
    """

    least_requests: float = 100
    least_bad: float = 5


@dataclass(frozen=True, slots=True)
class BurnTerms:
    """What it means that a budget burns too fast.

    Args:
        budget: The share of requests that may be bad.
        rate: The burn rate above which it is too fast.
        long_s: Length of the window that must mean something.
        short_s: Length of the window that must burn still.
        least: What the long window must hold.
    """

    budget: float
    rate: float
    long_s: float
    short_s: float
    least: LowTraffic


@dataclass(frozen=True, slots=True)
class BurnWindows:
    """When a budget burns too fast.

    Args:
        name: `fast`, `medium`, `slow`.
        budget_share: Which share of the period's budget the long window may spend.
        long_s, short_s: Both must burn.
    """

    name: str
    budget_share: float
    long_s: float
    short_s: float

    def rate(self, objective: Slo) -> float:
        """The burn rate above which it is too fast.

        At least 1, for who burns less never spends the budget; and never so high that it could not be reached: with a
        target of 0.9 no burn is above 10, and nine bad requests in ten are trouble whatever the target.
        """
        spent = round(self.budget_share * objective.period_s / self.long_s, 9)
        return min(max(1.0, spent), max(1.0, _SURELY_BAD / objective.budget))

    def terms(self, objective: Slo, least: LowTraffic | None = None) -> BurnTerms:
        """The same for one objective; `least` is `LowTraffic()` where None."""
        return BurnTerms(objective.budget, self.rate(objective), self.long_s, self.short_s, least or LowTraffic())


BURN_WINDOWS = (
    BurnWindows("fast", 0.02, HOUR_S, 300.0),
    BurnWindows("medium", 0.05, 6 * HOUR_S, 1800.0),
    BurnWindows("slow", 0.10, 3 * DAY_S, 6 * HOUR_S),
)


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast a budget burns.

    Args:
        is_known: Whether the windows were watched long enough to say so: the long one for as long as the short one is, and
            the short one for half of its length.
        is_too_fast: Both windows burn above the rate, and the long one has enough traffic.
        long, short: What was counted.
        long_rate, short_rate: Burn rates; 0 without requests. Of a long window that was not watched in full as though there
            had been the same traffic before, and no errors.
        rate: What they are held against.
    """

    is_known: bool
    is_too_fast: bool
    long: Growth
    short: Growth
    long_rate: float
    short_rate: float
    rate: float


def burn_rate(growth: Growth, budget: float) -> float:
    """How many times faster than evenly a budget was spent; 0 without bad requests."""
    share = growth.share or 0.0
    return share and (share / budget if budget else math.inf)


def budget_left(growth: Growth, objective: Slo) -> float | None:
    """Which share of the budget of these requests is left: 1 untouched, 0 spent, below 0 overspent.

    Args:
        growth: Of the objective's whole period.
        objective: Whose budget.

    Returns: None without requests.
    """
    return None if growth.share is None else 1 - growth.share / objective.budget


def burn(line: Line, terms: BurnTerms, now: float) -> Burn:
    """Say whether a budget burns too fast now.

    Args:
        line: Of the requests that the objective counts.
        terms: What that means.
        now: The windows' end.
    """
    long, short = line.within(now - terms.long_s, now), line.within(now - terms.short_s, now)
    # What nobody watched counts as traffic without errors: on its first day a model's three days are a few hours, of which
    # a minute's outage would be a large share, though it has hardly spent any of the period's budget.
    long_rate = burn_rate(long, terms.budget) * min(1.0, long.covered_s / terms.long_s)
    short_rate = burn_rate(short, terms.budget)
    is_known = long.covered_s >= 0.9 * terms.short_s and short.covered_s >= 0.5 * terms.short_s
    has_traffic = long.total >= terms.least.least_requests and long.bad >= terms.least.least_bad
    # What burns just at the rate does not burn above it, however its share was rounded.
    limit = terms.rate * (1 + 1e-9)
    is_too_fast = is_known and has_traffic and long_rate > limit and short_rate > limit
    return Burn(is_known, is_too_fast, long, short, long_rate, short_rate, terms.rate)
