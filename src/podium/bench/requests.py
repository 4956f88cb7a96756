"""Whom to ask and what: an address, and the bytes of the requests that take turns."""

import csv
import io
import ipaddress
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from podium.errors import Misconfigured, Unavailable

_LARGEST_FILE = 256 << 20
_MOST_BODIES = 100_000


@dataclass(frozen=True, slots=True)
class Payload:
    """One request's payload."""

    content_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go. `ip` is what `host` meant when it was judged: nothing is looked up again."""

    host: str
    ip: str
    port: int
    path: str
    is_https: bool

    def request(self, body: Payload, api_key: str | None = None) -> bytes:
        """The whole request, ready to send, with the key that opens the server.

        Raises:
            Misconfigured: The key holds what no header may.
        """
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise Misconfigured("PODIUM_API_KEY holds other characters than a header may have.")
        name = f"[{self.host}]" if ":" in self.host else self.host
        opens = "" if not api_key else f"Authorization: Bearer {api_key}\r\n"
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {name}:{self.port}\r\nUser-Agent: podium-bench\r\nAccept: */*\r\n"
            f"Content-Type: {body.content_type}\r\nContent-Length: {len(body.payload)}\r\n{opens}\r\n"
        )
        return head.encode("ascii") + body.payload


def find_address(url: str, *, is_remote_allowed: bool) -> Address:
    """Take a URL apart and look its host up; a URL without a path means /invocations.

    Raises:
        Misconfigured: It is no URL of http or https, or not of this machine while remote ones are not allowed.
        Unavailable: The host has no address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise Misconfigured(f"{url}: {error}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise Misconfigured(f"{parts.scheme or url}: expected http://HOST:PORT/PATH, https://… or models:/NAME/STAGE.")
    path = (parts.path if parts.path not in {"", "/"} else "/invocations") + (f"?{parts.query}" if parts.query else "")
    if not (path.isascii() and path.isprintable()) or " " in path:
        raise Misconfigured("The URL's path must be percent-encoded.")
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"{parts.hostname} has no address: {error.strerror or error}") from error
    ips = [str(entry[4][0]) for entry in found]
    if not is_remote_allowed and not all(ipaddress.ip_address(ip.partition("%")[0]).is_loopback for ip in ips):
        raise Misconfigured(
            f"{parts.hostname} is not this machine ({ips[0]}). Load is for endpoints of your own; say --allow-remote."
        )
    # IPv4 first: "localhost" means both, and most servers listen on 127.0.0.1 only.
    ip = min(ips, key=lambda one: ":" in one)
    return Address(parts.hostname, ip, port, path, parts.scheme == "https")


def read_bodies(path: Path) -> Sequence[Payload]:
    """The requests in a file: a JSON document, one JSON document a line, or a CSV table of which each row is a request.

    Raises:
        Misconfigured: It cannot be read, is too large, or holds none of these.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise Misconfigured(f"--data {path}: larger than {_LARGEST_FILE >> 20} MiB.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Misconfigured(f"--data {path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise Misconfigured(f"--data {path}: not UTF-8 text.") from None
    bodies = _csv_rows(text) if path.suffix.lower() == ".csv" else _json_documents(text, path)
    if not bodies:
        raise Misconfigured(f"--data {path}: holds no request.")
    if len(bodies) > _MOST_BODIES:
        raise Misconfigured(f"--data {path}: {len(bodies)} requests; {_MOST_BODIES} at most.")
    return bodies


def json_body(text: str) -> Payload:
    """A JSON document as it stands."""
    return Payload("application/json", text.encode())


def _json_documents(text: str, path: Path) -> list[Payload]:
    try:
        json.loads(text)
    except ValueError:
        pass
    else:
        return [json_body(text)]
    bodies = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                json.loads(line)
            except ValueError as error:
                raise Misconfigured(
                    f"--data {path}, line {number}: not JSON ({error}). Expected one JSON document, one a line, or a .csv."
                ) from None
            bodies.append(json_body(line))
    return bodies


def _csv_rows(text: str) -> list[Payload]:
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    return [Payload("text/csv", _csv([header, row])) for row in rows if row]


def _csv(lines: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue().encode()
