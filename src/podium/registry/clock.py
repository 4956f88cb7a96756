"""Which clocks a registry's is read by: our own that never jumps, and what the other side says of its own."""

import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from podium.domain.rollouts.clocks import Reading


def ticks() -> float:
    """Seconds of a clock that is never set, and that goes on while this process is stopped or the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def shown(now: float, asked_at: float) -> Reading:
    """A clock that was asked between `asked_at` and now, and that shows its time exactly."""
    return Reading(asked_at, ticks(), now, now)


def dated(header: str | None, asked_at: float, heard_at: float) -> Reading:
    """What a `Date` header says: whole seconds, and up to a second old (uvicorn writes it anew once a second).

    Where there is none, this machine's clock.
    """
    try:
        said = parsedate_to_datetime(header or "")
    except (TypeError, ValueError):
        now = time.time()
        return Reading(asked_at, heard_at, now, now)
    second = (said if said.tzinfo is not None else said.replace(tzinfo=UTC)).timestamp()
    return Reading(asked_at, heard_at, second, second + 2)
