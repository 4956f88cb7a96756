"""Copies of models for workers that run as another user: outside of podium's home, which that user cannot enter.

They lie in a folder that nobody can list, under names that nobody can guess, and the worker's group may read them.
"""

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from podium.artifacts.leftovers import remove_unlocked
from podium.artifacts.tree import walk
from podium.errors import Misconfigured

_PREFIX = "podium-copies-"
_held: list[int] = []


def shared_folder() -> Path:
    """A new folder in the system's place for temporary files; what servers left there that are gone is removed.

    Raises:
        Misconfigured: There is no place that another user can reach.
    """
    place = next(filter(_is_reachable, map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp"))), None)  # noqa: S108
    if place is None:
        raise Misconfigured("isolation = 'user' needs a place that every user can reach; set TMPDIR to one.")
    for left in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # its own server, or another that starts, removes it as well
            if left.stat(follow_symlinks=False).st_uid == os.geteuid() and not left.is_symlink():
                remove_unlocked(left)
    while True:
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        if _hold(made):
            return made


def _hold(made: Path) -> bool:
    """Lock a new folder while the process lives: that is how another server knows that it is in use.

    False where one that starts at the same moment took it for what was left there, before it was locked.
    """
    try:
        descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        made.chmod(0o711)
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        return False
    _held.append(descriptor)
    return True


def _is_reachable(place: Path) -> bool:
    try:
        return all(each.stat().st_mode & 0o001 for each in (place.resolve(), *place.resolve().parents))
    except OSError:
        return False


def share(folder: Path, group: int) -> None:
    """Let a group read a copy, and nobody but us write it."""
    for entry in walk(folder):
        os.fchown(entry.descriptor, -1, group)
        is_open = entry.is_folder or entry.status.st_mode & 0o100
        os.fchmod(entry.descriptor, 0o750 if is_open else 0o640)
    os.chown(folder, -1, group)
    folder.chmod(0o750)
