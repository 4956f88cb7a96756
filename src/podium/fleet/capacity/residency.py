"""Memory that is promised before it is taken, models that wake when they are asked, others that go to sleep for them."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.domain.capacity.residency import (
    TYPICAL_BYTES,
    Admit,
    Decision,
    Evict,
    Refuse,
    Resident,
    Room,
    estimate,
    make_room,
    too_many,
)
from podium.domain.lifecycle import ReplicaState
from podium.fleet.asks import ENDING, Reply
from podium.fleet.capacity.use import Use
from podium.fleet.telling.events import Event
from podium.fleet.workers.causes import Cause

if TYPE_CHECKING:
    from podium.fleet.endpoint import Endpoint
    from podium.fleet.site import Site
    from podium.fleet.workers.replica import WorkerReplica

GRACE_S = 1.0
"""A model that has become ready stays for so long: whoever woke it has to be answered first."""
_LOOK_S = 0.5
_PATIENCE_S = 30.0
_RETRY_S = 30.0
_MOST_REPLIES = 64
_MOST_SIZES = 10_000


class Residency:
    """Who is in memory, who may come, who must go. Event loop's thread only.

    Args:
        use: When each endpoint was used.
    """

    def __init__(self, use: Use) -> None:
        self._use = use
        self._promised: dict[str, int] = {}
        self._expected: dict[int, int] = {}
        self._guessed: dict[int, int] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._held: dict[int, int] = {}
        self._looked_at = 0.0
        self._turn = asyncio.Lock()
        self._awaited: dict[str, list[Reply]] = {}
        self._site: Site
        self._endpoints: Mapping[str, Endpoint] = {}

    def begin(self, site: "Site", endpoints: "Mapping[str, Endpoint]") -> None:
        """Know the server and its endpoints."""
        self._site, self._endpoints = site, endpoints
        site.asks.learn("wake", self.wake)

    # ── waking

    def wake(self, name: str, arguments: dict[str, Any], reply: Reply) -> None:
        """A gateway has a request for an endpoint that sleeps: 200 once it serves, or why it will not now."""
        patience = arguments.get("timeout_s")
        patience_s = float(patience) if isinstance(patience, int | float) else _PATIENCE_S
        waiting = self._awaited.get(name)
        if waiting is not None:
            if len(waiting) < _MOST_REPLIES:
                waiting.append(reply)
            return
        endpoint = self._endpoints.get(name)
        if endpoint is None or endpoint.is_leaving:
            reply(404, {"error": f"No model is served here as {name}."})
            return
        self._awaited[name] = [reply]
        self._site.asks.work(self._site.tasks, self._wake(endpoint, patience_s), f"waking {name}")

    async def _wake(self, endpoint: "Endpoint", patience_s: float) -> None:
        status, body = 500, {"error": f"{endpoint.name} cannot be loaded; the server's log says why."}
        try:
            refusal = await self.admit(endpoint, patience_s)
            if refusal is not None:
                status, body = 503, {"error": f"{endpoint.name} is not loaded. {refusal.message}"}
                return
            await self._site.bell.until(
                lambda: endpoint.is_served or endpoint.is_asleep or endpoint.is_leaving or endpoint.is_hopeless, patience_s
            )
            failure = endpoint.failure() if endpoint.is_hopeless else None
            if failure is not None:
                status, body = 503, {"error": failure.message.partition("\n")[0]}
            else:
                status, body = (200 if endpoint.is_served else 504), {}
        except asyncio.CancelledError:
            status, body = 503, ENDING
            raise
        finally:
            for reply in self._awaited.pop(endpoint.name, []):
                reply(status, body)

    async def admit(self, endpoint: "Endpoint", patience_s: float) -> Cause | None:
        """Wake an endpoint once there is room for it; says what is short if there is none in time."""
        if not endpoint.is_asleep:
            return None
        needed = await self._estimate(endpoint) * endpoint.replicas

        def take() -> None:
            self._promised[endpoint.name] = needed
            endpoint.wake()

        def is_wanted() -> bool:
            return endpoint.is_asleep and not endpoint.is_leaving

        return await self._find_room(endpoint, needed, patience_s, take, is_wanted, is_new=True)

    async def make_room(self, replica: "WorkerReplica", limit_s: float) -> Cause | None:
        """Before a worker starts: whether the memory is there, promised at the wake or to be had now."""
        endpoint = self._endpoints.get(replica.endpoint)
        if endpoint is None or not self._is_bounded:
            return None
        each = await self._estimate(endpoint, replica.version, replica)
        promised = self._promised.pop(replica.endpoint, None)
        if promised is not None:
            if promised > each:
                self._promised[replica.endpoint] = promised - each
            self._expected[replica.id] = min(each, promised)
            return None

        def take() -> None:
            self._expected[replica.id] = each

        return await self._find_room(endpoint, each, limit_s, take, lambda: not replica.is_abandoned, is_new=False)

    async def _find_room(
        self,
        endpoint: "Endpoint",
        needed: int,
        limit_s: float,
        take: Callable[[], None],
        is_wanted: Callable[[], bool],
        *,
        is_new: bool,
    ) -> Cause | None:
        """Wait for room and take it at once; one after the other, for two would evict for the same room.

        Where all are busy nobody is held up: whoever needs less may fit meanwhile. A worker of what is awake does not
        fail for memory that is only promised to others which load: they may take less.
        """
        bell, clock = self._site.bell, asyncio.get_running_loop().time
        longest = clock() + max(limit_s, endpoint.order.settings.load_timeout_s)
        try:
            async with asyncio.timeout(limit_s) as limit:
                while is_wanted():
                    if not is_new and self._is_more_known_soon():
                        limit.reschedule(min(clock() + limit_s, longest))
                    async with self._turn:
                        while is_wanted():
                            match self._decide(endpoint, needed, is_new=is_new):
                                case Admit():
                                    take()
                                    return None
                                case Refuse(reason):
                                    return Cause("out_of_memory", reason)
                                case _:
                                    pass
                            if not any(each.is_leaving for each in self._residents()):
                                break
                            await bell.wait(_LOOK_S)
                    await bell.wait(_LOOK_S)
        except TimeoutError:
            text = f"There was no room for it within {limit_s:g} s: all that is loaded is in use."
            return Cause("out_of_memory", text)
        return None

    def room_for(self, endpoint: "Endpoint") -> int:
        """How many more workers of an endpoint fit into memory without anybody's leaving."""
        self._look()
        room = self._room()
        each = max((size for (name, _), size in self._sizes.items() if name == endpoint.name), default=TYPICAL_BYTES)
        held = sum(resident.held_bytes for resident in self._residents())
        free = room.available_bytes if room.budget_bytes is None else min(room.available_bytes, room.budget_bytes - held)
        return max(free // max(each, 1), 0)

    async def clear_disk(self) -> bool:
        """Remove the private copy of the model that sleeps longest, which is copied anew when it wakes.

        Returns: Whether there was one.
        """
        resting = [each for each in self._endpoints.values() if each.is_at_rest and each.copies.is_removable]
        if not resting:
            return False
        given_up = min(resting, key=lambda each: each.copies.asked_at)
        self._site.tell(Event("disk_full", "its copy gives way: the disk is full", endpoint=given_up.name, is_problem=True))
        await given_up.copies.keep(set())
        return True

    # ── housekeeping

    def keep_house(self, now: float) -> None:
        """Look who was used, send to sleep who was not for long, and whoever is too much."""
        self._look(now)
        self._forget_gone()
        for endpoint in list(self._endpoints.values()):
            if endpoint.is_asleep or endpoint.is_leaving:
                self._promised.pop(endpoint.name, None)
                self._use.forget(endpoint.name)
                continue
            if endpoint.is_hopeless or (endpoint.is_served and not self._is_loading(endpoint)):
                self._promised.pop(endpoint.name, None)
            if endpoint.is_on_demand and endpoint.is_hopeless and endpoint.failed_for_s > _RETRY_S:
                # Whoever asks next has it tried again; until then nobody waits for it.
                endpoint.retry()
                endpoint.sleep()
                continue
            idle_s, limit_s = now - self._use.last(endpoint.name), endpoint.order.settings.sleep_after_s
            if limit_s is not None and not endpoint.is_pinned and idle_s > limit_s and not self._is_busy(endpoint, now):
                self._sleep(endpoint, f"nobody asked for {idle_s:.0f} s")
        if self._is_bounded:
            for name in too_many(self._residents(), self._room()):
                self._sleep(self._endpoints[name], "more memory is held than there is to be")

    def _forget_gone(self) -> None:
        """Names come and go: nothing is kept of those that went but what their versions took, and of that not all."""
        for name in self._promised.keys() - self._endpoints.keys():
            del self._promised[name]
        self._use.keep(self._endpoints)
        while len(self._sizes) > _MOST_SIZES:
            del self._sizes[next(iter(self._sizes))]

    def forget(self, replica: "WorkerReplica") -> None:
        """A worker has ended."""
        self._expected.pop(replica.id, None)
        self._guessed.pop(replica.id, None)
        self._held.pop(replica.id, None)

    # ── what is

    @property
    def _is_bounded(self) -> bool:
        """Whether anything is to be kept below a bound."""
        settings = self._site.settings
        return settings.memory_budget is not None or settings.max_resident is not None

    def _decide(self, endpoint: "Endpoint", needed: int, *, is_new: bool) -> Decision:
        """What is to be done for so much room; whoever has to go for it is told to."""
        self._look()
        decision = make_room(needed, self._residents(), self._room(), is_new=is_new)
        if isinstance(decision, Evict):
            for name in decision.names:
                self._sleep(self._endpoints[name], f"to make room for {endpoint.name}")
        return decision

    def _sleep(self, endpoint: "Endpoint", why: str) -> None:
        self._promised.pop(endpoint.name, None)
        endpoint.sleep()
        self._site.tell(Event("asleep", f"sleeps: {why}", endpoint.serving, endpoint=endpoint.name))

    def _look(self, now: float | None = None) -> None:
        """Read counters and memory, if that was not done just now."""
        now = time.monotonic() if now is None else now
        if now - self._looked_at < _LOOK_S / 2:
            return
        self._looked_at = now
        for endpoint in self._endpoints.values():
            replicas = endpoint.crew.replicas.values()
            if not replicas:
                continue
            self._use.look(endpoint.name, (replica.version for replica in replicas), now)
            for replica in replicas:
                held = replica.rss_bytes
                self._held[replica.id] = held
                if replica.state is ReplicaState.READY and held:
                    self._sizes[endpoint.name, replica.version] = held
                    self._guessed.pop(replica.id, None)
        self._guess_again()

    def _guess_again(self) -> None:
        """What others turned out to take is a better guess of those that still load."""
        sizes = list(self._sizes.values())
        for replica, files in self._guessed.items() if sizes else ():
            if replica in self._expected:
                self._expected[replica] = min(self._expected[replica], estimate(None, sizes, files))

    def _is_more_known_soon(self) -> bool:
        """Whether somebody loads, with memory that was promised before it was known how much it takes."""
        replicas = (replica for endpoint in self._endpoints.values() for replica in endpoint.crew.replicas.values())
        return any(replica.state is ReplicaState.STARTING and replica.id in self._expected for replica in replicas)

    def _residents(self) -> list[Resident]:
        now = time.monotonic()
        found = []
        for endpoint in self._endpoints.values():
            replicas = endpoint.crew.replicas.values()
            if not replicas and endpoint.name not in self._promised:
                continue
            held = self._promised.get(endpoint.name, 0) + sum(map(self._held_by, replicas))
            # Also where nothing but a place was promised: else those that wake together would all be let in.
            is_leaving = endpoint.is_asleep or endpoint.is_leaving
            is_busy = self._is_busy(endpoint, now)
            last = self._use.last(endpoint.name)
            measured = min(held, sum(self._held.get(replica.id, 0) for replica in replicas))
            found.append(Resident(endpoint.name, held, last, is_busy, endpoint.is_pinned, is_leaving, measured))
        return found

    def _held_by(self, replica: "WorkerReplica") -> int:
        held = self._held.get(replica.id, 0)
        return max(held, self._expected.get(replica.id, 0)) if replica.state is ReplicaState.STARTING else held

    def _is_busy(self, endpoint: "Endpoint", now: float) -> bool:
        replicas = endpoint.crew.replicas.values()
        if not endpoint.is_served or self._use.in_flight(endpoint.name):
            return True
        youngest = max((replica.ready_at or now for replica in replicas), default=now)
        return now - youngest < GRACE_S or self._is_loading(endpoint)

    @staticmethod
    def _is_loading(endpoint: "Endpoint") -> bool:
        return any(replica.state is ReplicaState.STARTING for replica in endpoint.crew.replicas.values())

    def _room(self) -> Room:
        settings = self._site.settings
        promised = sum(self._promised.values())
        for endpoint in self._endpoints.values():
            for replica in endpoint.crew.replicas.values():
                promised += self._held_by(replica) - self._held.get(replica.id, 0)
        # What forked workers share is held once, and by nobody who could be sent to sleep.
        budget = None if settings.memory_budget is None else max(settings.memory_budget - self._site.forks.held_bytes, 0)
        return Room(budget, settings.max_resident, self._site.memory() - promised)

    async def _estimate(
        self, endpoint: "Endpoint", version: str | None = None, replica: "WorkerReplica | None" = None
    ) -> int:
        """What one worker of an endpoint will probably take; for this replica, if there is one, guessed anew later."""
        if self._site.settings.memory_budget is None:
            return 0
        label = version or endpoint.settled or endpoint.wanted
        known = self._sizes.get((endpoint.name, label or ""))
        if known is not None:
            return known
        resolved = endpoint.crew.versions.get(label or "")
        files = await asyncio.to_thread(_files_bytes, resolved.folder) if resolved is not None else 0
        if replica is not None:
            self._guessed[replica.id] = files
        return estimate(None, list(self._sizes.values()), files)


def _files_bytes(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:
        return 0
