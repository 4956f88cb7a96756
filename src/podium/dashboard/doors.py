"""Who may look: this machine's own users on loopback, whoever brings a key from elsewhere; and no page of another site.

A key may be sent with each request, as to a server (`X-API-Key`, `Authorization: Bearer`), or be given once at /sign-in:
then a cookie stands for it, which means nothing to anybody but this process.
"""

import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from podium.access.keys import digest_of
from podium.domain.clients.access import ANYBODY, Need, Principal, allows
from podium.errors import PermissionDenied, PodiumError, Unauthenticated
from podium.serving.guard.known import KeysKnown, presented

COOKIE = "podium_session"
SESSION_S = 12 * 3600
_MOST_SESSIONS = 1000
_WHO = "This page needs an API key with the scope read: podium keys create --scope read"


@dataclass(frozen=True, slots=True)
class _Session:
    key: str
    ends: float


class Doorkeeper:
    """Decides of each request. Any thread.

    Args:
        keys: The keys that open; None asks nobody who they are.
        clock: Seconds of the Unix epoch.
        random: A new session's name, which nobody can guess.
    """

    def __init__(
        self, keys: KeysKnown | None, clock: Callable[[], float], random: Callable[[int], str] = secrets.token_urlsafe
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._random = random
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    @property
    def asks(self) -> bool:
        """Whether a key is asked for at all."""
        return self._keys is not None

    def enter(self, headers: Mapping[bytes, bytes], cookie: str | None) -> Principal:
        """Who asks.

        Args:
            headers: Of the request, by lower-case name.
            cookie: What `COOKIE` holds.

        Raises:
            Unauthenticated, PermissionDenied, Unavailable: They may not look.
        """
        if self._keys is None:
            return ANYBODY
        credential = presented(headers)
        if isinstance(credential, PodiumError):
            raise credential
        return self._known(credential or self._key_of(cookie))

    def sign_in(self, key: str) -> str:
        """Begin a session; what is to stand in the cookie.

        Raises:
            Unauthenticated, PermissionDenied, Unavailable: The key does not open.
        """
        self._known(key)
        name = self._random(32)
        # A look-up by a digest takes as long whatever somebody guesses.
        self._sessions[digest_of(name)] = _Session(key, self._clock() + SESSION_S)
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return name

    def sign_out(self, cookie: str | None) -> None:
        """End a session."""
        self._sessions.pop(digest_of(cookie or ""), None)

    def _key_of(self, cookie: str | None) -> str | None:
        name = digest_of(cookie or "")
        session = self._sessions.get(name)
        if session is None:
            return None
        if self._clock() >= session.ends:
            self._sessions.pop(name, None)
            return None
        return session.key

    def _known(self, key: str | None) -> Principal:
        """Asked anew each time, so that a key that is revoked ends its sessions."""
        if key is None or self._keys is None:
            raise Unauthenticated(_WHO)
        now = self._clock()
        self._keys.sweep(now)
        found = self._keys.identify(key, now)
        if isinstance(found, PodiumError):
            raise found
        if not allows(found, Need.READ):
            raise PermissionDenied("Your scopes do not cover this. It needs read or admin.")
        return found


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_ours(host: str | None) -> bool:
    """Whether a Host header names this machine itself.

    A page of another site whose name was made to mean 127.0.0.1 (DNS rebinding) sends its own name here, and must read
    nothing.
    """
    if not host:
        return False
    name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
    name = name.removeprefix("[").removesuffix("]").rstrip(".").lower()
    return is_loopback(name) or name.endswith(".localhost")
