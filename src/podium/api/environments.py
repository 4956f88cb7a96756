"""`podium env`: building, listing, locking, exporting and removing the Pythons of models."""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.domain.load_terms import LoadTerms
from podium.domain.worker_variables import kept_variables
from podium.environments.build import existing
from podium.environments.choice import Asking, Environment, choose, root_of
from podium.environments.export import export_wheels
from podium.environments.kept import KeptEnvironment, kept, remnants, remove, superfluous
from podium.environments.resolve import FOLDER, EnvironmentRequest, Resolution, kept_resolution, lock_file, resolve
from podium.errors import Misconfigured, NotFound
from podium.models.code_needs import check_code
from podium.models.mlmodel import read_mlmodel
from podium.registry.resolve import Resolved, check_digest
from podium.settings.environments import AUTO, EnvironmentOrder
from podium.settings.home import Home

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be.

    Args:
        environments: Whole ones.
        remnants: Folders of builds that died.
        in_use: Keys of those that stay because somebody uses them.
    """

    environments: tuple[KeptEnvironment, ...]
    remnants: tuple[str, ...]
    in_use: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.environments)


@dataclass(frozen=True, slots=True)
class Locked:
    """A model's lock file.

    Args:
        path: Where it is kept.
        packages: What it names.
        as_of: Until when packages counted; None for all.
    """

    path: Path
    packages: tuple[str, ...]
    as_of: str | None


def asking_for(
    found: Resolved,
    order: EnvironmentOrder,
    home: Home,
    tell: Callable[[str], None],
    *,
    allow_code: bool = True,
    extra: Mapping[str, str] | None = None,
) -> Asking:
    """The one way to ask for a model's environment without a server.

    A model that is not what was registered, or that would run code which nobody allowed, gets none: building one runs what
    its packages bring. What builds has our variables, credentials too; the model is tried with those that a worker gets.

    Args:
        found: The model.
        order: Which environment.
        home: Keeps it.
        tell: Called with lines for people.
        allow_code: Whether loading may run code that the folder brings.
        extra: More variables, for what builds and for the model.

    Raises:
        DigestMismatch, InvalidModel: The model's folder is not what it should be.
        LoadFailed: The model needs code to be run, and that is not allowed.
    """
    check_digest(found)
    mlmodel, terms = read_mlmodel(found.folder), LoadTerms(allows_code=allow_code)
    check_code(found.folder, mlmodel, terms)
    environ = {**os.environ, **(extra or {})}

    def only_kept(command: Sequence[str], environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        return list(command), kept_variables(environ, extra or ())

    return Asking(found.folder, mlmodel, order, root_of(order, home), tell, environ=environ, terms=terms, confine=only_kept)


def built(asking: Asking) -> Environment:
    """The model's environment, built unless it is there, with the model tried in it.

    Raises:
        Misconfigured: The order asks for no environment.
        Misconfigured, InvalidModel, LoadFailed: As `environments.choice.choose`.
    """
    if asking.order.manager in {"local", AUTO}:
        raise Misconfigured(f"--env-manager {asking.order.manager} builds nothing; use uv, virtualenv or conda.")
    environment = choose(asking)
    environment.release()
    return environment


def found_for(asking: Asking) -> KeptEnvironment | None:
    """The model's environment as it is kept; None where none is built."""
    there = existing(asking.root, asking.request())
    if there is None:
        return None
    there.lease.release()
    return next((each for each in kept(asking.root) if each.key == there.key), None)


def found_by_key(root: Path, key: str) -> KeptEnvironment | None:
    """The environment whose key begins so; None where what is given is no such beginning.

    Raises:
        NotFound: Several begin so.
    """
    if not re.fullmatch(r"[0-9a-f]{4,24}", key):
        return None
    matching = [each for each in kept(root) if each.key.startswith(key)]
    if len(matching) > 1:
        raise NotFound(f"{key} is the beginning of {len(matching)} environments: {[each.key for each in matching]}.")
    return matching[0] if matching else None


def lock(asking: Asking) -> Locked:
    """Write the model's lock file: exact versions with the digest of each file. The version itself never changes.

    Raises:
        Misconfigured: There is no uv.
        LoadFailed: The requirements cannot be resolved.
    """
    request = asking.request()
    if not request.is_resolved_first:
        raise Misconfigured("A lock file is made by uv, which is not here: pip install 'podium[uv]'")
    resolution = _resolved(asking, request, with_hashes=True)
    return Locked(lock_file(asking.root, request), resolution.packages, resolution.as_of)


def requirements(asking: Asking) -> str:
    """What is in the model's environment, or would be: lines for pip, with digests where the model is locked.

    Raises:
        Misconfigured, LoadFailed: As `lock`.
    """
    request = asking.request()
    if not request.is_resolved_first:
        return "".join(f"{line}\n" for line in request.spec.lines)
    resolution = kept_resolution(asking.root, request) or _resolved(asking, request)
    return resolution.lines(request.spec.folder)


def wheels(asking: Asking, target: Path) -> int:
    """Write a tar of the wheels of the model's environment; returns how many.

    Raises:
        Misconfigured, LoadFailed: As `lock`.
    """
    request = asking.request()
    if not request.is_resolved_first:
        raise Misconfigured("Wheels are chosen by uv, which is not here: pip install 'podium[uv]'")
    resolution = kept_resolution(asking.root, request) or _resolved(asking, request)
    return export_wheels(request, resolution, target.absolute(), asking.job(request))


def prune(
    root: Path,
    *,
    older_than_days: float | None = None,
    is_unused: bool = False,
    most_bytes: int | None = None,
    is_dry: bool = False,
) -> Pruned:
    """Remove environments that nobody uses now, and what builds that died have left.

    Args:
        root: Where environments are kept.
        older_than_days: Those that nobody has used for so long.
        is_unused: All that nobody uses now, and what their requirements came to; locks stay.
        most_bytes: Then the least recently used, until all hold no more than this.
        is_dry: Only say what would go.
    """
    found = kept(root)
    older_s = 0.0 if is_unused else None if older_than_days is None else older_than_days * _DAY_S
    going = superfluous(found, time.time(), older_than_s=older_s, most_bytes=most_bytes)
    dead = remnants(root)
    if not is_dry:
        going = [each for each in going if remove(root, each.key)]
        dead = [key for key in dead if remove(root, key)]
        if is_unused and (root / FOLDER).is_dir():
            for path in (root / FOLDER).glob("*.txt"):
                if not path.name.endswith(".lock.txt"):
                    path.unlink(missing_ok=True)
    return Pruned(tuple(going), tuple(dead), tuple(each.key for each in found if each.is_used))


def _resolved(asking: Asking, request: EnvironmentRequest, *, with_hashes: bool = False) -> Resolution:
    asking.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    job = asking.job(request)
    job.begin()
    return resolve(asking.root, request, job, with_hashes=with_hashes)
