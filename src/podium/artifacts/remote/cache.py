"""The private cache of what was fetched from other machines: `PODIUM_HOME/cache/<key>/model`.

Laws:

1. What is at `<key>/model` is whole: it was downloaded beside, checked, synced and moved there in one step.
2. Before it is used again its content is hashed and compared with what was recorded then; what differs is fetched anew.
3. One process fetches a key at a time (flock); others wait for it and use what it fetched. A lock ends with its process.
4. A download that was killed goes on where it stopped, if the server still names the same files; a part of a file is
   continued only where the server's tag or a digest proves that it is still the same file.
5. An archive is unpacked beside, too (`artifacts.unpack`), and only what was unpacked is kept.
6. Altogether the cache keeps no more than a limit; what was used last is kept longest, and what was used within the last
   hour is not removed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from podium.artifacts.digest import digest_folder
from podium.artifacts.leftovers import remove_unlocked
from podium.artifacts.remote.contract import RemoteFile, RemoteFolder
from podium.artifacts.tree import size_of
from podium.artifacts.unpack import UnpackLimits, unpack
from podium.errors import DigestMismatch, InvalidModel, NotFound, PodiumError, RegistryBusy, RegistryError
from podium.settings.whole_files import write_whole

_LOCK_POLL_S = 0.05
_GRACE_S = 3600.0
_SPARE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one download, and of the cache."""

    most_bytes: int = 64 << 30
    limit_s: float = 3600.0
    cache_bytes: int = 32 << 30


class Cache:
    """Model folders that were fetched, by a key of 64 hex digits.

    Args:
        root: Made (0700) when something is fetched.
        limits: See there.
        now_s: Seconds of the Unix epoch, for what was used last.
    """

    def __init__(self, root: Path, limits: FetchLimits = FetchLimits(), now_s: Callable[[], float] = time.time) -> None:
        self._root = root
        self._limits = limits
        self._now_s = now_s

    def fetch(self, key: str, folder: RemoteFolder, *, is_packed: bool = False) -> Path:
        """The folder's content on this machine, downloaded unless it is here already.

        The server is asked for its list in any case: a key's files may have been overwritten there.

        Args:
            key: Where it is kept.
            folder: Where it comes from.
            is_packed: Its one file is an archive of the model's folder. One without a tag is fetched every time.

        Raises:
            NotFound: There is no model.
            InvalidModel: What is there may not be fetched, or is no model.
            DigestMismatch: The bytes are not those that the server announced.
            RegistryError: The server or the disk failed; what was fetched so far is kept for the next try.
        """
        files = folder.files()
        if not files or not (is_packed or any(file.path == "MLmodel" for file in files)):
            raise NotFound(
                f"There is no model at {folder.place}: "
                + ("no MLmodel among its files." if files else "nothing is there."),
                [folder.place],
            )
        may_be_kept = not is_packed or bool(files[0].tag)
        listing = json.dumps([asdict(file) for file in files], sort_keys=True)
        with _failing_clearly(self._root), self._locked(key) as place:
            if may_be_kept and _is_intact(place, listing):
                os.utime(place)
                return place / "model"
            self._make_room(files, folder.place, key)
            deadline = time.monotonic() + self._limits.limit_s
            _download(folder, files, place / "incoming", listing, deadline, self._limits)
            if is_packed:
                self._unpack(place / "incoming", folder.place, deadline)
            return _take_in(place, listing)

    def _unpack(self, incoming: Path, place: str, deadline: float) -> None:
        """Put what is in the archive in the place of the archive."""
        shutil.rmtree(incoming / "unpacked", ignore_errors=True)
        room = max(0, shutil.disk_usage(self._root).free - _SPARE_BYTES)
        limits = UnpackLimits(most_bytes=self._limits.most_bytes, room_bytes=room, deadline=deadline)
        try:
            model = unpack(incoming / "files" / "archive", incoming / "unpacked", place, limits)
        except InvalidModel:
            shutil.rmtree(incoming, ignore_errors=True)
            raise
        except (RegistryError, OSError):
            shutil.rmtree(incoming / "unpacked", ignore_errors=True)
            raise
        # From here on, a killed process begins with an empty folder again.
        (incoming / "listing.json").unlink()
        shutil.rmtree(incoming / "files")
        model.rename(incoming / "files")

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[Path]:
        place = self._root / key
        deadline = time.monotonic() + self._limits.limit_s
        while True:
            # The mode is the last folder's alone, and the one above it is the home, which may be new too.
            self._root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._root.mkdir(exist_ok=True, mode=0o700)
            place.mkdir(exist_ok=True, mode=0o700)
            try:
                descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.exists(place) and os.path.samestat(os.fstat(descriptor), os.stat(place)):
                    yield place
                    return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RegistryBusy(f"{place}: another process has been fetching it for too long.") from None
                time.sleep(_LOCK_POLL_S)
            finally:
                os.close(descriptor)

    def _make_room(self, files: list[RemoteFile], place: str, key: str) -> None:
        """Remove what was used longest ago, until this fits.

        Raises:
            InvalidModel: It is larger than anything may be.
            RegistryError: The disk has no room for it.
        """
        coming = sum(file.size_bytes or 0 for file in files)
        if coming > self._limits.most_bytes:
            raise InvalidModel(f"{place} holds {coming} bytes; podium fetches at most {self._limits.most_bytes}.")
        kept = _oldest_first(entry for entry in self._root.iterdir() if entry.name != key)
        sizes = {entry: size_of(entry) for _, entry in kept}
        for used_s, entry in kept:
            if sum(sizes.values()) + coming <= self._limits.cache_bytes or self._now_s() - used_s < _GRACE_S:
                break
            if remove_unlocked(entry):
                del sizes[entry]
        free = shutil.disk_usage(self._root).free
        if coming + _SPARE_BYTES > free:
            raise RegistryError(f"{place} holds {coming} bytes, and {self._root} has room for {free} only.")


