"""A fork server: it imports a flavor's libraries once, and forks workers off which have them already.

Started by the supervisor as `python -m podium.worker.forking --control-fd N`; it ends with end-of-file there. It never
sees a model: what it imports are libraries that podium names, and everything of a model's is read by the worker. Whoever
forks must have one thread, no device and no socket of somebody else's: each fork looks, and refuses otherwise.
"""

import argparse
import contextlib
import ctypes
import gc
import importlib
import os
import socket
import sys
import time
import warnings
from collections.abc import Collection, Sequence
from typing import NoReturn

from podium.transport.board import BoardWriter
from podium.transport.control import ControlSocket
from podium.transport.fork_messages import Fork, Forked, Preload, Preloaded, Unforkable
from podium.transport.messages import BrokenMessage
from podium.transport.slices import MODERATE_NS, set_slices
from podium.worker import __main__ as worker
from podium.worker.confinement import confine
from podium.worker.log import log_event, traceback_of
from podium.worker.pages import fill_gaps
from podium.worker.priority import limit_threads, low_priority

_OURS = (
    "podium.domain.batching",
    "podium.models.examples",
    "podium.models.load",
    "podium.protocols.mlflow.codec",
    "podium.worker.loading",
    "podium.worker.loop",
    "podium.worker.runner",
    "podium.worker.watching:rehearse",
)
# jemalloc in pyarrow, which pandas imports where it is there, starts a thread that only gives memory back.
_QUIETENED = "JE_ARROW_MALLOC_CONF"
_HARMLESS = frozenset({"/dev/null", "/dev/urandom", "/dev/random"})
_NAME = "podium.worker.forking"
# One that was joined stands in /proc for a moment longer, on a busy machine for a long one.
# Looks and not seconds: while the whole machine stands still no thread ends, and time passes all the same.
_LOOKS, _PAUSE_S = 400, 0.005
# Of /proc/self/stat: where the words of the command and the variables stand in memory.
_WORDS, _VARIABLES = slice(45, 47), slice(47, 49)


class CannotFork(Exception):
    """Why this process may not fork; `is_lasting` as in Unforkable."""

    def __init__(self, reason: str, *, is_lasting: bool) -> None:
        super().__init__(reason)
        self.is_lasting = is_lasting


class ForkServer:
    """Imports, then forks one worker after the other.

    Args:
        control: Blocking, to the supervisor.
    """

    def __init__(self, control: ControlSocket) -> None:
        self._control = control
        self._warned: list[warnings.WarningMessage] = []
        self._places: dict[str, int] = {}
        self._fillings: list[object] = []

    def serve(self) -> tuple[socket.socket, BoardWriter]:
        """Fork workers until the supervisor is gone. Returns in each worker, with what it serves by.

        Raises:
            CannotFork: Something stands against it.
            BrokenMessage, OSError: The supervisor is not to be understood.
        """
        while (heard := self._control.receive()) is not None:
            for message, descriptors in heard:
                match message:
                    case Preload():
                        began = time.monotonic()
                        self._preload(message)
                        self._control.send(Preloaded(round(time.monotonic() - began, 3)))
                    case Fork(mark) if len(descriptors) == 3:
                        if self._fork(mark, *descriptors):
                            control, board, log = descriptors
                            os.close(log)
                            return socket.socket(fileno=control), BoardWriter(board)
                    case _:
                        raise BrokenMessage(f"a fork server got a {type(message).__name__}")
                for descriptor in descriptors:
                    os.close(descriptor)
        os._exit(0)

    @property
    def warned(self) -> list[warnings.WarningMessage]:
        """What libraries warned of when they were imported: each worker tells it as if it had imported them."""
        return self._warned

    def _preload(self, order: Preload) -> None:
        limit_threads(order.threads)
        confine(order.is_hidden, None)
        self._places = _places()
        is_quietened = os.environ.setdefault(_QUIETENED, "background_thread:false") == "background_thread:false"
        # As where a worker imports them: makes many objects and no garbage.
        gc.disable()
        with (
            low_priority(order.threads, is_awaited=order.is_awaited) if order.is_low_priority else contextlib.nullcontext(),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("default")
            for module in (*_OURS, *order.modules):
                _import(module)
        set_slices(MODERATE_NS)  # as before, and as a worker has them until it serves
        if is_quietened:
            del os.environ[_QUIETENED]
        self._warned = list(caught)
        gc.collect()
        self._fillings = fill_gaps()
        # What a collector writes beside each object it looks at would be a copy of the page in every worker.
        gc.freeze()
        self._check()

    def _check(self, ours: Collection[int] = ()) -> None:
        """Refuse where a fork would take half of something along.

        Args:
            ours: Descriptors that are the worker's.

        Raises:
            CannotFork: Says what.
        """
        for _ in range(_LOOKS):
            if len(threads := _threads()) == 1:
                break
            time.sleep(_PAUSE_S)
        else:
            raise CannotFork(f"importing the libraries started threads ({', '.join(threads[1:])})", is_lasting=True)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) not in {self._control.fileno, *ours}:
                with contextlib.suppress(FileNotFoundError):  # the listing's own
                    if (target := os.readlink(f"/proc/self/fd/{name}")) not in _HARMLESS:
                        raise CannotFork(f"importing the libraries opened {target}", is_lasting=True)
        if _places() != self._places:
            raise CannotFork("the installed packages are others than those that were imported", is_lasting=False)

    def _fork(self, mark: str, control: int, board: int, log: int) -> bool:
        """Whether this is the worker. Everybody else has told, or been told, of it."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._check((control, board, log))
        reading, writing = os.pipe()
        between = os.fork()
        if between:
            os.close(writing)
            with os.fdopen(reading, "rb") as pipe:
                said = pipe.read()
            # Reaped: from now on the worker is a child of whoever takes orphans in, which is the supervisor.
            os.waitpid(between, 0)
            if not said.isdigit():
                raise CannotFork("a forked process ended before it was a worker", is_lasting=False)
            self._control.send(Forked(int(said)))
            return False
        try:
            if os.fork():
                os._exit(0)
            self._become_worker(mark, log)
            self._control.close()
            os.close(reading)
            os.write(writing, str(os.getpid()).encode())
            os.close(writing)
        except BaseException as error:  # noqa: BLE001 - nobody else's frames are to go on in here
            log_event("fork_failed", traceback=traceback_of(error))
            os._exit(1)
        return True

    def _become_worker(self, mark: str, log: int) -> None:
        """Be what an interpreter of one's own would be: session, output, variables, name, randomness."""
        os.setsid()
        for output in (1, 2):
            os.dup2(log, output)
        name, _, value = mark.partition("=")
        own = f"{name}={os.environ[name]}"
        os.environ[name] = value
        _rewrite(_VARIABLES, own.encode(), mark.encode())
        _rewrite(_WORDS, f"{_NAME}\0--control-fd".encode(), b"podium.worker\0--forked")
        # Children that multiprocessing spawns import what stands here.
        sys.modules["__main__"] = worker
        sys.argv[:] = [str(worker.__file__), "--forked"]
        if (numpy_random := sys.modules.get("numpy.random")) is not None:
            numpy_random.seed()  # `random` does so by itself after a fork
        gc.enable()


