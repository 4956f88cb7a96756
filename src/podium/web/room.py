"""Room for a connection where as many are open as a server takes: those that never said anything give way."""

from collections.abc import Collection
from typing import Protocol

_SETTLED_S, _LOOK_S = 1.0, 0.1


class Occupant(Protocol):
    """A connection: whether it ever said anything, and until when it may be idle."""

    has_asked: bool
    expires_at: float

    def abort(self) -> None:
        """Cut it."""


class RoomFinder:
    """Finds whom to close. They are looked for now and then: a flood of connections must not make it a flood of looks.

    Args:
        idle_s: How long a connection may say nothing.
    """

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._look_at = float("-inf")

    def make(self, connections: Collection[Occupant], now: float) -> bool:
        """Close connections that have said nothing yet for a second, and whether there were any.

        Args:
            connections: All that are open.
            now: Loop time.
        """
        if now < self._look_at:
            return False
        self._look_at, latest = now + _LOOK_S, now + self._idle_s - _SETTLED_S
        silent = [each for each in connections if not each.has_asked and each.expires_at < latest]
        for each in silent:
            each.abort()
        return bool(silent)
