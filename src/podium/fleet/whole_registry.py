"""Serving whatever a registry has: models appear, change and disappear as they do there, by one observer for all."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from podium.errors import PodiumError
from podium.fleet.events import Event
from podium.fleet.roster import Roster
from podium.fleet.site import EndpointOrder, Site
from podium.fleet.sources import Wish
from podium.registry.resolve import Resolved

Take = Callable[[], Mapping[str, Resolved | None]]
"""By public name: the version that is to be served; None where the model is registered and has none. In any thread."""
OrderOf = Callable[[str, Resolved], EndpointOrder]


class WholeRegistry:
    """Keeps the roster like the registry.

    A model that has no version there any more keeps what serves: an empty source unloads nothing. One that is deleted
    there is unloaded. What somebody unloaded here stays so until somebody loads it.

    Args:
        site: The server's.
        roster: Who is served.
        take: Reads the registry.
        order_of: How a model is served.
        named: Names that are served for other reasons, and are none of its business.
    """

    def __init__(self, site: Site, roster: Roster, take: Take, order_of: OrderOf, named: frozenset[str]) -> None:
        self._site = site
        self._roster = roster
        self._take = take
        self._order_of = order_of
        self._named = named
        self._error: str | None = None
        self._mine: set[str] = set()

    def begin(self, orders: tuple[EndpointOrder, ...]) -> None:
        """Those that were there at the start are its business."""
        self._mine = {order.name for order in orders if order.name not in self._named}

    async def follow(self) -> None:
        """Look again and again, until cancelled. All reading is done on one thread that is not the event loop's."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="podium-registry")
        before: Mapping[str, Resolved | None] | None = None
        try:
            while True:
                await asyncio.sleep(self._site.settings.poll_s)
                try:
                    found = await loop.run_in_executor(thread, self._take)
                except PodiumError as error:
                    self._say(error.message)
                    continue
                self._say(None)
                # What was unloaded a moment ago is looked at again, though the registry has not changed.
                if found is not before or self._is_behind(found):
                    self.apply(found)
                    before = found
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    def apply(self, found: Mapping[str, Resolved | None]) -> None:
        """Open, tell and close endpoints until they are as the registry has it; all changes become one routing table."""
        self._roster.hold()
        try:
            for name, resolved in found.items():
                if name not in self._named:
                    self._tell(name, resolved)
            for name in self._mine - found.keys():
                self._mine.discard(name)
                self._roster.close(name)
        finally:
            self._roster.go_on()

    def _tell(self, name: str, resolved: Resolved | None) -> None:
        endpoint = self._roster.endpoints.get(name)
        if endpoint is None:
            if resolved is not None and name not in self._roster.dismissed:
                self._mine.add(name)
                self._roster.open(self._order_of(name, resolved))
            return
        if endpoint.is_leaving or name not in self._mine:
            return
        wish = Wish(resolved, None if resolved is not None else f"{endpoint.order.reference} names no version any more.")
        if wish != endpoint.wish:
            endpoint.hear(wish)

    def _is_behind(self, found: Mapping[str, Resolved | None]) -> bool:
        known = self._roster.endpoints.keys() | self._roster.dismissed | self._named
        return any(resolved is not None and name not in known for name, resolved in found.items())

    def _say(self, error: str | None) -> None:
        if error != self._error:
            is_down, self._error = error is not None, error
            text = f"the registry does not answer: {error}" if is_down else "the registry answers again"
            self._site.tell(Event("source_lost" if is_down else "source_back", text, is_problem=is_down))
