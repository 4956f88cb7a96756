"""The versions that run beside an endpoint's own because a split or a shadow names them: followed as their aliases move."""

import asyncio
from collections.abc import Callable
from functools import partial

from podium.domain.planning import Candidate
from podium.domain.traffic import Rules, Shadow
from podium.fleet.site import EndpointOrder, Site
from podium.fleet.sources import Wish, follow, follows
from podium.fleet.telling.events import Event
from podium.registry.resolve import Resolved


class Beside:
    """What the sources of a split and a shadow said last. The part of one that names nothing now is the stable one's.

    Args:
        order: The endpoint's.
        site: The server's; events are told there.
        heard: Called after each change.
    """

    def __init__(self, order: EndpointOrder, site: Site, heard: Callable[[], None]) -> None:
        self._settings = order.settings
        self._site = site
        self._heard = heard
        self._orders = order.beside
        self._wishes = [each.first for each in order.beside]
        self._following: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Listen to the sources from now on."""
        for number, order in enumerate(self._orders):
            if follows(order.reference):
                poll_s, hear = self._site.settings.poll_s, partial(self._hear, number)
                following = follow(order.reference, order.first, order.source, poll_s, hear, is_rolled_out=False)
                self._following.append(self._site.tasks.create_task(following, name=f"source of {order.reference}"))
        self._heard()

    def stop(self) -> None:
        """Want what is wanted now."""
        for task in self._following:
            task.cancel()
        self._following.clear()

    @property
    def resolved(self) -> list[Resolved]:
        """What is wanted beside."""
        return [wish.resolved for wish in self._wishes if wish.resolved is not None]

    @property
    def parts(self) -> tuple[Candidate, ...]:
        """Who takes which part of the traffic; a shadow takes none."""
        return tuple(
            Candidate(wish.resolved.label, 0 if order.is_shadow else order.percent)
            for order, wish in zip(self._orders, self._wishes, strict=True)
            if wish.resolved is not None
        )

    def rules(self, candidate: Candidate | None) -> Rules | None:
        """What the routing table says of the endpoint's requests; None where there is nothing to say."""
        settings = self._settings
        shadow = next(
            (
                Shadow(wish.resolved.label, order.percent, settings.shadow_tolerance)
                for order, wish in zip(self._orders, self._wishes, strict=True)
                if order.is_shadow and wish.resolved is not None
            ),
            None,
        )
        is_compared = candidate is not None or bool(self._wishes)
        if not is_compared and not settings.version_header:
            return None
        salt = "" if candidate is None else candidate.version
        return Rules(settings.sticks_to, salt, settings.version_header, shadow, is_compared)

    def problems(self) -> list[str]:
        """Why something that is named is not there."""
        return [
            f"{order.reference}: {wish.error}"
            for order, wish in zip(self._orders, self._wishes, strict=True)
            if wish.resolved is None and wish.error
        ]

    def _hear(self, number: int, wish: Wish) -> None:
        order, before, self._wishes[number] = self._orders[number], self._wishes[number], wish
        was, now = (each.resolved.label if each.resolved else None for each in (before, wish))
        if was != now:
            role = "the shadow" if order.is_shadow else f"{order.percent} % of the traffic"
            said = f"is now version {now}" if now else f"names nothing now ({wish.error})"
            self._site.tell(Event("beside", f"{order.reference} {said}; it is named for {role}", now))
        self._heard()
