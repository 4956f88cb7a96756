"""Which web pages may read answers (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol): none, unless it was said."""

from podium.web.messages import Head, Response, header_lines

_METHODS = "GET, HEAD, POST"
_EXPOSED = (
    "x-request-id, x-podium-model, x-podium-version, x-podium-route, retry-after, ratelimit-limit, ratelimit-remaining, "
    "ratelimit-reset"
)
_ALLOWED = (
    "authorization, x-api-key, content-type, content-encoding, x-request-id, x-podium-timeout-ms, x-podium-priority, "
    "x-podium-version, x-podium-route, inference-header-content-length"
)
_LASTS_S = 600
_VARY = b"vary: origin\r\n"


class Cors:
    """Origins that may read.

    Cookies and certificates of a browser are never asked for (no `allow-credentials`): a page sends its own key.

    Args:
        origins: `https://app.example`, to the letter; `*` is every one. With none nothing is said.
    """

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origins)

    def lines_of(self, head: Head) -> bytes:
        """What goes with each answer to requests with this head."""
        origin = head.headers.get(b"origin")
        if origin is None or not self._origins:
            return b""
        allowed = self._allowed(origin)
        if allowed is None:
            return _VARY
        return header_lines(("access-control-allow-origin", allowed), ("access-control-expose-headers", _EXPOSED)) + _VARY

    def preflight(self, head: Head) -> Response | None:
        """The answer to a browser that asks before it asks; None where it does not, or its page may not.

        It needs no key, as browsers send none, and is the same for every path.
        """
        headers = head.headers
        if head.method != "OPTIONS" or b"access-control-request-method" not in headers:
            return None
        if self._allowed(headers.get(b"origin", b"")) is None:
            return None
        said = header_lines(
            ("access-control-allow-methods", _METHODS),
            ("access-control-allow-headers", _ALLOWED),
            ("access-control-max-age", str(_LASTS_S)),
        )
        return Response(204, headers=said)

    def _allowed(self, origin: bytes) -> str | None:
        text = origin.decode("latin-1")
        if "*" in self._origins:
            return "*"
        return text if text in self._origins else None
