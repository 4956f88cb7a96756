"""Whom a proxy speaks for, when it is one that is trusted. Pure.

Each hop writes the address that it saw behind those that it was told of; only what trusted ones wrote is true. So the list
is read from its end: past every trusted address, to the first that is none. What stands before that is the client's own
invention.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping

from podium.errors import InvalidInput

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FORWARDED, X_FORWARDED_FOR = b"forwarded", b"x-forwarded-for"
PRINCIPAL, SCOPES = b"x-podium-principal", b"x-podium-scopes"
CLAIMS = frozenset(
    {
        FORWARDED, X_FORWARDED_FOR, PRINCIPAL, SCOPES, b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
        b"x-forwarded-prefix", b"x-forwarded-client-cert", b"x-forwarded-user", b"x-forwarded-email", b"x-real-ip",
        b"x-envoy-external-address", b"x-original-url", b"x-rewrite-url",
    }
)  # fmt: skip
"""What only a trusted proxy may say; by header's lower-case name."""
_FOR = re.compile(r'(?:^|;)\s*for=("[^"]*"|[^;,"\s]*)\s*(?=;|$)', re.IGNORECASE)
_MOST_HOPS = 32


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks and addresses: `10.0.0.0/8`, `192.168.1.7`, `fd00::/8`.

    Raises:
        InvalidInput: One is none.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise InvalidInput(f"{text!r} is no network; write an address or a network: 10.0.0.0/8, fd00::/8.") from error
    return tuple(found)


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address belongs to one of the networks; an IPv4 address in IPv6's clothes is that IPv4 address."""
    found = _address(address)
    return found is not None and any(found in network for network in networks if network.version == found.version)


def client_of(headers: Mapping[bytes, bytes], header: bytes, peer: str, networks: tuple[Network, ...]) -> str:
    """The address of whoever asks, as trusted proxies say.

    Args:
        headers: Of the request.
        header: The one that the proxies write: `FORWARDED` or `X_FORWARDED_FOR`. The other one is anybody's.
        peer: The other side of the connection, one of the networks.
        networks: Of trusted proxies.

    Returns: An address; the nearest trusted one's where what it wrote is no address.
    """
    said = headers.get(header)
    if said is None:
        return peer
    parts = said.decode("latin-1").split(",")[-_MOST_HOPS:]
    nearest = peer
    for part in reversed(parts):
        found = _address(_for(part) if header == FORWARDED else _unbracketed(part.strip()))
        if found is None:
            return nearest
        nearest = str(found)
        if not is_within(nearest, networks):
            return nearest
    return nearest


def _for(part: str) -> str:
    found = _FOR.search(part.strip())
    return _unbracketed(found[1].strip('"')) if found else ""


def _unbracketed(text: str) -> str:
    """An address without its port and brackets."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
