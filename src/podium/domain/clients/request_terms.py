"""What a client may say of its own request: how long it waits, and that others go first. Both only ever ask for less."""

from collections.abc import Mapping

from podium.errors import InvalidInput

TIMEOUT = b"x-podium-timeout-ms"
PRIORITY = b"x-podium-priority"
_PRIORITIES = {b"normal": False, b"low": True}
_MOST_MS = 10**9


def timeout_s_of(headers: Mapping[bytes, bytes]) -> float | None:
    """How long the client waits, in seconds; None where it does not say.

    Raises:
        InvalidInput: It says something that is no time.
    """
    said = headers.get(TIMEOUT)
    if said is None:
        return None
    if not said.isdigit() or len(said) > 10 or not 0 < int(said) <= _MOST_MS:
        raise InvalidInput(f"X-Podium-Timeout-Ms is a whole number of milliseconds, from 1 to {_MOST_MS}.")
    return int(said) / 1000


def is_low_of(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the request gives way to others when a bound is near.

    Raises:
        InvalidInput: The header holds another word.
    """
    said = headers.get(PRIORITY)
    if said is None:
        return False
    found = _PRIORITIES.get(said.lower())
    if found is None:
        raise InvalidInput("X-Podium-Priority is normal or low.")
    return found
