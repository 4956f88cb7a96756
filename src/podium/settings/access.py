"""Who may ask a server for what: frozen values that each gateway gets; none of them is a secret."""

import re
from dataclasses import dataclass
from functools import partial

from podium.domain.clients.access import parse_scopes
from podium.domain.clients.forwarding import Network, parse_networks
from podium.errors import InvalidInput, Misconfigured
from podium.settings.declared import ValueKind, declare

_access = partial(declare, table="access")
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Of tokens that may be believed: with each of them whoever can verify cannot sign."""
_ORIGIN = re.compile(r"https?://[a-z0-9.\-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
OPENABLE = ("version", "status", "metrics", "docs", "openapi")


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """How requests are guarded.

    Args:
        requires_keys: Whether whoever scores, reads or moves needs a key.
        open_pages: Pages that need none.
        key_file: Where the keys are.
        owner_digest: SHA-256 of the one key of whoever holds the server in a Python process; None where nobody does.
        tls_cert, tls_key, tls_client_ca, tls_minimum: As in `access.certificates.TlsFiles`.
        tls_client_auth: Whether a client may come without a certificate.
        jwks, jwks_refresh_s: As in `access.jwks.KeySet`; None knows nobody by a token.
        jwt_issuer, jwt_audience, jwt_algorithms, jwt_leeway_s, jwt_scope_claim: As in `access.tokens.TokenTerms`.
        jwt_grants: What a value of that claim may do: `VALUE=SCOPE,SCOPE`.
        trusted_proxies: Networks whose word on who asks is taken.
        forwarded_header: In which they say whom they speak for.
        trusts_identity: Whether they say who a client is, too.
        cors_origins: Web pages that may read answers.
        has_authz: Whether `/authz/PATH` answers proxies.
        tls_identities: Who may do what by a certificate: `NAME=SCOPE,SCOPE`, the name as in `domain.access.names_of`.
    """

    requires_keys: bool = _access(
        False, "require_keys", ValueKind.SWITCH, "Answer nobody without an API key, but for probes."
    )
    open_pages: tuple[str, ...] = _access(
        (), "open_pages", ValueKind.NAMES, f"Pages that need no key: {', '.join(OPENABLE)}.", default_text="none"
    )
    key_file: str = ""
    owner_digest: str | None = None
    trusted_proxies: tuple[str, ...] = _access(
        (), "trusted_proxy", ValueKind.TEXTS, "Networks of proxies that say whose requests they hand on: 10.0.0.0/8."
    )
    forwarded_header: str = _access(
        "x-forwarded-for", "forwarded_header", ValueKind.WORD, "In which header.", choices=("x-forwarded-for", "forwarded")
    )
    trusts_identity: bool = _access(
        False, "trust_identity", ValueKind.SWITCH, "Believe those proxies' X-Podium-Principal and X-Podium-Scopes."
    )
    cors_origins: tuple[str, ...] = _access(
        (), "cors_origin", ValueKind.TEXTS, "Web pages that may read answers: https://app.example; * is every one."
    )
    has_authz: bool = _access(False, "authz", ValueKind.SWITCH, "Answer Envoy's ext_authz at /authz/PATH.")
    jwks: str | None = _access(
        None,
        "jwks",
        ValueKind.TEXT,
        "Keys that tokens (JWT) are proven by: a file or an https URL; tokens are asked for, then.",
    )
    jwks_refresh_s: float = _access(
        300.0, "jwks_refresh", ValueKind.SECONDS, "Seconds between two looks at the URL's keys."
    )
    jwt_issuer: str | None = _access(None, "jwt_issuer", ValueKind.TEXT, "Who makes the tokens: their iss.")
    jwt_audience: str | None = _access(
        None, "jwt_audience", ValueKind.TEXT, "Whom they are for: this server, in their aud."
    )
    jwt_algorithms: tuple[str, ...] = _access(
        ("RS256", "ES256", "EdDSA"),
        "jwt_algorithms",
        ValueKind.NAMES,
        "Algorithms that are believed, of those without a shared secret.",
    )
    jwt_leeway_s: float = _access(30.0, "jwt_leeway", ValueKind.SECONDS, "By how much clocks may differ.", least=0)
    jwt_scope_claim: str = _access("scope", "jwt_scope_claim", ValueKind.TEXT, "Where a token has its scopes.")
    jwt_grants: tuple[str, ...] = _access(
        (),
        "jwt_grant",
        ValueKind.TEXTS,
        "What a value there may do: VALUE=SCOPE,SCOPE.",
        default_text="the values are podium's scopes",
    )
    tls_cert: str | None = _access(None, "tls_cert", ValueKind.TEXT, "The server's certificate (PEM); HTTPS only, then.")
    tls_key: str | None = _access(None, "tls_key", ValueKind.TEXT, "Its private key (PEM, not encrypted).")
    tls_client_ca: str | None = _access(
        None, "tls_client_ca", ValueKind.TEXT, "Who vouches for clients (PEM): clients show a certificate, then."
    )
    tls_client_auth: str = _access(
        "required",
        "tls_client_auth",
        ValueKind.WORD,
        "Whether clients without a certificate are let in, unknown.",
        choices=("required", "optional"),
    )
    tls_minimum: str = _access("1.2", "tls_minimum", ValueKind.WORD, "Oldest TLS version.", choices=("1.2", "1.3"))
    tls_identities: tuple[str, ...] = _access(
        (),
        "tls_identity",
        ValueKind.TEXTS,
        "What a certificate may do: URI:…, DNS:… or CN:…, =, scopes with commas.",
        default_text="score:* and read, where no keys or tokens are asked for",
    )

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.open_pages) - set(OPENABLE)):
            raise Misconfigured(f"open_pages names {', '.join(unknown)}; there are {', '.join(OPENABLE)}.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise Misconfigured("tls_cert and tls_key need each other: one of them is missing.")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise Misconfigured("tls_client_ca needs tls_cert and tls_key: a client shows its certificate over TLS.")
        if self.tls_identities and self.tls_client_ca is None:
            raise Misconfigured("tls_identity needs tls_client_ca: whom to believe when a client says who it is.")
        if self.jwks is not None and (self.jwt_issuer is None or self.jwt_audience is None):
            raise Misconfigured("jwks needs jwt_issuer and jwt_audience: else a token for anybody else would be believed.")
        if unknown := sorted(set(self.jwt_algorithms) - set(ALGORITHMS)):
            raise Misconfigured(f"jwt_algorithms names {', '.join(unknown)}; there are {', '.join(ALGORITHMS)}.")
        if self.trusts_identity and not self.trusted_proxies:
            raise Misconfigured("trust_identity needs trusted_proxy: whose word is taken.")
        for origin in self.cors_origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise Misconfigured(f"cors_origin is {origin!r}; write scheme, host and port: https://app.example, or *.")
        _ = self.networks
        _ = self.scopes_by_name, self.scopes_by_grant

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those of trusted proxies.

        Raises:
            Misconfigured: One is none.
        """
        try:
            return parse_networks(self.trusted_proxies)
        except InvalidInput as error:
            raise Misconfigured(f"trusted_proxy: {error.message}") from error

    @property
    def asks_anybody(self) -> bool:
        """Whether anybody is asked who they are."""
        return self.asks_for_credentials or self.trusts_identity or self.knows_certificates

    @property
    def asks_for_credentials(self) -> bool:
        """Whether requests bring a key or a token."""
        return self.requires_keys or self.jwks is not None

    @property
    def credentials(self) -> tuple[str, ...]:
        """What a client shows, any one of it, in the words of the API's description; nothing where everybody may ask."""
        asked = ("key",) if self.asks_for_credentials else ()
        return (*asked, "certificate") if self.knows_certificates else asked

    @property
    def knows_certificates(self) -> bool:
        """Whether a client's certificate says who it is; else it only opens the connection."""
        return self.tls_client_ca is not None and (bool(self.tls_identities) or not self.asks_for_credentials)

    @property
    def scopes_by_name(self) -> dict[str, frozenset[str]] | None:
        """What each certificate may do, by its name; None where all may do the same.

        Raises:
            Misconfigured: An entry is not `NAME=SCOPES`.
        """
        for text in self.tls_identities:
            if not text.startswith(("URI:", "DNS:", "CN:")):
                raise Misconfigured(
                    f"tls_identity is {text!r}; write URI:NAME=SCOPES, DNS:NAME=SCOPES or CN:NAME=SCOPES, "
                    "such as CN:nightly=score:fraud,read."
                )
        return _scopes(self.tls_identities, "tls_identity")

    @property
    def scopes_by_grant(self) -> dict[str, frozenset[str]] | None:
        """What each value of a token's claim may do; None where the values are scopes themselves.

        Raises:
            Misconfigured: An entry is not `VALUE=SCOPES`.
        """
        return _scopes(self.jwt_grants, "jwt_grant")


def _scopes(texts: tuple[str, ...], name: str) -> dict[str, frozenset[str]] | None:
    found: dict[str, frozenset[str]] = {}
    for text in texts:
        whose, mark, scopes = text.rpartition("=")
        if not mark or not whose:
            raise Misconfigured(f"{name} is {text!r}; write WHOSE=SCOPES, such as data-science=score:*,read.")
        try:
            found[whose] = found.get(whose, frozenset()) | parse_scopes(scopes.split(","))
        except InvalidInput as error:
            raise Misconfigured(f"{name} {text!r}: {error.message}") from error
    return found or None
