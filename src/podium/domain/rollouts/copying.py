"""How many copies for shadows a gateway begins: as many as it has time for beside its clients, and always a few."""

LEAST = 20
"""In each period, however busy the gateway is: so that a shadow is compared at all."""
MOST = 1 << 20
_ENOUGH = 0.3


def next_pace(pace: int, begun: int, spare: float) -> int:
    """The most copies of the next period.

    Laws: between `LEAST` and `MOST`; below what was begun where time is short, and twice as many as before where it is not.

    Args:
        pace: The most of the period that ends now.
        begun: How many there were.
        spare: The part of that period in which the gateway neither ran nor waited for a processor, 0 to 1.
    """
    if spare < _ENOUGH:
        return max(LEAST, min(pace, begun) // 2)
    return min(MOST, 2 * pace)
