"""The artifact store in a folder: `<root>/sha256/<64 hex>`, each a model folder with read-only files.

A put copies into `<root>/incoming/<random>` and renames; the file system makes that one step. Who works in an incoming
folder holds a lock on it (flock), which ends with the process, so that `sweep` tells leftovers from work under way.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from podium.artifacts.contract import StoredFolder
from podium.artifacts.copies import copy_files, verified_copy
from podium.artifacts.digest import PREFIX, digest_folder, is_digest
from podium.artifacts.leftovers import remove_unlocked
from podium.artifacts.tree import fingerprint, walk
from podium.errors import InvalidInput, InvalidModel, NotFound, PodiumError, RegistryError

_ATTEMPTS = 10


class LocalArtifacts:
    """An `ArtifactStore` in a folder of this machine, made (0700) by the first put."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders = root / "sha256"
        self._incoming = root / "incoming"

    def put(self, folder: Path) -> str:
        self.sweep()
        with self._failing_clearly(), self._workplace() as workplace:
            before = fingerprint(folder)
            copy_files(folder, workplace, is_durable=True)
            if fingerprint(folder) != before:
                raise InvalidModel(f"{folder} was written to while it was copied. Wait until it is complete and try again.")
            digest = digest_folder(workplace)
            _make_read_only(workplace)
            for _ in range(_ATTEMPTS):
                if self._take_in(workplace, digest) or self._is_intact(digest):
                    return digest
                # What is there is damaged, and here is the content that it should have.
                self.delete(digest)
        raise RegistryError(f"{self._place(digest)} is damaged and could not be replaced.")

    def contains(self, digest: str) -> bool:
        return self._place(digest).is_dir()

    def locate(self, digest: str) -> Path:
        place = self._place(digest)
        if not place.is_dir():
            raise NotFound(f"There is no model with digest {digest} in the artifact store.", [str(place)])
        return place

    def fetch(self, digest: str, target: Path) -> None:
        verified_copy(self.locate(digest), target, digest)

    def list(self) -> list[StoredFolder]:
        with self._failing_clearly():
            names = sorted(os.listdir(self._folders)) if self._folders.is_dir() else []
            return [self._describe(name) for name in names if is_digest(PREFIX + name)]

    def delete(self, digest: str) -> None:
        place = self._place(digest)
        with self._failing_clearly(), self._workplace() as workplace, contextlib.suppress(FileNotFoundError):
            # Gone in one step for everybody else; the files follow.
            place.rename(workplace / "deleted")

    def sweep(self) -> int:
        if not self._incoming.is_dir():
            return 0
        with self._failing_clearly():
            return sum(remove_unlocked(self._incoming / name) for name in os.listdir(self._incoming))

    def _place(self, digest: str) -> Path:
        if not is_digest(digest):
            raise InvalidInput(f"{digest!r} is not a digest; expected sha256: and 64 hex digits.")
        return self._folders / digest.removeprefix(PREFIX)

    def _describe(self, name: str) -> StoredFolder:
        place = self._folders / name
        size_bytes = sum(entry.status.st_size for entry in walk(place) if not entry.is_folder)
        return StoredFolder(PREFIX + name, size_bytes, place.stat().st_mtime)

    @contextlib.contextmanager
    def _workplace(self) -> Iterator[Path]:
        """A locked folder of one's own in `incoming`, removed at the end with whatever is still in it."""
        for folder in (self.root, self._folders, self._incoming):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path, descriptor = self._locked_folder()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)

    def _locked_folder(self) -> tuple[Path, int]:
        for _ in range(_ATTEMPTS):
            path = self._incoming / uuid.uuid4().hex
            path.mkdir(mode=0o700)
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                # A sweep may have been quicker: then the lock is taken, or the folder is gone.
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if path.exists():
                        return path, descriptor
                os.close(descriptor)
        raise RegistryError(f"{self._incoming}: every new folder was swept away at once.")

    def _take_in(self, workplace: Path, digest: str) -> bool:
        """Whether the workplace became the folder of this digest; False when one is there already."""
        place = self._place(digest)
        try:
            workplace.rename(place)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            raise
        # The entry's time is when it was put: `clean` spares what is new.
        os.utime(place)
        _sync_folder(self._folders)
        return True

    def _is_intact(self, digest: str) -> bool:
        place = self._place(digest)
        try:
            if digest_folder(place) != digest:
                return False
            os.utime(place)
        except (OSError, PodiumError):
            return False
        return True

    @contextlib.contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RegistryError(f"The artifact store {self.root} failed: {error}.") from error


def _make_read_only(folder: Path) -> None:
    """Files only. A folder without write permission could be neither moved nor removed by its owner."""
    for entry in walk(folder):
        if not entry.is_folder:
            os.fchmod(entry.descriptor, 0o500 if entry.status.st_mode & 0o100 else 0o400)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
