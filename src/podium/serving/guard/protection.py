"""What protects a gateway, put together from its settings: TLS, who is known by what, limits, the guard."""

import time
from collections.abc import Callable
from pathlib import Path

from podium.access.certificates import Certificates, TlsFiles
from podium.access.jwks import KeySet
from podium.access.tokens import Tokens, TokenTerms
from podium.serving.guard.cors import Cors
from podium.serving.guard.guard import Guard, Identifying
from podium.serving.guard.known import CertificatesKnown, CredentialsKnown, KeysKnown, OwnerKnown
from podium.serving.guard.limiter import Limiter
from podium.serving.guard.proxies import Proxies, ProxiesKnown
from podium.serving.guard.shared_rates import Sharing
from podium.serving.settings import GatewaySettings
from podium.serving.walks.router import Router
from podium.settings.access import AccessSettings
from podium.telemetry.buckets import Buckets
from podium.web.handshakes import HandshakeBounds


class Protection:
    """Made once for a gateway, and kept current.

    Args:
        settings: The gateway's.
        router: Knows the default endpoint.
        buckets: The server's, for rates.
        at_end: As `Limiter` has it.

    Attributes:
        guard: Decides who may pass.
        certificates: Of TLS; None where it is not spoken.

    Raises:
        Misconfigured: TLS' files cannot be used.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        router: Router,
        buckets: Buckets,
        at_end: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        access = settings.access
        files = tls_files_of(access)
        self.certificates = None if files is None else Certificates(files)
        self._handshake_s = settings.head_s
        limiter = Limiter(settings.clients, settings.every_model, settings.models, buckets, at_end)
        store = settings.clients.rate_store
        self._sharing = None if store is None or not limiter.has_any else Sharing(store, limiter, buckets)
        proxies = Proxies(access.networks, access.forwarded_header.encode())
        ways, cors, opened = ways_of(access, proxies), Cors(access.cors_origins), frozenset(access.open_pages)
        self.guard = Guard(ways, lambda: router.table.default, limiter, proxies, cors, opened)

    @property
    def handshake_bounds(self) -> HandshakeBounds:
        """On TLS handshakes that are not finished."""
        return HandshakeBounds(self._handshake_s)

    async def share(self) -> None:
        """Keep rates level with other servers', where there are such, until cancelled."""
        if self._sharing is not None:
            await self._sharing.run()

    def sweep(self) -> bool:
        """Take in what has changed; whether clients have to show certificates again. Call it several times a second."""
        self.guard.sweep()
        certificates = self.certificates
        if certificates is None:
            return False
        before = certificates.authorities
        certificates.sweep()
        return certificates.authorities != before


def tls_files_of(access: AccessSettings) -> TlsFiles | None:
    """The files of TLS; None where it is not spoken."""
    if access.tls_cert is None or access.tls_key is None:
        return None
    return TlsFiles(
        access.tls_cert, access.tls_key, access.tls_client_ca, access.tls_client_auth == "optional", access.tls_minimum
    )


def ways_of(access: AccessSettings, proxies: Proxies) -> list[Identifying]:
    """How somebody may be known: by a trusted proxy's word, else by what a request brings, else by its connection."""
    ways: list[Identifying] = [ProxiesKnown(proxies)] if access.trusts_identity else []
    if access.asks_for_credentials:
        keys = KeysKnown(Path(access.key_file)) if access.requires_keys else None
        ways.append(CredentialsKnown(keys, tokens_of(access)))
    if access.owner_digest is not None and access.asks_anybody:
        ways.insert(0, OwnerKnown(access.owner_digest))
    if access.knows_certificates:
        ways.append(CertificatesKnown(access.scopes_by_name))
    return ways


def tokens_of(access: AccessSettings) -> Tokens | None:
    """What proves tokens; None where none is believed."""
    if access.jwks is None:
        return None
    terms = TokenTerms(
        access.jwt_issuer or "",
        access.jwt_audience or "",
        access.jwt_algorithms,
        access.jwt_leeway_s,
        access.jwt_scope_claim,
        access.scopes_by_grant,
    )
    return Tokens(KeySet(access.jwks, access.jwks_refresh_s, time.time()), terms)
