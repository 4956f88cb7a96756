"""Serving whatever a registry has: models appear, change and disappear as they do there, by one observer for all."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from podium.errors import PodiumError, RegistryError
from podium.fleet.roster import Roster
from podium.fleet.site import EndpointOrder, Site
from podium.fleet.sources import Wish, timed
from podium.fleet.telling.events import Event
from podium.registry.census import CensusEntry
from podium.registry.clock import ticks

_REST = 4
"""A look at a registry elsewhere is work for it too: a pause is at least so many times what the look took."""
Take = Callable[[], Mapping[str, CensusEntry]]
"""By public name: what the registry has of each model. In any thread."""
OrderOf = Callable[[str, CensusEntry], EndpointOrder]


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
        self._told: dict[str, tuple[EndpointOrder, CensusEntry]] = {}
        self._unopened: dict[str, str] = {}

    def begin(self, orders: tuple[EndpointOrder, ...]) -> None:
        """Those that were there at the start are its business."""
        self._mine = {order.name for order in orders if order.name not in self._named}

    async def follow(self) -> None:
        """Look again and again, until cancelled. All reading is done on one thread that is not the event loop's."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="podium-registry")
        before: Mapping[str, CensusEntry] | None = None
        took_s, was_stopped = 0.0, False
        try:
            while True:
                if not was_stopped:
                    await asyncio.sleep(max(self._site.settings.poll_s, _REST * took_s))
                began_at = ticks()
                found, took_s, was_stopped = await timed(loop.run_in_executor(thread, self._look))
                if isinstance(found, PodiumError):
                    self._say(found.message)
                    self._asked(began_at)
                    continue
                self._say(None)
                # What was unloaded a moment ago is looked at again, though the registry has not changed.
                if found is not before or self._is_behind(found):
                    self.apply(found)
                    before = found
                self._asked(began_at)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> Mapping[str, CensusEntry] | PodiumError:
        try:
            return self._take()
        except PodiumError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a registry, what serves keeps serving
            return RegistryError(f"The registry cannot be read: {type(error).__name__}: {error}")

    def apply(self, found: Mapping[str, CensusEntry]) -> None:
        """Open, tell and close endpoints until they are as the registry has it; all changes become one routing table."""
        self._roster.hold()
        try:
            for name, counted in found.items():
                if name not in self._named:
                    self._tell(name, counted)
            for name in self._mine - found.keys():
                self._mine.discard(name)
                self._told.pop(name, None)
                self._roster.close(name)
            for name in self._unopened.keys() - found.keys():
                del self._unopened[name]
        finally:
            self._roster.go_on()

    def _tell(self, name: str, counted: CensusEntry) -> None:
        resolved = counted.resolved
        endpoint = self._roster.endpoints.get(name)
        if endpoint is None:
            if resolved is not None and name not in self._roster.dismissed:
                self._open(name, counted)
            return
        order = endpoint.order
        if endpoint.is_leaving or order.source is not None:
            return
        self._mine.add(name)
        # What it was told, not what it wants: a pin or a rollout may have made another version of it.
        if not self._has_heard(name, order) or self._told[name][1] != counted:
            error = None if resolved is not None else f"{order.reference} names no version any more."
            endpoint.hear(Wish(resolved, error, tidings=counted.tidings))
        self._told[name] = order, counted

    def _open(self, name: str, counted: CensusEntry) -> None:
        """Serve one that is new here. Where its files have no place nobody is harmed, and the next look tries again."""
        order = self._order_of(name, counted)
        try:
            self._roster.open(order)
        except OSError as error:
            if self._unopened.get(name) != str(error):
                self._unopened[name] = str(error)
                text = f"{name} cannot be served: {error}. It is tried again at each look at the registry."
                self._site.tell(Event("cannot_open", text, is_problem=True))
            return
        self._unopened.pop(name, None)
        self._mine.add(name)
        self._told[name] = order, counted

    def _asked(self, began_at: float) -> None:
        """The registry was asked for all of them, and has answered or not."""
        for name in self._mine & self._roster.endpoints.keys():
            self._roster.endpoints[name].asked(began_at)

    def _is_behind(self, found: Mapping[str, CensusEntry]) -> bool:
        """Whether somebody was loaded or unloaded meanwhile, who was told nothing, or something else."""
        return any(self._is_news(name, counted) for name, counted in found.items() if name not in self._named)

    def _is_news(self, name: str, counted: CensusEntry) -> bool:
        endpoint = self._roster.endpoints.get(name)
        if endpoint is None:
            return counted.resolved is not None and name not in self._roster.dismissed
        order = endpoint.order
        return order.source is None and not endpoint.is_leaving and not self._has_heard(name, order)

    def _has_heard(self, name: str, order: EndpointOrder) -> bool:
        """Whether the endpoint was told anything since it serves by this order."""
        return name in self._told and self._told[name][0] is order

    def _say(self, error: str | None) -> None:
        if error != self._error:
            is_down, self._error = error is not None, error
            text = f"the registry does not answer: {error}" if is_down else "the registry answers again"
            self._site.tell(Event("source_lost" if is_down else "source_back", text, is_problem=is_down))
