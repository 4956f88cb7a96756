"""The ways by which somebody is known: API keys, tokens, and certificates of clients."""

import hmac
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from podium.access.keys import KeyFile, KeyRing, digest_of, looks_like_key
from podium.access.tokens import UNKNOWN, Tokens
from podium.domain.clients.access import READ, SCORE_ALL, Peer, Principal
from podium.errors import Misconfigured, PodiumError, Unauthenticated, Unavailable

_log = logging.getLogger("podium.gateway")
_BEARER = b"bearer "
_EVERYBODY = frozenset({SCORE_ALL, READ})


class KeysKnown:
    """Keys of a file that is looked at again and again.

    While the file cannot be read nobody passes by a key: what it would say of a revoked one is unknown.

    Args:
        path: The file; one that is not there holds no key.
    """

    def __init__(self, path: Path) -> None:
        self._file = KeyFile(path)
        self._ring = KeyRing()
        self._mark: tuple[int, ...] | None = (-1,)
        self._problem: str | None = None
        self.version = 0
        self.sweep(0.0)

    def sweep(self, now: float) -> None:  # noqa: ARG002
        mark = self._look()
        if mark == self._mark:
            return
        self._mark = mark
        self.version += 1
        try:
            self._ring.replace(self._file.read())
            self._problem = None
        except Misconfigured as error:
            self._problem = error.message
            _log.error("nobody is let in by a key: %s", error.message)

    def identify(self, secret: str, now: float) -> Principal | PodiumError:
        """Whose a key is, or why it is nobody's."""
        if self._problem is not None:
            return Unavailable("The server cannot read its keys, and lets nobody in by one.", 5.0)
        key = self._ring.find(secret, now)
        if key is None:  # perhaps made this moment: whoever has just been given it may use it at once
            self.sweep(now)
            key = self._ring.find(secret, now)
        if key is None:
            return Unauthenticated(UNKNOWN, self._ring.why_not(secret, now))
        return Principal(f"key:{key.id}", frozenset(key.scopes), key.expires, key.is_low)

    def _look(self) -> tuple[int, ...] | None:
        """What changes when the file does; None where there is none."""
        try:
            found = os.stat(self._file.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            return (-2, error.errno or 0)
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode, found.st_uid


def presented(headers: Mapping[bytes, bytes]) -> str | PodiumError | None:
    """The one credential that a request brings: `Authorization: Bearer` or `X-API-Key`; an error for anything else.

    Two are refused even where both are good: whoever stands between may look at the other one.
    """
    authorization, key = headers.get(b"authorization"), headers.get(b"x-api-key")
    if authorization is None and key is None:
        return None
    if authorization is not None and key is not None:
        return Unauthenticated("Send one of Authorization and X-API-Key, not both.")
    if key is not None:
        return key.decode("latin-1")
    assert authorization is not None
    if authorization[: len(_BEARER)].lower() != _BEARER:
        return Unauthenticated("Authorization is understood as: Bearer KEY.")
    return authorization[len(_BEARER) :].strip(b" ").decode("latin-1")


class CredentialsKnown:
    """Whoever brings a key or a token with each request.

    Args:
        keys: None believes none.
        tokens: None believes none.
    """

    challenge = 'Bearer realm="podium"'

    def __init__(self, keys: KeysKnown | None, tokens: Tokens | None) -> None:
        self._keys = keys
        self._tokens = tokens

    @property
    def version(self) -> int:
        """Moves with either."""
        return sum(each.version for each in (self._keys, self._tokens) if each is not None)

    def sweep(self, now: float) -> None:
        """Look for changes of both."""
        if self._keys is not None:
            self._keys.sweep(now)
        if self._tokens is not None:
            self._tokens.sweep(now)

    def identify(self, headers: Mapping[bytes, bytes], peer: Peer, now: float) -> Principal | PodiumError | None:  # noqa: ARG002
        found = presented(headers)
        if not isinstance(found, str):
            return found
        # A key says that it is one: no token is ever looked up as a key, no key read as a token.
        way = self._keys if looks_like_key(found) else self._tokens
        if way is None:
            return Unauthenticated(UNKNOWN, f"no {'key' if self._keys is None else 'token'} is taken here")
        return way.identify(found, now)


class OwnerKnown:
    """Whoever started the server from Python and holds its object, by the one key that this process never had.

    Args:
        digest: SHA-256 of the key, in hexadecimal.
    """

    challenge = None
    version = 0

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def sweep(self, now: float) -> None:
        """The key lives as long as the server."""

    def identify(self, headers: Mapping[bytes, bytes], peer: Peer, now: float) -> Principal | PodiumError | None:  # noqa: ARG002
        found = presented(headers)
        if isinstance(found, str) and hmac.compare_digest(digest_of(found), self._digest):
            return Principal("owner", _EVERYBODY)
        return None


class CertificatesKnown:
    """Clients by their verified certificates.

    Args:
        scopes: What each may do, by its name; None lets all of them score and read.
    """

    challenge = None
    version = 0

    def __init__(self, scopes: Mapping[str, frozenset[str]] | None) -> None:
        self._scopes = scopes

    def sweep(self, now: float) -> None:
        """Who is who was settled when the connection began."""

    def identify(self, headers: Mapping[bytes, bytes], peer: Peer, now: float) -> Principal | PodiumError | None:  # noqa: ARG002
        if not peer.names:
            return None
        if self._scopes is None:
            return Principal(f"cert:{peer.names[0]}", _EVERYBODY)
        known = [name for name in peer.names if name in self._scopes]
        scopes = frozenset[str]().union(*(self._scopes[name] for name in known))
        return Principal(f"cert:{(known or peer.names)[0]}", scopes)
