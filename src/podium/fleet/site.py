"""What a server is started with, and what is fixed while it lives: two values instead of a dozen arguments."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podium.domain.references import ModelRef
from podium.fleet.asks import Asks
from podium.fleet.bell import Bell
from podium.fleet.events import Event
from podium.fleet.gpus import GpuBook
from podium.fleet.logs import SERVER
from podium.fleet.sources import Observer, Wish
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.serve import ServeSettings


@dataclass(frozen=True, slots=True)
class Programs:
    """Which modules are run as workers and gateways; `front` is a socket that gateways inherit as `--front-fd`."""

    worker: tuple[str, ...] = ("podium.worker",)
    gateway: tuple[str, ...] = ("podium.serving",)
    front: int | None = None


@dataclass(frozen=True, slots=True)
class EndpointOrder:
    """One endpoint as it was asked for.

    Args:
        name: Public name; safe as a folder's and as a metric's label.
        reference: What to serve; a stage, an alias or `latest` is followed.
        first: What it stands for now.
        settings: The model's.
        source: Answers what the reference stands for.
    """

    name: str
    reference: ModelRef
    first: Wish
    settings: ModelSettings
    source: Observer


@dataclass(frozen=True, slots=True)
class ServerOrder:
    """One server as it was asked for.

    Args:
        home: PODIUM_HOME.
        endpoints: By name unlike each other; at least one.
        default: The name of the endpoint that a request which names none is for.
        settings: The server's.
        shown: Each setting's value and who said it, for people.
    """

    home: Home
    endpoints: tuple[EndpointOrder, ...]
    default: str
    settings: ServeSettings
    shown: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """Whose logs those of the supervisor and the gateways are."""
        return self.endpoints[0].name if len(self.endpoints) == 1 else SERVER


@dataclass(frozen=True, slots=True)
class Site:
    """What everybody in a server works with, and what is the same as long as it lives.

    Args:
        home: PODIUM_HOME.
        settings: The server's.
        programs: The children's modules.
        logs: The folder of the supervisor's and the gateways' logs.
        bell: Rung when anything changed.
        tell: Called with each event, from the event loop's thread.
        memory: Bytes that are available on this machine now.
        next_id: Gives numbers for replicas, none twice.
        tasks: Owns whatever goes on beside the loop.
        gpus: Which replica has which GPU.
        asks: What gateways may ask for.
    """

    home: Home
    settings: ServeSettings
    programs: Programs
    logs: Path
    bell: Bell
    tell: Callable[[Event], None]
    memory: Callable[[], int]
    next_id: Callable[[], int]
    tasks: asyncio.TaskGroup
    gpus: GpuBook
    asks: Asks = field(default_factory=Asks)
