"""Asking an ASGI application without a socket."""

import asyncio
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    text: str


def ask(app, address: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answered:
    """One request; `headers` by name, with _ for -. The host is 127.0.0.1 unless told."""
    place = urlsplit(address)
    named = {"host": "127.0.0.1:8080", "accept": "text/html"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": unquote(place.path), "raw_path": quote(place.path, safe="%/").encode(), "root_path": "",
        "query_string": place.query.encode(), "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8080),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }  # fmt: skip
    sent: list[dict] = []

    parts = [body]

    async def receive():
        if not parts:
            await asyncio.Event().wait()  # a client that stays, and says no more
        return {"type": "http.request", "body": parts.pop(), "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    pairs = [(name.decode().lower(), value.decode("latin-1")) for name, value in sent[0]["headers"]]
    cookies = [value for name, value in pairs if name == "set-cookie"]
    text = b"".join(message.get("body", b"") for message in sent[1:]).decode()
    return Answered(sent[0]["status"], dict(pairs), cookies, text)
