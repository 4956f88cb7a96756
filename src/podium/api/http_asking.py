"""Asking a server something once, by the standard library: `podium.client`, which does more, needs an extra."""

import contextlib
import http.client
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.access.certificates import context_for

NO_ANSWER = (OSError, http.client.HTTPException)
"""What is raised where there is none."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer, read whole; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def ask_http(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_s: float,
    certificate: str | None = None,
) -> HttpAnswer:
    """Ask once, over a connection of its own.

    Args:
        method: Such as GET.
        url: All of it.
        body: Whatever the headers say that it is.
        headers: Names and values, beside what any request needs.
        timeout_s: For the connection, and for each answer of the socket.
        certificate: The file of the one certificate that is believed, whatever name it is for; None believes what the
            system believes.

    Raises:
        OSError, http.client.HTTPException: `NO_ANSWER`; TimeoutError where the time was up.
    """
    place = urllib.parse.urlsplit(url)
    host = place.hostname or ""
    if place.scheme == "https":
        context = None if certificate is None else context_for(certificate)
        connection: http.client.HTTPConnection
        connection = http.client.HTTPSConnection(host, place.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, place.port, timeout=timeout_s)
    target = urllib.parse.urlunsplit(("", "", place.path or "/", place.query, ""))
    with contextlib.closing(connection):
        cut: OSError | None = None
        try:
            connection.request(method, target, body, dict(headers or {}))
        except (BrokenPipeError, ConnectionResetError) as error:
            # Who refuses a body for its length may have hung up before all of it was sent: its answer is there to be read.
            cut = error
        try:
            response = connection.getresponse()
        except NO_ANSWER as error:
            raise cut or error from None
        told = {name.lower(): text for name, text in response.getheaders()}
        return HttpAnswer(response.status, told, response.read())
