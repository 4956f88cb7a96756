"""Proxies in front: which are trusted, whom they speak for, and what is taken out of everybody else's requests."""

from collections.abc import Mapping

from podium.domain.clients.access import Peer, Principal, is_scope
from podium.domain.clients.forwarding import CLAIMS, PRINCIPAL, SCOPES, Network, client_of, is_within
from podium.errors import PodiumError
from podium.web.messages import Head

_MOST_KNOWN = 4096
_REQUEST_ID = b"x-request-id"


class Proxies:
    """Trusted proxies by their networks. Event loop's thread only.

    Args:
        networks: Theirs; with none nobody is trusted.
        header: In which they say whom they speak for, as in `domain.forwarding.client_of`.
    """

    def __init__(self, networks: tuple[Network, ...], header: bytes) -> None:
        self._networks = networks
        self._header = header
        self._known: dict[str, bool] = {}
        self._claims = CLAIMS | {_REQUEST_ID} if networks else CLAIMS

    def trusts(self, address: str) -> bool:
        """Whether somebody may say who asks."""
        if not self._networks:
            return False
        found = self._known.get(address)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[address] = is_within(address, self._networks)
        return found

    def client_of(self, headers: Mapping[bytes, bytes], address: str) -> str:
        """The address of whoever asks through somebody."""
        return client_of(headers, self._header, address, self._networks) if self.trusts(address) else address

    def are_any(self) -> bool:
        """Whether anybody is trusted."""
        return bool(self._networks)

    def stripped(self, head: Head) -> Head | None:
        """The head without what only a trusted proxy may say; None where it says nothing of that."""
        if self._claims.isdisjoint(head.headers):
            return None
        kept = {name: value for name, value in head.headers.items() if name not in self._claims}
        return Head(
            head.method,
            head.path,
            head.query,
            kept,
            is_http10=head.is_http10,
            keeps_alive=head.keeps_alive,
            coding=head.coding,
        )


class ProxiesKnown:
    """Clients by what a trusted proxy says of them, having asked `/authz/` or somebody else who they are.

    Args:
        proxies: Who may say so.
    """

    challenge = None
    version = 0

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    def sweep(self, now: float) -> None:
        """Whom proxies speak for changes with each request."""

    def identify(self, headers: Mapping[bytes, bytes], peer: Peer, now: float) -> Principal | PodiumError | None:  # noqa: ARG002
        name = headers.get(PRINCIPAL)
        if not name or not self._proxies.trusts(peer.address):
            return None
        scopes = headers.get(SCOPES, b"").decode("latin-1").split()
        told = name.decode("latin-1")[:200]
        return Principal(f"proxy:{told}", frozenset(scope for scope in scopes if is_scope(scope)))
