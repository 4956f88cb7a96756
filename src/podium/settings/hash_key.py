"""The key that a profile's categories are hashed with: a secret in a file, for whoever makes profiles and who counts."""

from pathlib import Path

from podium.errors import Misconfigured
from podium.settings.secrets import SecretPlace

FEWEST = 16


def hash_key_in(file: str | Path, what: str) -> bytes:
    """The key.

    Args:
        file: Holds it and nothing else, one line of text of at least `FEWEST` characters.
        what: Who named the file, for errors.

    Raises:
        Misconfigured: It cannot be read, or is too short for a key. Says where, and nothing of it.
    """
    text = SecretPlace(what, str(file)).read()
    if len(text) < FEWEST:
        raise Misconfigured(
            f"{what}: the key in {file} has fewer than {FEWEST} characters, so that categories could be guessed. Make one: "
            "python3 -c 'import secrets; print(secrets.token_hex())'"
        )
    return text.encode()
