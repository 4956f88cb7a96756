"""What a server is started with, and what is fixed while it lives: two values instead of a dozen arguments."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from podium.domain.references import ModelRef
from podium.errors import PodiumError
from podium.fleet.asks import Asks
from podium.fleet.bell import Bell
from podium.fleet.capacity.residency import Residency
from podium.fleet.host.logs import SERVER
from podium.fleet.sources import Ledger, Observer, Wish
from podium.fleet.telling.events import Event
from podium.fleet.workers.bootstraps import Bootstraps
from podium.fleet.workers.forks import Forks
from podium.fleet.workers.gpus import GpuBook
from podium.fleet.workers.slabs import Slabs
from podium.fleet.workers.turns import Turns
from podium.registry.census import CensusEntry
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.serve import ServeSettings


@dataclass(frozen=True, slots=True)
class Programs:
    """Which modules are run as the children; `front` is a socket that gateways inherit as `--front-fd`."""

    worker: tuple[str, ...] = ("podium.worker",)
    monitor: tuple[str, ...] = ("podium.monitoring",)
    gateway: tuple[str, ...] = ("podium.serving",)
    exporter: tuple[str, ...] = ("podium.monitoring.exporters",)
    dashboard: tuple[str, ...] = ("podium.dashboard",)
    front: int | None = None


@dataclass(frozen=True, slots=True)
class BesideOrder:
    """A version that is to run beside an endpoint's own.

    Args:
        reference: Which; a stage or an alias is followed.
        percent: Of the traffic, or of the requests that a shadow gets copies of.
        is_shadow: Whether it gets copies, and no traffic.
        is_arm: Whether feedback says how much of the traffic it gets.
        first: What it stands for now.
        source: Answers what it stands for.
    """

    reference: ModelRef
    percent: int
    is_shadow: bool
    first: Wish
    source: Observer
    is_arm: bool = False


@dataclass(frozen=True, slots=True)
class EndpointOrder:
    """One endpoint as it was asked for.

    Args:
        name: Public name; safe as a folder's and as a metric's label.
        reference: What to serve; a stage, an alias or `latest` is followed.
        first: What it stands for now.
        settings: The model's.
        source: Answers what the reference stands for; None where somebody else tells it.
        beside: The other versions of its split or bandit, and its shadow.
        ledger: Where the marks of its rollouts are written, where somebody else than `source` tells of them.
    """

    name: str
    reference: ModelRef
    first: Wish
    settings: ModelSettings
    source: Observer | None
    beside: tuple[BesideOrder, ...] = ()
    ledger: Ledger | None = None


class NotAllowed(PodiumError):
    """The server was not started to load this."""

    code = "PERMISSION_DENIED"


class Catalogue(Protocol):
    """The models that a server may load by name, and how each is served: whoever starts it says so."""

    @property
    def may_grow(self) -> bool:
        """Whether names may come that nobody knows yet; such a server runs also while it serves nothing."""

    def names(self) -> Sequence[str]:
        """Those that are known, loaded or not."""

    def order(self, name: str, uri: str | None) -> EndpointOrder:
        """How a model is served. May take long: it is looked up, and fetched from where it lies. For any thread.

        Args:
            name: Public name.
            uri: What is to be served; None is what the catalogue has under the name.

        Raises:
            NotFound: No such name, or nothing is there to serve.
            NotAllowed: It may not be loaded here.
            InvalidInput: The name or the URI is none.
            RegistryError, InvalidModel: As `registry.resolve.resolve`.
        """

    def forbid(self) -> str | None:
        """Why nothing may be loaded or unloaded at all, or None."""


@dataclass(frozen=True, slots=True)
class ServerOrder:
    """One server as it was asked for.

    Args:
        home: PODIUM_HOME.
        endpoints: By name unlike each other; none only where more may come.
        default: The name of the endpoint that a request which names none is for.
        settings: The server's.
        shown: Each setting's value and who said it, for people.
        catalogue: What may be loaded later; None: what was there at the start.
        take: Reads a whole registry that is served, and `order_of` says how a model of it is; None: no registry is.
    """

    home: Home
    endpoints: tuple[EndpointOrder, ...]
    default: str
    settings: ServeSettings
    shown: Mapping[str, Mapping[str, Any]]
    catalogue: Catalogue | None = None
    take: Callable[[], Mapping[str, CensusEntry]] | None = None
    order_of: Callable[[str, CensusEntry], EndpointOrder] | None = None

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
        residency: Who is in memory, and who may come.
        turns: Who loads now.
        forks: The fork servers.
        bootstraps: Profiles of first rows in production.
        slabs: Where workers count their rows.
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
    residency: Residency
    turns: Turns
    forks: Forks
    bootstraps: Bootstraps
    asks: Asks = field(default_factory=Asks)
    slabs: Slabs = field(default_factory=Slabs)
