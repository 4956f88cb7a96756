"""Which version a request goes to: the routing table, an immutable snapshot with an epoch."""

from collections.abc import Mapping
from dataclasses import dataclass

_LISTED = 20


@dataclass(frozen=True, slots=True)
class Target:
    """One version that may answer an endpoint's requests.

    Args:
        version: What the answer is labelled with: a registered version (`"7"`), or a digest's start for a folder.
        weight: Share of the traffic, 0 to 100; an endpoint's weights add up to 100.
        replicas: Ids of the worker processes that hold this version and are ready.
    """

    version: str
    weight: int
    replicas: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Endpoint to targets. A gateway uses one table at a time, so a request never sees a mixture.

    Args:
        epoch: Grows by one with each publication; a gateway acknowledges it once it routes by it.
        endpoints: Public name to the versions that serve it; an endpoint with no target answers 503.
        default: The endpoint that `/invocations` without a model name goes to.
        hopeless: Endpoints that nothing will serve until something else is wanted; their requests need not wait.
        asleep: Endpoints that nothing serves until somebody asks for them; who has a request for one says so.
    """

    epoch: int
    endpoints: Mapping[str, tuple[Target, ...]]
    default: str
    hopeless: frozenset[str] = frozenset()
    asleep: frozenset[str] = frozenset()

    @property
    def listed(self) -> str:
        """The first of the endpoints, for whoever asked for one that there is not."""
        names = list(self.endpoints)
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return f"These are: {', '.join(names[:_LISTED])}{more}." if names else "There is none."

    def pick(self, endpoint: str, key: int) -> Target | None:
        """The version for a request; the same key gets the same version while the weights stand.

        Args:
            endpoint: A public name.
            key: Any integer; spread evenly over 0..99 by remainder.
        Returns: None where the endpoint is unknown or nothing serves it.
        """
        targets = self.endpoints.get(endpoint, ())
        if len(targets) == 1:
            return targets[0]
        point = key % 100
        for target in targets:
            point -= target.weight
            if point < 0:
                return target
        return targets[0] if targets else None


def table_to_json(table: RoutingTable) -> dict[str, object]:
    """Plain JSON for the control socket."""
    return {
        "epoch": table.epoch,
        "default": table.default,
        "hopeless": sorted(table.hopeless),
        "asleep": sorted(table.asleep),
        "endpoints": {
            name: [{"version": t.version, "weight": t.weight, "replicas": list(t.replicas)} for t in targets]
            for name, targets in table.endpoints.items()
        },
    }
