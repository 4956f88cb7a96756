"""How a worker's process comes to be: forked off a fork server where that may be, else in an interpreter of its own."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from podium.domain.worker_starts import why_fresh
from podium.fleet.workers.children import Child, spawn
from podium.fleet.workers.forks import Forks, ForkServerProcess, library_for
from podium.fleet.workers.gpus import VISIBLE
from podium.fleet.workers.isolation import World
from podium.models.preloading import preloads_for
from podium.settings.model import ModelSettings

_Result = TypeVar("_Result")
_WORKER = ("podium.worker",)


@dataclass(frozen=True, slots=True)
class Origin:
    """How a worker's process came to be.

    Args:
        is_forked: Whether off a fork server.
        said: Which, or why not; for people.
    """

    is_forked: bool
    said: str


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What a worker's process is to be.

    Args:
        module: What is run as a worker.
        settings: The model's.
        mlmodel: Its MLmodel file.
        python: The interpreter.
        world: Where it lives.
        log: What it prints goes there.
        is_beside: Whether something is served meanwhile, of this model or of others.
        is_awaited: Whether nothing of this model is.
    """

    module: tuple[str, ...]
    settings: ModelSettings
    mlmodel: Mapping[str, Any]
    python: str
    world: World
    log: Path
    is_beside: bool
    is_awaited: bool = False


async def begin(
    order: WorkerOrder, board: int, forks: Forks, unless_woken: Callable[[Awaitable[_Result]], Awaitable[_Result | None]]
) -> tuple[Child, Origin] | None:
    """Begin a worker's process.

    Args:
        order: What it is to be.
        board: Descriptor of its board; stays the caller's.
        forks: Of the supervisor.
        unless_woken: Awaits something that may take long; gives None where the worker is not wanted any more.

    Returns: None where it is not wanted any more.

    Raises:
        OSError: No process, descriptor or memory is to be had.
    """
    server = await _fork_server(order, forks, unless_woken)
    if server is None:
        return None
    begun = await forks.fork(server, board, order.log) if isinstance(server, ForkServerProcess) else server
    if isinstance(begun, Child) and isinstance(server, ForkServerProcess):
        names = ", ".join(module.partition(":")[0] for module in server.library.modules)
        return begun, Origin(True, f"forked by process {server.child.pid}, which has imported {names}")
    child = spawn(order.module, {"--board-fd": board}, order.log, order.python, order.world)
    return child, Origin(False, f"in an interpreter of its own: {begun}")


async def _fork_server(
    order: WorkerOrder, forks: Forks, unless_woken: Callable[[Awaitable[Any]], Awaitable[Any]]
) -> ForkServerProcess | str | None:
    """The one for this worker; or why it is begun afresh; or None where it is not wanted any more."""
    if order.module != _WORKER:
        return "it is not podium's own worker"
    settings = order.settings
    modules = preloads_for(order.mlmodel, has_gpu=bool(order.world.more.get(VISIBLE)))
    is_linux = sys.platform == "linux"
    reason = why_fresh(settings.worker_start, settings.isolation, settings.threads, modules, is_linux=is_linux)
    if reason is not None or modules is None:
        return reason
    library = library_for(order.world, order.python, settings.threads, modules, os.environ)
    waiting: asyncio.Future[ForkServerProcess | str] = asyncio.ensure_future(
        forks.ready(library, order.world, is_low_priority=order.is_beside, is_awaited=order.is_awaited)
    )
    server: ForkServerProcess | str | None = await unless_woken(waiting)
    return server
