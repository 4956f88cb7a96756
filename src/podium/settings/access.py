"""Who may ask a server for what: frozen values that each gateway gets; none of them is a secret."""

from dataclasses import dataclass
from functools import partial

from podium.domain.access import parse_scopes
from podium.errors import InvalidInput, Misconfigured
from podium.settings.declared import Kind, declare

_access = partial(declare, table="access")
OPENABLE = ("version", "status", "metrics", "docs", "openapi")


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """How requests are guarded.

    Args:
        requires_keys: Whether whoever scores, reads or moves needs a key.
        open_pages: Pages that need none.
        key_file: Where the keys are.
        tls_cert, tls_key, tls_client_ca, tls_minimum: As in `access.certificates.TlsFiles`.
        tls_client_auth: Whether a client may come without a certificate.
        tls_identities: Who may do what by a certificate: `NAME=SCOPE,SCOPE`, the name as in `domain.access.names_of`.
    """

    requires_keys: bool = _access(False, "require_keys", Kind.SWITCH, "Answer nobody without an API key, but for probes.")
    open_pages: tuple[str, ...] = _access(
        (), "open_pages", Kind.NAMES, f"Pages that need no key: {', '.join(OPENABLE)}.", default_text="none"
    )
    key_file: str = ""
    tls_cert: str | None = _access(None, "tls_cert", Kind.TEXT, "The server's certificate (PEM); HTTPS only, then.")
    tls_key: str | None = _access(None, "tls_key", Kind.TEXT, "Its private key (PEM, not encrypted).")
    tls_client_ca: str | None = _access(
        None, "tls_client_ca", Kind.TEXT, "Who vouches for clients (PEM): clients show a certificate, then."
    )
    tls_client_auth: str = _access(
        "required",
        "tls_client_auth",
        Kind.WORD,
        "Whether clients without a certificate are let in, unknown.",
        choices=("required", "optional"),
    )
    tls_minimum: str = _access("1.2", "tls_minimum", Kind.WORD, "Oldest TLS version.", choices=("1.2", "1.3"))
    tls_identities: tuple[str, ...] = _access(
        (),
        "tls_identity",
        Kind.TEXTS,
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
        _ = self.scopes_by_name

    @property
    def asks_who(self) -> bool:
        """Whether anybody is asked who they are."""
        return self.requires_keys or self.knows_certificates

    @property
    def knows_certificates(self) -> bool:
        """Whether a client's certificate says who it is; else it only opens the connection."""
        return self.tls_client_ca is not None and (bool(self.tls_identities) or not self.requires_keys)

    @property
    def scopes_by_name(self) -> dict[str, frozenset[str]] | None:
        """What each certificate may do, by its name; None where all may do the same.

        Raises:
            Misconfigured: An entry is not `NAME=SCOPES`.
        """
        if not self.tls_identities:
            return None
        found: dict[str, frozenset[str]] = {}
        for text in self.tls_identities:
            name, _, scopes = text.rpartition("=")
            if not name.startswith(("URI:", "DNS:", "CN:")):
                raise Misconfigured(
                    f"tls_identity is {text!r}; write URI:NAME=SCOPES, DNS:NAME=SCOPES or CN:NAME=SCOPES, "
                    "such as CN:nightly=score:fraud,read."
                )
            try:
                found[name] = found.get(name, frozenset()) | parse_scopes(scopes.split(","))
            except InvalidInput as error:
                raise Misconfigured(f"tls_identity {text!r}: {error.message}") from error
        return found
