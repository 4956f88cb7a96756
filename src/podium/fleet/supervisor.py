"""The loop: observe, plan, act, publish. One process that owns every other and touches neither requests nor models."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from podium._version import __version__
from podium.domain.references import ModelRef
from podium.domain.rollout import Desired, plan
from podium.errors import LoadFailed, PodiumError
from podium.fleet import logs, ports, runfiles
from podium.fleet.actions import Crew, Place
from podium.fleet.bell import Bell
from podium.fleet.causes import Cause
from podium.fleet.copies import Copies
from podium.fleet.events import Event
from podium.fleet.gateways import Gateways
from podium.fleet.journal import JournalKeeper
from podium.fleet.machine import available_memory, started_at
from podium.fleet.observer import observe
from podium.fleet.orphans import reap_orphans
from podium.fleet.publisher import Publisher
from podium.fleet.replica import WorkerReplica
from podium.fleet.runfiles import RunFolder
from podium.fleet.series import SeriesBook
from podium.fleet.site import Programs
from podium.fleet.sources import Observer, Wish, follow, follows
from podium.fleet.status import Served, Situation, metrics_of, status_of
from podium.registry.resolve import Resolved
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.serve import ServeSettings
from podium.telemetry.slots import Slots, create_slots

_TICK_S = 0.25
_HOUSEKEEPING_S = 1.0
_ROTATE_S = 2.0
_PAUSED_S = 5.0
_MARGIN_S = 3.0
_MOST_ACTIONS = 1000
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Serves one endpoint until it is told to stop.

    Args:
        home: PODIUM_HOME.
        reference: What to serve; a stage, an alias or `latest` is followed.
        first: What it stands for now.
        endpoint: Public name.
        settings, model: See there.
        source: Answers what the reference stands for.
        tell: Called with each event, from the event loop's thread.
        programs: The children's modules.
        shown: Each setting's value and who said it, for the status.
        memory: Bytes that are available on this machine now.
    """

    def __init__(
        self,
        home: Home,
        reference: ModelRef,
        first: Resolved,
        endpoint: str,
        settings: ServeSettings,
        model: ModelSettings,
        source: Observer,
        tell: Callable[[Event], None] = lambda _: None,
        programs: Programs = Programs(),  # noqa: B008
        shown: Mapping[str, Any] | None = None,
        memory: Callable[[], int] = available_memory,
    ) -> None:
        self.endpoint = endpoint
        self._shown = dict(shown or {})
        self.status: dict[str, Any] = {}
        self._home = home
        self._reference = reference
        self._settings = settings
        self._model = model
        self._source = source
        self._tell_outside = tell
        self._programs = programs
        self._memory = memory
        self._wish = Wish(first)
        self._bell = Bell()
        self._is_stopping = False
        self._is_hurried = False
        self._is_written = False
        self._write_errno: int | None = None
        self._failure: PodiumError | None = None
        self._log = logging.getLogger("podium.fleet")
        self._identity: dict[str, Any] = {}
        self._crew: Crew
        self._gateways: Gateways
        self._publisher: Publisher
        self._keeper: JournalKeeper
        self._copies: Copies
        self._series: SeriesBook
        self._folder: RunFolder

    @property
    def served(self) -> Served | None:
        """The version that serves now, as it was prepared and loaded."""
        return self._crew.served.get(self.status.get("serving") or "")

    async def run(self) -> None:
        """Serve until a signal, then drain.

        Raises:
            Misconfigured: The port or PODIUM_HOME cannot be used.
            LoadFailed: The first version did not load; nothing was ever served.
            Unavailable: The gateways do not start.
        """
        with contextlib.ExitStack() as stack:
            sockets = ports.listen(self._settings.host, self._settings.port, self._settings.gateways)
            for sock in sockets:
                stack.callback(sock.close)
            self._folder = RunFolder.create(self._home)
            stack.callback(self._folder.remove)
            folder = self._home.logs / self.endpoint
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(_logging_to(self._log, folder))
            for facts in runfiles.sweep(self._home):
                pid, endpoint = facts.get("pid"), facts.get("endpoint")
                self._log.warning("removed what server %s (pid %s) left when it died", endpoint, pid)
            slots = create_slots(self._settings.gateways)
            stack.callback(os.close, slots)
            counters = Slots(slots)
            stack.callback(counters.close)
            self._series = SeriesBook(counters, self.endpoint)
            self._keeper = JournalKeeper(self._folder)
            self._copies = Copies(
                self._folder.models,
                self._home,
                self._model.environment,
                lambda text: self._tell(Event("environment", text)),
            )
            self._gateways = Gateways(
                self._programs.gateway,
                self._settings,
                sockets,
                slots,
                folder,
                replicas=self._ready,
                series=lambda version: self._series.index(version, frozenset(self._crew.needed())),
                endpoint=self.endpoint,
                changed=self._bell.ring,
                died=self._gateway_died,
                front=self._programs.front,
            )
            stack.callback(self._gateways.close)
            self._publisher = Publisher(self._gateways, self.endpoint)
            self._identity = self._describe(sockets[0].getsockname()[1])
            try:
                await self._serve(Place(self.endpoint, self._programs.worker, folder))
            except BaseExceptionGroup as group:
                raise _first_cause(group) from group
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Drain and end; called again, end at once."""
        if self._is_stopping:
            self._is_hurried = True
        self._is_stopping = True
        self._bell.ring()

    async def _serve(self, place: Place) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            # A `nohup` before us meant it.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self.stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._crew = Crew(
                    place,
                    self._settings,
                    self._model,
                    tasks,
                    self._copies,
                    self._gateways,
                    self._publisher,
                    self._keeper,
                    self._bell,
                    self._tell,
                    self._memory,
                )
                self._hear(self._wish)
                for slot in range(self._settings.gateways):
                    tasks.create_task(self._gateways.run(slot), name=f"gateway {slot}")
                housekeeping = tasks.create_task(self._keep_house(), name="housekeeping")
                following = tasks.create_task(self._follow(), name="source")
                await self._steer()
                following.cancel()
                await self._shut_down()
                housekeeping.cancel()
        finally:
            await self._copies.close()
            for number in _STOP_SIGNALS:
                loop.remove_signal_handler(number)

    async def _follow(self) -> None:
        if follows(self._reference) and self._wish.resolved is not None:
            await follow(self._reference, self._wish.resolved, self._source, self._settings.poll_s, self._hear)

    async def _steer(self) -> None:
        """Make what runs equal to what is wanted, until the server is to stop."""
        while not self._is_stopping:
            for _ in range(_MOST_ACTIONS):
                wanted = self._wish.resolved.label if self._wish.resolved else None
                desired = Desired(wanted, self._model.replicas)
                seen = observe(self._crew.replicas.values(), self._publisher, self._keeper.journal, time.monotonic())
                action = plan(desired, seen)
                if action is None:
                    break
                self._crew.act(action)
            self._publish_status()
            if self._has_failed_for_good():
                return
            await self._bell.wait(_TICK_S)

    def _has_failed_for_good(self) -> bool:
        """Whether the first version did not load: then there is nothing to fall back on."""
        journal = self._keeper.journal
        failure = journal.vetoed.get(journal.wanted or "")
        if journal.stable is not None or failure is None:
            return False
        text = f"Version {journal.wanted} did not load. {failure.message}"
        self._failure = LoadFailed(f"{text}\nWhat its process wrote: podium logs {self.endpoint}", failure.cause)
        return True

    async def _shut_down(self) -> None:
        """In the reverse order of start: say not ready, gateways finish what is in flight, workers end."""
        self._is_stopping = True
        self._tell(Event("stopping", "stopping: requests in flight are finished"))
        limit_s = self._settings.drain_timeout_s
        self._publisher.withdraw()
        self._publish_status()
        self._gateways.drain(limit_s)
        await self._bell.until(lambda: not self._gateways.pids() or self._is_hurried, limit_s + _MARGIN_S)
        self._gateways.kill()
        self._crew.drain_all(limit_s)
        await self._bell.until(lambda: not self._crew.replicas or self._is_hurried, limit_s + _MARGIN_S)
        self._crew.kill_all()
        await self._bell.until(lambda: not self._crew.replicas and not self._gateways.pids(), _MARGIN_S)

    async def _keep_house(self) -> None:
        """What must be done now and then: deadlines, hangs, orphans, copies and logs of the past."""
        before, rotated = time.monotonic(), 0.0
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            now = time.monotonic()
            # Stopped and continued (SIGSTOP, a suspended machine): the answers may be there, only not read yet.
            if now - before < _PAUSED_S:
                self._gateways.check_deadlines(now)
                for replica in self._crew.ready():
                    replica.check_hang(time.monotonic_ns())
            before = now
            self._gateways.reconnect(now)
            # What builds an environment is a child of ours too, and has its own who waits for it.
            if not self._copies.is_busy:
                reap_orphans(
                    {replica.pid or 0 for replica in self._crew.replicas.values()} | set(self._gateways.pids().values())
                )
            needed = self._crew.needed()
            self._crew.forget(needed)
            await self._copies.keep(needed)
            if now - rotated > _ROTATE_S:
                rotated = now
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(logs.rotate, self._home.logs / self.endpoint)

    def _hear(self, wish: Wish) -> None:
        """The source said something new."""
        before, self._wish = self._wish, wish
        if wish.is_up != before.is_up:
            text = "the registry answers again" if wish.is_up else f"the registry does not answer: {wish.error}"
            self._tell(Event("source_back" if wish.is_up else "source_lost", text, is_problem=not wish.is_up))
        if wish.resolved is not None:
            label = wish.resolved.label
            self._crew.versions[label] = wish.resolved
            if label != self._keeper.journal.wanted and self._keeper.journal.wanted is not None:
                self._tell(Event("wanted", f"{self._reference} is now version {label}", label))
            self._keeper.wanted(label)
        elif wish.is_up:
            text = f"nothing is wanted any more, so what serves keeps serving: {wish.error}"
            self._tell(Event("nothing_wanted", text, is_problem=True))
        self._bell.ring()

    def _ready(self) -> list[WorkerReplica]:
        return self._crew.ready()

    def _gateway_died(self, slot: int, cause: Cause) -> None:
        text = f"gateway {slot} died ({cause.name}) and is started again: {cause.message}"
        self._tell(Event("gateway_died", text, is_problem=True))
        self._bell.ring()

    def _tell(self, event: Event) -> None:
        self._log.log(logging.WARNING if event.is_problem else logging.INFO, "%s: %s", event.kind, event.text)
        self._publish_status()
        try:
            self._tell_outside(event)
        except Exception:  # noqa: BLE001
            # A closed terminal, a full disk behind a pipe: nobody who listens may end what serves.
            self._log.exception("the event could not be told")

    def _publish_status(self) -> None:
        """Rewrite `server.json` and tell the gateways, if anything that people see has changed."""
        situation = Situation(
            wish=self._wish,
            is_followed=follows(self._reference),
            journal=self._keeper.journal,
            failures=self._keeper.failures,
            targets=self._publisher.targets,
            is_acknowledged=self._publisher.is_acknowledged,
            replicas=list(self._crew.replicas.values()),
            replicas_wanted=self._model.replicas,
            served=self._crew.served,
            gateways=self._gateways.pids(),
            gateway_restarts=self._gateways.restarts,
            counts=self._crew.counts,
            is_stopping=self._is_stopping,
        )
        status = {**self._identity, **status_of(situation)}
        if status != self.status:
            self.status = status
            self._is_written = False
            self._bell.ring()
        self._write_status()
        self._gateways.tell(status, metrics_of(situation, self.endpoint), self._series.labels())

    def _write_status(self) -> None:
        """Rewrite `server.json`; where the disk takes nothing now, it is tried again at the next tick."""
        if self._is_written:
            return
        try:
            self._folder.write_server(self.status)
        except OSError as error:
            if error.errno != self._write_errno:
                self._log.error("the status cannot be written, and is tried again: %s", error)
            self._write_errno = error.errno
        else:
            self._is_written, self._write_errno = True, None

    def _describe(self, port: int) -> dict[str, Any]:
        host = self._settings.host
        reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
        return {
            "schema": 1,
            "id": self._folder.id,
            "pid": os.getpid(),
            "pid_started": started_at(os.getpid()),
            "podium": __version__,
            "started_at": time.time(),
            "host": host,
            "port": port,
            "url": f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}",
            "uri": str(self._reference),
            "endpoint": self.endpoint,
            "settings": self._shown,
        }


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


def _first_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One of our own errors out of the group, or else whatever is first."""
    leaves: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop(0)
        pending.extend(error.exceptions) if isinstance(error, BaseExceptionGroup) else leaves.append(error)
    return next((error for error in leaves if isinstance(error, PodiumError)), leaves[0])
