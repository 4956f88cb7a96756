"""Private copies of model folders, checked after copying: what was hashed is what is loaded.

Hashing the source and then loading it, or hashing it and then copying it, would leave a moment in which somebody else
can change it. So the copy is made first, where only this user can write, and the copy is what is hashed.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from podium.artifacts.digest import digest_folder
from podium.artifacts.tree import walk
from podium.errors import AlreadyExists, DigestMismatch, RegistryError

_FICLONE = 0x40049409  # linux/fs.h: share the blocks instead of copying them, where the file system can
_CHUNK = 1 << 20
_NOT_HERE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ENOTTY}


def verified_copy(source: Path, target: Path, digest: str | None) -> str:
    """Copy a model folder to a new private folder (0700, files 0600) and return the digest of the copy.

    Args:
        source: A model folder; may be written to meanwhile.
        target: Does not exist yet; its parent does.
        digest: What the copy must hash to; None takes whatever was copied.

    Raises:
        DigestMismatch: The copy is not what was registered; it has been removed.
        NotFound, InvalidModel: As `digest_folder`.
        AlreadyExists: The target is there already; it has been left alone.
        RegistryError: The disk is full or not writable. Nothing is left of the copy.
    """
    with _new_folder(target):
        copy_files(source, target)
        found = digest_folder(target)
        if digest is not None and found != digest:
            raise DigestMismatch(
                f"{source} is not what was registered.\n  expected {digest}\n  got      {found}\n"
                "Somebody changed the folder after it was recorded, or is changing it now; nothing of it was loaded. "
                "Register it again as a new version."
            )
        return found


def copy_files(source: Path, target: Path, *, is_durable: bool = False) -> None:
    """Copy what counts as content into an existing folder; with `is_durable`, wait until the disk has it."""
    for entry in walk(source):
        place = target / entry.path
        if entry.is_folder:
            place.mkdir(mode=0o700)
            continue
        mode = 0o700 if entry.status.st_mode & 0o100 else 0o600
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            _copy_bytes(entry.descriptor, descriptor, entry.status.st_size)
            if is_durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _new_folder(target: Path) -> Iterator[None]:
    try:
        target.mkdir(mode=0o700)
    except FileExistsError:
        raise AlreadyExists(f"{target} exists already; a private copy is always a new folder.") from None
    except OSError as error:
        raise RegistryError(f"{target} cannot be made: {error.strerror}.") from error
    try:
        yield
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise RegistryError(f"{target}: the copy of a model folder failed: {error.strerror}.") from error
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _copy_bytes(source: int, target: int, size_bytes: int) -> None:
    """Copy at most as many bytes as the file had when it was opened: a file that grows for ever ends all the same."""
    if size_bytes == 0:
        return
    with contextlib.suppress(OSError):
        fcntl.ioctl(target, _FICLONE, source)
        return
    left = size_bytes
    try:
        while left and (copied := os.copy_file_range(source, target, left)):
            left -= copied
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    # Some file systems answer 0 instead of an error; reading tells whether it is really the end.
    while left and (chunk := os.read(source, min(left, _CHUNK))):
        _write_all(target, chunk)
        left -= len(chunk)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
