"""podium under somebody else's ASGI server: `uvicorn podium.serving.asgi:app`.

The server reads HTTP; admission, routing, retries, answers are the same objects as in a gateway process. Its lifespan
starts `podium serve` beside it (supervisor and workers, no gateway process), and the gateway lives in this process: it
answers the ASGI server's requests, and those that come to the port that `podium status` names.

What to serve, and how, is said as for `podium serve`: PODIUM_SERVE_MODEL_URI and its like, or podium.toml.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from podium.domain.clients.access import Peer
from podium.serving.asgi_host.attachment import Attachment
from podium.serving.asgi_host.exchange import AsgiExchange
from podium.serving.gateway import Gateway
from podium.web.messages import Fault, Head, Request, Response, Unread, server_is_full
from podium.web.routes import detail
from podium.web.unpacking import Unpacking, accepts, find_coding, is_packed

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_log = logging.getLogger("podium.gateway")


class Application:
    """An ASGI 3 application. One event loop; with several server processes each has a supervisor and workers of its own.

    Args:
        arguments: Flags of `podium serve`, which win over variables and podium.toml: "-m", "models:/NAME/production".
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._attachment: Attachment | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._attachment = Attachment(self._arguments)
            await self._attachment.start()
        except Exception as error:  # noqa: BLE001
            _log.exception("podium cannot start under this server")
            await self._stop()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _stop(self) -> None:
        attachment, self._attachment = self._attachment, None
        if attachment is not None:
            await attachment.stop()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        exchange = AsgiExchange(client[0] if client else "")
        gateway = None if self._attachment is None else self._attachment.gateway
        if gateway is None:
            text = "podium does not run here: its lifespan has not begun, or its supervisor is gone."
            await _send(detail(503, text), scope, send)
            return
        found = await _read(gateway, scope, receive, exchange.peer)
        if found is None:
            return  # the client left in the middle of its body
        if isinstance(found, Fault):
            gateway.app.handle_fault(found, exchange)
        elif isinstance(found, Unread):
            gateway.app.turn_away(found.request, exchange)
        else:
            gateway.app.handle(found, exchange)
        leaving = asyncio.ensure_future(_until_left(receive))
        try:
            await _either(exchange.answered, leaving)
            if exchange.is_in_parts:
                pouring = asyncio.ensure_future(_pour(exchange, send))
                try:
                    await _either(pouring, leaving)
                finally:
                    pouring.cancel()
                    await asyncio.gather(pouring, return_exceptions=True)
        finally:
            exchange.leave()  # nothing, where the answer is there
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        if exchange.answered.done() and not exchange.is_in_parts:
            await _send(exchange.answered.result(), scope, send)


async def _read(gateway: Gateway, scope: Scope, receive: Receive, peer: Peer) -> Request | Unread | Fault | None:
    """The whole request, within the gateway's limits; None when the client leaves before it is whole.

    Of one that is refused for who asks nothing but the head is read: the server beneath drops the rest.
    """
    head = _head(scope)
    if gateway.app.turns_away(head, peer):
        return Unread(Request(head, b""))
    limits, shared = gateway.connections.limits, gateway.connections
    if head.body_size > limits.body_bytes:
        return Fault(413, "The body is too large.", head.method, head.path)
    if b"content-encoding" in head.headers:
        try:
            head.coding = find_coding(head.headers)
        except LookupError as error:
            return Fault(415, str(error.args[0]), head.method, head.path, accepts())
    body = bytearray()
    loop = asyncio.get_running_loop()
    ends = loop.time() + limits.body_s
    try:
        while True:
            async with asyncio.timeout_at(ends):
                message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            body += part
            shared.body_size += len(part)
            ends += len(part) / limits.bytes_per_s
            if len(body) > limits.body_bytes:
                return Fault(413, "The body is too large.", head.method, head.path)
            if shared.body_size > limits.buffered_bytes:
                return server_is_full(head.method, head.path)
            if not message.get("more_body"):
                break
    except TimeoutError:
        return Fault(408, "The request did not arrive in time.", head.method, head.path)
    finally:
        shared.body_size -= len(body)
    request = Request(head, body)
    return await _unpack(request, gateway) if is_packed(head, body) else request


async def _unpack(request: Request, gateway: Gateway) -> Request | Fault:
    unpacking = Unpacking(request, gateway.connections.limits)
    found = unpacking.advance()
    while found is None:
        await asyncio.sleep(0)  # others have their turn
        found = unpacking.advance()
    return found


def _head(scope: Scope) -> Head:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = value if name not in headers else headers[name] + b", " + value
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root):
        path = path[len(root) :] or "/"
    return Head(scope["method"], path, scope.get("query_string", b"").decode("latin-1"), headers)


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _either(*awaited: asyncio.Future[Any]) -> None:
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)


async def _send(response: Response, scope: Scope, send: Send) -> None:
    await _begin(response, send, (b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})


async def _pour(exchange: AsgiExchange, send: Send) -> None:
    """Send an answer in parts, each as soon as the server takes it."""
    await _begin(exchange.answered.result(), send)
    async for part in exchange.parts():
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _begin(response: Response, send: Send, *more: tuple[bytes, bytes]) -> None:
    lines = [line.partition(b": ") for line in response.headers.split(b"\r\n") if line]
    headers = [
        (b"content-type", response.content_type.encode("latin-1", "replace")),
        *more,
        *((name, value) for name, _, value in lines),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})


app = Application()
