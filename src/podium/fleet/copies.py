"""The private copies of the versions that this server serves: made, verified and read before a worker sees them."""

import asyncio
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.artifacts.copies import verified_copy
from podium.artifacts.digest import digest_folder
from podium.environments.choice import Asking, Environment, choose, root_of
from podium.errors import PodiumError
from podium.models.mlmodel import read_mlmodel
from podium.models.requirements import names, read_requirements
from podium.registry.resolve import Resolved
from podium.settings.environments import EnvironmentOrder
from podium.settings.home import Home


@dataclass(frozen=True, slots=True)
class Prepared:
    """A version that is ready to be loaded.

    Args:
        folder: The private copy.
        digest: What the copy hashes to; `is_verified` says whether the registry's record was there to compare with.
        mlmodel: The MLmodel file as JSON.
        requirements: Requirement lines; `packages` are their names.
        environment: The Python that its workers run in; held as long as the version is known.
    """

    folder: Path
    digest: str
    is_verified: bool
    mlmodel: dict[str, Any]
    requirements: list[str]
    packages: list[str]
    environment: Environment

    @property
    def python(self) -> str:
        return self.environment.python


class Copies:
    """Prepares each version once, however many replicas wait for it, and removes it when nobody needs it any more.

    Args:
        root: Where the copies lie.
        home: Keeps the environments that are built for versions.
        order: Which environment.
        tell: Called on the event loop's thread with lines for people.
    """

    def __init__(self, root: Path, home: Home, order: EnvironmentOrder, tell: Callable[[str], None]) -> None:
        self._root = root
        self._home = home
        self._order = order
        self._tell = tell
        self._is_closing = threading.Event()
        self._known: dict[str, asyncio.Task[Prepared]] = {}
        self._serial = 0

    async def prepare(self, resolved: Resolved) -> Prepared:
        """The private copy of a version, hashed again each time: a copy of days ago may be gone, or changed.

        Raises:
            DigestMismatch, InvalidModel, NotFound, RegistryError, OSError: Nothing is left of the copy, and the next
                call tries again.
        """
        task = self._known.get(resolved.label)
        if task is not None and task.done() and (former := self.known(resolved.label)) is not None:
            is_intact = await asyncio.to_thread(_is_intact, former)
            if not is_intact and self._known.get(resolved.label) is task:
                del self._known[resolved.label]
                former.environment.release()
                await asyncio.to_thread(shutil.rmtree, former.folder, True)
            task = self._known.get(resolved.label)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            # A name of its own for each try: an earlier one may still be on its way out.
            self._serial += 1
            target = self._root / f"{resolved.label}-{self._serial}"
            loop = asyncio.get_running_loop()

            def tell(text: str) -> None:
                loop.call_soon_threadsafe(self._tell, text)

            task = asyncio.create_task(asyncio.to_thread(self._make, resolved, target, tell))
            self._known[resolved.label] = task
        return await asyncio.shield(task)

    def known(self, version: str) -> Prepared | None:
        """What was prepared, without waiting."""
        task = self._known.get(version)
        is_there = task is not None and task.done() and not task.cancelled() and task.exception() is None
        return task.result() if task is not None and is_there else None

    @property
    def is_busy(self) -> bool:
        """Whether something is being prepared, with processes that are waited for by whoever prepares it."""
        return any(not task.done() for task in self._known.values())

    async def keep(self, versions: set[str]) -> None:
        """Remove the copies of all other versions."""
        for version in [version for version in self._known if version not in versions]:
            prepared = self.known(version)
            if self._known[version].done():
                del self._known[version]
            if prepared is not None:
                prepared.environment.release()
                await asyncio.to_thread(shutil.rmtree, prepared.folder, True)

    async def close(self) -> None:
        """Wait for copies in the making, end environments in the making; the run folder goes with all the rest."""
        self._is_closing.set()
        await asyncio.gather(*self._known.values(), return_exceptions=True)

    def _make(self, resolved: Resolved, target: Path, tell: Callable[[str], None]) -> Prepared:
        def environment(folder: Path, mlmodel: dict[str, Any]) -> Environment:
            root = root_of(self._order, self._home)
            return choose(Asking(folder, mlmodel, self._order, root, tell, self._is_closing.is_set))

        return _prepare(resolved, target, environment)


def _is_intact(prepared: Prepared) -> bool:
    try:
        return digest_folder(prepared.folder) == prepared.digest
    except (PodiumError, OSError):
        return False


def _prepare(resolved: Resolved, target: Path, choose: Callable[[Path, dict[str, Any]], Environment]) -> Prepared:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = verified_copy(resolved.folder, target, resolved.digest)
    try:
        mlmodel = read_mlmodel(target)
        requirements = read_requirements(target)
        environment = choose(target, mlmodel)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        # People know the folder that they named; the copy is gone when they look.
        error.args = tuple(
            each.replace(str(target), str(resolved.folder)) if isinstance(each, str) else each for each in error.args
        )
        raise
    return Prepared(target, digest, resolved.digest is not None, mlmodel, requirements, names(requirements), environment)
