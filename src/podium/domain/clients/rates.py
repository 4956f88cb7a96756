"""Rate limits: a token bucket as one number, its arithmetic, and how limits are written. Pure.

A bucket of `burst` tokens that fills evenly is the same as one time: when it will be full again (the theoretical arrival
time of the generic cell rate algorithm, ITU-T I.371). A bucket whose time is past is full, and needs no memory.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from podium.errors import InvalidInput

_NS = 1_000_000_000
_PERIODS = {"s": _NS, "m": 60 * _NS, "h": 3600 * _NS, "d": 86_400 * _NS}
_RATE = re.compile(r"(\d{1,9})/(s|m|h|d)(?: burst (\d{1,9}))?")
_MOST_NS = 366 * _PERIODS["d"]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in each period, evenly; up to `burst` at once.

    Args:
        text: As it was written.
        tokens: Requests for each period.
        period_ns: Nanoseconds.
        burst: Requests that may come at once after a pause.

    Attributes:
        step_ns: How long one token takes to come back.
        depth_ns: How long an empty bucket takes to be full.
    """

    text: str
    tokens: int
    period_ns: int
    burst: int
    step_ns: int = field(init=False)
    depth_ns: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "step_ns", self.period_ns // self.tokens)
        object.__setattr__(self, "depth_ns", self.burst * self.step_ns)


class TokenBucket:
    """Where the time of one bucket stands, and what it goes by.

    Args:
        rate: At which it fills.
        place: Of its time, among all of them.

    Attributes:
        after_ns: What `take` would put there.
    """

    __slots__ = ("after_ns", "depth_ns", "place", "step_ns")

    def __init__(self, rate: Rate, place: int) -> None:
        self.place = place
        self.step_ns, self.depth_ns = rate.step_ns, rate.depth_ns
        self.after_ns = 0


B = TypeVar("B", bound=TokenBucket)


def parse_rates(text: str) -> tuple[Rate, ...]:
    """`100/s`, `100/s burst 500`, `50/s, 100000/d`; without a burst a whole period's may come at once.

    Raises:
        InvalidInput: It is not written so, or a number is 0 or out of proportion.
    """
    rates = tuple(_parse(part.strip()) for part in text.split(",") if part.strip())
    if not rates:
        raise InvalidInput(f"{text!r} is no rate; write 100/s, 5000/m burst 200, or several: 50/s, 100000/d.")
    return rates


def _parse(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    tokens, burst = (int(found[1]), int(found[3] or found[1])) if found else (0, 0)
    if found is None or not tokens or not burst:
        raise InvalidInput(f"{text!r} is no rate; write 100/s, 5000/m burst 200, with s, m, h or d.")
    rate = Rate(text, tokens, _PERIODS[found[2]], burst)
    if not rate.step_ns or rate.depth_ns > _MOST_NS:
        raise InvalidInput(f"{text!r} is out of proportion: at most 10^9 a second, and full again within a year.")
    return rate


def take(full_ats: Sequence[int], buckets: Sequence[B], now_ns: int) -> tuple[B, int, int]:
    """Take one token of each bucket, or of none: each one's `after_ns` is when it is full again after that.

    Args:
        full_ats: When buckets would be full again, by their places; any time up to `now_ns` for a full one.
        buckets: At least one.
        now_ns: On the same clock.

    Returns: Which one has the fewest tokens left, how many those are, and 0. Where one has none now, which one, 0, and the
        nanoseconds until it has one; then no `after_ns` means anything.
    """
    scarcest, least = buckets[0], -1
    for bucket in buckets:
        before = full_ats[bucket.place]
        after = bucket.after_ns = (before if before > now_ns else now_ns) + bucket.step_ns  # noqa: FURB136  a call costs more
        free_ns = now_ns + bucket.depth_ns - after
        if free_ns < 0:
            return bucket, 0, -free_ns
        tokens = free_ns // bucket.step_ns
        if tokens < least or least < 0:
            scarcest, least = bucket, tokens
    return scarcest, least, 0
