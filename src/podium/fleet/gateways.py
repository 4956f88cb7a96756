"""The gateways: front processes on listening sockets that the supervisor keeps, started again at once when they die."""

import contextlib
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from podium.domain.lifecycle import ReplicaState
from podium.domain.planning import Crashes, restart_at
from podium.domain.rollouts.evidence import Evidence
from podium.domain.traffic import RoutingTable, table_to_json
from podium.errors import Unavailable
from podium.fleet.bell import Bell
from podium.fleet.host.logs import gateway_log
from podium.fleet.host.machine import oom_kills
from podium.fleet.site import Site
from podium.fleet.telling.changes import part_of
from podium.fleet.telling.series import SeriesBook
from podium.fleet.workers.causes import Cause, cause_of_death
from podium.fleet.workers.children import Child, spawn
from podium.fleet.workers.replica import WorkerReplica
from podium.telemetry.evidence import Outcomes
from podium.transport.door_messages import StandBack, StandIn
from podium.transport.messages import (
    Acknowledge,
    AddReplica,
    Ask,
    Drain,
    DropReplica,
    Message,
    Publish,
    ReplicaLost,
    ReplicaReleased,
    Started,
    Tell,
)

_SURVIVED_S = 60.0
_FIRST_TRIES = 3
_RECONNECT_S = 1.0


@dataclass(frozen=True, slots=True)
class Announcement:
    """A routing table and whether the server is ready: what a gateway that is started again begins with."""

    table: RoutingTable
    is_ready: bool


