"""Archives of model folders, unpacked without being trusted: tar, alone or in gzip, bzip2 or xz, and zip.

- Only files and folders come out; links, devices, pipes and sparse or encrypted files are refused, not left out. Owners,
  times and permissions are not taken over, but for whether the owner may execute a file.
- A name is relative and stays below the folder. Two names that some machine would take for one (the same, or but for the
  case or the way an accent is written) are refused, and so is a file that is another's folder.
- What comes out has bounds in number, in bytes and in bytes for each byte of the archive; what a header claims about
  sizes is believed only in order to refuse.
- It is whole: sums and the end mark are checked, and there is exactly one model, in the root or in the one folder there.

What `tar` and `zip` of a Mac add of their own (`__MACOSX/`, `._*`, `.DS_Store`) is left out.
"""

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from podium.artifacts.remote.names import checked
from podium.errors import InvalidModel, RegistryError

_CHUNK = 1 << 18
# Headers are read at once: a long name is some hundred bytes, the list of a zip's 20,000 files about two million.
_LARGEST_READ = 8 << 20
_XZ_MEMORY = 256 << 20
_TAR_OVERHEAD = 64 << 20
_BLOCK = 512
_PLAIN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    ValueError,
    OverflowError,
    RecursionError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """Bounds of what comes out of one archive.

    Attributes:
        most_bytes: Altogether.
        most_entries: Files and folders.
        most_ratio: Bytes for each byte of the archive; `fair_bytes` may come out of any.
        room_bytes: What the disk has room for.
        deadline: On the monotonic clock.
    """

    most_bytes: int = 64 << 30
    most_entries: int = 20_000
    most_ratio: int = 200
    fair_bytes: int = 256 << 20
    room_bytes: int = 1 << 62
    deadline: float = float("inf")


