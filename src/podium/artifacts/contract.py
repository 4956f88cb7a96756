"""What an artifact store does: it keeps model folders by the digest of their content.

Laws, which `artifacts.conformance` tests on any implementation:

1. What is put under a digest can be fetched under it, byte for byte, until it is deleted.
2. Putting equal content again changes nothing and returns the same digest; so do two puts of it at the same moment.
3. A digest is listed only when its folder is whole: a put that dies half-way leaves nothing behind but leftovers, which
   `sweep` removes.
4. What comes out of `fetch` has been hashed after copying.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """A model folder in the store. `put_s` is when it was last put, in seconds of the Unix epoch."""

    digest: str
    size_bytes: int
    put_s: float


class ArtifactStore(Protocol):
    """Model folders by content digest. Safe to use from several processes at once."""

    def put(self, folder: Path) -> str:
        """Copy a folder in and return its digest. The digest is that of the stored copy, never of the source.

        Raises:
            NotFound, InvalidModel: There is no such folder, or it is not one that can be stored.
            RegistryError: The store cannot be written.
        """

    def contains(self, digest: str) -> bool:
        """Whether a whole folder with this digest is here."""

    def locate(self, digest: str) -> Path:
        """Where the folder is to be read; not verified. What is loaded comes from `fetch`.

        Raises:
            NotFound: It is not here; names the place that was searched.
        """

    def fetch(self, digest: str, target: Path) -> None:
        """Make a private, verified copy.

        Raises:
            NotFound: It is not here.
            DigestMismatch: What is here is not what was put; nothing is left at the target.
        """

    def list(self) -> list[StoredFolder]:
        """Every folder that is here, by digest."""

    def delete(self, digest: str) -> None:
        """Remove a folder. Deleting what is not here is no error."""

    def sweep(self) -> int:
        """Remove what interrupted puts and deletes left behind; how many there were. What is under way is left alone.

        A store may do so by itself as well.
        """
