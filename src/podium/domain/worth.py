"""Whether a way of answering is worth taking for its speed: what was measured beside what would answer otherwise."""

from collections.abc import Mapping, Sequence

# Rows of the calls that are timed: one, and what many clients' requests come to when they are answered together.
MEASURED_ROWS = (1, 256)
# Two timings of the same code differ by this much.
_NOISE = 1.1


def is_worth_taking(speed: Mapping[str, Sequence[float]] | None) -> bool:
    """Say whether it is faster at some size and slower at none, beyond what two timings of one thing differ by.

    Args:
        speed: Microseconds of a call by its rows, as text for JSON: what answers otherwise, and this way. None where nobody
            measured.
    """
    if not speed:
        return False
    pairs = [(float(original), float(other)) for original, other in speed.values()]
    return all(other <= original * _NOISE for original, other in pairs) and any(
        other * _NOISE < original for original, other in pairs
    )


def told(speed: Mapping[str, Sequence[float]] | None) -> str:
    """For people: `1 row in 9 us for 41, 256 rows in 300 us for 210`."""
    if not speed:
        return "not measured"
    parts = [f"{rows} row{'' if rows == '1' else 's'} in {new:.0f} us for {old:.0f}" for rows, (old, new) in speed.items()]
    return ", ".join(parts)