def unpack(archive: Path, target: Path, place: str, limits: UnpackLimits = UnpackLimits()) -> Path:
    """Unpack into a new private folder and return the model's folder in it. Waits until the disk has it.

    Args:
        archive: Nobody else writes to it.
        target: Does not exist yet; when this raises, something may be left of it.
        place: What people call the archive, without a secret.
        limits: See there.

    Raises:
        InvalidModel: It is no archive, damaged, holds something that no model folder may hold, or not one model.
        RegistryError: The disk has no room for it, or there was no time.
    """
    target.mkdir(mode=0o700)
    size = archive.stat().st_size
    most = min(limits.most_bytes, max(limits.fair_bytes, limits.most_ratio * size))
    taking = _Taking(target, place, limits, most)
    try:
        with archive.open("rb") as file:
            for entry in _entries(file, place, most):
                taking.take(entry)
    except _DAMAGE as error:
        raise InvalidModel(f"{place} is a damaged archive ({type(error).__name__}: {error}).") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise InvalidModel(f"{place} is a damaged archive ({error}).") from error
    return taking.model()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One member; `content` is None for a folder, and is to be read before the next one is asked for."""

    name: str
    content: IO[bytes] | None
    is_executable: bool = False


class _Taking:
    """Puts members into a folder, within bounds."""

    def __init__(self, target: Path, place: str, limits: UnpackLimits, most_bytes: int) -> None:
        self._target = target
        self._place = place
        self._limits = limits
        self._most_bytes = most_bytes
        self._left_bytes = most_bytes
        self._count = 0
        self._known: dict[str, tuple[str, bool]] = {}

    def take(self, entry: _Entry) -> None:
        self._count += 1
        if self._count > self._limits.most_entries:
            raise InvalidModel(f"{self._place} holds more than {self._limits.most_entries} files; a model has some dozens.")
        name = entry.name
        while name.startswith("./"):
            name = name[2:]
        name = name[:-1] if entry.content is None and name.endswith("/") else name
        if entry.content is None and name in {"", "."}:
            return
        path = checked(name, self._place)
        if _is_litter(path):
            return
        self._note(path, is_folder=entry.content is None)
        place = self._target / path
        if entry.content is None:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write(place, entry.content, 0o700 if entry.is_executable else 0o600)

    def model(self) -> Path:
        """The folder with the MLmodel file: the root, or the one folder in it."""
        names = sorted(os.listdir(self._target))
        if "MLmodel" in names:
            return self._target
        if len(names) == 1 and (self._target / names[0] / "MLmodel").is_file():
            return self._target / names[0]
        found = sorted(path for path, is_folder in self._known.values() if not is_folder and path.endswith("/MLmodel"))
        there = f"its MLmodel files are {', '.join(found[:4])}" if found else "it has no MLmodel file"
        raise InvalidModel(
            f"{self._place} is not an archive of one model's folder: {there}, and beside each other are "
            f"{', '.join(names[:8]) or 'no files'}. Pack the folder alone: tar -C FOLDER -czf model.tar.gz ."
        )

    def _note(self, path: str, *, is_folder: bool) -> None:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            prefix = "/".join(parts[:depth])
            opens = is_folder or depth < len(parts)
            known = self._known.get(_folded(prefix))
            if known is None:
                self._known[_folded(prefix)] = (prefix, opens)
            elif known[0] != prefix:
                raise InvalidModel(
                    f"{self._place} names both {known[0]!r} and {prefix!r}, which some machines take for one."
                )
            elif not (known[1] and opens):
                raise InvalidModel(f"{self._place} names {prefix!r} twice.")

    def _write(self, place: Path, content: IO[bytes], mode: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(place, flags, mode), "wb") as out:
            while chunk := content.read(_CHUNK):
                self._left_bytes -= len(chunk)
                if self._left_bytes < 0:
                    raise InvalidModel(
                        f"{self._place} unpacks to more than {self._most_bytes} bytes, which is out of proportion."
                    )
                if self._most_bytes - self._left_bytes > self._limits.room_bytes:
                    raise RegistryError(f"{self._place} does not fit: there is room for {self._limits.room_bytes} bytes.")
                if time.monotonic() > self._limits.deadline:
                    raise RegistryError(f"{self._place} was not unpacked within its time.")
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())


def _entries(file: IO[bytes], place: str, most_bytes: int) -> Iterator[_Entry]:
    head = file.read(_BLOCK)
    file.seek(0)
    if head.startswith(b"PK"):
        return _zip_entries(file, place)
    if head.startswith(b"\x1f\x8b"):
        return _tar_entries(io.BufferedReader(gzip.GzipFile(fileobj=file, mode="rb")), place, most_bytes)
    if head.startswith(b"BZh"):
        return _tar_entries(bz2.BZ2File(file), place, most_bytes)
    if head.startswith(b"\xfd7zXZ\0"):
        return _tar_entries(io.BufferedReader(_Xz(file)), place, most_bytes)
    if head[257:262] == b"ustar":
        return _tar_entries(file, place, most_bytes)
    looks = " It looks like a web page." if head.lstrip().startswith(b"<") else ""
    raise InvalidModel(f"{place} is no archive that podium reads (tar, tar.gz, tar.bz2, tar.xz, zip).{looks}")


def _tar_entries(stream: IO[bytes], place: str, most_bytes: int) -> Iterator[_Entry]:
    forward = _Forward(stream, most_bytes + _TAR_OVERHEAD, place)
    with tarfile.TarFile(fileobj=forward, mode="r", encoding="utf-8", errors="surrogateescape") as tar:  # type: ignore[arg-type]
        while (member := tar.next()) is not None:
            if member.size < 0:
                raise tarfile.ReadError("a member of negative size")
            if member.isdir():
                yield _Entry(member.name, None)
            elif member.isreg() and not member.issparse():
                yield _Entry(member.name, tar.extractfile(member), bool(member.mode & 0o100))
            else:
                raise _refused(place, member.name, _KINDS.get(member.type, "no file"))
    # Where a header is cut off or unreadable, tarfile takes it for the end.
    if forward.last != bytes(_BLOCK):
        raise tarfile.ReadError("it ends without its end mark")
    # To its own end, where the sums stand.
    while forward.read(_CHUNK):
        pass


_KINDS = {tarfile.SYMTYPE: "a link", tarfile.LNKTYPE: "a link", tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device"}
_KINDS |= {tarfile.FIFOTYPE: "a pipe", tarfile.GNUTYPE_SPARSE: "a sparse file", tarfile.REGTYPE: "a sparse file"}


def _zip_entries(file: IO[bytes], place: str) -> Iterator[_Entry]:
    with zipfile.ZipFile(_Measured(file, place)) as zipped:
        for info in zipped.infolist():
            mode = info.external_attr >> 16
            if info.orig_filename != info.filename:
                raise _refused(place, info.orig_filename, "not what its name says")
            if stat.S_IFMT(mode) not in {0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG}:
                raise _refused(place, info.filename, "a link" if stat.S_ISLNK(mode) else "no file")
            if info.flag_bits & 0x1:
                raise _refused(place, info.filename, "encrypted")
            if info.compress_type not in _PLAIN:
                raise _refused(place, info.filename, "compressed in a way that zip programs seldom use")
            if info.is_dir():
                yield _Entry(info.filename, None)
            else:
                with zipped.open(info) as content:
                    yield _Entry(info.filename, content, bool(mode & 0o100))


def _refused(place: str, name: str, kind: str) -> InvalidModel:
    return InvalidModel(f"{place}: {name[:200]!r} is {kind}; an archive of a model holds plain files and folders only.")


class _Forward:
    """A stream as tarfile reads it, from front to back; never much at once, and not without end."""

    def __init__(self, stream: IO[bytes], most_bytes: int, place: str) -> None:
        self._stream = stream
        self._most_bytes = most_bytes
        self._place = place
        self._position = 0
        self.last = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        data = self._stream.read(size)
        self._position += len(data)
        if self._position > self._most_bytes:
            raise InvalidModel(f"{self._place} unpacks to more than {self._most_bytes} bytes, which is out of proportion.")
        self.last = data
        return data

    def seek(self, position: int) -> None:
        if position < self._position:
            raise tarfile.ReadError("a member that lies before its header")
        while position > self._position and self.read(min(position - self._position, _CHUNK)):
            pass


class _Measured(io.RawIOBase):
    """A file of which nobody reads too much at once."""

    def __init__(self, file: IO[bytes], place: str) -> None:
        super().__init__()
        self._file = file
        self._place = place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # A damaged list leads to before the file's beginning.
            raise zipfile.BadZipFile("a place outside of the file") from error

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            # zipfile reads the last 64 KiB with `read()`, to find the list's end.
            size = _LARGEST_READ + 1
        data = self._file.read(size)
        if len(data) > _LARGEST_READ:
            raise InvalidModel(
                f"{self._place} has a list of more than {_LARGEST_READ} bytes; a model has some dozens of files."
            )
        return data


class _Xz(io.RawIOBase):
    """One xz stream, with a bound on the memory that its header may ask for, which lzma's own reader does not have."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._decoder.eof:
            fed = self._file.read(_CHUNK) if self._decoder.needs_input else b""
            if self._decoder.needs_input and not fed:
                raise EOFError("it is cut off")
            data = self._decoder.decompress(fed, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
        return 0


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _is_litter(path: str) -> bool:
    first, _, _ = path.partition("/")
    last = path.rpartition("/")[2]
    return first == "__MACOSX" or last == ".DS_Store" or last.startswith("._")
