"""Walking a model folder without being led out of it.

Every entry is opened relative to its parent's descriptor and without following links, so that a folder that is
swapped for a link while it is read cannot lead the walk elsewhere.

What counts as content: regular files. Folders are only their paths. Left out, in hashing and in copying alike: whatever
is called `__pycache__` (byte code made by whoever imported the folder; a copy must never bring it along unhashed) and
`registered_model_meta` in the root (MLflow adds it to a folder that it downloads).
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podium.errors import InvalidModel, NotFound

MAX_DEPTH = 64
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file or folder below the root.

    `path` is relative, with `/` between its parts. `descriptor` is open for reading until the walk goes on.
    """

    path: str
    is_folder: bool
    descriptor: int
    status: os.stat_result


def walk(folder: Path) -> Iterator[TreeEntry]:
    """Every entry below a folder, a folder before what is in it. The folder itself may be reached through a link.

    Raises:
        NotFound: The folder is not there.
        InvalidModel: A link, a socket, a pipe, a device, a name that cannot travel, or more than 64 folders deep.
    """
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"There is no folder {folder}.") from None
    except NotADirectoryError:
        raise InvalidModel(f"{folder} is not a folder. A model is a folder with an MLmodel file in it.") from None
    try:
        yield from _walk(root, folder, "")
    finally:
        os.close(root)


def size_of(folder: Path) -> int:
    """Bytes of all files, of whatever is there, be it no model; links are not followed."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def fingerprint(folder: Path) -> str:
    """A cheap sign of the folder's state: equal while nobody wrote to it (paths, sizes, inodes and times of change)."""
    state = hashlib.sha256()
    for entry in sorted(walk(folder), key=lambda entry: entry.path):
        status = entry.status
        size = 0 if entry.is_folder else status.st_size
        changed = 0 if entry.is_folder else (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        state.update(repr((entry.path, entry.is_folder, size, changed)).encode())
    return state.hexdigest()


def _walk(parent: int, root: Path, prefix: str) -> Iterator[TreeEntry]:
    if prefix.count("/") > MAX_DEPTH:
        raise InvalidModel(f"{root}: more than {MAX_DEPTH} folders deep at {prefix!r}.")
    for name in sorted(os.listdir(parent)):
        if name == "__pycache__" or (not prefix and name == "registered_model_meta"):
            continue
        path = prefix + _travels(name, root, prefix)
        descriptor = _open(name, parent, root, path)
        try:
            status = os.fstat(descriptor)
            is_folder = stat.S_ISDIR(status.st_mode)
            if not is_folder and not stat.S_ISREG(status.st_mode):
                raise _refused(root, path, status.st_mode)
            yield TreeEntry(path, is_folder, descriptor, status)
            if is_folder:
                yield from _walk(descriptor, root, path + "/")
        finally:
            os.close(descriptor)


def _open(name: str, parent: int, root: Path, path: str) -> int:
    mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        # Before it is opened: opening a device or a pipe is an act of its own.
        raise _refused(root, path, mode)
    try:
        return os.open(name, _OPEN, dir_fd=parent)
    except PermissionError:
        raise InvalidModel(f"{root}: {path} cannot be read by this user.") from None


def _travels(name: str, root: Path, prefix: str) -> str:
    """The name, if every machine can write and read it the same way."""
    has_control = any(ord(character) < 32 or 0xD800 <= ord(character) <= 0xDFFF for character in name)
    if has_control or "\\" in name:
        raise InvalidModel(
            f"{root}: the name {prefix + name!r} has a control character, a backslash or bytes that are not UTF-8. "
            "Rename the file and save the model again."
        )
    return name


def _refused(root: Path, path: str, mode: int) -> InvalidModel:
    kinds = {stat.S_IFLNK: "a link", stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    return InvalidModel(
        f"{root}: {path} is {kind}; a model folder holds files and folders only. Replace it by the file it stands for."
    )
