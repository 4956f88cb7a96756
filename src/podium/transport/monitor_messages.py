"""What the supervisor and the monitor say to each other; sent as `transport/messages.py` says.

The monitor asks (Look) and is answered (Sight), and nothing is sent to it otherwise: one that hangs is never waited for.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Look:
    """Say how things are; and what the monitor has to tell.

    Args:
        known: Numbers of the slabs that the monitor has.
        settled: Of those that are over: what they held is written down, and nobody needs them any more.
        gauges: What `/metrics` is to show: `{"name", "labels", "value"}`, names from `telemetry/metrics.py`.
    """

    known: list[int] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    gauges: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sight:
    """How things are.

    Args:
        series: Labels of the metric series in `telemetry/slots.py`, by index, as in Tell.
        versions: Facts of each version that is served.
        slabs: Of those that the monitor does not have, up to eight whose descriptors come with this, in this order:
            `{"number", "model", "version", "profile"}`, the last being the path of the profile's file.
        over: Numbers of slabs whose worker has ended: what they hold is final.
    """

    series: list[dict[str, str]]
    versions: list[dict[str, Any]]
    slabs: list[dict[str, Any]] = field(default_factory=list)
    over: list[int] = field(default_factory=list)
