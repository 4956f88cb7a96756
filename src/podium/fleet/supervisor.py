"""The loop: observe, plan, act, publish. One process that owns every other and touches neither requests nor models."""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from podium.domain.devices import DEFAULT_DEVICE
from podium.errors import PodiumError
from podium.fleet.bell import Bell
from podium.fleet.capacity.residency import Residency
from podium.fleet.capacity.scaling import Scaler
from podium.fleet.capacity.spending import Spending
from podium.fleet.capacity.use import Use
from podium.fleet.endpoint import Endpoint
from podium.fleet.exporter import Exporter
from podium.fleet.failures import first_cause, why_nothing_serves
from podium.fleet.gateways import Gateways
from podium.fleet.host import logs, ports, runfiles
from podium.fleet.host.machine import available_memory, cpu_limit
from podium.fleet.host.runfiles import RunFolder
from podium.fleet.loading import LoadVerbs
from podium.fleet.monitor import MonitorProcess
from podium.fleet.page import DashboardPage
from podium.fleet.publisher import Publisher
from podium.fleet.roster import Roster
from podium.fleet.site import Programs, ServerOrder, Site
from podium.fleet.steering import Steering
from podium.fleet.telling.describing import DescribeVerb
from podium.fleet.telling.events import Event
from podium.fleet.telling.facts import facts_of
from podium.fleet.telling.herald import Herald
from podium.fleet.telling.identity import identity_of
from podium.fleet.telling.series import SeriesBook
from podium.fleet.telling.status import Overview, Situation
from podium.fleet.whole_registry import WholeRegistry
from podium.fleet.workers.bootstraps import Bootstraps
from podium.fleet.workers.causes import Cause
from podium.fleet.workers.forks import Forks
from podium.fleet.workers.gpus import GpuBook, visible_gpus
from podium.fleet.workers.isolation import check_isolation
from podium.fleet.workers.orphans import reap_orphans
from podium.fleet.workers.turns import Turns
from podium.telemetry.slots import Slots, create_slots
from podium.transport.slices import MODERATE_NS, long_slices

