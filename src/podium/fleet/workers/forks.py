"""Fork servers: processes of the supervisor's that have imported a flavor's libraries, and fork workers off them.

There is one for each interpreter, user, set of variables, number of threads and set of libraries, from the first worker
that asks for it. A worker that it forks is the supervisor's child like any other: its parent in between has ended, and
orphans come to the supervisor (PR_SET_CHILD_SUBREAPER). So it is waited for, signalled and reaped as if it had been
spawned, and the death of its fork server does not touch it. What cannot be forked is begun afresh.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podium.fleet.host.machine import resident_bytes
from podium.fleet.workers.children import Child, open_log, spawn
from podium.fleet.workers.isolation import USER, World
from podium.fleet.workers.orphans import MARK
from podium.transport.fork_messages import Fork, Forked, Preload, Preloaded, Unforkable
from podium.transport.messages import Message

_PROGRAM = ("podium.worker.forking",)
_PR_SET_CHILD_SUBREAPER = 36
_MOST = 8
_FORK_S = 10.0
_BOOT_S = 300.0
_END_S = 3.0
_AGAIN_S = 60.0
_MOST_REFUSALS = 100
_SEND_TIMEOUT_S = 5.0
_log = logging.getLogger("podium.fleet")


@dataclass(frozen=True, slots=True)
class ForkTerms:
    """What a fork server is for. Workers that agree in all of it are forked by the same.

    Args:
        python: The interpreter.
        isolation, user: Whom it runs as.
        environ: Its variables.
        threads: Of its numeric libraries.
        modules: What it imports.
    """

    python: str
    isolation: str
    user: str | None
    environ: tuple[tuple[str, str], ...]
    threads: int
    modules: tuple[str, ...]


@dataclass(slots=True)
class ForkServerProcess:
    """One of them while it lives.

    Attributes:
        workers: How many it has forked.
        used_at: When it was asked last.
        is_ready: Whether it has imported what it was told to.
    """

    library: ForkTerms
    child: Child
    booted: asyncio.Future[Unforkable | None]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    workers: int = 0
    used_at: float = 0.0
    is_ready: bool = False


@dataclass(frozen=True, slots=True)
class Reaped:
    """A process that was forked for us: what `subprocess.Popen` is of one that we spawned."""

    pid: int

    def wait(self) -> int:
        """The exit status, negative for a signal."""
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return 0

    def kill(self) -> None:
        """End it at once. Nobody else has its number before it is reaped."""
        os.kill(self.pid, signal.SIGKILL)


class Forks:
    """The fork servers of one supervisor. Event loop's thread only.

    Args:
        log: What they print goes there.
        begin: Starts a task that has an owner.
        most: How many at a time; beyond it the one ends that was asked least lately, and its workers stay.
        program: What is run as one.
    """

    def __init__(
        self,
        log: Path,
        begin: Callable[[Coroutine[Any, Any, None]], object],
        most: int = _MOST,
        program: tuple[str, ...] = _PROGRAM,
    ) -> None:
        self._log = log
        self._begin = begin
        self._most = most
        self._program = program
        self._servers: dict[ForkTerms, ForkServerProcess] = {}
        self._refusals: dict[ForkTerms, tuple[float | None, str]] = {}
        self._forking = 0
        self._is_adopting: bool | None = None
        self._is_closed = False

    @property
    def servers(self) -> list[ForkServerProcess]:
        """Those that are ready."""
        return [server for server in self._servers.values() if server.is_ready]

    @property
    def pids(self) -> set[int]:
        """Of all that live."""
        return {server.child.pid for server in self._servers.values()}

    @property
    def held_bytes(self) -> int:
        """Resident memory of all, which is what their workers share."""
        return sum(resident_bytes(server.child.pid, is_alone=True) for server in self._servers.values())

    @property
    def is_forking(self) -> bool:
        """Whether there may be a child of ours which nobody knows yet."""
        return self._forking > 0

    async def ready(
        self, library: ForkTerms, world: World, *, is_low_priority: bool, is_awaited: bool = False
    ) -> ForkServerProcess | str:
        """The fork server for a library, once it can fork; or why there is none. May be cancelled.

        How one is begun that is not there yet, `is_low_priority` and `is_awaited` say, as in `Preload`.
        """
        if self._is_closed:
            return "the server ends"
        if (refusal := self._refusal(library)) is not None:
            return refusal
        server = self._servers.get(library)
        if server is None or not server.child.is_alive:
            if not self._adopts_orphans():
                return "this kernel does not hand orphans over to the supervisor"
            try:
                server = self._start(library, world, is_low_priority=is_low_priority, is_awaited=is_awaited)
            except OSError as error:
                return f"no fork server can be started: {error.strerror or error}"
        server.used_at = time.monotonic()
        refused = await asyncio.shield(server.booted)
        return server if refused is None else refused.reason

    async def fork(self, server: ForkServerProcess, board: int, log: Path) -> Child | str:
        """A worker of its own session, with these descriptors; or why there is none. Not to be cancelled: it is quick."""
        ours, theirs = socket.socketpair()
        mark = secrets.token_hex(8)
        self._forking += 1
        try:
            async with server.turn:
                output = open_log(log)
                try:
                    said = await _exchange(server.child, Fork(f"{MARK}={mark}"), (theirs.fileno(), board, output))
                finally:
                    os.close(output)
            theirs.close()
            if isinstance(said, Forked) and _is_our_child(said.pid):
                server.workers += 1
                server.used_at = time.monotonic()
                ours.settimeout(_SEND_TIMEOUT_S)
                return Child(Reaped(said.pid), ours, mark)
        except OSError as error:
            said = Unforkable(f"it cannot be handed over: {error.strerror or error}", is_lasting=False)
        finally:
            theirs.close()
            self._forking -= 1
        # Whatever it was that we do not know: it hears end-of-file before its first word, and ends.
        ours.close()
        server.child.kill()
        if not isinstance(said, Unforkable):
            return "its fork server did not answer"
        if said.is_lasting:
            self._refuse(server.library, said)
        return said.reason

    async def close(self) -> None:
        """End all; their workers have ended."""
        self._is_closed = True
        children = [server.child for server in self._servers.values()]
        for child in children:
            child.close()
        await asyncio.gather(*(child.over(_END_S) for child in children))
        for child in children:
            await child.end()

    def _start(self, library: ForkTerms, world: World, *, is_low_priority: bool, is_awaited: bool) -> ForkServerProcess:
        while len(self._servers) >= self._most:
            idle = [each for each in self._servers.values() if each.is_ready and not each.turn.locked()]
            if not idle:
                break
            self._retire(min(idle, key=lambda each: each.used_at))
        child = spawn(self._program, {}, self._log, library.python, world)
        server = ForkServerProcess(library, child, asyncio.get_running_loop().create_future())
        self._servers[library] = server
        order = Preload(list(library.modules), library.threads, library.isolation == USER, is_low_priority, is_awaited)
        self._begin(self._live(server, order))
        return server

    async def _live(self, server: ForkServerProcess, order: Preload) -> None:
        """From its first word to its end."""
        child = server.child
        refused = Unforkable("the fork server died before it could fork", is_lasting=False)
        try:
            try:
                said = await _exchange(child, order, (), _BOOT_S)
            except OSError:
                said = None
            if isinstance(said, Preloaded):
                server.is_ready = True
                server.booted.set_result(None)
                names = ", ".join(server.library.modules)
                _log.info("fork server %d has imported %s in %.1f s", child.pid, names, said.import_s)
                await child.over()
                return
            refused = said if isinstance(said, Unforkable) else refused
            self._refuse(server.library, refused)
            _log.info("workers with %s are begun afresh: %s", ", ".join(server.library.modules), refused.reason)
        finally:
            if not server.booted.done():
                server.booted.set_result(refused)
            status = await child.end()
            if self._servers.get(server.library) is server:
                del self._servers[server.library]
                if server.is_ready and not self._is_closed:
                    _log.info("fork server %d ended with status %d; its workers go on", child.pid, status)

    def _retire(self, server: ForkServerProcess) -> None:
        del self._servers[server.library]
        server.child.close()
        server.child.kill()

    def _refuse(self, library: ForkTerms, refused: Unforkable) -> None:
        until = None if refused.is_lasting else time.monotonic() + _AGAIN_S
        self._refusals.pop(library, None)
        self._refusals[library] = (until, refused.reason)
        while len(self._refusals) > _MOST_REFUSALS:
            del self._refusals[next(iter(self._refusals))]

    def _refusal(self, library: ForkTerms) -> str | None:
        until, reason = self._refusals.get(library, (0.0, ""))
        if until is not None and until <= time.monotonic():
            self._refusals.pop(library, None)
            return None
        return reason

    def _adopts_orphans(self) -> bool:
        if self._is_adopting is None:
            self._is_adopting = False
            with contextlib.suppress(OSError, AttributeError):
                self._is_adopting = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        return self._is_adopting


def library_for(world: World, python: str, threads: int, modules: tuple[str, ...], environ: Mapping[str, str]) -> ForkTerms:
    """What a worker in this world needs of a fork server."""
    variables = tuple(sorted(world.environ(environ).items()))
    return ForkTerms(python, world.isolation, world.user, variables, threads, modules)


async def _exchange(
    child: Child, message: Message, descriptors: tuple[int, ...], limit_s: float = _FORK_S
) -> Message | None:
    """Say something and hear the answer; None where there is none."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            if child.send(message, descriptors):
                heard = await child.receive()
                return heard[-1] if heard else None
    return None


def _is_our_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
