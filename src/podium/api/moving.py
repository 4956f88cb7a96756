"""Loading and unloading a model of a running server, over its own HTTP routes."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from podium.api.http_asking import NO_ANSWER, ask_http
from podium.client.calls import API_KEY
from podium.domain.references import FolderRef, parse_reference
from podium.errors import DeadlineExceeded, Misconfigured, NotFound, PodiumError, Unavailable
from podium.settings.provenance import NAME_AND_URI


def load(url: str, named: str, timeout_s: float, certificate: str | None = None) -> dict[str, Any]:
    """Have a server serve a model, and wait until it does.

    Args:
        url: The server's.
        named: NAME=URI, or the NAME of one that the server knows.
        timeout_s: How long to wait; the server goes on loading.
        certificate: The file of the certificate that it shows; None where the system vouches for it.

    Returns: What the server says of it: name, version, state.

    Raises:
        NotFound: The server knows no such model, or nothing is there.
        Misconfigured: It may not be loaded, or does not load; says why, in the server's words.
        Unavailable: The server does not answer, or has no room.
        DeadlineExceeded: It is still being loaded.
    """
    found = NAME_AND_URI.fullmatch(named)
    name, uri = (found[1], _absolute(found[2])) if found else (named, None)
    return _post(url, name, "load", {} if uri is None else {"parameters": {"uri": uri}}, timeout_s, certificate)


def unload(url: str, name: str, timeout_s: float, certificate: str | None = None) -> dict[str, Any]:
    """Have a server serve a model no more, and wait until its last request is answered; raises as `load`."""
    return _post(url, name, "unload", {}, timeout_s, certificate)


def _absolute(uri: str) -> str:
    """The server has another current folder."""
    reference = parse_reference(uri)
    return str(Path(reference.path).expanduser().absolute()) if isinstance(reference, FolderRef) else uri


def _post(
    url: str, name: str, verb: str, body: dict[str, Any], timeout_s: float, certificate: str | None
) -> dict[str, Any]:
    key = os.environ.get(API_KEY)
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    target, told = f"{url}/v2/repository/models/{quote(name, safe='')}/{verb}", json.dumps(body).encode()
    try:
        answer = ask_http("POST", target, told, headers, timeout_s=timeout_s, certificate=certificate)
    except TimeoutError as error:
        raise DeadlineExceeded(f"{name}: {url} did not {verb} it within {timeout_s:g} s, and goes on.") from error
    except NO_ANSWER as error:
        raise Unavailable(f"The server at {url} does not answer ({type(error).__name__}).") from error
    if answer.status == 200:
        content: dict[str, Any] = json.loads(answer.body or b"{}")
        return content
    raise _error(answer.status, answer.body, verb)


def _error(status: int, text: bytes, verb: str) -> PodiumError:
    try:
        told = json.loads(text)
        message = str(told.get("error") or told.get("message") or told)
    except (ValueError, AttributeError):
        message = f"The server answered {status}."
    match status:
        case 401 | 403:
            hint = f" {API_KEY} holds the key that is sent." if status == 401 or not os.environ.get(API_KEY) else ""
            return Misconfigured(f"{message}{hint}")
        case 404:
            return NotFound(message)
        case 503 | 504 | 507:
            return Unavailable(message)
        case _:
            return Misconfigured(f"It did not {verb}: {message}")