_TICK_S = 0.25
_HOUSEKEEPING_S = 1.0
_ROTATE_S = 2.0
_PAUSED_S = 5.0
_MARGIN_S = 3.0
_FEW = 20
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Serves one or several endpoints until it is told to stop.

    Args:
        order: What was asked for.
        tell: Called with each event, from the event loop's thread.
        programs: The children's modules.
        memory: Bytes that are available on this machine now.

    Attributes:
        endpoints: By name, while it runs.
        status: The document as it was told last; see `fleet/telling/status.py`.
    """

    def __init__(
        self,
        order: ServerOrder,
        tell: Callable[[Event], None] = lambda _: None,
        programs: Programs | None = None,
        memory: Callable[[], int] = available_memory,
    ) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self.status: dict[str, Any] = {}
        self._order = order
        self._tell_outside = tell
        self._programs = programs or Programs()
        self._memory = memory
        self._bell = Bell()
        self._is_stopping = False
        self._is_hurried = False
        self._is_announced = False
        self._failure: PodiumError | None = None
        self._grpc: socket.socket | None = None
        self._log = logging.getLogger("podium.fleet")
        self._status_again_at = 0.0
        self._was_announced = False
        self._identity: dict[str, Any] = {}
        self._folder: RunFolder
        self._gateways: Gateways
        self._monitor: MonitorProcess
        self._publisher: Publisher
        self._roster: Roster
        self._residency: Residency
        self._forks: Forks
        self._herald: Herald | None = None
        self._may_grow = order.catalogue is not None and order.catalogue.may_grow

    async def run(self) -> None:
        """Serve until a signal, then drain.

        Raises:
            Misconfigured: The port or PODIUM_HOME cannot be used.
            LoadFailed: No endpoint's first version did load; nothing was ever served.
            Unavailable: The gateways do not start.
        """
        home, settings = self._order.home, self._order.settings
        with contextlib.ExitStack() as stack:
            stack.enter_context(long_slices(MODERATE_NS))
            for order in self._order.endpoints:
                check_isolation(order.settings.isolation, order.settings.worker_user)
            sockets = ports.listen(settings.host, settings.port, settings.gateways)
            if settings.grpc_port is not None:
                self._grpc = stack.enter_context(ports.reserve(settings.host, settings.grpc_port))
            for sock in sockets:
                stack.callback(sock.close)
            self._folder = RunFolder.create(home)
            stack.callback(self._folder.remove)
            folder = home.logs / self._order.name
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(_logging_to(self._log, folder))
            for facts in runfiles.sweep(home):
                pid, endpoint = facts.get("pid"), facts.get("endpoint")
                self._log.warning("removed what server %s (pid %s) left when it died", endpoint, pid)
            slots = create_slots(settings.gateways)
            stack.callback(os.close, slots)
            counters = Slots(slots)
            stack.callback(counters.close)
            port = sockets[0].getsockname()[1]
            self._identity = identity_of(self._order, self._folder, port, self._grpc_address)
            try:
                await self._serve(sockets, slots, SeriesBook(counters), folder)
            except BaseExceptionGroup as group:
                raise first_cause(group) from group
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Drain and end; called again, end at once."""
        if self._is_stopping:
            self._is_hurried = True
        self._is_stopping = True
        self._bell.ring()

    async def _serve(self, sockets: Sequence[socket.socket], slots: int, series: SeriesBook, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            # A `nohup` before us meant it.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self.stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                next_id = itertools.count(1).__next__
                self._forks = Forks(logs.forks_log(folder), tasks.create_task)
                use = Use(series)
                site = Site(
                    self._order.home,
                    self._order.settings,
                    self._programs,
                    folder,
                    self._bell,
                    self._tell,
                    self._memory,
                    next_id,
                    tasks,
                    GpuBook(visible_gpus(), os.environ.get(DEFAULT_DEVICE, "")),
                    Residency(use),
                    Turns(self._order.settings.max_loading),
                    self._forks,
                    Bootstraps(self._order.home.profiles),
                )
                self._take_on(site, sockets, slots, series)
                self._publisher = Publisher(self._gateways, self._order.default, may_be_empty=self._may_grow)
                self._roster = Roster(site, self._publisher, self._folder, series)
                self.endpoints = self._roster.endpoints
                self._residency = site.residency
                self._residency.begin(site, self.endpoints)
                self._publisher.hold()
                for order in self._order.endpoints:
                    self._roster.open(order)
                self._publisher.go_on()
                DescribeVerb(site, self._roster)
                if self._order.catalogue is not None:
                    LoadVerbs(site, self._roster, self._order.catalogue)
                following = self._follow_registry(site)
                for slot in range(self._order.settings.gateways):
                    tasks.create_task(self._gateways.run(slot), name=f"gateway {slot}")
                for child in (self._exporter, self._monitor, self._page):
                    tasks.create_task(child.run(), name=type(child).__name__)
                housekeeping = tasks.create_task(self._keep_house(use), name="housekeeping")
                await self._steer()
                await self._shut_down(site, following)
                for child in (self._exporter, self._monitor, self._page):
                    await child.close()
                housekeeping.cancel()
        finally:
            await self._forks.close()  # again: whoever was begun when something failed was not there yet
            for endpoint in self.endpoints.values():
                await endpoint.copies.close()
            for number in _STOP_SIGNALS:
                loop.remove_signal_handler(number)

    def _take_on(self, site: Site, sockets: Sequence[socket.socket], slots: int, series: SeriesBook) -> None:
        """Those who watch what the gateways do, the gateways, and who tells of them; none of them runs yet."""
        self._exporter, self._page = Exporter(site, slots), DashboardPage(site)
        monitor = self._monitor = MonitorProcess(site, slots, series, lambda: facts_of(self._situations()))
        parts = self._gateway_died, self._grpc_address, {**self._exporter.for_gateways, **monitor.for_gateways}
        self._gateways = Gateways(site, sockets, slots, series, *parts)
        self._herald = Herald(self._folder, self._gateways, series, self._exporter, lambda: monitor.gauges)

    def _follow_registry(self, site: Site) -> asyncio.Task[None] | None:
        """Where a whole registry is served, keep like it."""
        order = self._order
        if order.take is None or order.order_of is None:
            return None
        named = frozenset(each.name for each in order.endpoints if each.source is not None)
        registry = WholeRegistry(site, self._roster, order.take, order.order_of, named)
        registry.begin(order.endpoints)
        return site.tasks.create_task(registry.follow(), name="registry")

    async def _steer(self) -> None:
        """Make what runs equal to what is wanted, until the server is to stop."""
        steering = Steering(self.endpoints, self._publisher)
        while not self._is_stopping:
            steering.turn(time.monotonic())
            self._publish_status()
            if len(steering.hopeless) == len(self.endpoints) and not self._may_grow and not self._is_announced:
                self._failure = why_nothing_serves(self.endpoints.values())
                return
            self._announce()
            await self._bell.wait(_TICK_S)

    def _announce(self) -> None:
        """Say once that the server is ready: it is decided of every endpoint whether it serves."""
        if self._is_announced:
            return
        is_ready = self._publisher.is_ready and all(
            endpoint.has_settled or endpoint.is_hopeless or endpoint.is_asleep for endpoint in self.endpoints.values()
        )
        if is_ready:
            self._is_announced = True
            self._tell(Event("ready", f"the server is ready at {self._identity['url']}"))

    async def _shut_down(self, site: Site, following: asyncio.Task[None] | None) -> None:
        """In the reverse order of start: take in nothing, say not ready, gateways finish what is in flight, workers end."""
        self._is_stopping = True
        # Nobody steers any more: what would still be loaded would never be ready, and who comes never stopped.
        site.asks.close()
        if following is not None:
            following.cancel()
        for endpoint in self.endpoints.values():
            endpoint.stop_following()
        self._tell(Event("stopping", "stopping: requests in flight are finished"))
        limit_s = self._order.settings.drain_timeout_s
        self._publisher.withdraw()
        self._publish_status()
        self._gateways.drain(limit_s)
        await self._bell.until(lambda: not self._gateways.pids() or self._is_hurried, limit_s + _MARGIN_S)
        self._gateways.kill()
        for endpoint in self.endpoints.values():
            endpoint.crew.drain_all(limit_s)
        await self._bell.until(lambda: self._is_empty or self._is_hurried, limit_s + _MARGIN_S)
        for endpoint in self.endpoints.values():
            endpoint.crew.kill_all()
        await self._bell.until(lambda: self._is_empty and not self._gateways.pids(), _MARGIN_S)
        await self._forks.close()

    @property
    def _is_empty(self) -> bool:
        """Whether no worker runs."""
        return not any(endpoint.crew.replicas for endpoint in self.endpoints.values())

    async def _keep_house(self, use: Use) -> None:
        """What must be done now and then: deadlines, hangs, orphans, copies and logs of the past."""
        before, rotated = time.monotonic(), 0.0
        scaler, spending = Scaler(use, self._residency, self.endpoints, cpu_limit()), Spending(use.series, self.endpoints)
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            now, endpoints = time.monotonic(), list(self.endpoints.values())
            # Stopped and continued (SIGSTOP, a suspended machine): the answers may be there, only not read yet.
            if now - before < _PAUSED_S:
                self._gateways.check_deadlines(now)
                self._monitor.check_hang(now)
                for replica in [replica for endpoint in endpoints for replica in endpoint.crew.ready()]:
                    replica.check_hang(time.monotonic_ns())
                    await replica.weigh()
                    replica.check_memory()
            before = now
            self._gateways.reconnect(now)
            # What builds an environment is a child of ours too, and has its own who waits for it.
            if not self._forks.is_forking and not any(endpoint.copies.is_busy for endpoint in endpoints):
                workers = {replica.pid or 0 for endpoint in endpoints for replica in endpoint.crew.replicas.values()}
                children = workers | set(self._gateways.pids().values()) | self._forks.pids
                kept = self._exporter.process, self._monitor.process, self._page.process
                reap_orphans(children.union(*(each.pids for each in kept)))
            for keeper in (self._residency, scaler, spending):
                keeper.keep_house(now)
            await self._roster.keep_house()
            if now - rotated > _ROTATE_S:
                rotated = now
                await asyncio.to_thread(self._rotate_logs)

    def _rotate_logs(self) -> None:
        with contextlib.suppress(OSError):
            logs.rotate(self._order.home.logs / self._order.name)
        for endpoint in list(self.endpoints.values()):
            endpoint.rotate_logs()

    def _gateway_died(self, slot: int, cause: Cause) -> None:
        text = f"gateway {slot} died ({cause.name}) and is started again: {cause.message}"
        self._tell(Event("gateway_died", text, is_problem=True))
        self._bell.ring()

    def _tell(self, event: Event) -> None:
        subject = f"{event.endpoint}: " if event.endpoint and len(self.endpoints) > 1 else ""
        level = logging.WARNING if event.is_problem else logging.INFO
        self._log.log(level, "%s: %s%s", event.kind, subject, event.text)
        self._publish_status()
        try:
            self._tell_outside(event)
        except Exception:  # noqa: BLE001
            # A closed terminal, a full disk behind a pipe: nobody who listens may end what serves.
            self._log.exception("the event could not be told")

    def _publish_status(self) -> None:
        """Say how things are, if anything that people see has changed."""
        began = time.monotonic()
        if self._herald is None or self._publisher.is_held:
            return
        if began < self._status_again_at and not self._is_stopping and (self._is_announced == self._was_announced):
            return
        self._was_announced = self._is_announced
        overview = Overview(
            self._identity,
            self._order.default,
            self._situations(),
            self._gateways.pids(),
            self._gateways.restarts,
            self._is_stopping,
        )
        has_changed = self._herald.tell(overview)
        self.status = self._herald.status
        if len(self.endpoints) > _FEW:
            # Describing hundreds of models takes its time: a tenth of it at most.
            ended = time.monotonic()
            self._status_again_at = ended + 9 * (ended - began)
        if has_changed:
            self._bell.ring()

    def _situations(self) -> list[Situation]:
        return [endpoint.situation() for endpoint in self.endpoints.values()]

    @property
    def _grpc_address(self) -> str | None:
        return None if self._grpc is None else ports.shown(self._grpc)


@contextlib.contextmanager
def _logging_to(log: logging.Logger, folder: Path) -> Iterator[None]:
    path = logs.supervisor_log(folder)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s supervisor: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
