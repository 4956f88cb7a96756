"""Profiles of the first rows in production, for models that were saved without one: by content, and the first one counts.

All replicas of a version must count by one profile, or their counts could not be added up; and a server that starts again
goes on with the one that it had. So the first that a worker makes is kept, and every later one is passed over.
"""

import re
from pathlib import Path

from podium.domain.monitoring.profile_reading import MOST_BYTES, InvalidProfile, read_profile
from podium.settings.whole_files import write_whole

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Bootstraps:
    """The profiles, one file for each content of a model.

    Args:
        folder: Where they are kept; made when one is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where the profile of a model with this content is, or would be.

        Raises:
            ValueError: It is no digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is no digest of a model's content")
        return self._folder / f"{digest.removeprefix('sha256:')}.json"

    def known(self, digest: str) -> str | None:
        """The profile that is kept, if there is one that can be read."""
        try:
            with self.path(digest).open("rb") as file:
                text = file.read(MOST_BYTES + 1)
            read_profile(text)
        except (OSError, ValueError, InvalidProfile):
            return None
        return text.decode("ascii", "replace")

    def take(self, digest: str, text: str) -> str:
        """Keep a worker's profile unless there is one, and say which is to be counted by.

        Args:
            digest: Of the model's content.
            text: What the worker said, which runs somebody's code.

        Raises:
            InvalidProfile: It is no profile of first rows in production.
            OSError: It cannot be written.
        """
        before = self.known(digest)
        if before is not None:
            return before
        if not read_profile(text.encode("utf-8", "replace")).is_bootstrapped:
            raise InvalidProfile("The monitoring profile that a worker made is not marked as one of rows in production.")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_whole(self.path(digest), text.encode(), 0o600)
        return text
