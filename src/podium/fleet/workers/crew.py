"""Doing what `plan` said: each action changes what is seen at once, and what takes time goes on in a task of its own."""

import asyncio
import errno
import time

from podium.domain.lifecycle import ReplicaState
from podium.domain.masking import masked
from podium.domain.planning import Action, Drain, Publish, Settle, Start, Stop
from podium.domain.sizes import size_text
from podium.domain.traffic import Target
from podium.errors import PodiumError, RegistryError
from podium.fleet.host.logs import worker_log
from podium.fleet.journal import JournalKeeper
from podium.fleet.publisher import Publisher
from podium.fleet.site import EndpointOrder, Site
from podium.fleet.telling.events import Event
from podium.fleet.telling.served_version import ServedVersion
from podium.fleet.telling.status import Counts
from podium.fleet.workers.audits import findings_of, notice_of
from podium.fleet.workers.causes import Cause
from podium.fleet.workers.copies import Copies, Prepared
from podium.fleet.workers.replica import Assignment, WorkerReplica
from podium.registry.resolve import Resolved
from podium.transport.counting_messages import Bootstrapped, Counting
from podium.transport.messages import Ready

_KILL_AFTER_S = 5.0


class Crew:
    """The replicas of one endpoint. Every replica's task belongs to the site's task group.

    Attributes:
        replicas: By id, until their lives are over.
        versions: What each label stands for, as the source said it.
        served: Versions that loaded here.
        counts: What happened so far.
        is_awaited: Whether somebody waits for what is started.
    """

    def __init__(
        self, order: EndpointOrder, site: Site, publisher: Publisher, copies: Copies, keeper: JournalKeeper
    ) -> None:
        self.replicas: dict[int, WorkerReplica] = {}
        self.versions: dict[str, Resolved] = {}
        self.served: dict[str, ServedVersion] = {}
        self.counts = Counts()
        self._order = order
        self._site = site
        self._copies = copies
        self._gateways = publisher.gateways
        self._publisher = publisher
        self._keeper = keeper
        self._began: dict[str, float] = {}
        self._bootstrapped: set[int] = set()
        self.is_awaited = False

    def refer(self, order: EndpointOrder) -> None:
        """Start by this order from now on."""
        self._order = order

    def act(self, action: Action) -> None:
        """Do one action. Afterwards the world is seen differently, so the same action is not asked for again."""
        match action:
            case Start(version):
                self._start(version)
            case Publish(targets):
                self._publish(targets)
            case Settle(version):
                self._settle(version)
            case Drain(identity):
                replica = self.replicas[identity]
                replica.begin_drain()
                self._site.tasks.create_task(self._drain(replica))
            case Stop(identity):
                self.replicas[identity].abandon()

    def ready(self) -> list[WorkerReplica]:
        """The replicas that gateways may be connected with."""
        return [replica for replica in self.replicas.values() if replica.state is ReplicaState.READY]

    def drain_all(self, limit_s: float) -> None:
        """The server stops, and its gateways have ended: every worker ends, those that are still loading at once."""
        for replica in list(self.replicas.values()):
            if replica.state is ReplicaState.STARTING:
                replica.abandon()
            elif replica.state is ReplicaState.READY:
                replica.begin_drain()
                replica.finish_drain(limit_s)

    def kill_all(self) -> None:
        for replica in list(self.replicas.values()):
            replica.kill(None)

    def needed(self) -> set[str]:
        """Versions whose private copies must stay."""
        journal = self._keeper.journal
        running = {replica.version for replica in self.replicas.values()}
        return running | {each for each in (journal.stable, journal.wanted, *journal.beside) if each is not None}

    def forget(self, versions: set[str]) -> None:
        """Keep nothing of any other version."""
        self.versions = {version: entry for version, entry in self.versions.items() if version in versions}
        self.served = {version: entry for version, entry in self.served.items() if version in versions}
        self._began = {version: entry for version, entry in self._began.items() if version in versions}

    def _start(self, version: str) -> None:
        identity = self._site.next_id()
        is_restart = version in self.served and version in self._keeper.journal.crashes
        self.counts.worker_restarts += is_restart
        self._began.setdefault(version, time.monotonic())
        placement = self._site.gpus.take(identity, self._order.settings.device)
        assignment = Assignment(
            identity,
            self.versions[version],
            self._order.name,
            self._order.settings,
            self._site.programs.worker,
            is_beside=self._publisher.is_serving,
            is_awaited=not self._publisher.targets(self._order.name),
            log=worker_log(self._site.home.logs / self._order.name, version),
            device=placement.device,
            environ=self._site.gpus.environ(placement),
        )
        replica = WorkerReplica(
            assignment,
            self._site.settings,
            self._prepare,
            lambda: self._make_room(replica),
            self._changed,
            self._told,
            self._site.forks,
        )
        self.replicas[identity] = replica
        verb = "restarting" if is_restart else "starting"
        self._site.tell(Event("loading", f"{verb} version {version} (replica {identity})", version))
        self._site.tasks.create_task(self._live(replica), name=f"replica {identity}")

    async def _live(self, replica: WorkerReplica) -> None:
        await replica.run()
        # From here to the end without a pause: whoever looks sees the replica before, or all that follows from its end.
        del self.replicas[replica.id]
        self._site.turns.give_back(replica.id)
        self._site.residency.forget(replica)
        self._site.gpus.give_back(replica.id)
        self._gateways.forget(replica.id)
        self._site.slabs.end(replica.id)
        self._bootstrapped.discard(replica.id)
        if replica.failure is not None:
            self._note_failure(replica)
        self._site.bell.ring()

    def _note_failure(self, replica: WorkerReplica) -> None:
        failure = replica.failure
        if failure is None:
            return
        if replica.was_draining:
            text = f"replica {replica.id} of version {replica.version} died while it drained: {failure.message}"
            self._site.tell(Event("worker_died", text, replica.version, is_problem=True))
            return
        before, now = self._keeper.journal.vetoed, time.monotonic()
        ready_s = None if replica.ready_at is None else now - replica.ready_at
        is_routed = any(target.version == replica.version for target in self._publisher.targets(self._order.name))
        self._keeper.ended(replica.version, failure, ready_s, is_routed, now)
        vetoed = self._keeper.journal.vetoed
        if replica.version in vetoed and replica.version not in before:
            self._began.pop(replica.version, None)
            stable = self._keeper.journal.stable
            rest = f" Version {stable} keeps serving." if stable else ""
            if ready_s is not None:
                what = f"version {replica.version} died again and again, and is not started any more"
                self._site.tell(Event("given_up", f"{what}: {failure.message}{rest}", replica.version, is_problem=True))
                return
            self.counts.failed(failure.cause)
            text = f"version {replica.version} did not load ({failure.cause}): {failure.message}{rest}"
            self._site.tell(Event("load_failed", text, replica.version, is_problem=True))
        else:
            text = f"replica {replica.id} of version {replica.version} died ({failure.cause}): {failure.message}"
            self._site.tell(Event("worker_died", text, replica.version, is_problem=True))

    def _publish(self, targets: tuple[Target, ...]) -> None:
        for number, target in enumerate(targets):
            for identity in target.replicas:
                self.replicas[identity].give_way(number > 0 and not target.weight)
        self._publisher.publish(self._order.name, targets)

    def _settle(self, version: str) -> None:
        before = self._keeper.journal.stable
        self._keeper.settled(version)
        took_s = time.monotonic() - self._began.pop(version, time.monotonic())
        if before is None:
            self._site.tell(Event("serving", f"version {version} serves", version))
        else:
            self.counts.swaps += 1
            self._site.tell(Event("swapped", f"version {before} -> {version}, {took_s:.1f} s after it was wanted", version))

    async def _drain(self, replica: WorkerReplica) -> None:
        """Wait until no gateway has a request on it, then let it end; each step within the limit."""
        ends = time.monotonic() + self._site.settings.drain_timeout_s
        self._gateways.drop(replica.id)
        await self._site.bell.until(
            lambda: self._gateways.is_released(replica.id) or replica.state.is_over, self._site.settings.drain_timeout_s
        )
        replica.finish_drain(max(ends - time.monotonic(), 1.0))
        limit_s = max(ends - time.monotonic(), 1.0) + _KILL_AFTER_S
        if not await self._site.bell.until(lambda: replica.state.is_over, limit_s):
            replica.kill(Cause("timeout", "It did not end when it was told to, and was killed."))
        elif replica.state is ReplicaState.STOPPED:
            text = f"version {replica.version} (replica {replica.id}) has ended"
            self._site.tell(Event("drained", text, replica.version))

    def _changed(self, replica: WorkerReplica) -> None:
        if replica.state is not ReplicaState.STARTING:
            self._site.turns.give_back(replica.id)
        if replica.state is ReplicaState.READY and replica.ready is not None and replica.prepared is not None:
            self._served(replica.version, replica.prepared, replica.ready)
            self._gateways.add(replica)
            if (slab := replica.take_slab()) is not None:
                self._site.slabs.add(slab)
            elif self._site.settings.has_monitor and replica.ready.profile_id is None:
                self._site.tasks.create_task(self._bootstrap(replica, replica.prepared.digest, None))
        self._site.bell.ring()

    def _told(self, replica: WorkerReplica, message: Bootstrapped | Counting) -> None:
        """A worker without a profile has made one of its first rows, or counts by one now."""
        if replica.prepared is None:
            return
        digest = replica.prepared.digest
        match message:
            case Counting():
                if (slab := replica.take_slab(self._site.bootstraps.path(digest))) is not None:
                    self._site.slabs.add(slab)
                    self._site.bell.ring()
            case Bootstrapped(profile) if replica.id not in self._bootstrapped:
                self._bootstrapped.add(replica.id)
                self._site.tasks.create_task(self._bootstrap(replica, digest, profile))
            case _:
                pass

    async def _bootstrap(self, replica: WorkerReplica, digest: str, told: str | None) -> None:
        """Have replicas count by the profile that is kept of a model's first rows: this one, or all where one told it."""
        bootstraps = self._site.bootstraps
        try:
            if told is None:
                known = await asyncio.to_thread(bootstraps.known, digest)
            else:
                known = await asyncio.to_thread(bootstraps.take, digest, told)
            if known is None:
                return
            for each in [replica] if told is None else self.ready():
                is_without = each.ready is not None and each.ready.profile_id is None
                if is_without and each.prepared is not None and each.prepared.digest == digest:
                    each.count_by(bootstraps.path(digest))
        except (PodiumError, OSError) as error:
            text = f"the first rows of version {replica.version} make no monitoring profile: {error}"
            self._site.tell(Event("bootstrapped", text, replica.version, is_problem=True))
            return
        if known == told:
            text = f"version {replica.version} is watched by a profile of its first rows, as it was logged without one"
            self._site.tell(Event("bootstrapped", text, replica.version))

    def _served(self, version: str, prepared: Prepared, ready: Ready) -> None:
        before, uri = self.served.get(version), masked(str(self._order.reference))
        findings = findings_of(uri, prepared, ready)
        self.served[version] = ServedVersion(prepared, ready, findings)
        if before is None and (notice := notice_of(findings, uri)):
            self._site.tell(Event("audit", f"version {version}: {notice}", version))

    async def _prepare(self, resolved: Resolved) -> Prepared:
        """As `Copies.prepare`; where the disk is full, copies of models that sleep give way, the longest asleep first."""
        while True:
            try:
                return await self._copies.prepare(resolved)
            except RegistryError as error:
                cause = error.__cause__
                is_full = isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}
                if not is_full or not await self._site.residency.clear_disk():
                    raise

    async def _make_room(self, replica: WorkerReplica) -> Cause | None:
        """What is short for one more, or None once there is memory for it and it is its turn to load."""
        limit_s = self._site.settings.drain_timeout_s + _KILL_AFTER_S
        short = await self._site.residency.make_room(replica, limit_s) or await self._wait_for_memory(replica)
        if short is None and not replica.is_abandoned:
            is_down = not self._publisher.targets(self._order.name)
            is_awaited = is_down and (self.is_awaited or self._keeper.journal.stable is not None)
            await self._site.turns.take(replica.id, self._order.name, is_awaited=is_awaited, is_beside=not is_down)
        return short

    async def _wait_for_memory(self, replica: WorkerReplica) -> Cause | None:
        """Whether there is memory for one more: about what a replica that serves takes. What drains is waited for."""
        beside = max(self.ready(), key=lambda other: other.rss_bytes, default=None)
        if beside is None:
            return None
        deadline = time.monotonic() + self._site.settings.drain_timeout_s + _KILL_AFTER_S
        while True:
            each = beside.rss_bytes
            growing = [
                max(each - other.rss_bytes, 0)
                for other in self.replicas.values()
                if other is not replica and other.state is ReplicaState.STARTING and other.pid
            ]
            needed, available = each + sum(growing), self._site.memory()
            if needed <= available:
                return None
            is_draining = any(other.state is ReplicaState.DRAINING for other in self.replicas.values())
            if not is_draining or time.monotonic() > deadline:
                return Cause(
                    "out_of_memory",
                    f"It needs about {size_text(each)}, which is what version {beside.version} takes, and "
                    f"{size_text(available)} are available. It was not started.",
                )
            await self._site.bell.wait(0.5)
