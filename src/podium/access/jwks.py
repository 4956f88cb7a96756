"""The public keys by which tokens are proven: a JSON Web Key Set in a file or behind a URL, kept current beside requests.

A file is looked at again and again. A URL is fetched in a thread of its own: now and then, and sooner where a token names a
key that is not here, but never more often than `_NEAREST_S` allows, however many such tokens come. Where it does not answer
the keys of before stay for `_STALE_S`, and then nobody is known by them.
"""

import http.client
import ipaddress
import json
import logging
import os
import ssl
import threading
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from podium.access.timely import TimelyConnection, TimelySecureConnection
from podium.domain.masking import masked
from podium.errors import Misconfigured

_log = logging.getLogger("podium.gateway")
_NEAREST_S = 30.0
_STALE_S = 86_400.0
_FETCH_S, _WHOLE_S = 5.0, 15.0
_MOST_BYTES = 1 << 20
_MOST_KEYS = 100
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_ASYMMETRIC = frozenset({"RSA", "EC", "OKP"})


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the algorithms that it may be used with."""

    key: Any
    algorithms: frozenset[str]


def check_source(source: str) -> None:
    """See that a source of keys can be trusted on its way here.

    Raises:
        Misconfigured: It holds a secret, which would stand in command lines, or anybody on the way could change it.
    """
    found = urlsplit(source)
    if found.scheme in ("", "file"):
        return
    if found.username is not None or found.password is not None:
        raise Misconfigured("jwks holds a user or password. A key set is public; name it without.")
    if found.scheme == "https" and found.hostname:
        return
    if found.scheme == "http" and _is_here(found.hostname or ""):
        return
    raise Misconfigured(f"jwks is {masked(source)}; it is a file or an https URL: who can change the keys can make tokens.")


class KeySet:
    """Keys by their id, as they were read last.

    Args:
        source: A file's path or a URL.
        refresh_s: How often a URL is asked.
        now: Unix seconds.
        fetch: Gives the bytes behind a URL.

    Attributes:
        version: Another number after each change.
    """

    def __init__(self, source: str, refresh_s: float, now: float, fetch: Callable[[str], bytes] | None = None) -> None:
        self._source = source
        self._shown = masked(source)
        self._is_file = urlsplit(source).scheme in ("", "file")
        self._path = source.removeprefix("file://")
        self._refresh_s = refresh_s
        self._fetch = fetch or fetched
        self._keys: dict[str | None, SigningKey] = {}
        self._mark: tuple[int, ...] | None = (-1,)
        self._asked_at = float("-inf")
        self._read_at = float("-inf")
        self._is_wanted = False
        self._answer: bytes | Exception | None = None
        self._asking: threading.Thread | None = None
        self.version = 0
        self.sweep(now)

    @property
    def is_empty(self) -> bool:
        """Whether no key is known: it was never read, or too long ago."""
        return not self._keys

    def find(self, kid: str | None) -> SigningKey | None:
        """The key that a token names; where it names none, the only one that there is."""
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        found = self._keys.get(kid)
        self._is_wanted = self._is_wanted or found is None
        return found

    def sweep(self, now: float) -> None:
        """Take in what has changed. Never waits."""
        if self._is_file:
            self._look()
            return
        if self._asking is not None and not self._asking.is_alive():
            self._asking = None
            answer, self._answer = self._answer, None
            self._take(answer if answer is not None else OSError("nothing came"), now)
        due_s = _NEAREST_S if self._is_wanted or not self._keys else max(self._refresh_s, _NEAREST_S)
        if self._asking is None and now - self._asked_at >= due_s:
            self._asked_at, self._is_wanted = now, False
            self._asking = threading.Thread(target=self._ask, name="podium-jwks", daemon=True)
            self._asking.start()
        if self._keys and now - self._read_at > _STALE_S:
            _log.error("the keys of %s are too old to be believed; nobody is known by a token", self._shown)
            self._replace({})

    def _ask(self) -> None:
        try:
            self._answer = self._fetch(self._source)
        except Exception as error:  # noqa: BLE001
            self._answer = error

    def _take(self, answer: bytes | Exception, now: float) -> None:
        try:
            if isinstance(answer, Exception):
                raise answer
            keys = read_keys(answer)
        except Exception as error:  # noqa: BLE001
            _log.error("the keys of %s cannot be had, those of before stay for now: %s", self._shown, error)
            return
        self._read_at = now
        self._replace(keys)

    def _look(self) -> None:
        try:
            stat = os.stat(self._path)
            mark: tuple[int, ...] | None = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            mark = None
        if mark == self._mark:
            return
        self._mark = mark
        try:
            with open(self._path, "rb") as file:
                self._replace(read_keys(file.read(_MOST_BYTES + 1)))
        except (OSError, Misconfigured) as error:
            _log.error("%s: nobody is known by a token: %s", self._path, error)
            self._replace({})

    def _replace(self, keys: dict[str | None, SigningKey]) -> None:
        self.version += 1
        self._keys = keys


def read_keys(data: bytes) -> dict[str | None, SigningKey]:
    """Public keys for signatures out of a key set, by their id; what is none, or of a kind not known here, is left out.

    Raises:
        Misconfigured: It is no key set, is too large, or two keys have the same id.
    """
    import jwt

    if len(data) > _MOST_BYTES:
        raise Misconfigured("a key set of more than a megabyte")
    try:
        content = json.loads(data)
        entries = content["keys"]
        if not isinstance(entries, list) or len(entries) > _MOST_KEYS:
            raise Misconfigured(f"no list of at most {_MOST_KEYS} keys")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Misconfigured("no JSON Web Key Set") from error
    keys: dict[str | None, SigningKey] = {}
    for entry in entries:
        if not _is_for_signatures(entry):
            continue
        kid = entry.get("kid")
        try:
            made = jwt.PyJWK(dict(entry))
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if kid in keys:
            raise Misconfigured(f"two keys are called {kid}")
        is_free = entry["kty"] == "RSA" and "alg" not in entry
        keys[kid] = SigningKey(made.key, _RSA if is_free else frozenset({made.algorithm_name}))
    return keys


def _is_for_signatures(entry: Any) -> bool:
    """Whether an entry is a public key for signatures: never a shared secret, which whoever verifies could sign with."""
    if not isinstance(entry, Mapping) or "d" in entry or "k" in entry:
        return False
    is_named = isinstance(entry.get("kid", ""), str)
    return is_named and entry.get("kty") in _ASYMMETRIC and entry.get("use", "sig") == "sig"


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the address that was trusted is the one that is asked."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _InTime(urllib.request.HTTPHandler):
    def __init__(self, whole_s: float) -> None:
        super().__init__()
        self._whole_s = whole_s

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(cast("Any", TimelyConnection), req, whole_s=self._whole_s)


class _SecureInTime(urllib.request.HTTPSHandler):
    def __init__(self, whole_s: float) -> None:
        super().__init__()
        self._whole_s = whole_s

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        context = ssl.create_default_context()
        return self.do_open(cast("Any", TimelySecureConnection), req, whole_s=self._whole_s, context=context)


def fetched(url: str, whole_s: float = _WHOLE_S) -> bytes:
    """What is behind a URL.

    Args:
        url: Where.
        whole_s: For the answer, head and body: a read has a limit of its own, and an answer that drips would have none.

    Raises:
        OSError: It does not answer in time, or with something else than 200.
    """
    data = b""
    opener = urllib.request.build_opener(_Stay, _InTime(whole_s), _SecureInTime(whole_s))
    with opener.open(url, timeout=_FETCH_S) as answer:
        while len(data) <= _MOST_BYTES and (part := answer.read1(1 << 16)):
            data += part
    return data


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
