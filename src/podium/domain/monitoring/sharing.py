"""Which part of what each of several gives is taken, so that together no more than so much is."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)


def fair_parts(rate: float, demands: Mapping[KeyT, float]) -> dict[KeyT, float]:
    """The part of each, above 0 to 1: whoever gives little is taken whole, and the others have equal shares of the rest.

    Args:
        rate: What may be taken together, above 0.
        demands: What each gives.
    """
    parts, left, waiting = {}, rate, len(demands)
    for key, demand in sorted(demands.items(), key=lambda each: each[1]):
        share = left / waiting
        parts[key] = 1.0 if demand <= share else share / demand
        left -= min(demand, share)
        waiting -= 1
    return parts
