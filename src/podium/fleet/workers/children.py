"""One child process: spawned with a control socket, heard, told, waited for, killed with whatever it started."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from podium.fleet.host.machine import started_at
from podium.fleet.workers.isolation import World, enclose
from podium.fleet.workers.orphans import MARK, end_marked
from podium.settings.source_tree import child_command, child_environ
from podium.transport.control import ControlSocket
from podium.transport.counting_messages import Counting
from podium.transport.messages import BrokenMessage, Message, Ready
from podium.transport.sessions import kill_group

_SEND_TIMEOUT_S = 5.0
_POLL_S = 0.02
_SIGNALLED = 128
_LONGEST_FIRST_SEND_S = 60.0


class Process(Protocol):
    """What a child's owner needs of it beside its sockets: `subprocess.Popen`, or what stands for it."""

    @property
    def pid(self) -> int:
        """Its number."""

    def wait(self) -> int:
        """Wait for its end and reap it; the exit status, negative for a signal."""

    def kill(self) -> None:
        """End it at once."""


class Child:
    """A process of ours. Its owner reads `receive` until None, then awaits `end`.

    It runs in a session of its own: a Ctrl-C at the terminal reaches the supervisor alone, which drains the children in
    order; and whatever the child started itself goes with it, by its process group or by the mark in its environment.
    """

    def __init__(self, process: Process, sock: socket.socket, mark: str, is_wrapped: bool = False) -> None:
        self.pid = process.pid
        self._mark, self._started_at = mark, started_at(process.pid) or 0
        self._is_wrapped = is_wrapped
        self._process = process
        self._sock = sock
        self._control = ControlSocket(sock)
        self._is_open = True
        self._has_hung_up = False
        self._slab: int | None = None
        self._has_counted = False
        # The exit status, negative for a signal, once it was reaped. Waited for by `asyncio.wait` alone: whoever is
        # cancelled while he awaits a future cancels it for all, and nobody would end a child that counts as ended.
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pidfd = _open_pidfd(self.pid)
        self._poller: asyncio.Task[None] | None = None
        if self._pidfd is None:
            self._poller = asyncio.create_task(self._poll())
        else:
            asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    @property
    def is_alive(self) -> bool:
        return not self._ended.done()

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> bool:
        """Send a small message; False when the child is gone or does not read, in which case it is killed.

        The descriptors stay the caller's.
        """
        if not self._is_open:
            return False
        try:
            self._control.send(message, descriptors)
        except OSError:
            # Half a message may be on the wire; nothing can follow it.
            self.kill()
            return False
        return True

    async def send_large(self, message: Message) -> bool:
        """As `send`, off the event loop: the child may still be booting and the message larger than the socket's buffer."""
        self._sock.settimeout(_LONGEST_FIRST_SEND_S)
        try:
            return await asyncio.to_thread(self.send, message)
        finally:
            if self._is_open:
                self._sock.settimeout(_SEND_TIMEOUT_S)

    async def receive(self) -> list[Message] | None:
        """What the child said next; None once it hung up or ended and all it said was read."""
        while self._is_open and not self._has_hung_up:
            if not self._ended.done():
                await self._until_readable()
            try:
                # A descendant may hold the other end open; after the child's end nothing more is waited for.
                self._sock.setblocking(False)
                received = self._control.receive()
            except (BlockingIOError, InterruptedError):
                if self._ended.done():
                    break
                continue
            except (OSError, BrokenMessage):
                break
            finally:
                self._sock.settimeout(_SEND_TIMEOUT_S)
            if received is None:
                break
            for message, descriptors in received:
                self._take(message, descriptors)
            if received:
                return [message for message, _ in received]
        self._has_hung_up = True
        return None

    def take_slab(self) -> int | None:
        """The descriptor of where the child counts its rows, which is the caller's from here on; None where it does not."""
        slab, self._slab = self._slab, None
        return slab

    def kill(self) -> None:
        """End it and its process group at once."""
        if self.is_alive:
            kill_group(self.pid)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def over(self, limit_s: float | None = None) -> bool:
        """Wait until it has ended and was reaped, so long at most; whether it has."""
        await asyncio.wait({self._ended}, timeout=limit_s)
        return self._ended.done()

    async def end(self) -> int:
        """End it at once, wait until it was reaped, and release what is held; its exit status.

        Whoever is cancelled meanwhile is so afterwards: a server that fails cancels all at any place, and leaves nothing.
        """
        self.kill()
        cancelled: asyncio.CancelledError | None = None
        while not self._ended.done():
            try:
                await self.over()
            except asyncio.CancelledError as error:
                cancelled = error
        self.close()
        if cancelled is not None:
            raise cancelled
        return self._ended.result()

    def close(self) -> None:
        """Release what is held; a child that still lives sees end-of-file."""
        if self._is_open:
            self._is_open = False
            self._control.close()
            if self._slab is not None:
                os.close(self._slab)

    def _take(self, message: Message, descriptors: list[int]) -> None:
        """Of a child's descriptors one is kept, in all its life: what it says first that it counts its rows in."""
        is_counting = isinstance(message, Counting) or (isinstance(message, Ready) and message.profile_id is not None)
        if is_counting and not self._has_counted and descriptors:
            self._has_counted = True
            self._slab = descriptors.pop(0)
        for descriptor in descriptors:
            os.close(descriptor)

    async def _until_readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[int] = loop.create_future()
        number = self._sock.fileno()

        def wake() -> None:
            # Once: the socket stays readable until it is read.
            loop.remove_reader(number)
            readable.set_result(number)

        loop.add_reader(number, wake)
        try:
            await asyncio.wait({readable, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._is_open:
                loop.remove_reader(number)

    def _reap(self) -> None:
        # While the leader is not reaped yet, its number cannot be given to a stranger's group.
        kill_group(self.pid)
        status = self._process.wait()
        if self._is_wrapped and status > _SIGNALLED:
            # As a shell does, the sandbox says by its own status which signal ended the worker.
            status = _SIGNALLED - status
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        # In a thread: there may be thousands of processes to look at. The loop's end waits for it, some seconds at most.
        asyncio.get_running_loop().run_in_executor(None, end_marked, self._mark, self._started_at)
        if not self._ended.done():
            self._ended.set_result(status)

    async def _poll(self) -> None:
        """Where the kernel or a sandbox refuses pidfds."""
        while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:  # noqa: ASYNC110, ASYNC222
            await asyncio.sleep(_POLL_S)
        self._reap()


def spawn(
    module: Sequence[str],
    inherited: Mapping[str, int],
    log: Path | None,
    python: str | None = None,
    world: World | None = None,
) -> Child:
    """Start `python -m MODULE ... --control-fd N` with the named descriptors.

    Args:
        module: A module of ours and its arguments.
        inherited: Flag to descriptor (`--board-fd`: 7); they stay the caller's.
        log: Appended to with what it prints; None discards it.
        python: Another interpreter than ours: of an environment.
        world: Where a process that runs a model's code lives; None for one of ours, which gets all our variables.

    Raises:
        OSError: No process, descriptor or memory is to be had.
    """
    ours, theirs = socket.socketpair()
    mark = secrets.token_hex(8)
    try:
        flags = [text for flag, number in inherited.items() for text in (flag, str(number))]
        command = [*child_command(module, python), "--control-fd", str(theirs.fileno()), *flags]
        environ = child_environ(python) if world is None else child_environ(python, world.environ())
        start = enclose(command, environ, world or World(), python)
        output = subprocess.DEVNULL if log is None else open_log(log)
        try:
            process = subprocess.Popen(
                start.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**start.environ, "PYTHONUNBUFFERED": "1", MARK: mark},
                pass_fds=(theirs.fileno(), *inherited.values()),
                start_new_session=True,
                **start.options,
            )
        finally:
            if output != subprocess.DEVNULL:
                os.close(output)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.settimeout(_SEND_TIMEOUT_S)
    return Child(process, ours, mark, start.is_wrapped)


def open_log(path: Path) -> int:
    """The file that a child prints to, made where it is not there; the caller closes it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
