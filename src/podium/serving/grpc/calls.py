"""One call of a gRPC client as a `web.handling.Exchange`, and what an HTTP status is as gRPC's."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import grpc
import msgspec
from grpc.aio import ServicerContext

from podium.protocols.open_inference.problems import as_error
from podium.protocols.tensors import CONTENT_TYPE
from podium.serving.walks.ways import VERSION
from podium.web.handling import NO_TERMS
from podium.web.messages import Head, Response

REQUEST_ID = "x-request-id"
_NAMED = b"x-request-id: "
_MOST_HEADS = 256
_MOST_DETAIL = 1000  # characters: a client refuses trailing metadata of more than 8 KiB, and three bytes stand for one
_MOST_TOLD = 300
_FRAMING = frozenset({"content-type", "user-agent", "te", "content-encoding"})

_CODES: Mapping[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Refused(Exception):
    """A call is answered with a status and a sentence instead of a message.

    Args:
        code: gRPC's status.
        detail: For the client.
        trailing: Metadata that goes with it.
        told: For the log; else as the client hears it.
        principal: Who is refused.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        detail: str,
        trailing: tuple[tuple[str, str], ...] = (),
        told: str = "",
        principal: str = "",
    ) -> None:
        super().__init__(detail)
        self.told = told or detail[:_MOST_TOLD]
        self.principal = principal
        self.code = code
        self.detail = detail if len(detail) <= _MOST_DETAIL else f"{detail[:_MOST_DETAIL]} …"
        self.trailing = trailing

    async def tell(self, context: ServicerContext, request_id: str = "") -> None:
        """End the call so; with its name, where that is not in the metadata already."""
        named = ((REQUEST_ID, request_id),) if request_id else ()
        await context.abort(self.code, self.detail, self.trailing + named)


async def say(context: ServicerContext, message: Any) -> None:
    """Write one message of a stream; for a client that has left, end the call.

    Raises:
        CancelledError: It has left: what the library raises then depends on how far it got.
    """
    try:
        await context.write(message)
    except Exception as error:
        raise asyncio.CancelledError from error


def code_of(status: int) -> grpc.StatusCode:
    """What gRPC calls an HTTP status that is no success."""
    return _CODES.get(status) or (grpc.StatusCode.INVALID_ARGUMENT if 400 <= status < 500 else grpc.StatusCode.INTERNAL)


def refused_by(response: Response) -> Refused:
    """What a client is told where HTTP's would get this response: the sentence of its body, and its headers."""
    text = str(msgspec.json.decode(as_error(response.body))["error"])
    lines = (line.decode("latin-1").partition(": ") for line in response.headers.split(b"\r\n") if line)
    trailing = tuple((name, value) for name, _, value in lines)
    return Refused(code_of(response.status), text, trailing)


class Call:
    """A call's way back: a `web.handling.Exchange`.

    Attributes:
        answered: The answer, once there is one.
    """

    __slots__ = ("answered", "client", "on_leave", "terms")

    lines = b""

    def __init__(self, client: str, answered: asyncio.Future[Response]) -> None:
        self.client = client
        self.terms = NO_TERMS
        self.on_leave: Callable[[], None] | None = None
        self.answered = answered

    def answer(self, response: Response) -> None:
        self.on_leave = None
        if not self.answered.done():
            self.answered.set_result(response)

    def answer_raw(self, data: bytes) -> bool:  # noqa: ARG002
        """HTTP's bytes are no answer here."""
        return False

    def leave(self) -> None:
        """The client has gone, or its time is up."""
        on_leave, self.on_leave = self.on_leave, None
        if on_leave is not None:
            on_leave()


def name_call(context: ServicerContext, response: Response) -> None:
    """Have a call's answer say the name of its request, as HTTP's does."""
    headers = response.headers
    if headers.startswith(_NAMED):
        name = headers[len(_NAMED) : headers.index(b"\r")].decode("latin-1")
        context.set_trailing_metadata(((REQUEST_ID, name),))


@lru_cache(maxsize=4096)
def address_of(peer: str) -> str:
    """The client's address out of gRPC's `ipv4:127.0.0.1:50312`, `ipv6:%5B::1%5D:50312`."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    return rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")


class Heads:
    """What the calls of one method are as heads of HTTP requests, by their metadata; most are like one before.

    A head's `memo` says whether its calls may go as records: nothing in it needs the long way.

    Args:
        method: The RPC's full name, which stands for the path.
    """

    def __init__(self, method: str) -> None:
        self._path = method
        self._known: dict[Any, Head] = {}

    def of(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> Head:
        """The head of a call with this metadata; what belongs to gRPC's own framing is not in it."""
        key = tuple(metadata or ())
        found = self._known.get(key)
        if found is None:
            headers = {b"content-type": CONTENT_TYPE.encode()}
            for name, value in key:
                if name not in _FRAMING and not name.startswith(("grpc-", ":")):
                    raw, own = (
                        name.encode("latin-1"),
                        value if isinstance(value, bytes) else value.encode("latin-1", "replace"),
                    )
                    headers[raw] = headers[raw] + b", " + own if raw in headers else own
            found = Head("POST", self._path, headers=headers)
            found.memo = VERSION not in headers
            if len(self._known) >= _MOST_HEADS:
                self._known.clear()
            self._known[key] = found
        return found
