"""JSON to somebody's address: bounded, never redirected, never to where clouds hand out credentials.

Of an address errors show scheme, host and port: the rest of a webhook's address is what it is protected by.
"""

import json
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from podium.artifacts.remote.wire import Access, Unreachable, Wire, origin_of
from podium.errors import RegistryError
from podium.monitoring.channels.contract import Option, Secrecy, Undelivered
from podium.settings.declared import ValueKind

_AGAIN = {408, 425, 429}
_LONGEST_WAIT_S = 3600.0
CA_FILE = Option("ca_file", ValueKind.TEXT, "Certificates (PEM) of whoever vouches for the receiver, beside the system's.")
TOKEN = Option("token", ValueKind.TEXT, "Sent as Authorization: Bearer.", secrecy=Secrecy.SECRET)


def encoded(body: Any) -> bytes:
    """As JSON that every reader takes."""
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def post(url: str, content: bytes, options: Mapping[str, Any], timeout_s: float, headers: Mapping[str, str]) -> None:
    """Post JSON and see that it was taken.

    Args:
        url: Where to; may hold a user and a password.
        content: The body.
        options: Of `CA_FILE` and `TOKEN`.
        timeout_s: From the first packet to the answer's head.
        headers: Beside those that say what the body is.

    Raises:
        Undelivered: It was not.
    """
    try:
        place = origin_of(url)
        port_is_written = urlsplit(url).port is not None
    except Unreachable:
        # Not its cause: that one quotes the address.
        raise Undelivered("its url is no http or https URL with a host.", is_final=True) from None
    shown = place if port_is_written else place.rpartition(":")[0]
    own = {"Content-Type": "application/json", **headers}
    if options.get("token"):
        own["Authorization"] = f"Bearer {options['token']}"
    access = Access(ca_path=options.get("ca_file"), ca_setting="ca_file of the channel", source="the channel's ca_file")
    try:
        status, answered = Wire(access, timeout_s, lambda _: shown).post(url, content, own)
    except RegistryError as error:
        raise Undelivered(error.message) from None
    if not 200 <= status < 300:
        raise Undelivered(
            f"{shown} answered with HTTP {status}.",
            is_final=status < 500 and status not in _AGAIN,
            retry_after_s=_seconds(answered.get("retry-after")),
        )


def _seconds(text: str | None) -> float | None:
    """Of Retry-After, where it says seconds."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(seconds, _LONGEST_WAIT_S) if math.isfinite(seconds) and seconds > 0 else None
