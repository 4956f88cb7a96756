"""A gateway's life: listen, serve, drain, end.

It drains when the supervisor says so, when the supervisor is gone, and on SIGTERM (then the supervisor starts another).
SIGINT is left to the supervisor: a terminal's Ctrl-C reaches every process of its group. A gateway that lives in somebody
else's process (`serving/asgi.py`) leaves the signals to their owner.

Draining: not ready at once; what the listening socket's backlog holds is accepted and the socket closed; each answer
says `Connection: close`; connections without a request stay open a moment for one that is on its way; what is in flight
is finished. At the limit what is left gets 503.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from podium.errors import Unavailable
from podium.serving.answer_cache import AnswerCaches
from podium.serving.app import App
from podium.serving.asking import OpenQuestions
from podium.serving.control import Control
from podium.serving.description.pages import DescriptionPages
from podium.serving.doors import Doors
from podium.serving.exporting import Exporting
from podium.serving.feedback import Feedback
from podium.serving.guard.protection import Protection
from podium.serving.invocations import invocation_paths
from podium.serving.open_inference.generate import generating_paths
from podium.serving.open_inference.paths import open_inference_paths
from podium.serving.open_inference.repository import repository_paths
from podium.serving.open_inference.v1 import v1_paths
from podium.serving.pages import Pages
from podium.serving.recording import Recorder
from podium.serving.remembering import Remembering
from podium.serving.sagemaker import sagemaker_paths
from podium.serving.settings import GatewaySettings
from podium.serving.standing import Standing
from podium.serving.walks.replica import Replica
from podium.serving.walks.router import Router
from podium.serving.walks.scoring import Scoring
from podium.serving.walks.waking import Waking
from podium.telemetry.access import AccessLog
from podium.telemetry.slots import Slots
from podium.transport.messages import Drained, ReplicaLost, ReplicaReleased, Started
from podium.web.connections import Connections
from podium.web.handshakes import Handshakes

if TYPE_CHECKING:
    from podium.serving.grpc.door import Door

_log = logging.getLogger("podium.gateway")
_SWEEP_S = 0.1
_DRAIN_STEP_S = 0.02
_TURNS = 8  # more than an event loop takes from accepting a connection to its protocol
_FLUSH_SWEEPS = 5
_BACKLOG = 4096  # the kernel takes the smaller of this and net.core.somaxconn
_LAST_ANSWERS_S = 0.5


class Gateway:
    """One gateway process.

    Args:
        settings: Limits and time-outs.
        control: The inherited control socket.
        listener: The inherited listening socket.
        slots: The server's counters.
        slot: This gateway's place in them.
        grpc_address: Where it listens for gRPC too; None: nowhere.
        exports: Where it hands on what others are told of requests; None where nobody is.
        remembered: Where it hands on answers and labels; None where nobody wants them.

    Attributes:
        app: Answers requests, whoever read them.
        connections: What it listens on itself.
        standing: What it says of itself.
        asking: Asks the supervisor.
        guard: Decides who may pass.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        control: socket.socket,
        listener: socket.socket,
        slots: Slots,
        slot: int,
        grpc_address: str | None = None,
        exports: socket.socket | None = None,
        remembered: socket.socket | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._settings = settings
        self._listener = listener
        self._drain_limit_s: float | None = None
        self._drain_asked = asyncio.Event()
        self._is_over = False
        self._handshakes: list[Handshakes] = []
        self._access_problem: str | None = None
        self._access = self._open_access_log(settings)
        slots.reset_gauges(slot)
        self._router = Router()
        self._exporting = self._make_exporting(settings, exports, slots, slot)
        self._recorder = Recorder(slots, slot, self._access, self._exporting)
        self._control = Control(loop, control, self._end, lambda: self._end(settings.drain_limit_s))
        self.asking = OpenQuestions(loop, self._control.say)
        waking = Waking(self.asking, settings.pending_s)
        self._remembering = self._make_remembering(settings, remembered, slots, slot)
        parts = self._lost, self._released, waking, self._remembering
        self._scoring = Scoring(loop, settings, self._router, self._recorder, *parts)
        self.standing = Standing(self._router, self._recorder)
        pages = Pages(self._scoring.ids, self._recorder)
        known = slots.served, self._recorder, self._router, pages
        window_s, told = settings.feedback_window_s, None if self._remembering is None else self._remembering.hand_on
        feedback = Feedback(loop, *known, window_s, self.standing.version_of, told)
        over = AnswerCaches(settings, self._router, self._scoring.naming, self._recorder).over
        paths = [
            feedback.paths(),
            over(invocation_paths(self._scoring)),
            over(open_inference_paths(self._scoring, self.standing, pages)),
            generating_paths(self._scoring, self.standing, pages),
            over(v1_paths(self._scoring, self.standing, pages)),
            repository_paths(self.asking, pages),
            over(sagemaker_paths(self._scoring, self._router, pages, self.asking, settings.max_body_bytes)),
            pages.of_standing(self.standing),
            DescriptionPages(self.asking, pages, self._router, self.standing, settings.access.credentials).paths(),
        ]
        self._protection = Protection(settings, self._router, slots.buckets, loop.call_soon)
        self.guard = self._protection.guard
        self.app = App(paths, pages, self._recorder, settings.max_body_bytes, self.guard, settings.access.has_authz)
        self.connections = Connections(loop, self.app, settings.limits)
        self._door = None if grpc_address is None else self._make_door(grpc_address)

    def take_signals(self) -> None:
        """Drain on SIGTERM; for a process that is this gateway and nothing else."""
        self._loop.add_signal_handler(signal.SIGTERM, lambda: self.drain(self._settings.drain_limit_s))
        self._loop.add_signal_handler(signal.SIGINT, lambda: None)

    async def run(self) -> None:
        """Serve until drained."""
        # A second handle on the same socket: the backlog can still be accepted after the server let go of the first.
        backlog = self._listener.dup()
        backlog.setblocking(False)
        server = await self._listen(self._listener)
        if self._door is not None:
            await self._door.open()
        doors = Doors(self._loop, self._listen)
        self._control.start(self._settings, self._scoring, self._router, self.standing, self.asking, doors)
        self._control.say(Started(os.getpid()))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            sharing = tasks.create_task(self._protection.share())
            await self._drain_asked.wait()
            server.close()
            await doors.close_all()
            await self._accept_rest(backlog, server)
            door = None if self._door is None else tasks.create_task(self._close_door(self._door))
            await self._finish()
            if door is not None:
                await door
            self._is_over = True
            sharing.cancel()
        self._control.say(Drained())
        self._control.close()
        if self._access is not None:
            self._access.close()
        if self._exporting is not None:
            self._exporting.close()
        if self._remembering is not None:
            self._remembering.close()

    def drain(self, limit_s: float) -> None:
        """Begin to end. Asked again, the nearer limit counts."""
        ends = time.monotonic() + limit_s
        self._drain_limit_s = ends if self._drain_limit_s is None else min(ends, self._drain_limit_s)
        self.standing.is_draining = True
        self.connections.is_closing = True
        self._drain_asked.set()

    def _end(self, limit_s: float) -> None:
        """The whole server ends, or nobody is there to start a worker: drain, and hold nobody for a replica to come."""
        self.drain(limit_s)
        self._scoring.expect_no_replica()

    async def _listen(self, listener: socket.socket) -> asyncio.AbstractServer | Handshakes:
        protection = self._protection
        if protection.certificates is None:
            return await self._loop.create_server(self.connections.accept, sock=listener, backlog=_BACKLOG)
        listener.listen(_BACKLOG)
        context, trusts = protection.certificates.context, self.guard.proxies.trusts
        made = Handshakes(listener, self.connections.accept, context, protection.handshake_bounds, trusts)
        self._handshakes = [*(each for each in self._handshakes if each.is_alive), made]
        return made

    async def _accept_rest(self, backlog: socket.socket, server: asyncio.AbstractServer | Handshakes) -> None:
        with backlog:
            while True:
                try:
                    accepted, address = backlog.accept()
                except ConnectionAbortedError:
                    continue
                except BlockingIOError:
                    return
                except OSError as error:
                    _log.warning("connections in the backlog are lost: %s", error)
                    return
                if isinstance(server, Handshakes):
                    server.begin(accepted, address[0])
                    continue
                accepted.setblocking(False)
                with contextlib.suppress(OSError):
                    await self._loop.connect_accepted_socket(self.connections.accept, accepted)

    async def _finish(self) -> None:
        connections, scoring = self.connections, self._scoring
        lingers_until = time.monotonic() + self._settings.drain_linger_s
        for _ in range(_TURNS):
            await asyncio.sleep(0)  # whom the loop has accepted just now is not among `connections.open` yet
        while time.monotonic() < self._ends():
            does_linger = time.monotonic() < lingers_until
            if not does_linger:
                connections.close_idle()
            is_greeting = does_linger and any(each.are_unfinished for each in self._handshakes)
            if not (connections.open or scoring.in_flight or is_greeting):
                break
            await asyncio.sleep(_DRAIN_STEP_S)
        if connections.open or scoring.in_flight:
            _log.warning("%d requests were still in flight at the drain's limit", scoring.in_flight)
            scoring.fail_all(Unavailable("The server is shutting down."))
            await asyncio.sleep(_LAST_ANSWERS_S)
            connections.abort()

    def _make_door(self, address: str) -> "Door":
        # Nobody else needs the library.
        from podium.serving.grpc.door import make_door  # noqa: PLC0415

        parts = self._scoring, self.standing, self.asking, self._recorder, self.guard, self.app.routes
        return make_door(self._settings, address, *parts)

    async def _close_door(self, door: "Door") -> None:
        await door.close(self._settings.drain_linger_s, max(0.0, self._ends() - time.monotonic()))

    def _ends(self) -> float:
        return self._drain_limit_s if self._drain_limit_s is not None else float("inf")

    async def _sweep(self) -> None:
        turn = 0
        while not self._is_over:
            self.connections.sweep()
            self._scoring.sweep(time.monotonic())
            self.asking.sweep(time.monotonic())
            if self._protection.sweep():
                self.connections.retire_certified()
            if self._door is not None:
                self._door.sweep()
            if self._exporting is not None:
                self._exporting.flush()
            if self._remembering is not None:
                self._remembering.sweep()
            turn += 1
            if turn % _FLUSH_SWEEPS == 0:
                self._flush_access_log()
            await asyncio.sleep(_SWEEP_S)

    def _flush_access_log(self) -> None:
        if self._access is None:
            return
        self._access.flush()
        self._recorder.publish_dropped()
        if self._access.problem != self._access_problem:
            self._access_problem = self._access.problem
            if self._access_problem is not None:
                _log.error("the access log cannot be written, its lines are lost: %s", self._access_problem)

    def _lost(self, replica: Replica, reason: str) -> None:
        _log.warning("replica %d of %s version %s is lost: %s", replica.id, replica.endpoint, replica.version, reason)
        self._control.say(ReplicaLost(replica.id))

    def _released(self, identity: int) -> None:
        self._control.say(ReplicaReleased(identity))

    @staticmethod
    def _open_access_log(settings: GatewaySettings) -> AccessLog | None:
        if settings.access_log is None:
            return None
        return AccessLog(Path(settings.access_log), settings.access_log_bytes, settings.access_log_keep)

    @staticmethod
    def _make_exporting(
        settings: GatewaySettings, channel: socket.socket | None, slots: Slots, slot: int
    ) -> Exporting | None:
        if channel is None or settings.exports is None:
            return None
        return Exporting(settings.exports, channel, partial(slots.add_exported, slot, "gateway_dropped"))

    @staticmethod
    def _make_remembering(
        settings: GatewaySettings, channel: socket.socket | None, slots: Slots, slot: int
    ) -> Remembering | None:
        if channel is None or not settings.quality_rate:
            return None
        return Remembering(
            settings.quality_rate, channel, lambda result, count: slots.add_exported(slot, f"answers_{result}", count)
        )
