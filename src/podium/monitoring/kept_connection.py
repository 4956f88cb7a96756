"""Posting to somebody's HTTP server over one connection that is kept; no answer of theirs is believed beyond its status."""

import base64
import http.client
import logging
import ssl
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from podium.access.timely import TimelyConnection, TimelySecureConnection

_log = logging.getLogger("podium.exporter")
TIMEOUT_S = 5.0
_REFUSED = 300
_MOST_BYTES = 1 << 20


class KeptConnection:
    """To one address, opened when it is needed. One thread at a time.

    Args:
        url: http or https; a user and password in it become Basic authentication.
        timeout_s: For a connection, for each part of a body to leave, and for an answer as a whole.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._url = urlsplit(url)
        host, port = self._url.hostname or "", self._url.port
        # Of a webhook's address the path, too, may be what it is protected by.
        self._shown = f"{self._url.scheme}://{host}" + ("" if port is None else f":{port}")
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._has_failed = False

    def post(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the body was taken. Waits some seconds at most; the first of several failures is written down."""
        why = self._try(headers, body)
        if why is not None and not self._has_failed:
            _log.warning("%s does not take what is sent: %s", self._shown, why)
        self._has_failed = why is not None
        return why is None

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self, headers: Mapping[str, str], body: bytes) -> str | None:
        try:
            connection = self._connection = self._connection or self._connect()
            target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
            connection.request("POST", target, body, {**headers, **self._credentials()})
            response = connection.getresponse()
            if len(response.read(_MOST_BYTES)) == _MOST_BYTES:
                self.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return type(error).__name__
        return f"status {response.status}" if response.status >= _REFUSED else None

    def _connect(self) -> http.client.HTTPConnection:
        host, port, limit_s = self._url.hostname or "", self._url.port, self._timeout_s
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            return TimelySecureConnection(host, port, whole_s=limit_s, timeout=limit_s, context=context)
        return TimelyConnection(host, port, whole_s=limit_s, timeout=limit_s)

    def _credentials(self) -> dict[str, str]:
        if self._url.username is None:
            return {}
        user = f"{unquote(self._url.username)}:{unquote(self._url.password or '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(user).decode()}"}
