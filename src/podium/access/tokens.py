"""JSON Web Tokens: whose they are, proven by a signature of a key that is trusted, for this audience, now.

The algorithm is the server's to choose, and one that needs a private key to sign; what a token says of itself only selects
among those. What was proven once is remembered by the token's digest until it expires or the keys change.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podium.access.jwks import KeySet
from podium.domain.clients.access import Principal, is_scope
from podium.errors import PodiumError, Unauthenticated, Unavailable

_MOST_KNOWN = 4096
_LONGEST = 16 << 10
_RETRY_S = 5.0
UNKNOWN = "The key or token is not known here, was revoked or has expired."
"""All that is said of a credential that proves nothing."""


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """Which tokens are believed, and what they may do.

    Args:
        issuer, audience: What a token has to say, to the letter.
        algorithms: Of `settings.access.ALGORITHMS`.
        leeway_s: By how much clocks may differ.
        scope_claim: Where a token has its scopes: a text with blanks between, or a list.
        grants: What each value there may do; None where the values are podium's scopes themselves.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    leeway_s: float = 30.0
    scope_claim: str = "scope"
    grants: Mapping[str, frozenset[str]] | None = None


class Tokens:
    """Proves tokens. Event loop's thread only.

    Args:
        keys: By which they are signed.
        terms: Which are believed.
    """

    def __init__(self, keys: KeySet, terms: TokenTerms) -> None:
        self._keys = keys
        self._terms = terms
        self._known: dict[bytes, Principal] = {}
        self._version = keys.version

    @property
    def version(self) -> int:
        """Another number whenever what was proven before may be wrong now."""
        return self._keys.version

    def sweep(self, now: float) -> None:
        """Take in changed keys."""
        self._keys.sweep(now)

    def identify(self, token: str, now: float) -> Principal | PodiumError:
        """Whose a token is, or why it proves nothing; a reason that helps nobody to forge one."""
        if self._version != self._keys.version:
            self._version = self._keys.version
            self._known.clear()
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(digest)
        if known is not None and (known.ends is None or now < known.ends):
            return known
        found = self._prove(token)
        if isinstance(found, Principal):
            if len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[digest] = found
        return found

    def _prove(self, token: str) -> Principal | PodiumError:
        import jwt

        if len(token) > _LONGEST or not token.isascii():
            return Unauthenticated(UNKNOWN, "too long for a token, or none")
        if self._keys.is_empty:
            return Unavailable("The server has no keys to prove tokens by, and lets nobody in by one.", _RETRY_S)
        terms = self._terms
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            key = self._keys.find(kid)
            if key is None or algorithm not in terms.algorithms or algorithm not in key.algorithms or "crit" in header:
                return Unauthenticated(UNKNOWN, "the token names a key or an algorithm that is not believed")
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[str(algorithm)],
                audience=terms.audience,
                issuer=terms.issuer,
                leeway=terms.leeway_s,
                options={"require": ["exp", "iss", "aud"]},
            )
            ends = float(claims["exp"]) + terms.leeway_s
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            return Unauthenticated(UNKNOWN, f"the token proves nothing: {type(error).__name__}")
        subject = claims.get("sub") or claims.get("client_id") or claims.get("azp") or ""
        return Principal(f"token:{_printable(str(subject))}", _scopes_of(claims, terms), ends)


def _scopes_of(claims: Mapping[str, Any], terms: TokenTerms) -> frozenset[str]:
    said = claims.get(terms.scope_claim, ())
    values = said.split() if isinstance(said, str) else said if isinstance(said, list) else ()
    texts = [value for value in values if isinstance(value, str)]
    if terms.grants is None:
        return frozenset(text for text in texts if is_scope(text))
    return frozenset[str]().union(*(terms.grants.get(text, frozenset()) for text in texts))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() and character.isascii() else "?" for character in text[:200])
