"""Secrets as settings name them: by a file or by a variable, never by themselves."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podium.errors import Misconfigured

_MOST_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Where a secret stands; it is read anew each time, so that one that is changed is the one that counts.

    Args:
        what: What it is for, for errors: `alerts.channels.oncall.url`.
        file: A file that holds it and nothing else; a newline at its end does not count.
        variable: A variable of the environment; one of the two is given.
    """

    what: str
    file: str | None = None
    variable: str | None = None

    def read(self, environ: Mapping[str, str] = os.environ) -> str:
        """The secret.

        Raises:
            Misconfigured: It is not there, is empty, or cannot be one line of text. Says where, and nothing of it.
        """
        if self.variable is not None:
            place, text = f"the variable {self.variable}", environ.get(self.variable)
            if text is None:
                raise Misconfigured(f"{self.what}: {place} is not set. Set it for the server, or name a file instead.")
        else:
            path = Path(self.file or "").expanduser()
            place, text = str(path), self._in_file(path)
        text = text.rstrip("\r\n")
        if not text or any(ord(character) < 32 or ord(character) == 127 for character in text):
            raise Misconfigured(f"{self.what}: {place} holds no secret: one line of text is expected.")
        return text

    def _in_file(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise Misconfigured(f"{self.what}: {path} cannot be read: {error.strerror}.") from error
        if len(content) > _MOST_BYTES:
            raise Misconfigured(f"{self.what}: {path} holds no secret: it has more than {_MOST_BYTES >> 10} KiB.")
        try:
            return content.decode()
        except UnicodeDecodeError:
            # Not its cause: that one quotes the bytes.
            raise Misconfigured(f"{self.what}: {path} is not UTF-8.") from None
