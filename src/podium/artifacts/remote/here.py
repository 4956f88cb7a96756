"""An archive on this machine, taken into the cache like one from elsewhere: what is unpacked is a private copy of it."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from podium.artifacts.remote.contract import RemoteFile
from podium.errors import NotFound, RegistryError

_CHUNK = 1 << 20


class LocalArchive:
    """A `RemoteFolder` of one file."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path

    def files(self) -> list[RemoteFile]:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RegistryError(f"{self.place} cannot be read: {error.strerror}.") from error
        return [RemoteFile("archive", status.st_size, _tag(status))] if stat.S_ISREG(status.st_mode) else []

    @contextlib.contextmanager
    def read(self, file: RemoteFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        try:
            content = self._path.open("rb")
        except FileNotFoundError:
            raise NotFound(f"{self.place} is gone.", [self.place]) from None
        except OSError as error:
            raise RegistryError(f"{self.place} cannot be read: {error.strerror}.") from error
        with content:
            content.seek(start)
            yield iter(lambda: content.read(_CHUNK), b"")
            if _tag(os.fstat(content.fileno())) != file.tag:
                raise RegistryError(f"{self.place} was changed while it was read. Try again.")

    def abort(self) -> None:
        """Files are read at once."""


def _tag(status: os.stat_result) -> str:
    return f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
