"""The endpoints of a server: who is there, who comes, who goes."""

from collections.abc import Mapping
from dataclasses import dataclass

from podium.fleet.endpoint import Endpoint
from podium.fleet.host.runfiles import RunFolder
from podium.fleet.publisher import Publisher
from podium.fleet.site import EndpointOrder, Site
from podium.fleet.telling.series import SeriesBook

_MOST_DISMISSED = 10_000


@dataclass(frozen=True, slots=True)
class Dismissed:
    """What was unloaded: the version that served last, and what it was."""

    version: str
    uri: str


class Roster:
    """Opens and closes endpoints while the server runs. Event loop's thread only.

    Args:
        site: The server's.
        publisher: Holds the routing table.
        folder: The run folder.
        series: Whose counters are whose.

    Attributes:
        endpoints: By name, also those that are leaving.
        dismissed: By name, what somebody unloaded; loaded again it is no more.
    """

    def __init__(self, site: Site, publisher: Publisher, folder: RunFolder, series: SeriesBook) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self._site = site
        self._publisher = publisher
        self._folder = folder
        self._series = series
        self._clearing: set[str] = set()
        self.dismissed: dict[str, Dismissed] = {}

    @property
    def staying(self) -> Mapping[str, Endpoint]:
        """Those that are not leaving."""
        return {name: endpoint for name, endpoint in self.endpoints.items() if not endpoint.is_leaving}

    def open(self, order: EndpointOrder, *, is_asleep: bool | None = None) -> Endpoint:
        """Serve one more. Its name must be free.

        Args:
            order: What, and how.
            is_asleep: Whether it loads nothing before it is woken; None: where it is loaded on demand.

        Raises:
            OSError: Its folders cannot be made.
        """
        endpoint = Endpoint(order, self._site, self._publisher, self._folder.endpoint(order.name))
        endpoint.is_asleep = endpoint.is_on_demand if is_asleep is None else is_asleep
        self.endpoints[order.name] = endpoint
        self.dismissed.pop(order.name, None)
        endpoint.start()
        return endpoint

    def close(self, name: str) -> None:
        """Serve it no more: 404 from now on; what is in flight is finished."""
        endpoint = self.endpoints.get(name)
        if endpoint is not None and not endpoint.is_leaving:
            endpoint.leave()

    def dismiss(self, name: str) -> None:
        """Close an endpoint because somebody wants it gone, whatever its registry says."""
        endpoint = self.endpoints.get(name)
        if endpoint is not None:
            version = endpoint.serving or endpoint.settled or endpoint.wanted or ""
            self.dismissed[name] = Dismissed(version, str(endpoint.order.reference))
        while len(self.dismissed) > _MOST_DISMISSED:
            del self.dismissed[next(iter(self.dismissed))]
        self.close(name)

    def hold(self) -> None:
        """Let what comes and goes until `go_on` become one routing table."""
        self._publisher.hold()

    def go_on(self) -> None:
        self._publisher.go_on()

    async def keep_house(self) -> None:
        """Take those off the list that have ended, and what belongs to versions of the past off the disk."""
        for name, endpoint in list(self.endpoints.items()):
            if not endpoint.is_gone:
                await endpoint.keep_house()
                continue
            if name not in self._clearing:
                # In a task of its own: a copy or an environment that is in the making ends when it can.
                self._clearing.add(name)
                self._site.tasks.create_task(self._clear(endpoint), name=f"clearing {name}")

    async def _clear(self, endpoint: Endpoint) -> None:
        await endpoint.clear()
        self._series.forget(endpoint.name)
        del self.endpoints[endpoint.name]
        self._clearing.discard(endpoint.name)
        self._site.bell.ring()
