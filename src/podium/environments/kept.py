"""The environments that are kept: what each is, who uses it, and removing those that nobody needs.

    <root>/<key>.json        the marker: written last, in one step; only what it names is ever used
    <root>/<key>/<random>/   the environment, where it stays: an environment that is moved is broken
    <root>/<key>/models/     which models were tried in it, and what came of it
    <root>/<key>.lock        held while building and removing
    <root>/<key>.used        held, together with others, by whoever uses it; its time is that of the last use

Both locks are the system's (flock): whoever dies gives them back.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.environments.running import Stopped
from podium.errors import LoadFailed
from podium.settings.whole_files import write_whole

_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class KeptEnvironment:
    """An environment that was built whole.

    Args:
        key: Its name.
        python: Its interpreter, and `version`, that one's.
        tool: What built it.
        packages: `scikit-learn==1.5.0`, all that are in it; what was asked for where pip or conda decided.
        size_bytes: All its files; those that uv shares with its cache count in full.
        built_at, used_at: Seconds since 1970.
        is_used: Whether somebody uses it now; `users` are their process ids, as far as the system tells them.
        models: How many models were tried in it.
        as_of: Until when packages counted, where that was a question.
        notices: What people should know of it.
        log: What the tools said.
    """

    key: str
    python: str
    version: str
    tool: str
    packages: tuple[str, ...]
    size_bytes: int
    built_at: float
    used_at: float
    is_used: bool
    users: tuple[int, ...]
    models: int
    as_of: str | None
    notices: tuple[str, ...]
    log: str


class Lease:
    """A use of an environment: while it is held, nobody removes that one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, root: Path, key: str, deadline: float) -> "Lease":
        """Begin to use.

        Args:
            root: Where environments are kept; must exist.
            key: Of the environment, which need not be there yet.
            deadline: Seconds, monotonic.

        Raises:
            LoadFailed: Somebody has been removing it for too long.
        """
        descriptor = os.open(root / f"{key}.used", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _locked(descriptor, fcntl.LOCK_SH):
                if time.monotonic() > deadline:
                    raise LoadFailed(f"Somebody has been removing environment {key} for too long.", "environment")
                time.sleep(_POLL_S)
            os.utime(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """End the use; may be called again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def exclusive(path: Path, deadline: float, is_stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold a lock alone.

    Args:
        path: Made if missing.
        deadline: Seconds, monotonic.
        is_stopped: As in `running.BuildJob`.

    Raises:
        LoadFailed: Somebody else held it until the deadline.
        Stopped: `is_stopped` said so.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(descriptor, fcntl.LOCK_EX):
            if is_stopped():
                raise Stopped
            if time.monotonic() > deadline:
                raise LoadFailed(
                    f"Somebody else has been building this environment for too long; {path} is held.", "environment"
                )
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


def marked(root: Path, key: str) -> str | None:
    """The interpreter of an environment that was built whole and is still there."""
    facts = _facts(root / f"{key}.json")
    python = (facts or {}).get("python")
    return python if isinstance(python, str) and os.access(python, os.X_OK) else None


def mark(root: Path, key: str, facts: dict[str, Any]) -> None:
    """Say that an environment is whole; the last step of a build.

    Args:
        root: Where environments are kept.
        key: Its name.
        facts: The fields of `KeptEnvironment` that are known now.
    """
    write_whole(root / f"{key}.json", json.dumps(facts).encode())


def kept(root: Path) -> list[KeptEnvironment]:
    """All of them, the one that was used last first."""
    found = [each for path in root.glob("*.json") if (each := _kept(root, path)) is not None]
    return sorted(found, key=lambda each: each.used_at, reverse=True)


def remove(root: Path, key: str) -> bool:
    """Remove an environment unless somebody uses or builds it; whether it is gone."""
    with contextlib.ExitStack() as stack:
        for name in (f"{key}.lock", f"{key}.used"):
            descriptor = os.open(root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, descriptor)
            if not _locked(descriptor, fcntl.LOCK_EX):
                return False
        # First the marker: whatever happens now, nobody takes what is left for an environment.
        (root / f"{key}.json").unlink(missing_ok=True)
        shutil.rmtree(root / key, ignore_errors=True)
        # The files of the locks stay: whoever waits at one that is not there any more would hold nothing.
        return not (root / key).exists()


def superfluous(
    found: list[KeptEnvironment], now: float, *, older_than_s: float | None = None, most_bytes: int | None = None
) -> list[KeptEnvironment]:
    """Which of them may go: nobody uses them, and they are too old, or too much.

    Args:
        found: All.
        now: Seconds since 1970.
        older_than_s: Not used for so long; None where age does not count.
        most_bytes: What all may hold; the least recently used go until it is so. None where size does not count.
    """
    free = [each for each in sorted(found, key=lambda each: each.used_at) if not each.is_used]
    going = [each for each in free if older_than_s is not None and now - each.used_at >= older_than_s]
    if most_bytes is not None:
        total = sum(each.size_bytes for each in found) - sum(each.size_bytes for each in going)
        for each in free:
            if total > most_bytes and each not in going:
                going.append(each)
                total -= each.size_bytes
    return going


def remnants(root: Path) -> list[str]:
    """Keys of folders that no marker names: of builds that died, as far as nobody builds there now."""
    keys = [path.name for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return [
        key
        for key in keys
        if key not in {"resolutions", "logs", "interpreters"}
        and (root / f"{key}.lock").exists()
        and marked(root, key) is None
    ]


def _kept(root: Path, path: Path) -> KeptEnvironment | None:
    facts, key = _facts(path), path.stem
    python = marked(root, key)
    if facts is None or python is None:
        return None
    used = root / f"{key}.used"
    try:
        tried = sum(1 for _ in (root / key / "models").iterdir())
    except OSError:
        tried = 0
    with contextlib.suppress(KeyError, TypeError, ValueError, OSError):
        return KeptEnvironment(
            key=key,
            python=python,
            version=str(facts["version"]),
            tool=str(facts["tool"]),
            packages=tuple(map(str, facts["packages"])),
            size_bytes=int(facts["size_bytes"]),
            built_at=float(facts["built_at"]),
            used_at=used.stat().st_mtime if used.exists() else float(facts["built_at"]),
            is_used=_is_held(used),
            users=_users(used),
            models=tried,
            as_of=facts["as_of"],
            notices=tuple(map(str, facts["notices"])),
            log=str(facts["log"]),
        )
    return None


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _users(path: Path) -> tuple[int, ...]:
    """Who holds a lock on a file, by the system's list of locks."""
    try:
        facts = path.stat()
        lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ()
    place = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"
    found = {int(words[4]) for line in lines if place in (words := line.replace("-> ", "").split()) and words[1] == "FLOCK"}
    return tuple(sorted(found))


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _facts(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None
