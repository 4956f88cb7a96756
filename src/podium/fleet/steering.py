"""A turn of the supervisor's loop: each endpoint does what it can, and one routing table says what came of all of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from podium.fleet.publisher import Publisher

if TYPE_CHECKING:
    from podium.fleet.endpoint import Endpoint

_TICK_S = 0.25


class Steering:
    """Steers those endpoints that something happened to, and at each tick all: by then time may have moved them.

    Of a thousand endpoints most sleep; between two ticks those are passed over.

    Args:
        endpoints: All, as they come and go.
        publisher: Holds the routing table.

    Attributes:
        hopeless: Who serves nothing, and will not until something else is wanted.
    """

    def __init__(self, endpoints: "Mapping[str, Endpoint]", publisher: Publisher) -> None:
        self.hopeless: set[str] = set()
        self._endpoints = endpoints
        self._publisher = publisher
        self._asleep: set[str] = set()
        self._steered: dict[str, tuple[object, ...]] = {}
        self._ticked_at = 0.0
        self._known = 0

    def turn(self, now: float) -> None:
        """Steer, and publish what is another table than before."""
        is_tick = now - self._ticked_at >= _TICK_S or len(self._endpoints) != self._known
        if is_tick:
            self._ticked_at, self._known = now, len(self._endpoints)
            self._steered, self.hopeless, self._asleep = {}, set(), set()
        self._publisher.hold()
        for name, endpoint in self._endpoints.items():
            if endpoint.is_asleep and not is_tick and name not in self._steered:
                continue
            if not endpoint.is_at_rest and self._steered.get(name) != endpoint.standing:
                endpoint.steer()
                self._steered[name] = endpoint.standing
            elif not is_tick:
                continue
            is_hopeless = endpoint.is_hopeless
            (self.hopeless.add if is_hopeless else self.hopeless.discard)(name)
            (self._asleep.add if endpoint.is_asleep and not is_hopeless else self._asleep.discard)(name)
        self._publisher.judge(frozenset(self.hopeless), frozenset(self._asleep))
        self._publisher.go_on()
