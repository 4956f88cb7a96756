"""One replica: a worker process with one version, from the private copy to its end, and why it ended."""

import asyncio
import dataclasses
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from podium.domain.devices import DeviceUse
from podium.domain.lifecycle import ReplicaState, advance
from podium.domain.monitoring.profile import PROFILE_PATH
from podium.domain.planning import Failure
from podium.errors import PodiumError
from podium.fleet.host.machine import OomKills, oom_kills, resident_bytes
from podium.fleet.workers.causes import Cause, cause_of_death, cause_of_error
from podium.fleet.workers.children import Child
from podium.fleet.workers.copies import Prepared
from podium.fleet.workers.forks import Forks
from podium.fleet.workers.holding import Holding
from podium.fleet.workers.isolation import USER, World
from podium.fleet.workers.slabs import HeldSlab
from podium.fleet.workers.starting import Origin, WorkerOrder, begin
from podium.registry.resolve import Resolved
from podium.settings.model import ModelSettings
from podium.settings.serve import ServeSettings
from podium.transport.board import BoardReader, create_board
from podium.transport.counting_messages import Bootstrapped, CountBy, Counting
from podium.transport.messages import Attach, Drain, Drained, GiveWay, Load, LoadError, Loading, Message, Ready

_Result = TypeVar("_Result")
_LAST_WORDS_S = 10.0
_LOOK_S = 0.2
_LONGEST_NAME, _LONGEST_TEXT = 100, 4000
_log = logging.getLogger("podium.fleet")


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a replica is to do.

    Args:
        id: Never used again while the supervisor lives.
        resolved: The version.
        endpoint: Public name.
        settings: The model's.
        module: What is run as a worker.
        is_beside: Whether something is served meanwhile, of this model or of others: load at low priority.
        is_awaited: Whether nothing of this model is.
        log: What the worker prints goes there.
        device: Where it is to compute, in place of the setting; None leaves it at that.
        environ: More variables for its process.
    """

    id: int
    resolved: Resolved
    endpoint: str
    settings: ModelSettings
    module: tuple[str, ...]
    is_beside: bool
    log: Path
    device: str | None = None
    is_awaited: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)


class WorkerReplica:
    """A worker and its life. `run` is awaited by one task until the life is over; the rest is called from the same loop.

    Args:
        assignment: What to do.
        settings: The server's.
        prepare: Gives the private copy, or raises.
        make_room: Awaited before the process starts; says what is short, or None.
        changed: Called after each change of state or step.
        told: Called with what it says of counting its rows, once it is ready.
        forks: The server's.
    """

    def __init__(
        self,
        assignment: Assignment,
        settings: ServeSettings,
        prepare: Callable[[Resolved], Awaitable[Prepared]],
        make_room: Callable[[], Awaitable[Cause | None]],
        changed: Callable[["WorkerReplica"], None],
        told: Callable[["WorkerReplica", Bootstrapped | Counting], None],
        forks: Forks,
    ) -> None:
        self.id = assignment.id
        self.endpoint = assignment.endpoint
        self.version = assignment.resolved.label
        self.resolved = assignment.resolved
        self.state = ReplicaState.STARTING
        self.step = "prepare"
        self.ready: Ready | None = None
        self.ready_at: float | None = None
        self.failure: Failure | None = None
        self.prepared: Prepared | None = None
        self.board: int | None = None
        self.origin: Origin | None = None
        self._holding: Holding | None = None
        self._held = 0
        self._looked_at = 0.0
        self._assignment = assignment
        self._settings = settings
        self._prepare = prepare
        self._make_room = make_room
        self._changed = changed
        self._told = told
        self._forks = forks
        self._reader: BoardReader | None = None
        self._child: Child | None = None
        self._cause: Cause | None = None
        self.is_abandoned = False
        self.was_draining = False
        self._gives_way = False
        self._wake = asyncio.Event()

    @property
    def settings(self) -> ModelSettings:
        """Its model's."""
        return self._assignment.settings

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.is_alive else None

    @property
    def rss_bytes(self) -> int:
        """Resident memory now, but for what a forked worker shares; 0 without a process."""
        if not self.pid:
            return 0
        now = time.monotonic()
        if now - self._looked_at > _LOOK_S:
            self._looked_at = now
            self._held = resident_bytes(self.pid) if self._holding is None else self._holding.look()
        return self._held

    @property
    def row_cap(self) -> int:
        """The most rows of a batch now, as the worker has measured; 0 before it is ready."""
        return self._reader.row_cap if self._reader else 0

    @property
    def device(self) -> DeviceUse | None:
        """Where it computes and how full that was when it looked last; None before it is ready."""
        if self.ready is None:
            return None
        said = self.ready.device
        # Labels and terminals have it: of bounded length, whatever the model's process says.
        said = dataclasses.replace(said, device=said.device[:_LONGEST_NAME], name=said.name[:_LONGEST_NAME])
        used, total = self._reader.device_memory if self._reader else (0, 0)
        if self._reader is None or not total:
            return said
        busy = self._reader.device_utilisation_percent
        return dataclasses.replace(said, used_bytes=used, total_bytes=total, utilisation_percent=busy)

    async def run(self) -> None:
        """Live: copy, start, load, serve, end. Never raises for what a model or the machine does."""
        before = oom_kills()
        status: int | None = None
        try:
            await self._start()
            await self._listen()
        except (PodiumError, OSError) as error:
            self._cause = self._cause or cause_of_error(error)
        except Exception as error:  # noqa: BLE001
            # Whatever a version is, it fails alone: what serves is not ended by it.
            _log.exception("replica %d of version %s failed in a way that is not foreseen", self.id, self.version)
            self._cause = self._cause or Cause("load_error", f"It could not be started: {type(error).__name__}: {error}")
        finally:
            if self._child is not None:
                status = await self._child.end()
            self._conclude(status, before)
            self._release()

    def count_by(self, profile: Path) -> None:
        """Have it count its rows by a profile that is not its model's own.

        Raises:
            OSError: The file cannot be read.
        """
        if self._child is not None:
            with profile.open("rb") as file:
                self._child.send(CountBy(), (file.fileno(),))

    def take_slab(self, profile: Path | None = None) -> HeldSlab | None:
        """Where its rows are counted, by its own profile or another; the descriptor is the caller's from here on."""
        descriptor = None if self._child is None else self._child.take_slab()
        if descriptor is None or self.prepared is None:
            return None
        path = profile or self.prepared.folder / PROFILE_PATH
        return HeldSlab(self.id, descriptor, self.endpoint, self.version, str(path))

    def attach(self, serial: int, data: socket.socket) -> bool:
        """Give the worker its end of a data socket to one gateway; the socket stays the caller's."""
        return self._child is not None and self._child.send(Attach(serial), (data.fileno(),))

    def give_way(self, is_on: bool) -> None:
        """Let others have the processor first, or no more: nobody waits for what a dark version answers."""
        if self._child is not None and is_on is not self._gives_way:
            self._gives_way = is_on
            self._child.send(GiveWay(is_on))

    def begin_drain(self) -> None:
        """No gateway routes here any more: from now on only what was begun is finished."""
        self._enter(ReplicaState.DRAINING)

    def finish_drain(self, limit_s: float) -> None:
        """No gateway has anything outstanding here, or the time is over: end."""
        if self._child is not None:
            self._child.send(Drain(limit_s))

    def abandon(self) -> None:
        """End a replica that is still starting; this is no failure."""
        self.is_abandoned = True
        self.kill(None)

    def kill(self, cause: Cause | None) -> None:
        """End the process at once; `cause` is what is said about it."""
        self._cause = self._cause or cause
        self._wake.set()
        if self._child is not None:
            self._child.kill()

    def check_hang(self, now_ns: int) -> None:
        """Kill a worker that has been busy with one batch for too long."""
        busy_since_ns = self._reader.busy_since_ns if self._reader else 0
        if busy_since_ns and now_ns - busy_since_ns > self._settings.hang_s * 1e9:
            self.kill(
                Cause("hang", f"It was busy with one batch for more than {self._settings.hang_s:g} s and was killed.")
            )

    async def weigh(self) -> None:
        """Look again what is its own, where that may have changed much; about every second."""
        if self._holding is not None and self.pid and self._holding.is_stale:
            await asyncio.to_thread(self._holding.walk)

    def check_memory(self) -> None:
        """Kill a worker that holds more memory than it may."""
        if self._assignment.settings.worker_memory is not None:
            self._is_too_large(self.rss_bytes)

    def _is_too_large(self, held: int) -> bool:
        limit = self._assignment.settings.worker_memory
        if limit is None or held <= limit:
            return False
        has, may = f"{held >> 20} MiB", f"{limit >> 20} MiB"
        self.kill(Cause("out_of_memory", f"It held {has} of memory and may hold {may} (worker_memory), so it was ended."))
        return True

    async def _start(self) -> None:
        self.prepared = await self._or_woken(self._prepare(self.resolved))
        if self.prepared is None:
            return
        self._cause = await self._or_woken(self._make_room())
        if self._cause or self._wake.is_set():
            return
        self.board = create_board()
        self._reader = BoardReader(self.board)
        settings = self._assignment.settings
        world = World(
            settings.isolation,
            settings.worker_env,
            settings.worker_user,
            self.prepared.folder,
            self.prepared.home,
            has_devices=settings.terms.device != "cpu",
            conversion=self.prepared.conversion,
            more=self._assignment.environ,
        )
        self.step = "start"
        begun = await begin(self._beginning(self.prepared, world), self.board, self._forks, self._or_woken)
        if begun is None:
            return
        self._child, self.origin = begun
        self._holding = Holding(self._child.pid) if self.origin.is_forked else None
        if self._wake.is_set():
            self._child.kill()
        is_told = await self._child.send_large(
            Load(
                path=str(self.prepared.folder),
                mlmodel=self.prepared.mlmodel,
                endpoint=self._assignment.endpoint,
                version=self.version,
                batching=settings.merges,
                max_batch_rows=settings.max_batch_rows,
                gather_percent=settings.gather_percent,
                max_queue_rows=settings.max_queue_rows,
                packages=self.prepared.packages,
                threads=settings.threads,
                is_low_priority=self._assignment.is_beside,
                is_awaited=self._assignment.is_awaited,
                busy_wait_us=self._settings.busy_wait_us,
                has_shortcuts=settings.runtime != "original",
                conversion=self.prepared.conversion_for(settings.runtime),
                prefers_conversion=settings.runtime == "onnx",
                dialect=settings.dialect,
                terms=dataclasses.replace(settings.terms, device=self._assignment.device or settings.device),
                memory_bytes=settings.worker_memory,
                is_hidden=settings.isolation == USER,
                is_watched=self._settings.has_monitor,
                hash_key=self._settings.hash_key(),
            )
        )
        if is_told:
            self._changed(self)

    def _beginning(self, prepared: Prepared, world: World) -> WorkerOrder:
        order, settings = self._assignment, self._assignment.settings
        said, is_beside, is_awaited = prepared.mlmodel, order.is_beside, order.is_awaited
        return WorkerOrder(order.module, settings, said, prepared.python, world, order.log, is_beside, is_awaited)

    async def _or_woken(self, work: Awaitable[_Result]) -> _Result | None:
        """The work's result, or None when this replica is to end first; the work itself goes on for others."""
        task = asyncio.ensure_future(work)
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({task, woken}, return_when=asyncio.FIRST_COMPLETED)
            return None if self._wake.is_set() else task.result()
        finally:
            woken.cancel()
            task.cancel()
            await asyncio.gather(task, woken, return_exceptions=True)

    async def _listen(self) -> None:
        if self._child is None:
            return
        limit_s = self._assignment.settings.load_timeout_s
        try:
            async with asyncio.timeout(limit_s) as loading:
                while (messages := await self._child.receive()) is not None:
                    for message in messages:
                        self._hear(message)
                    if self.ready is not None:
                        loading.reschedule(None)
        except TimeoutError:
            self._cause = Cause("timeout", f"It was not ready within {limit_s:g} s; the last step was: {self.step}.")
            self._child.kill()
        # It hung up; it has a moment to end by itself, with its own exit status.
        await self._child.over(_LAST_WORDS_S)

    def _hear(self, message: Message) -> None:
        match message:
            case Loading(step):
                self.step = step
                self._changed(self)
            case Ready() if self.state is ReplicaState.STARTING and not self.is_abandoned:
                if self._holding is not None:
                    self._looked_at = 0.0
                    message = dataclasses.replace(message, rss_bytes=self.rss_bytes)
                if self._is_too_large(message.rss_bytes):
                    return
                self.ready, self.ready_at = message, time.monotonic()
                self._enter(ReplicaState.READY)
            case LoadError(cause, text):
                # One line of bounded length, whatever the model's process says: it goes to logs, status and terminals.
                if self.prepared is not None:
                    # People know the folder that they named; the copy is gone when they look.
                    text = text.replace(str(self.prepared.folder), str(self.resolved.folder))
                self._cause = self._cause or Cause(cause[:_LONGEST_NAME], " ".join(text.split())[:_LONGEST_TEXT])
            case Drained():
                self.step = "drained"
            case Bootstrapped() | Counting() if self.ready is not None:
                self._told(self, message)
            case _:
                pass

    def _conclude(self, status: int | None, before: OomKills) -> None:
        self.was_draining = self.state is ReplicaState.DRAINING
        if (self.was_draining and status == 0) or (self.is_abandoned and self.state is ReplicaState.STARTING):
            self._enter(ReplicaState.STOPPED)
            return
        cause = self._cause
        if cause is None and status is not None:
            cause = cause_of_death(status, before, oom_kills(), str(self._assignment.log))
        cause = cause or Cause("load_error", "It could not be started.")
        self.failure = Failure(cause.name, cause.message, time.time())
        self._enter(ReplicaState.FAILED)

    def _enter(self, state: ReplicaState) -> None:
        self.state = advance(self.state, state)
        self._changed(self)

    def _release(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self.board is not None:
            os.close(self.board)
            self.board = None
