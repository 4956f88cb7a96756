"""The private copies of the versions that this server serves: made, verified and read before a worker sees them."""

import asyncio
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from podium.artifacts.copies import verified_copy
from podium.artifacts.derived import hand_over
from podium.artifacts.digest import digest_folder
from podium.artifacts.signing import signature_of, verify_elsewhere
from podium.domain.worker_variables import kept_variables, names_in
from podium.environments.audit import ModelFacts, facts_of_model
from podium.environments.choice import Asking, Environment, choose, root_of
from podium.errors import DigestMismatch, PodiumError
from podium.fleet.workers.isolation import World, check_isolation, confine
from podium.fleet.workers.shared_copies import share, shared_folder
from podium.models.code_needs import check_code
from podium.models.mlmodel import read_mlmodel
from podium.models.requirements import names, read_requirements
from podium.registry.embedded import Resolved, label_of
from podium.settings.home import Home
from podium.settings.model import ModelSettings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A version that is ready to be loaded.

    Args:
        folder: The private copy.
        digest: What the copy hashes to; `is_verified` says whether the registry's record was there to compare with.
        mlmodel: The MLmodel file as JSON.
        requirements: Requirement lines; `packages` are their names, and those of the libraries that wrote the model.
        environment: The Python that its workers run in; held as long as the version is known.
        home: podium's, of which its workers need nothing but the copy and the environment.
        conversion: A private copy of its accepted conversion, beside the folder; or None.
        audited: What the model says of the Python that it needs; None where that cannot be read.
    """

    folder: Path
    digest: str
    is_verified: bool
    mlmodel: dict[str, Any]
    requirements: list[str]
    packages: list[str]
    environment: Environment
    home: Path | None = None
    conversion: Path | None = None
    audited: ModelFacts | None = None

    @property
    def python(self) -> str:
        return self.environment.python

    def conversion_for(self, runtime: str) -> str | None:
        """The folder of the conversion that a worker may answer by."""
        return None if self.conversion is None or runtime not in {"auto", "onnx"} else str(self.conversion)


class Copies:
    """Prepares each version once, however many replicas wait for it, and removes it when nobody needs it any more.

    Args:
        root: Where the copies lie.
        home: Keeps the environments that are built for versions.
        settings: The model's. What is refused by its terms gets no environment, for building one runs what its packages
            bring; what is tried in one lives where workers do. Copies for workers of another user are theirs to read,
            and lie where they can be reached without podium's home.
        tell: Called on the event loop's thread with lines for people.

    Attributes:
        asked_at: When one was asked for last, of a clock that never jumps.

    Raises:
        Misconfigured: This machine cannot isolate workers as is asked for.
    """

    def __init__(self, root: Path, home: Home, settings: ModelSettings, tell: Callable[[str], None]) -> None:
        self._readers = check_isolation(settings.isolation, settings.worker_user)
        self._root = root if self._readers is None else shared_folder()
        self._world = World(settings.isolation, settings.worker_env, settings.worker_user)
        self._verify_key = settings.verify_key
        self._home = home
        self._order = settings.environment
        self._tell = tell
        self._terms = settings.terms
        self._is_closing = threading.Event()
        self._known: dict[str, asyncio.Task[Prepared]] = {}
        self._removing: set[asyncio.Task[None]] = set()
        self._serial = 0
        self.asked_at = 0.0

    async def prepare(self, resolved: Resolved) -> Prepared:
        """The private copy of a version, hashed again each time: a copy of days ago may be gone, or changed.

        Raises:
            DigestMismatch, InvalidModel, LoadFailed, NotFound, RegistryError, OSError: Nothing is left of the copy, and
                the next call tries again.
        """
        self.asked_at = time.monotonic()
        task = self._known.get(resolved.label)
        if task is not None and task.done() and (former := self.known(resolved.label)) is not None:
            is_intact = await asyncio.to_thread(_is_intact, former)
            if not is_intact and self._known.get(resolved.label) is task:
                del self._known[resolved.label]
                former.environment.release()
                await self._remove(former)
            task = self._known.get(resolved.label)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            # A name of its own for each try: an earlier one may still be on its way out.
            self._serial += 1
            target = self._root / f"{resolved.label}-{self._serial}-{secrets.token_hex(8)}"
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
    def is_removable(self) -> bool:
        """Whether there is any, and none in the making."""
        return bool(self._known) and not self.is_busy

    @property
    def is_busy(self) -> bool:
        """Whether something is being prepared, with processes that are waited for by whoever prepares it."""
        return any(not task.done() for task in self._known.values())

    async def keep(self, versions: set[str]) -> None:
        """Remove the copies of all other versions.

        All are forgotten before the first is removed: who asks for one meanwhile gets a new one, not one that goes.
        """
        past: list[Prepared] = []
        for version in [each for each, task in self._known.items() if each not in versions and task.done()]:
            prepared = self.known(version)
            del self._known[version]
            if prepared is not None:
                prepared.environment.release()
                past.append(prepared)
        for prepared in past:
            await self._remove(prepared)

    async def close(self) -> None:
        """Wait for copies in the making and on their way out, end environments in the making.

        The run folder goes with all the rest; while somebody else removes a part of it, it would not go whole.
        """
        self._is_closing.set()
        await asyncio.gather(*self._known.values(), *self._removing, return_exceptions=True)
        if self._readers is not None:
            shutil.rmtree(self._root, ignore_errors=True)

    async def _remove(self, prepared: Prepared) -> None:
        """Take a copy off the disk; goes on though whoever waits for it is cancelled, and `close` waits then."""
        removing = asyncio.create_task(asyncio.to_thread(_remove, prepared))
        self._removing.add(removing)
        removing.add_done_callback(self._removing.discard)
        await asyncio.shield(removing)

    def _make(self, resolved: Resolved, target: Path, tell: Callable[[str], None]) -> Prepared:
        def environment(folder: Path, mlmodel: dict[str, Any]) -> Environment:
            if self._verify_key is not None:
                verify_elsewhere(folder, signature_of(resolved.folder.absolute()), Path(self._verify_key))
            check_code(folder, mlmodel, self._terms)
            if self._readers is not None:
                share(folder, self._readers)
            root, world = root_of(self._order, self._home), replace(self._world, folder=folder, home=self._home.root)
            stops, within = self._is_closing.is_set, partial(confine, world)
            return choose(Asking(folder, mlmodel, self._order, root, tell, stops, None, self._terms, within))

        prepared = _prepare(resolved, target, environment)
        if missing := missing_variables(target, os.environ, self._world.variables):
            names = ", ".join(missing)
            tell(f"the model was saved with variables that its workers do not get: {names}; worker_env passes them")
        return replace(prepared, home=self._home.root, conversion=self._conversion(prepared, tell))

    def _conversion(self, prepared: Prepared, tell: Callable[[str], None]) -> Path | None:
        """Where the worker may read its conversion; a model answers without one where it cannot be handed over."""
        target = prepared.folder.with_name(f"{prepared.folder.name}-conversion")
        try:
            conversion = hand_over(self._home.derived, prepared.digest, target)
            if conversion is not None and self._readers is not None:
                share(conversion, self._readers)
        except OSError as error:
            shutil.rmtree(target, ignore_errors=True)
            tell(f"the model's conversion is left alone, for it cannot be copied: {error.strerror or error}")
            return None
        return conversion


def _remove(prepared: Prepared) -> None:
    for folder in filter(None, (prepared.folder, prepared.conversion)):
        shutil.rmtree(folder, ignore_errors=True)


def missing_variables(folder: Path, environ: Mapping[str, str], named: tuple[str, ...]) -> list[str]:
    """The variables that a model was saved with, that are set here and that its workers do not get."""
    try:
        text = (folder / "environment_variables.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    kept = kept_variables(environ, named)
    return [name for name in names_in(text) if name in environ and name not in kept]


def _is_intact(prepared: Prepared) -> bool:
    try:
        return digest_folder(prepared.folder) == prepared.digest
    except (PodiumError, OSError):
        return False


def _prepare(resolved: Resolved, target: Path, choose: Callable[[Path, dict[str, Any]], Environment]) -> Prepared:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = verified_copy(resolved.folder, target, resolved.digest)
    try:
        _check_label(resolved, digest)
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
    audited = _audited(target, mlmodel)
    packages = list(dict.fromkeys([*names(requirements), *(audited.packages if audited is not None else [])]))
    is_verified = resolved.digest is not None
    return Prepared(target, digest, is_verified, mlmodel, requirements, packages, environment, audited=audited)


def _check_label(resolved: Resolved, digest: str) -> None:
    """What is called by its content is that content still, however long ago it was looked at: a sleeper's may be edited."""
    if resolved.version is None and resolved.digest is None and label_of(digest) != resolved.label:
        raise DigestMismatch(
            f"{resolved.folder} is not what it was when this server looked at it.\n  expected version {resolved.label}\n"
            f"  got      version {label_of(digest)}\nSomebody changed the folder, or is changing it now; nothing of it was "
            "loaded. podium load NAME takes in what it holds now."
        )


def _audited(folder: Path, mlmodel: dict[str, Any]) -> ModelFacts | None:
    try:
        return facts_of_model(folder, mlmodel)
    except (PodiumError, OSError, ValueError, TypeError, AttributeError):
        # An odd MLmodel file: whether the model loads is the worker's to say, not an audit's.
        return None
