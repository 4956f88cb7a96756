"""What stands round the site: whose name is asked for, whose page asks, and what a browser may do with an answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from podium.dashboard.doors import is_ours

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Nothing is told to other places. With `no-referrer` browsers send `Origin: null` with our own forms, too.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_KEPT = b"public, max-age=31536000, immutable"
_STRANGE_HOST = b"This dashboard answers only to this machine's own names, as 127.0.0.1 and localhost.\n"
_STRANGE_PAGE = b"A form of another site was sent here.\n"


class Shield:
    """An ASGI application round another one.

    Args:
        app: The one inside.
        is_local: Whether only this machine's own names are answered.
        is_https: Whether browsers are told to come by TLS from now on.
    """

    def __init__(self, app: App, *, is_local: bool, is_https: bool) -> None:
        self._app = app
        self._is_local = is_local
        self._headers = (*_HEADERS, *([(b"strict-transport-security", b"max-age=31536000")] if is_https else []))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")

        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                is_kept = scope["path"].startswith("/static/") and message["status"] == 200
                own = [(b"cache-control", _KEPT if is_kept else b"no-store"), *self._headers]
                known = {name for name, _ in own}
                message["headers"] = [*[each for each in message["headers"] if each[0] not in known], *own]
            await send(message)

        if self._is_local and not is_ours(host):
            await _refuse(told, 421, _STRANGE_HOST)
        elif scope["method"] not in {"GET", "HEAD"} and not _is_from_here(headers, host):
            await _refuse(told, 403, _STRANGE_PAGE)
        else:
            await self._app(scope, receive, told)


def _is_from_here(headers: MutableMapping[bytes, bytes], host: str) -> bool:
    """Whether what is sent comes from a page of this site, or from no page at all."""
    site = headers.get(b"sec-fetch-site")
    if site is not None and site not in {b"same-origin", b"none"}:
        return False
    origin = headers.get(b"origin")
    return origin is None or origin.decode("latin-1").partition("://")[2] == host


async def _refuse(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
