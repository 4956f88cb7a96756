"""What the supervisor tells gateways of the listening sockets of others; sent as `transport/messages.py` says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StandIn:
    """Another gateway died: accept its connections too, until `StandBack`. Its listening socket comes with this."""

    slot: int


@dataclass(frozen=True, slots=True)
class StandBack:
    """It is there again: leave its connections to it."""

    slot: int
