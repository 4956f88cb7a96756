"""Which of the models that wait to be loaded comes next. Pure.

A load takes a processor for a second or a minute; more at a time than there are processors make all of them late, and
those that serve too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HEAD_START_S = 30.0
"""So much earlier counts a load that somebody waits for: before a hundred that merely start, and not for ever."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A worker that wants to load.

    Args:
        replica: Its id.
        endpoint: Whose.
        since: When it began to wait; seconds, monotonic.
        is_awaited: Requests wait for it, or nothing serves what served before.
    """

    replica: int
    endpoint: str
    since: float
    is_awaited: bool


def next_to_load(waiting: Sequence[Waiting], loading: Mapping[str, int], most: int) -> Waiting | None:
    """Whose turn it is, or None.

    Whoever waits longest, where being awaited counts as `HEAD_START_S` more, and each other load of the same endpoint that
    is under way as so much less: neither many replicas of one nor many that merely start hold up the rest, and nobody
    waits for ever.

    Args:
        waiting: All that wait.
        loading: How many load now, by endpoint.
        most: How many may load at a time.
    """
    if sum(loading.values()) >= most:
        return None

    def rank(each: Waiting) -> tuple[float, int]:
        bonus = HEAD_START_S * (each.is_awaited - loading.get(each.endpoint, 0))
        return (each.since - bonus, each.replica)

    return min(waiting, key=rank, default=None)
