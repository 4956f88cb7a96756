"""What both clients take of httpx: it is imported when the first client is made, and its errors are read here."""

import ssl
from pathlib import Path
from types import ModuleType
from typing import Any

from podium.client.exchanges import Loss, Lost
from podium.errors import Misconfigured, MissingDependency

_CONNECT_S = 10.0
_MOST_KEPT = 20
_WAY_TO_TRUST = "name the file of a private authority in the variable SSL_CERT_FILE, or as tls='ca.pem'"


def httpx_library() -> ModuleType:
    """The module.

    Raises:
        MissingDependency: It is not installed.
    """
    try:
        import httpx
    except ImportError as error:
        raise MissingDependency("httpx", "podium.client", "client") from error
    return httpx


def pool_options(connections: int, tls: ssl.SSLContext | str | Path | None) -> dict[str, Any]:
    """What a pool of connections is made with: bounded, and following no redirect, which could lead a key elsewhere.

    Raises:
        Misconfigured: The file of authorities is none.
    """
    limits = httpx_library().Limits(max_connections=connections, max_keepalive_connections=min(connections, _MOST_KEPT))
    return {"limits": limits, "follow_redirects": False, "verify": _trust(tls)}


def _trust(tls: ssl.SSLContext | str | Path | None) -> ssl.SSLContext | bool:
    """Whom to trust; the library's own list of authorities only where the system has none."""
    if isinstance(tls, ssl.SSLContext):
        return tls
    if tls is None:
        places = ssl.get_default_verify_paths()
        is_there = bool(places.cafile or places.capath)
        return ssl.create_default_context() if is_there else True
    try:
        return ssl.create_default_context(cafile=tls)
    except OSError as error:
        raise Misconfigured(
            f"tls={str(tls)!r} is no file of authorities: {error.strerror or error}. Expected certificates in PEM."
        ) from error


def time_limits(limit_s: float) -> Any:
    """The time for each step of one exchange; connecting has a shorter one, so that another try is possible."""
    return httpx_library().Timeout(limit_s, connect=min(limit_s, _CONNECT_S))


def lost(error: Exception, has_answer_begun: bool) -> Lost:
    """What an error of the library's means for the request."""
    httpx = httpx_library()
    reason = str(error) or type(error).__name__
    match error:
        case httpx.PoolTimeout():
            return Lost(Loss.LATE, "all connections of this client were busy")
        case httpx.ConnectError() if _is_distrust(error):
            return Lost(Loss.UNTRUSTED, f"{reason}; {_WAY_TO_TRUST}")
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.ProxyError() | httpx.UnsupportedProtocol():
            return Lost(Loss.UNREACHED, reason)
        case httpx.TimeoutException():
            return Lost(Loss.LATE, "the answer is not there" if not has_answer_begun else "the answer is not whole")
        case _:
            return Lost(Loss.CUT if has_answer_begun else Loss.UNANSWERED, reason)


def _is_distrust(error: BaseException) -> bool:
    """Whether a certificate was refused, by either side: no second try changes that."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
