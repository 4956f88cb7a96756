"""What a model folder on another machine is to podium: a list of files, and their bytes.

Laws, which `conformance.py` tests on every kind of store:

1. `files` names every file below the folder once, with its size; a folder that is not there is an empty list or NotFound.
2. `read` gives exactly the bytes of the file, from any offset.
3. While `tag` is the same, so are the bytes; a store that cannot say gives an empty tag.
4. Whatever the server says, a path is relative, with `/` between its parts, and leads nowhere else (`names.checked`).
5. Neither `place` nor an error holds a secret.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file: its path below the folder, its size, and signs of its content.

    `size_bytes` is None where the server does not say before the bytes come; `tag` is an ETag or a generation; `md5` and
    `sha256` are hexadecimal.
    """

    path: str
    size_bytes: int | None
    tag: str = ""
    md5: str | None = None
    sha256: str | None = None


class RemoteFolder(Protocol):
    """A folder that another machine keeps."""

    @property
    def place(self) -> str:
        """What people call it, without a secret."""

    def files(self) -> list[RemoteFile]:
        """Every file below it.

        Raises:
            RegistryError: It cannot be asked now.
            InvalidModel: What is there is no model's folder: too many files, a name that leads elsewhere.
        """

    def read(self, file: RemoteFile, start: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of a file from an offset on.

        Raises:
            NotFound: It is gone.
            RegistryError: It cannot be fetched now.
        """

    def abort(self) -> None:
        """End what is under way, from another thread."""
