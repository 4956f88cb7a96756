"""API keys of a home: made, listed, revoked; running servers hear of it within a second."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from podium.access.keys import Key, KeyFile
from podium.errors import InvalidInput
from podium.settings.home import Home, find_home

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def create(
    scopes: Sequence[str], name: str = "", expires: str | None = None, is_low: bool = False, home: Home | None = None
) -> tuple[Key, str]:
    """Make a key.

    Args:
        scopes: `score:NAME`, `score:*`, `read`, `admin`; at least one.
        name: Whose it is, for people.
        expires: How long it holds (`90d`, `12h`), or until when (`2027-01-31`, with a time of day or without; UTC where no
            zone is said); None for ever.
        is_low: Its requests give way to others.
        home: Where it is kept.

    Returns: What is kept of it, and the key, which is told this once.

    Raises:
        InvalidInput: As `KeyFile.create`, or `expires` says no time.
        Misconfigured: The file of keys cannot be read or written.
    """
    now = time.time()
    ends = None if expires is None else end_of(expires, now)
    file = KeyFile((home or find_home()).create().keys)
    return file.create(scopes, now, name=name, expires=ends, is_low=is_low)


def listed(home: Home | None = None) -> tuple[Key, ...]:
    """All keys, oldest first.

    Raises:
        Misconfigured: The file of keys cannot be read.
    """
    return tuple(sorted(KeyFile((home or find_home()).keys).read(), key=lambda key: key.created))


def revoke(identity: str, home: Home | None = None) -> Key:
    """Make a key worthless for good.

    Raises:
        InvalidInput: It is no id.
        NotFound: No key has it.
        Misconfigured: The file of keys cannot be read or written.
    """
    return KeyFile((home or find_home()).create().keys).revoke(identity, time.time())


def end_of(text: str, now: float) -> float:
    """When a key ends, in Unix seconds.

    Raises:
        InvalidInput: The text says no time.
    """
    if found := re.fullmatch(r"(\d{1,6})([smhdw])", text.strip()):
        return now + int(found[1]) * _UNITS[found[2]]
    try:
        when = datetime.fromisoformat(text.strip())
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{text!r} says no time. Write how long (90d, 12h, 30m) or until when (2027-01-31, 2027-01-31T12:00+01:00)."
        ) from error