class GatewayProcess:
    """One living gateway process.

    Attributes:
        holds: The replicas it may still have requests on.
        stands_in: For the slots of dead ones, whose connections it accepts.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self.born_at = time.monotonic()
        self.is_started = False
        self.epoch = -1
        self.published_at: float | None = None
        self.holds: set[int] = set()
        self.lost: dict[int, float] = {}
        self.stands_in: set[int] = set()


class Gateways:
    """All gateways by slot. Each slot's task is `run`; the rest is called from the same loop.

    Args:
        site: The server's.
        sockets: One listening socket for each slot; closed by `close_doors`.
        slots: Descriptor of the counters that outlive a gateway.
        series: Which of the counters are whose.
        died: Called with the slot and the cause when one died by itself.
        grpc_address: Where each listens for gRPC too, HOST:PORT; None: nowhere.
        exports: The descriptor of what they hand on, by its flag; nothing where nobody wants it.
    """

    def __init__(
        self,
        site: Site,
        sockets: Sequence[socket.socket],
        slots: int,
        series: SeriesBook,
        died: Callable[[int, Cause], None],
        grpc_address: str | None = None,
        exports: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.restarts = 0
        self._is_stopping = False
        self._vacant: set[int] = set()
        self._stopped = Bell()
        self._site = site
        self._sockets = list(sockets)
        self._slots_fd = slots
        self._slots = series.slots
        self._series = series
        self._died = died
        front = site.programs.front
        self._grpc = () if grpc_address is None else ("--grpc-address", grpc_address)
        self._front = {**({} if front is None else {"--front-fd": front}), **exports}
        self._replicas: dict[int, WorkerReplica] = {}
        self._living: dict[int, GatewayProcess] = {}
        self._current: Announcement | None = None
        self._status: Tell | None = None
        self._serial = 0
        self._is_proven = False

    @property
    def count(self) -> int:
        return len(self._sockets)

    def is_acknowledged(self, epoch: int) -> bool:
        """Whether every living gateway routes by the table of this epoch; a dead one routes nothing."""
        return all(gateway.epoch >= epoch for gateway in self._living.values())

    def is_released(self, replica: int) -> bool:
        """Whether no living gateway has a request outstanding on a replica that was dropped."""
        return all(replica not in gateway.holds for gateway in self._living.values())

    def pids(self) -> dict[int, int]:
        """Slot to process id."""
        return {slot: gateway.child.pid for slot, gateway in sorted(self._living.items())}

    async def run(self, slot: int) -> None:
        """Keep this slot's gateway alive until the server stops.

        Raises:
            Unavailable: At the server's start it died again and again before it ever listened.
        """
        crashes = Crashes(0, 0.0)
        while True:
            lived_s, cause = await self._live(slot)
            if self._is_stopping:
                return
            self.restarts += 1
            count = 1 if lived_s >= _SURVIVED_S else crashes.count + 1
            crashes = Crashes(count, time.monotonic())
            self._died(slot, cause)
            if count >= _FIRST_TRIES and not self._is_proven:
                raise Unavailable(f"The gateway does not start. {cause.message}")
            delay_s = restart_at(crashes, 1) - time.monotonic()
            if await self._stopped.until(lambda: self._is_stopping, delay_s):
                return

    def publish(self, announcement: Announcement) -> None:
        """Send a table to all; `is_acknowledged` says when they route by it."""
        self._current = announcement
        for gateway in list(self._living.values()):
            self._publish(gateway)

    def add(self, replica: WorkerReplica) -> None:
        """Connect a ready replica with every gateway, living and to come, before a table names it."""
        self._replicas[replica.id] = replica
        for gateway in list(self._living.values()):
            self._connect(gateway, replica)

    def drop(self, replica: int) -> None:
        """Ask each gateway to say when it has nothing outstanding on a replica that no table names any more."""
        self._replicas.pop(replica, None)
        for gateway in list(self._living.values()):
            gateway.child.send(DropReplica(replica))

    def forget(self, replica: int) -> None:
        """The replica is dead: nobody can have anything outstanding there."""
        self._replicas.pop(replica, None)
        for gateway in self._living.values():
            gateway.lost.pop(replica, None)
            if replica in gateway.holds:
                gateway.holds.discard(replica)
                gateway.child.send(DropReplica(replica))

    def tell(self, status: dict[str, Any], metrics: dict[str, list[dict[str, Any]]], series: list[dict[str, str]]) -> None:
        """What people and monitoring ask a gateway for: what is new of it, for those who have heard the rest."""
        told, before = Tell(status, metrics, series), self._status
        if told == before:
            return
        self._status = told
        part = told if before is None else part_of(before, told)
        for gateway in list(self._living.values()):
            gateway.child.send(part)

    def evidence(self, endpoint: str, version: str) -> Evidence:
        """What all gateways have counted of a version so far."""
        return self._series.evidence((endpoint, version))

    def outcomes(self, endpoint: str, version: str) -> Outcomes:
        """What was reported of a version's answers so far."""
        return self._series.outcomes((endpoint, version))

    def check_deadlines(self, now: float) -> None:
        """Kill what does not boot, or does not take a table over, in time; it is started again with the newest table."""
        for gateway in list(self._living.values()):
            late_boot = not gateway.is_started and now - gateway.born_at > self._site.settings.boot_s
            since = gateway.published_at
            late = gateway.is_started and since is not None and now - since > self._site.settings.acknowledge_s
            if late_boot or late:
                gateway.child.kill()

    def reconnect(self, now: float) -> None:
        """Connect again what lost its data socket although both sides live."""
        for gateway in list(self._living.values()):
            for replica in self._ready():
                lost_at = gateway.lost.get(replica.id)
                if lost_at is not None and now - lost_at > _RECONNECT_S:
                    del gateway.lost[replica.id]
                    self._connect(gateway, replica)

    def drain(self, limit_s: float) -> None:
        """Let all finish what is in flight and end. No slot is filled again."""
        self._is_stopping = True
        self._stopped.ring()
        # Ours first: while any copy is open the kernel takes connections, and after the gateway's nobody accepts them.
        self.close_doors()
        for gateway in list(self._living.values()):
            gateway.child.send(Drain(limit_s))

    def kill(self) -> None:
        """End all at once. No slot is filled again."""
        self._is_stopping = True
        self._stopped.ring()
        for gateway in list(self._living.values()):
            gateway.child.kill()

    def close_doors(self) -> None:
        """Close our copies of the listening sockets."""
        for sock in self._sockets:
            sock.close()

    async def _live(self, slot: int) -> tuple[float, Cause]:
        """One process in this slot, from its start to its end."""
        before, born = oom_kills(), time.monotonic()
        log = gateway_log(self._site.logs, slot)
        settings = self._site.settings.gateway_settings
        module = (*self._site.programs.gateway, "--slot", str(slot), "--settings", settings, *self._grpc)
        inherited = {"--listen-fd": self._sockets[slot].fileno(), "--slots-fd": self._slots_fd, **self._front}
        try:
            child = spawn(module, inherited, log)
        except OSError as error:
            return 0.0, Cause("load_error", f"It could not be started: {error.strerror}.")
        gateway = self._living[slot] = GatewayProcess(child)
        for replica in self._ready():
            self._connect(gateway, replica)
        self._publish(gateway)
        if self._status is not None:
            child.send(self._status)
        try:
            while (messages := await child.receive()) is not None:
                for message in messages:
                    self._hear(slot, gateway, message)
            await child.over(5.0)
        finally:
            child.kill()
            del self._living[slot]
            self._vacant.add(slot)
            self._stand_in()
            status = await child.end()
            self._slots.reset_gauges(slot)
            self._site.bell.ring()
        return time.monotonic() - born, cause_of_death(status, before, oom_kills(), str(log))

    def _stand_in(self) -> None:
        """Have the connections of those that are dead accepted by those that live; the kernel goes on sending them."""
        if self._is_stopping:
            return
        for gateway in [each for each in self._living.values() if each.is_started]:
            for slot in sorted(self._vacant - gateway.stands_in):
                gateway.stands_in.add(slot)
                gateway.child.send(StandIn(slot), (self._sockets[slot].fileno(),))
            for slot in sorted(gateway.stands_in - self._vacant):
                gateway.stands_in.discard(slot)
                gateway.child.send(StandBack(slot))

    def _hear(self, slot: int, gateway: GatewayProcess, message: Message) -> None:
        match message:
            case Started():
                gateway.is_started = self._is_proven = True
                self._vacant.discard(slot)
                self._stand_in()
                if gateway.published_at is not None:
                    gateway.published_at = time.monotonic()
            case Acknowledge(epoch):
                gateway.epoch = max(gateway.epoch, epoch)
                if self._current is not None and gateway.epoch >= self._current.table.epoch:
                    gateway.published_at = None
            case ReplicaReleased(replica):
                gateway.holds.discard(replica)
            case ReplicaLost(replica):
                gateway.holds.discard(replica)
                gateway.lost[replica] = time.monotonic()
            case Ask():
                self._site.asks.take(message, gateway.child.send)
            case _:
                pass
        self._site.bell.ring()

    def _publish(self, gateway: GatewayProcess) -> None:
        if self._current is not None:
            gateway.child.send(Publish(table_to_json(self._current.table), self._current.is_ready))
            if gateway.published_at is None:
                gateway.published_at = time.monotonic()

    def _ready(self) -> list[WorkerReplica]:
        return [replica for replica in self._replicas.values() if replica.state is ReplicaState.READY]

    def _series_of(self, replica: WorkerReplica) -> int:
        in_use = frozenset((other.endpoint, other.version) for other in self._replicas.values())
        return self._series.index((replica.endpoint, replica.version), in_use)

    def _connect(self, gateway: GatewayProcess, replica: WorkerReplica) -> None:
        if replica.board is None or replica.id in gateway.holds:
            return
        self._serial += 1
        ours, theirs = socket.socketpair()
        with contextlib.closing(ours), contextlib.closing(theirs):
            if not replica.attach(self._serial, theirs):
                return
            ready = replica.ready
            added = AddReplica(
                replica.id,
                replica.endpoint,
                replica.version,
                self._serial,
                self._series_of(replica),
                None if ready is None else ready.plan,
                replica.settings.max_batch_rows if ready is not None and ready.is_batching else 0,
            )
            if gateway.child.send(added, (ours.fileno(), replica.board)):
                gateway.holds.add(replica.id)
