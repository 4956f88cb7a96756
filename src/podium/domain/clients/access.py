"""Who is known, what each may do, and what a request needs: scopes as values and one pure rule."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from podium.errors import InvalidInput

ADMIN = "admin"
READ = "read"
SCORE_ALL = "score:*"
_SCORE = re.compile(r"score:(\*|\w[\w.\-]{0,99})")


class Need(Enum):
    """What a request asks for, from the least to the most."""

    OPEN = "nothing: anybody may ask"
    KNOWN = "to be known, whatever the scopes"
    DESCRIBE = "a scope for the model, or read"
    SCORE = "a scope for the model"
    READ = "the scope read"
    ADMIN = "the scope admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who proved who they are, or nobody in particular.

    Args:
        name: For logs and limits, never a secret: `key:ID`, `token:SUBJECT`, `cert:NAME`; empty for nobody.
        scopes: What they may do.
        ends: Unix seconds after which it has to be proven again; None for never.
        is_low: Their requests give way to others when a bound is near.
    """

    name: str
    scopes: frozenset[str]
    ends: float | None = None
    is_low: bool = False


NOBODY = Principal("", frozenset())
ANYBODY = Principal("", frozenset({ADMIN, READ, SCORE_ALL}))
"""Whoever asks a server that asks nobody who they are."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, as the kernel and TLS say; what its requests claim is another matter.

    Args:
        address: Its IP address; empty where there is none.
        names: Of its verified client certificate, as `names_of` writes them; none without one.
        is_encrypted: Whether the connection is TLS.
    """

    address: str
    names: tuple[str, ...] = ()
    is_encrypted: bool = False


def parse_scopes(texts: Iterable[str]) -> frozenset[str]:
    """Scopes as they are written.

    Raises:
        InvalidInput: One is none.
    """
    scopes = frozenset(texts)
    for scope in sorted(scopes):
        if scope not in {ADMIN, READ} and not _SCORE.fullmatch(scope):
            raise InvalidInput(f"{scope!r} is no scope. There are score:NAME, score:* (every model), read and admin.")
    return scopes


def is_scope(text: str) -> bool:
    """Whether a text is a scope; of tokens, which hold other systems' scopes too."""
    return text in {ADMIN, READ} or _SCORE.fullmatch(text) is not None


def allows(principal: Principal, need: Need, endpoint: str = "") -> bool:
    """Say whether somebody may have what a request needs.

    `admin` holds `read` and no model: whoever moves models need not see what they are asked.

    Args:
        principal: Who asks; `NOBODY` may have only what is open.
        need: What for.
        endpoint: Which model, where the need is one of a model's.
    """
    scopes = principal.scopes
    match need:
        case Need.OPEN:
            return True
        case Need.KNOWN:
            return principal is not NOBODY
        case Need.SCORE:
            return _scores(scopes, endpoint)
        case Need.DESCRIBE:
            return _scores(scopes, endpoint) or READ in scopes or ADMIN in scopes
        case Need.READ:
            return READ in scopes or ADMIN in scopes
        case Need.ADMIN:
            return ADMIN in scopes


def names_of(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names in a verified certificate, as `ssl` shows it: `URI:spiffe://a/b`, `DNS:a.example`, `CN:a`, in this order.

    The kind belongs to the name: who may choose a common name could write another one's URI into it.
    """
    if not certificate:
        return ()
    alternative = certificate.get("subjectAltName", ())
    found = [f"{kind}:{name}" for wanted in ("URI", "DNS") for kind, name in alternative if kind == wanted]
    subject = [pair for parts in certificate.get("subject", ()) for pair in parts]
    return tuple(dict.fromkeys(found + [f"CN:{value}" for name, value in subject if name == "commonName"]))


def _scores(scopes: frozenset[str], endpoint: str) -> bool:
    return SCORE_ALL in scopes or (endpoint != "" and f"score:{endpoint}" in scopes)
