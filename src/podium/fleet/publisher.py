"""The routing table: numbered, sent to every gateway, true only once all have taken it over."""

from typing import TypeVar

from podium.domain.readiness import Outlook, is_ready
from podium.domain.traffic import RoutingTable, Rules, Target
from podium.fleet.gateways import Announcement, Gateways

_Value = TypeVar("_Value")


class Publisher:
    """Holds the table of now, and whether the server is ready.

    Args:
        gateways: Who route by it.
        default: The endpoint that a request which names none is for.
        may_be_empty: Whether a server without any endpoint is ready: one that is told later what to load.

    Attributes:
        is_ready: What balancers and probes are told.
    """

    def __init__(self, gateways: Gateways, default: str, *, may_be_empty: bool = False) -> None:
        self.gateways = gateways
        self.is_ready = False
        self._default = default
        self._may_be_empty = may_be_empty
        self._targets: dict[str, tuple[Target, ...]] = {}
        self._epoch = 0
        self._epochs: dict[str, int] = {}
        self._rules: dict[str, Rules] = {}
        self._hopeless: frozenset[str] = frozenset()
        self._asleep: frozenset[str] = frozenset()
        self._is_withdrawn = False
        self._was_ready = False
        self._holds = 0
        self._is_late = True

    @property
    def is_held(self) -> bool:
        """Whether nothing is sent now."""
        return self._holds > 0

    def targets(self, endpoint: str) -> tuple[Target, ...]:
        """An endpoint's part of the table; nothing for one that has left it."""
        return self._targets.get(endpoint, ())

    @property
    def is_serving(self) -> bool:
        """Whether requests go to any version of any endpoint."""
        return any(self._targets.values())

    def is_acknowledged(self, endpoint: str) -> bool:
        """Whether every living gateway routes by an endpoint's part as it is now; what became of others does not count."""
        return self.gateways.is_acknowledged(self._epochs.get(endpoint, 0))

    def open(self, endpoint: str) -> None:
        """Know an endpoint from now on: its requests wait where they got 404 before."""
        if endpoint not in self._targets:
            self.publish(endpoint, ())

    def close(self, endpoint: str) -> None:
        """Know an endpoint no more: its requests get 404, but for those in flight."""
        if endpoint in self._targets:
            self._targets = _without(self._targets, endpoint)
            self._rules = _without(self._rules, endpoint)
            self._epochs[endpoint] = self._epoch + 1
            self._send()

    def forget(self, endpoint: str) -> None:
        """Nothing runs for an endpoint that was closed: nobody asks any more who has acknowledged that."""
        if endpoint not in self._targets:
            self._epochs.pop(endpoint, None)

    def publish(self, endpoint: str, targets: tuple[Target, ...]) -> None:
        """Route an endpoint's requests to these targets; the others stay where they are."""
        self._targets = {**self._targets, endpoint: targets}
        self._epochs[endpoint] = self._epoch + 1
        self._send()

    def rules(self, endpoint: str) -> Rules | None:
        """What holds for an endpoint's requests beside weights."""
        return self._rules.get(endpoint)

    def rule(self, endpoint: str, rules: Rules | None) -> None:
        """What holds for an endpoint's requests beside weights; None for nothing."""
        if rules != self._rules.get(endpoint):
            self._rules = {**self._rules, endpoint: rules} if rules is not None else _without(self._rules, endpoint)
            self._send()

    def judge(self, hopeless: frozenset[str], asleep: frozenset[str] = frozenset()) -> None:
        """Say for which endpoints nobody need wait (`rollout.is_hopeless`), and which wake when they are asked."""
        if (hopeless, asleep) != (self._hopeless, self._asleep):
            self._hopeless, self._asleep = hopeless, asleep
            self._send()

    def withdraw(self) -> None:
        """Say not ready, to balancers and probes, while everything goes on being answered."""
        self._is_withdrawn = True
        self._send()

    def hold(self) -> None:
        """Send nothing until `go_on`, as often called: several changes become one table."""
        self._holds += 1

    def go_on(self) -> None:
        """Send the table of now if it is another than before, and each later one."""
        self._holds -= 1
        if self._is_late:
            self._send()

    def _send(self) -> None:
        self._is_late = self.is_held
        if self.is_held:
            return
        self._epoch += 1
        outlooks = (
            Outlook(bool(targets) or name in self._asleep, name in self._hopeless)
            for name, targets in self._targets.items()
        )
        can_serve = is_ready(outlooks, self._was_ready, may_be_empty=self._may_be_empty)
        self._was_ready = self._was_ready or can_serve
        self.is_ready = can_serve and not self._is_withdrawn
        table = RoutingTable(self._epoch, self._targets, self._default, self._hopeless, self._rules, self._asleep)
        self.gateways.publish(Announcement(table, self.is_ready))


def _without(entries: dict[str, _Value], name: str) -> dict[str, _Value]:
    return {other: value for other, value in entries.items() if other != name}