def _import(wanted: str) -> None:
    """Import a module, unless it is not installed: then the worker will say so, or do without.

    Raises:
        CannotFork: It raised anything else; only in an interpreter of its own is a second try the same.
    """
    module, _, function = wanted.partition(":")
    try:
        found = importlib.import_module(module)
        if function:
            getattr(found, function)()
    except ModuleNotFoundError as error:
        if error.name is None or (not function and not f"{module}.".startswith(f"{error.name}.")):
            raise CannotFork(f"{module} cannot be imported: {error}", is_lasting=True) from error
    except BaseException as error:
        raise CannotFork(f"{module} cannot be imported: {type(error).__name__}: {error}", is_lasting=True) from error


def _threads() -> list[str]:
    """The names of this process's threads, the one that asks first."""
    found = []
    for each in sorted(os.listdir("/proc/self/task"), key=int):
        with contextlib.suppress(OSError):  # it has ended since
            found.append(_text(f"/proc/self/task/{each}/comm").strip())
    return found


def _places() -> dict[str, int]:
    """When something was last installed in the folders of packages that this process imports from."""
    found = {}
    for place in sys.path:
        if place.endswith(("site-packages", "dist-packages")):
            with contextlib.suppress(OSError):
                found[place] = os.stat(place).st_mtime_ns
    return found


def _rewrite(part: slice, old: bytes, new: bytes) -> None:
    """Change what others read of this process in /proc: its command, or the variables that it was started with.

    The memory belongs to this process, and after the fork to it alone. `new` is no longer than `old`; the rest is zeros.

    Raises:
        CannotFork: It is not there.
    """
    start, end = map(int, _text("/proc/self/stat").rpartition(")")[2].split()[part])
    at = ctypes.string_at(start, end - start).find(old)
    if at < 0 or len(new) > len(old):
        raise CannotFork("its own command and variables are not where the kernel says", is_lasting=True)
    ctypes.memmove(start + at, new.ljust(len(old), b"\0"), len(old))


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def main(arguments: Sequence[str]) -> NoReturn:
    """Import, fork; in each worker, work."""
    parser = argparse.ArgumentParser(prog=f"python -m {_NAME}", description="Started by podium's supervisor.")
    parser.add_argument("--control-fd", type=int, required=True)
    descriptor = parser.parse_args(arguments).control_fd
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        parser.error(f"the descriptor is not a socket: {error}")
    os.set_inheritable(descriptor, False)
    sock.setblocking(True)
    control = ControlSocket(sock)
    server = ForkServer(control)
    try:
        control_socket, board = server.serve()
    except (CannotFork, BrokenMessage, OSError) as error:
        log_event("fork_server_ended", reason=str(error))
        with contextlib.suppress(OSError):
            control.send(Unforkable(str(error), is_lasting=isinstance(error, CannotFork) and error.is_lasting))
        sys.exit(worker.EXIT_LOAD_FAILED)
    worker.work(control_socket, board, server.warned)


if __name__ == "__main__":
    main(sys.argv[1:])