def _oldest_first(entries: Iterable[Path]) -> list[tuple[float, Path]]:
    """When each was used last, and each; without those that another process has removed meanwhile."""
    found = []
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):
            found.append((entry.stat().st_mtime, entry))
    return sorted(found, key=lambda pair: pair[0])


def _is_intact(place: Path, listing: str) -> bool:
    try:
        record = json.loads((place / "record.json").read_text())
        return bool(record["listing"] == listing and record["digest"] == digest_folder(place / "model"))
    except (OSError, ValueError, KeyError, TypeError, PodiumError):
        return False


def _take_in(place: Path, listing: str) -> Path:
    shutil.rmtree(place / "model", ignore_errors=True)
    (place / "record.json").unlink(missing_ok=True)
    incoming = place / "incoming"
    (incoming / "listing.json").unlink(missing_ok=True)
    digest = digest_folder(incoming / "files")
    (incoming / "files").rename(place / "model")
    write_whole(place / "record.json", json.dumps({"listing": listing, "digest": digest}).encode())
    shutil.rmtree(incoming, ignore_errors=True)
    return place / "model"


def _download(
    folder: RemoteFolder, files: list[RemoteFile], incoming: Path, listing: str, deadline: float, limits: FetchLimits
) -> None:
    if _text(incoming / "listing.json") != listing:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(mode=0o700)
        (incoming / "files").mkdir(mode=0o700)
        (incoming / "parts").mkdir(mode=0o700)
        write_whole(incoming / "listing.json", listing.encode())
    left_bytes = limits.most_bytes
    for number, file in enumerate(files):
        target = incoming / "files" / file.path
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _download_file(folder, file, incoming / "parts" / str(number), deadline, left_bytes)
            (incoming / "parts" / str(number)).rename(target)
        left_bytes -= target.stat().st_size


def _download_file(folder: RemoteFolder, file: RemoteFile, part: Path, deadline: float, most_bytes: int) -> None:
    start = part.stat().st_size if (file.tag or file.sha256) and part.is_file() else 0
    if file.size_bytes is not None and start >= file.size_bytes:
        start = 0
    most_bytes = most_bytes if file.size_bytes is None else min(most_bytes, file.size_bytes)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if start else os.O_TRUNC)
    with os.fdopen(os.open(part, flags, 0o600), "r+b") as out:
        out.seek(start)
        with folder.read(file, start) as chunks:
            got = start
            for chunk in chunks:
                got += len(chunk)
                if got > most_bytes:
                    raise DigestMismatch(f"{folder.place}: {file.path} is larger than the {most_bytes} bytes it may have.")
                if time.monotonic() > deadline:
                    raise RegistryError(f"{folder.place} was not fetched within its time; what came is kept.")
                out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
        _check(folder, file, part, got)


def _check(folder: RemoteFolder, file: RemoteFile, part: Path, got: int) -> None:
    try:
        if file.size_bytes is not None and got != file.size_bytes:
            raise DigestMismatch(f"{folder.place}: {file.path} has {got} bytes instead of {file.size_bytes}.")
        for kind, expected in (("md5", file.md5), ("sha256", file.sha256)):
            if expected is None:
                continue
            with part.open("rb") as content:
                found = hashlib.file_digest(content, partial(hashlib.new, kind, usedforsecurity=False)).hexdigest()
            if found != expected.lower():
                raise DigestMismatch(f"{folder.place}: {file.path} has {kind} {found} instead of {expected}.")
    except DigestMismatch:
        part.unlink()
        raise


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


@contextlib.contextmanager
def _failing_clearly(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RegistryError(f"The cache {root} failed: {error.strerror or error}.") from error
