"""Which of the models that wait to be loaded comes next. Pure.

A load takes a processor for a second or a minute; more at a time than there are processors make all of them late, and
those that serve too. What only takes over from something that serves, or helps it, is in no hurry: it leaves every other
turn free, so that requests find a processor that nobody loads on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HEAD_START_S = 30.0
"""So much earlier counts a load that somebody waits for: before a hundred that merely start, and not for ever."""


@dataclass(frozen=True, slots=True)
class WaitingLoad:
    """A worker that wants to load.

    Args:
        replica: Its id.
        endpoint: Whose.
        since: When it began to wait; seconds, monotonic.
        is_awaited: Requests wait for it, or nothing serves what served before.
        is_beside: Something of the same model serves meanwhile.
    """

    replica: int
    endpoint: str
    since: float
    is_awaited: bool
    is_beside: bool = False


def next_to_load(
    waiting: Sequence[WaitingLoad], loading: Mapping[str, int], most: int, beside: int = 0
) -> WaitingLoad | None:
    """Whose turn it is, or None.

    Whoever waits longest, where being awaited counts as `HEAD_START_S` more, and each other load of the same endpoint that
    is under way as so much less: neither many replicas of one nor many that merely start hold up the rest, and nobody
    waits for ever.

    Args:
        waiting: All that wait.
        loading: How many load now, by endpoint.
        most: How many may load at a time; of those that are beside something that serves half as many, but one.
        beside: How many of these load now.
    """
    if sum(loading.values()) >= most:
        return None
    may_be_beside = beside < max(most // 2, 1)

    def rank(each: WaitingLoad) -> tuple[float, int]:
        bonus = HEAD_START_S * (each.is_awaited - loading.get(each.endpoint, 0))
        return (each.since - bonus, each.replica)

    return min((each for each in waiting if may_be_beside or not each.is_beside), key=rank, default=None)
