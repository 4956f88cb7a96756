"""One endpoint while it lives: what is wanted of it, what is remembered, and the replicas that answer for it."""

import asyncio
import contextlib
import dataclasses
import time

from podium.domain.rollout import Desired, is_hopeless, plan
from podium.errors import LoadFailed
from podium.fleet import logs
from podium.fleet.actions import Crew
from podium.fleet.copies import Copies
from podium.fleet.events import Event
from podium.fleet.isolation import World, check_isolation
from podium.fleet.journal import JournalKeeper
from podium.fleet.observer import observe
from podium.fleet.publisher import Publisher
from podium.fleet.runfiles import EndpointFolder
from podium.fleet.site import EndpointOrder, Site
from podium.fleet.sources import Wish, follow, follows
from podium.fleet.status import Served, Situation

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
    """

    def __init__(self, order: EndpointOrder, site: Site, publisher: Publisher, folder: EndpointFolder) -> None:
        def tell(event: Event) -> None:
            site.tell(dataclasses.replace(event, endpoint=order.name))

        self.name = order.name
        self._order = order
        self._site = dataclasses.replace(site, tell=tell)
        self._publisher = publisher
        self._wish = order.first
        self._logs = site.home.logs / order.name
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keeper = JournalKeeper(folder)
        settings = order.settings
        self.copies = Copies(
            folder.models,
            site.home,
            settings.environment,
            lambda text: tell(Event("environment", text)),
            settings.terms,
            check_isolation(settings.isolation, settings.worker_user),
            World(settings.isolation, settings.worker_env, settings.worker_user),
            settings.verify_key,
        )
        self.crew = Crew(order, self._site, publisher, self.copies, self._keeper)
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take in what the source said, and listen to it from now on."""
        self._hear(self._order.first)
        if follows(self._order.reference):
            following = follow(
                self._order.reference, self._order.first, self._order.source, self._site.settings.poll_s, self._hear
            )
            self._following = self._site.tasks.create_task(following, name=f"source of {self.name}")

    def stop_following(self) -> None:
        """Want what is wanted now: the server ends."""
        if self._following is not None:
            self._following.cancel()

    @property
    def served(self) -> Served | None:
        """The version that serves now, as it was prepared and loaded."""
        targets = self._publisher.targets(self.name)
        return self.crew.served.get(targets[0].version) if targets else None

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing ever served, and nothing will until something else is wanted."""
        return is_hopeless(self._desired, self._keeper.journal)

    @property
    def has_settled(self) -> bool:
        """Whether a version ever served, in every gateway."""
        return self._keeper.journal.stable is not None

    def failure(self) -> LoadFailed | None:
        """Why it is hopeless; None where it is not."""
        if not self.is_hopeless:
            return None
        journal = self._keeper.journal
        failure = journal.vetoed.get(journal.wanted or "")
        if failure is None:
            return LoadFailed(f"Nothing to serve was found. {self._wish.error or ''}".rstrip(), "not_found")
        text = f"Version {journal.wanted} did not load. {failure.message}"
        return LoadFailed(f"{text}\nWhat its process wrote: podium logs {self.name}", failure.cause)

    def steer(self) -> None:
        """Do all that can be done now."""
        for _ in range(_MOST_ACTIONS):
            seen = observe(self.name, self.crew.replicas.values(), self._publisher, self._keeper.journal, time.monotonic())
            action = plan(self._desired, seen)
            if action is None:
                return
            self.crew.act(action)

    async def keep_house(self) -> None:
        """Let go of what belongs to versions of the past."""
        needed = self.crew.needed()
        self.crew.forget(needed)
        await self.copies.keep(needed)

    def rotate_logs(self) -> None:
        """Cut what has grown too long; in any thread."""
        with contextlib.suppress(OSError):
            logs.rotate(self._logs)

    def situation(self) -> Situation:
        """Everything that is told of it."""
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
            replicas_wanted=self._order.settings.replicas,
            served=self.crew.served,
            counts=self.crew.counts,
            is_hopeless=self.is_hopeless,
            isolation=self._order.settings.isolation,
        )

    @property
    def _desired(self) -> Desired:
        wanted = self._wish.resolved.label if self._wish.resolved else None
        return Desired(wanted, self._order.settings.replicas)

    def _hear(self, wish: Wish) -> None:
        """The source said something new."""
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
