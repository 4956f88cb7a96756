"""API keys in one file: made once, shown once, kept as digests, revoked for good.

    podium_<id: 12 hex digits>_<secret: 256 random bits, base64url>

A secret of 256 random bits cannot be guessed, so its SHA-256 is kept and no slow hash is needed. The file is written whole
or not at all, under a lock that is another file: a reader never sees half of it, and of writers at once none is lost.
"""

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from podium.domain.clients.access import parse_scopes
from podium.errors import InvalidInput, Misconfigured, NotFound
from podium.settings.whole_files import write_whole

_KEY = re.compile(r"podium_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_ID = re.compile(r"[0-9a-f]{12}")
_FORMAT = 1
_LONGEST_NAME = 100
_MOST_BYTES = 64 << 20
_LONGEST_WAIT_S = 60.0
_STEP_S = 0.01


class Key(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a key; not the key.

    Args:
        id: Names it everywhere.
        digest: SHA-256 of the whole key, in hexadecimal.
        scopes: What its holder may do.
        created: Unix seconds, and so `expires` and `revoked`; these are None for never.
        name: Whose it is, for people.
        is_low: Its requests give way to others.
    """

    id: str
    digest: str
    scopes: tuple[str, ...]
    created: float
    name: str = ""
    expires: float | None = None
    revoked: float | None = None
    is_low: bool = False

    def is_valid(self, now: float) -> bool:
        """Whether it opens anything at this time, in Unix seconds."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def state(self, now: float) -> str:
        """For people: valid, revoked or expired."""
        return "revoked" if self.revoked is not None else "valid" if self.is_valid(now) else "expired"


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[Key]
    format: int = _FORMAT


class KeyFile:
    """The file with all keys of a home.

    Args:
        path: Where it is; need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Key, ...]:
        """All keys, revoked and expired ones too; none where there is no file.

        Raises:
            Misconfigured: There is one, and it cannot be read, or holds something else.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Misconfigured(f"{self.path}: the keys cannot be read: {error.strerror or error}.") from error
        try:
            content = msgspec.json.decode(data, type=_Content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Misconfigured(f"{self.path}: this is no file of keys: {error}. Put back a copy of it.") from error
        if content.format != _FORMAT:
            raise Misconfigured(
                f"{self.path}: keys in format {content.format}; this podium knows {_FORMAT}. Use the podium that wrote it."
            )
        return tuple(content.keys)

    def create(
        self,
        scopes: Iterable[str],
        now: float,
        *,
        name: str = "",
        expires: float | None = None,
        is_low: bool = False,
        random: Callable[[int], str] = secrets.token_urlsafe,
    ) -> tuple[Key, str]:
        """Make a key; what is known of it, and the key itself, which nobody can ask for again.

        Raises:
            InvalidInput: A scope is none, there are none, the name is too long, or the time is past.
            Misconfigured: The file cannot be read or written.
        """
        wanted = parse_scopes(scopes)
        if not wanted:
            raise InvalidInput("A key needs a scope: --scope score:NAME, score:*, read or admin.")
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise InvalidInput(f"A key's name has at most {_LONGEST_NAME} printable characters.")
        if expires is not None and expires <= now:
            raise InvalidInput("The key would expire in the past; say how long it holds from now: --expires 90d.")
        with self._locked():
            keys = self.read()
            identity = secrets.token_hex(6)
            while any(key.id == identity for key in keys):
                identity = secrets.token_hex(6)
            secret = f"podium_{identity}_{random(32)}"
            key = Key(identity, digest_of(secret), tuple(sorted(wanted)), now, name, expires, None, is_low)
            self._write((*keys, key))
        return key, secret

    def revoke(self, identity: str, now: float) -> Key:
        """Make a key worthless, for good; a second time changes nothing.

        Raises:
            InvalidInput: It is no id.
            NotFound: No key has this id.
            Misconfigured: The file cannot be read or written.
        """
        if not _ID.fullmatch(identity):
            # Whoever pastes the key itself must not find it in a log of errors.
            raise InvalidInput("A key is revoked by its id: 12 hexadecimal digits, as podium keys list shows.")
        with self._locked():
            keys = {key.id: key for key in self.read()}
            key = keys.get(identity)
            if key is None:
                raise NotFound(f"No key has the id {identity}. podium keys list shows all.")
            if key.revoked is None:
                key = keys[identity] = msgspec.structs.replace(key, revoked=now)
                self._write(tuple(keys.values()))
        return key

    def _write(self, keys: tuple[Key, ...]) -> None:
        try:
            write_whole(self.path, msgspec.json.format(msgspec.json.encode(_Content(list(keys)))) + b"\n", mode=0o600)
        except OSError as error:
            raise Misconfigured(f"{self.path}: the keys cannot be written: {error.strerror or error}.") from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self.path.with_name(f".{self.path.name}.lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Misconfigured(f"{lock}: the keys cannot be locked: {error.strerror or error}.") from error
        try:
            _take_lock(descriptor, lock)
            yield
        finally:
            os.close(descriptor)


def _take_lock(descriptor: int, path: Path) -> None:
    """Wait for the lock, but not for ever: whoever holds it writes a small file, or hangs on a dead disk."""
    ends = time.monotonic() + _LONGEST_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                raise Misconfigured(f"{path}: another process has held the keys for {_LONGEST_WAIT_S:.0f} s.") from None
            time.sleep(_STEP_S)
        else:
            return


class KeyRing:
    """Keys as a server holds them. One that was seen revoked stays revoked, whatever a file says later."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._revoked: set[str] = set()

    def replace(self, keys: Iterable[Key]) -> None:
        """Take what the file holds now."""
        self._keys = {key.id: key for key in keys}
        self._revoked.update(key.id for key in self._keys.values() if key.revoked is not None)

    def find(self, presented: str, now: float) -> Key | None:
        """The key that somebody presents, if it is one and opens anything; in a time that says nothing about secrets."""
        found = _KEY.fullmatch(presented)
        key = self._keys.get(found[1]) if found else None
        # Hashed and compared even where there is no such id: both refusals take the same.
        is_same = hmac.compare_digest(digest_of(presented), key.digest if key is not None else "0" * 64)
        return key if key is not None and is_same and key.id not in self._revoked and key.is_valid(now) else None

    def why_not(self, presented: str, now: float) -> str:
        """Why somebody's key opens nothing, for the server's own log: it names the key by its id."""
        found = _KEY.fullmatch(presented)
        key = self._keys.get(found[1]) if found else None
        if found is None or key is None:
            return f"no key has the id {found[1]}" if found else "no key"
        if not hmac.compare_digest(digest_of(presented), key.digest):
            return f"another secret than that of key {key.id}"
        return f"key {key.id} is {'revoked' if key.id in self._revoked else key.state(now)}"


def digest_of(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def looks_like_key(presented: str) -> bool:
    """Whether it is written as a key is, and not as a token is."""
    return _KEY.fullmatch(presented) is not None
