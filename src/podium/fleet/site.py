"""What is fixed while a server lives."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Programs:
    """Which modules are run as workers and gateways; `front` is a socket that gateways inherit as `--front-fd`."""

    worker: tuple[str, ...] = ("podium.worker",)
    gateway: tuple[str, ...] = ("podium.serving",)
    front: int | None = None
