"""Which replica a request goes to: the routing table that was published last, and who has the fewest rows in flight."""

import random
from collections.abc import Container, Mapping
from typing import Any

from podium.domain.traffic import RoutingTable, Target
from podium.serving.replica import Replica
from podium.transport.messages import BrokenMessage

_SMOOTHING = 0.05


def table_from_json(entry: Mapping[str, Any]) -> RoutingTable:
    """Read `domain.traffic.table_to_json`.

    Raises:
        BrokenMessage: It is not one.
    """
    try:
        endpoints = {
            str(name): tuple(
                Target(str(target["version"]), int(target["weight"]), tuple(int(replica) for replica in target["replicas"]))
                for target in targets
            )
            for name, targets in entry["endpoints"].items()
        }
        hopeless = frozenset(str(name) for name in entry.get("hopeless", ()))
        asleep = frozenset(str(name) for name in entry.get("asleep", ()))
        return RoutingTable(int(entry["epoch"]), endpoints, str(entry["default"]), hopeless, asleep)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenMessage(f"a routing table that cannot be read: {error!r}") from error


class Router:
    """The table in force and the replicas that are connected.

    Attributes:
        table: Replaced whole, between two requests; epoch 0 with no endpoint until the first is published.
        replicas: Connected, by id; one that the table does not name gets no request.
    """

    def __init__(self) -> None:
        self.table = RoutingTable(0, {}, "")
        self.replicas: dict[int, Replica] = {}
        self._rows_per_byte: dict[int, float] = {}

    def publish(self, table: RoutingTable) -> None:
        """Route by this table from now on. A table older than the one in force changes nothing."""
        if table.epoch >= self.table.epoch:
            self.table = table

    def choose(self, endpoint: str, key: int, avoid: Container[int] = ()) -> Replica | None:
        """The replica for a request: the version by weight, then the fewest rows in flight.

        Where the version that the weights pick has no replica that takes one more request, another version of the endpoint
        answers: each of them is live.

        Args:
            endpoint: A public name.
            key: The same key gets the same version while the weights stand.
            avoid: Ids of replicas that have refused this request.
        """
        target = self.table.pick(endpoint, key)
        if target is None:
            return None
        replica = self._least_loaded(target, avoid)
        if replica is not None:
            return replica
        for other in self.table.endpoints[endpoint]:
            if other is not target and (replica := self._least_loaded(other, avoid)) is not None:
                return replica
        return None

    def is_any_full(self, endpoint: str) -> bool:
        """Whether a replica of the endpoint is connected and not on its way out: then no room means overload."""
        return any(
            (replica := self.replicas.get(identity)) is not None and not replica.is_draining and not replica.is_dropped
            for target in self.table.endpoints.get(endpoint, ())
            for identity in target.replicas
        )

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
