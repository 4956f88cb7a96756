"""Readings of counters, and the line that they are of."""

from typing import NamedTuple

from podium.domain.monitoring.growth import Line


class Reading(NamedTuple):
    """What was counted of a model's requests until some time, and of those that spoil an objective."""

    at: float
    total: float
    bad: float


def line_of(readings):
    """Of readings in order, from the first one on."""
    rows = list(readings)
    return Line(
        tuple(row.at for row in rows),
        tuple(row.total - rows[0].total for row in rows),
        tuple(row.bad - rows[0].bad for row in rows),
    )
