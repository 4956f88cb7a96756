"""Which replica a request goes to: the routing table that was published last, and who has the fewest rows in flight."""

import random
from collections.abc import Callable, Container, Mapping
from typing import Any

from podium.domain.traffic import ANYWHERE, RoutingTable, Target, Way, pick
from podium.domain.traffic import table_from_json as read_table
from podium.errors import Misconfigured, Overloaded, Unavailable
from podium.serving.walks.replica import Replica
from podium.transport.messages import BrokenMessage

_SMOOTHING = 0.05


def table_from_json(entry: Mapping[str, Any]) -> RoutingTable:
    """Read `domain.traffic.table_to_json`.

    Raises:
        BrokenMessage: It is not one.
    """
    try:
        return read_table(entry)
    except (KeyError, TypeError, ValueError, AttributeError, Misconfigured) as error:
        raise BrokenMessage(f"a routing table that cannot be read: {error!r}") from error


class Router:
    """The table in force and the replicas that are connected.

    Attributes:
        table: Replaced whole, between two requests; epoch 0 with no endpoint until the first is published.
        replicas: Connected, by id; one that the table does not name gets no request.
        on_table: Called after each change of the table.
    """

    def __init__(self) -> None:
        self.table = RoutingTable(0, {}, "")
        self.replicas: dict[int, Replica] = {}
        self.on_table: Callable[[], None] | None = None
        self._only: dict[str, Replica] = {}  # of endpoints where there is nothing to choose
        self._rows_per_byte: dict[int, float] = {}

    def publish(self, table: RoutingTable) -> None:
        """Route by this table from now on. A table older than the one in force changes nothing."""
        if table.epoch >= self.table.epoch:
            self.table = table
            self._find_only()
            for replica in self.replicas.values():
                self.instruct(replica)
            if self.on_table is not None:
                self.on_table()

    def connect(self, replica: Replica) -> None:
        """Know a replica from now on; it gets requests where the table names it."""
        self.replicas[replica.id] = replica
        self._find_only()
        self.instruct(replica)

    def forget(self, identity: int) -> None:
        """A replica is gone."""
        self.replicas.pop(identity, None)
        self._find_only()

    def _find_only(self) -> None:
        self._only = {
            name: self.replicas[targets[0].replicas[0]]
            for name, targets in self.table.endpoints.items()
            if len(targets) == 1 and len(targets[0].replicas) == 1 and targets[0].replicas[0] in self.replicas
        }

    def instruct(self, replica: Replica) -> None:
        """Let a replica know what the table has its answers say and count, so that no request need ask."""
        targets, rules = self.table.endpoints.get(replica.endpoint, ()), self.table.rules.get(replica.endpoint)
        is_one_of_several = sum(target.weight > 0 for target in targets) > 1 and any(
            target.version == replica.version and target.weight for target in targets
        )
        replica.pins_its_route(is_one_of_several)
        replica.is_compared = rules is not None and rules.is_compared
        shadow = None if rules is None else rules.shadow
        replica.shadow = None if shadow is None or shadow.version == replica.version else shadow

    def choose(self, endpoint: str, way: Way = ANYWHERE, avoid: Container[int] = ()) -> Replica | None:
        """The replica for a request: the version by weight, then the fewest rows in flight.

        Where the version that is picked has no replica that takes one more request, the first version of the endpoint
        answers, which is there for all; and where the picked one has no living replica at all, any that has traffic.
        What is only full does not spill over to a candidate: its weight is the most that it gets.

        Args:
            endpoint: A public name.
            way: Where the request wants to go.
            avoid: Ids of replicas that have refused this request.
        """
        only = self._only.get(endpoint)
        if only is not None and not way.is_bound:
            return only if only.has_room and only.id not in avoid else None
        targets = self.table.endpoints.get(endpoint)
        if not targets:
            return None
        if len(targets) == 1 and not way.is_bound:
            return self._least_loaded(targets[0], avoid)
        target = pick(targets, way)
        if target is None:
            return None
        replica = self._least_loaded(target, avoid)
        if replica is not None or way.is_bound:
            return replica
        is_down = not any(map(self._is_alive, target.replicas))
        for other in targets:
            if other is not target and (other is targets[0] or (is_down and other.weight)):
                replica = self._least_loaded(other, avoid)
                if replica is not None:
                    return replica
        return None

    def is_any_full(self, endpoint: str, version: str | None = None) -> bool:
        """Whether a replica of the endpoint is connected and not on its way out: then no room means overload.

        Args:
            endpoint: A public name.
            version: Only this one's; None any that has traffic.
        """
        return any(
            self._is_alive(identity)
            for target in self.table.endpoints.get(endpoint, ())
            if (target.weight if version is None else target.version == version)
            for identity in target.replicas
        )

    def refusal_of(self, endpoint: str, way: Way) -> Overloaded | Unavailable:
        """Why a request that is bound to a version is not sent: nobody else may answer it, and it need not wait."""
        text = f"Version {way.version} of {endpoint} has no replica with room now. Try again."
        return Overloaded(text) if self.is_any_full(endpoint, way.version) else Unavailable(text)

    def _is_alive(self, identity: int) -> bool:
        replica = self.replicas.get(identity)
        return replica is not None and not replica.is_draining and not replica.is_dropped

    def estimate_rows(self, replica: Replica, body_bytes: int) -> int:
        """How many rows a body probably has, from what bodies of this version had."""
        ratio = self._rows_per_byte.get(replica.series)
        return 1 if ratio is None else int(body_bytes * ratio) or 1

    def learn_rows(self, replica: Replica, body_bytes: int, rows: int) -> None:
        """Take in what a reply said about its request."""
        if rows and body_bytes:
            seen = rows / body_bytes
            ratio = self._rows_per_byte.get(replica.series, seen)
            self._rows_per_byte[replica.series] = ratio + _SMOOTHING * (seen - ratio)

    def _least_loaded(self, target: Target, avoid: Container[int]) -> Replica | None:
        best: Replica | None = None
        ids = target.replicas
        count = len(ids)
        if count == 1:
            only = self.replicas.get(ids[0])
            return only if only is not None and only.has_room and only.id not in avoid else None
        # Start anywhere, so that equals share the load.
        start = random.randrange(count) if count > 1 else 0
        for step in range(count):
            replica = self.replicas.get(ids[(start + step) % count])
            if replica is None or not replica.has_room or replica.id in avoid:
                continue
            if best is None or replica.rows < best.rows:
                best = replica
        return best
