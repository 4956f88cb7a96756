"""The routing table: numbered, sent to every gateway, true only once all have taken it over."""

from podium.domain.traffic import RoutingTable, Target
from podium.fleet.gateways import Announcement, Gateways


class Publisher:
    """Holds the table of now. `targets` are this endpoint's part of it."""

    def __init__(self, gateways: Gateways, endpoint: str) -> None:
        self.targets: tuple[Target, ...] = ()
        self.epoch = 0
        self._gateways = gateways
        self._endpoint = endpoint
        self.publish(())

    @property
    def is_acknowledged(self) -> bool:
        """Whether every living gateway routes by the table of now."""
        return self._gateways.is_acknowledged(self.epoch)

    def publish(self, targets: tuple[Target, ...]) -> None:
        """Route by these targets; ready while there is one."""
        self.targets = targets
        self._send(is_ready=bool(targets))

    def withdraw(self) -> None:
        """Say not ready, to balancers and probes, while everything goes on being answered."""
        self._send(is_ready=False)

    def _send(self, *, is_ready: bool) -> None:
        self.epoch += 1
        table = RoutingTable(self.epoch, {self._endpoint: self.targets}, self._endpoint)
        self._gateways.publish(Announcement(table, is_ready))
