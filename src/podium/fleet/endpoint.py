"""One endpoint while it lives: what is wanted of it, what is remembered, and the replicas that answer for it."""

import asyncio
import contextlib
import dataclasses
import time
from functools import partial

from podium.domain.planning import Candidate, Desired, is_hopeless, plan
from podium.domain.traffic import Rules
from podium.errors import LoadFailed
from podium.fleet.beside import Beside
from podium.fleet.host import logs
from podium.fleet.host.runfiles import EndpointFolder
from podium.fleet.journal import JournalKeeper
from podium.fleet.loose_threads import LooseThreads
from podium.fleet.observer import observe
from podium.fleet.publisher import Publisher
from podium.fleet.rollouts.desk import EndpointStanding, desk_of
from podium.fleet.site import EndpointOrder, Site
from podium.fleet.sources import Wish, ask, follow, follows
from podium.fleet.telling.events import Event
from podium.fleet.telling.served_version import ServedVersion
from podium.fleet.telling.status import Situation
from podium.fleet.telling.traffic_status import Traffic
from podium.fleet.workers.copies import Copies
from podium.fleet.workers.crew import Crew
from podium.registry.resolve import Resolved

_MOST_ACTIONS = 1000


class Endpoint:
    """Makes what runs of one endpoint equal what is wanted of it; whatever befalls it, no other endpoint hears of it.

    Args:
        order: What was asked for.
        site: The server's.
        publisher: Holds the routing table of all endpoints.
        folder: Its part of the run folder.

    Attributes:
        crew: Its replicas.
        copies: The private copies of its versions.
        is_asleep: No replica is wanted until somebody asks for it.
        is_leaving: It is in no table any more, and ends once its replicas have.
    """

    def __init__(self, order: EndpointOrder, site: Site, publisher: Publisher, folder: EndpointFolder) -> None:
        def tell(event: Event) -> None:
            site.tell(dataclasses.replace(event, endpoint=order.name))

        self.name = order.name
        self.is_asleep = False
        self.is_leaving = False
        self._order = order
        self._site = dataclasses.replace(site, tell=tell)
        self._publisher = publisher
        self._folder = folder
        self._wish = order.first
        self._logs = site.home.logs / order.name
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keeper = JournalKeeper(folder)
        self._replicas = order.settings.replicas
        self.copies = Copies(folder.models, site.home, order.settings, lambda text: tell(Event("environment", text)))
        self.crew = Crew(order, self._site, publisher, self.copies, self._keeper)
        self._following: asyncio.Task[None] | None = None
        self._candidate: Candidate | None = None
        gateways = publisher.gateways
        self._beside = Beside(order, self._site, self._note_beside, gateways.evidence, gateways.outcomes)
        self._desk = desk_of(order, self._site, gateways.evidence)
        self._refreshing = asyncio.Lock()
        self._resting: Situation | None = None
        self._is_tidy = False

    def start(self) -> None:
        """Take in what the source said, and listen to it from now on."""
        self._publisher.open(self.name)
        self.hear(self._order.first)
        self._follow()
        self._beside.start()

    def try_out(self, candidate: Candidate | None, resolved: Resolved | None = None) -> None:
        """Give a version a part of the traffic beside the one that serves; None takes it back.

        Args:
            candidate: Which, and how much.
            resolved: What it is, where that was not said before.
        """
        if resolved is not None:
            self.crew.versions[resolved.label] = resolved
        if candidate != self._candidate:
            self._candidate = candidate
            self._note_beside()

    def refer(self, order: EndpointOrder) -> None:
        """Serve something else under the same name, as a swap: what serves does so until the new one is ready."""
        self.stop_following()
        self._order = order
        gateways = self._publisher.gateways
        self._desk = desk_of(order, self._site, gateways.evidence)
        self.crew.refer(order)
        self._beside = Beside(order, self._site, self._note_beside, gateways.evidence, gateways.outcomes)
        self.hear(order.first)
        self._follow()
        self._beside.start()

    def stop_following(self) -> None:
        """Want what is wanted now: the server ends."""
        self._beside.stop()
        self._desk.close()
        if self._following is not None:
            self._following.cancel()
            self._following = None

    async def refresh(self, threads: LooseThreads) -> None:
        """Look again what a reference that stands still stands for: a folder may hold something else by now."""
        source = self._order.source
        if follows(self._order.reference) or source is None:
            return
        async with self._refreshing:
            order = self._order
            for _ in range(2):  # Of a folder only what it held twice in a row counts.
                wish = await threads.run(partial(ask, source, order.reference, self._wish))
                if order is self._order and wish != self._wish:
                    self.hear(wish)

    def retry(self) -> None:
        """Try again what did not load."""
        self._keeper.retried()
        self._site.bell.ring()

    def scale(self, replicas: int, why: str) -> None:
        """Want so many replicas while it is awake."""
        self._site.tell(Event("scaled", f"{self._replicas} -> {replicas} replicas: {why}", self.serving))
        self._replicas = replicas
        self._site.bell.ring()

    def sleep(self) -> None:
        """Want no replica until `wake`."""
        self.is_asleep = True
        self._replicas = self._order.settings.replicas
        self._site.bell.ring()

    def wake(self) -> None:
        """Want as many replicas as are asked for; somebody waits for them."""
        self.is_asleep = False
        self.crew.is_awaited = True
        self._site.bell.ring()

    def leave(self) -> None:
        """End: its requests get 404 from now on, and those in flight are finished."""
        self.is_leaving = True
        self.stop_following()
        self._publisher.close(self.name)
        self._site.bell.ring()

    @property
    def is_gone(self) -> bool:
        """Whether it has left and nothing of it runs."""
        return self.is_leaving and not self.crew.replicas

    async def clear(self) -> None:
        """Leave nothing in the run folder; its logs stay."""
        self._publisher.forget(self.name)
        await self.copies.close()
        await self.copies.keep(set())
        await asyncio.to_thread(self._folder.remove)

    @property
    def replicas(self) -> int:
        """How many workers it has when it is awake."""
        return self._replicas

    @property
    def is_pinned(self) -> bool:
        """Whether it is never sent to sleep."""
        return not self.is_on_demand and self._order.settings.sleep_after_s is None

    @property
    def is_on_demand(self) -> bool:
        """Whether it is loaded when it is first asked."""
        settings = self._order.settings
        return settings.resident == "demand" or (settings.resident == "auto" and self._site.settings.is_on_demand)

    @property
    def is_served(self) -> bool:
        """Whether every gateway routes to a version of it."""
        return bool(self._publisher.targets(self.name)) and self._publisher.is_acknowledged(self.name)

    @property
    def is_whole(self) -> bool:
        """Whether every gateway routes to as many replicas of what is wanted as there are to be, and none still starts."""
        targets = self._publisher.targets(self.name)
        is_alone = self.has_arrived and len(targets) == 1
        return is_alone and len(targets[0].replicas) == self._replicas == len(self.crew.replicas)

    @property
    def settled(self) -> str | None:
        """The version that every gateway routed to last."""
        return self._keeper.journal.stable

    @property
    def failed_for_s(self) -> float:
        """How long ago what is wanted did not load; 0 where it did or is not known."""
        failure = self._keeper.journal.vetoed.get(self.wanted or "")
        return max(time.time() - failure.at, 0.0) if failure is not None else 0.0

    @property
    def order(self) -> EndpointOrder:
        """What was asked for last."""
        return self._order

    @property
    def wish(self) -> Wish:
        """What its source said last."""
        return self._wish

    @property
    def wanted(self) -> str | None:
        """The version that its source names."""
        return self._wish.resolved.label if self._wish.resolved else None

    @property
    def serving(self) -> str | None:
        """The version that requests go to."""
        targets = self._publisher.targets(self.name)
        return targets[0].version if targets else None

    @property
    def served(self) -> ServedVersion | None:
        """The version that serves now, as it was prepared and loaded."""
        return self.crew.served.get(self.serving or "")

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing ever served, and nothing will until something else is wanted."""
        journal = self._keeper.journal  # Looked into first: this is asked of a thousand at every turn.
        return (self.wanted is None or bool(journal.vetoed)) and is_hopeless(Desired(self.wanted, 0), journal)

    @property
    def has_settled(self) -> bool:
        """Whether a version ever served, in every gateway."""
        return self._keeper.journal.stable is not None

    @property
    def has_arrived(self) -> bool:
        """Whether every gateway routes to what is wanted."""
        is_known = self._publisher.is_acknowledged(self.name)
        return self.wanted is not None and self.wanted == self.serving == self._keeper.journal.stable and is_known

    def failure(self) -> LoadFailed | None:
        """Why what is wanted does not serve and is not tried; None where it does or is."""
        return self._keeper.failure(self.wanted, self.name, self._wish.error)

    @property
    def standing(self) -> tuple[object, ...]:
        """All that it is steered by but the time: as long as this stays equal, only a later time has it do anything."""
        wanted = (self._wish, self._replicas, self._candidate, self.is_asleep, self.is_leaving, self._keeper.journal)
        routed = (self._publisher.targets(self.name), self._publisher.is_acknowledged(self.name))
        return (wanted, routed, [(replica.id, replica.state) for replica in self.crew.replicas.values()])

    def steer(self) -> None:
        """Do all that can be done now."""
        guidance = self._desk.guide()
        if guidance.resolved != self._wish.resolved:
            self._want(dataclasses.replace(self._wish, resolved=guidance.resolved))
        self.try_out(guidance.candidate, guidance.tried)
        self._beside.learn(self.serving, is_held=self._candidate is not None)
        if not self.is_leaving:
            self._publisher.rule(self.name, self._rules())
        for _ in range(_MOST_ACTIONS):
            seen = observe(self.name, self.crew.replicas.values(), self._publisher, self._keeper.journal, time.monotonic())
            action = plan(self._desired, seen)
            if action is None:
                break
            self.crew.act(action)
        is_known = self._publisher.is_acknowledged(self.name)
        targets = self._publisher.targets(self.name)
        self._desk.tick(EndpointStanding(targets, is_known, self._keeper.journal))
        self._beside.compare(targets, is_held=self._candidate is not None, is_settled=is_known)

    @property
    def is_at_rest(self) -> bool:
        """Whether it sleeps and nothing of it runs: then nothing is to be done, however many there are like it."""
        return self.is_asleep and not self.crew.replicas and not self._publisher.targets(self.name)

    async def keep_house(self) -> None:
        """Let go of what belongs to versions of the past."""
        if self._is_tidy and self.is_at_rest:
            return
        needed = self.crew.needed()
        self.crew.forget(needed)
        await self.copies.keep(needed)
        self._is_tidy = self.is_at_rest

    def rotate_logs(self) -> None:
        """Cut what has grown too long; in any thread."""
        if self._is_tidy:
            return
        with contextlib.suppress(OSError):
            logs.rotate(self._logs)

    def situation(self) -> Situation:
        """Everything that is told of it; the same value as before where it rests and nothing is new."""
        known, is_at_rest = self._resting, self.is_at_rest and not self.is_leaving
        if known is not None and is_at_rest and known.wish is self._wish and known.journal is self._keeper.journal:
            return known
        situation = self._situation()
        self._resting = situation if is_at_rest and situation.is_acknowledged else None
        return situation

    def _situation(self) -> Situation:
        return Situation(
            endpoint=self.name,
            uri=str(self._order.reference),
            wish=self._wish,
            is_followed=follows(self._order.reference),
            journal=self._keeper.journal,
            failures=self._keeper.failures,
            targets=self._publisher.targets(self.name),
            is_acknowledged=self._publisher.is_acknowledged(self.name),
            replicas=list(self.crew.replicas.values()),
            replicas_wanted=self._desired.replicas,
            served=self.crew.served,
            counts=self.crew.counts,
            is_hopeless=self.is_hopeless,
            isolation=self._order.settings.isolation,
            is_asleep=self.is_asleep,
            is_leaving=self.is_leaving,
            traffic=self._traffic(),
            rollout=self._desk.status(),
            pin=self._desk.pin(),
            clock=self._desk.clock_status(),
            purpose=self._order.settings.purpose,
            drift=self._order.settings.drift,
        )

    def _traffic(self) -> Traffic | None:
        rules = self._publisher.rules(self.name)
        if rules is None:
            return None
        shadow = rules.shadow
        seen = None if shadow is None else self._publisher.gateways.evidence(self.name, shadow.version)
        return Traffic(rules, self._beside.problems(), seen, self._beside.standings, self._beside.trial)

    def asked(self, began_at: float) -> None:
        """Its source was asked, as `fleet.rollouts.desk.Desk.asked`."""
        self._desk.asked(began_at)

    def hear(self, wish: Wish) -> None:
        """The source said something new."""
        self._desk.hear(wish)
        self._want(dataclasses.replace(wish, resolved=self._desk.guide().resolved))

    def _want(self, wish: Wish) -> None:
        """Something else is wanted, by the source, a rollout or a pin."""
        before, self._wish = self._wish, wish
        if wish.is_up != before.is_up:
            text = "the registry answers again" if wish.is_up else f"the registry does not answer: {wish.error}"
            self._site.tell(Event("source_back" if wish.is_up else "source_lost", text, is_problem=not wish.is_up))
        if wish.resolved is not None:
            label = wish.resolved.label
            self.crew.versions[label] = wish.resolved
            if label != self._keeper.journal.wanted and self._keeper.journal.wanted is not None:
                self._site.tell(Event("wanted", f"{self._order.reference} is now version {label}", label))
            self._keeper.wanted(label)
        elif wish.is_up:
            rest = "is wanted any more, so what serves keeps serving" if self.has_settled else "is there to serve"
            self._site.tell(Event("nothing_wanted", f"nothing {rest}: {wish.error}", is_problem=True))
        self._site.bell.ring()

    @property
    def _desired(self) -> Desired:
        replicas = 0 if self.is_asleep or self.is_leaving else self._replicas
        return Desired(self.wanted, replicas, self._candidate, self._beside.parts)

    def _rules(self) -> Rules | None:
        before, targets = self._publisher.rules(self.name), self._publisher.targets(self.name)
        if self._candidate is None and before is not None and any(each.version == before.salt for each in targets[1:]):
            return before  # Who has the former candidate keeps it until that has all of the traffic, or none.
        return self._beside.rules(self._candidate)

    def _note_beside(self) -> None:
        """Something else is wanted beside."""
        for resolved in self._beside.resolved:
            self.crew.versions[resolved.label] = resolved
        self._keeper.beside(self._desired)
        self._site.bell.ring()

    def _follow(self) -> None:
        source = self._order.source
        if follows(self._order.reference) and source is not None:
            poll_s = self._site.settings.poll_s
            asked = self._desk.asked
            following = follow(self._order.reference, self._order.first, source, poll_s, self.hear, asked)
            self._following = self._site.tasks.create_task(following, name=f"source of {self.name}")
