"""The routing table: numbered, sent to every gateway, true only once all have taken it over."""

from collections.abc import Iterable

from podium.domain.readiness import Outlook, is_ready
from podium.domain.traffic import RoutingTable, Target
from podium.fleet.gateways import Announcement, Gateways


class Publisher:
    """Holds the table of now, and whether the server is ready.

    Args:
        gateways: Who route by it.
        endpoints: Public names of all.
        default: The one that a request which names none is for.

    Attributes:
        is_ready: What balancers and probes are told.
    """

    def __init__(self, gateways: Gateways, endpoints: Iterable[str], default: str) -> None:
        self.gateways = gateways
        self.is_ready = False
        self._default = default
        self._targets: dict[str, tuple[Target, ...]] = dict.fromkeys(endpoints, ())
        self._epoch = 0
        self._epochs = dict.fromkeys(self._targets, 1)
        self._hopeless: frozenset[str] = frozenset()
        self._is_withdrawn = False
        self._was_ready = False
        self._send()

    def targets(self, endpoint: str) -> tuple[Target, ...]:
        """An endpoint's part of the table."""
        return self._targets[endpoint]

    def is_acknowledged(self, endpoint: str) -> bool:
        """Whether every living gateway routes by an endpoint's part as it is now; what became of others does not count."""
        return self.gateways.is_acknowledged(self._epochs[endpoint])

    def publish(self, endpoint: str, targets: tuple[Target, ...]) -> None:
        """Route an endpoint's requests to these targets; the others stay where they are."""
        self._targets = {**self._targets, endpoint: targets}
        self._epochs[endpoint] = self._epoch + 1
        self._send()

    def give_up(self, hopeless: frozenset[str]) -> None:
        """Say for which endpoints nobody need wait; see `rollout.is_hopeless`."""
        if hopeless != self._hopeless:
            self._hopeless = hopeless
            self._send()

    def withdraw(self) -> None:
        """Say not ready, to balancers and probes, while everything goes on being answered."""
        self._is_withdrawn = True
        self._send()

    def _send(self) -> None:
        self._epoch += 1
        outlooks = [Outlook(bool(targets), name in self._hopeless) for name, targets in self._targets.items()]
        can_serve = is_ready(outlooks, self._was_ready)
        self._was_ready = self._was_ready or can_serve
        self.is_ready = can_serve and not self._is_withdrawn
        table = RoutingTable(self._epoch, self._targets, self._default, self._hopeless)
        self.gateways.publish(Announcement(table, self.is_ready))
