"""A request and a response as values, and a response as bytes on the wire."""

from http import HTTPStatus
from typing import Any

import msgspec

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {code: f"HTTP/1.1 {code} {phrase}\r\n".encode() for code, phrase in _PHRASES.items()}
_BODILESS = frozenset({204, 304})
_UNSAFE = dict.fromkeys((*range(32), 127), "?")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Length, request id, header lines, those of its exchange, body: what `encode` makes, in a third of its time.
JSON_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\nx-request-id: %s\r\n%s%s\r\n%s"


class Head:
    """A request's line and headers; all requests whose heads are the same bytes may share one.

    Attributes:
        method: As sent, upper case.
        path: Percent-decoded, without the query.
        query: Still encoded, without the question mark.
        headers: By lower-case name; repeated ones joined by `, `; trailers are not among them. Nobody writes to it.
        is_http10: HTTP/1.0, which keeps a connection only when it says so.
        keeps_alive: Whether the client lets the connection live after the answer.
        coding: How the body is compressed; empty where it is not.
        body_size: What Content-Length says; 0 where there is none, chunked or not.
        is_plain: HTTP/1.1, kept alive and not HEAD: a whole answer may be written as it is.
        memo: The handler's own: what it worked out from this head, for the next request with the same.
    """

    __slots__ = (
        "body_size",
        "coding",
        "headers",
        "is_http10",
        "is_plain",
        "keeps_alive",
        "memo",
        "method",
        "path",
        "query",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: dict[bytes, bytes] | None = None,
        *,
        is_http10: bool = False,
        keeps_alive: bool = True,
        coding: str = "",
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = {} if headers is None else headers
        self.is_http10 = is_http10
        self.keeps_alive = keeps_alive
        self.coding = coding
        self.body_size = int(self.headers.get(b"content-length", b"0"))
        self.is_plain = keeps_alive and not is_http10 and method != "HEAD"
        self.memo: Any = None


class Request(msgspec.Struct, frozen=True, gc=False):
    """A whole request: nothing of it is still on the wire.

    Args:
        head: Its line and headers, perhaps shared with other requests.
        body: All of it, chunking undone. A bytearray where it came in several parts; nobody writes to it.
    """

    head: Head
    body: bytes | bytearray

    @property
    def method(self) -> str:
        return self.head.method

    @property
    def path(self) -> str:
        return self.head.path

    @property
    def query(self) -> str:
        return self.head.query

    @property
    def headers(self) -> dict[bytes, bytes]:
        return self.head.headers

    @property
    def is_http10(self) -> bool:
        return self.head.is_http10

    @property
    def keeps_alive(self) -> bool:
        return self.head.keeps_alive

    def header(self, name: bytes) -> str | None:
        """The header of this lower-case name, as latin-1 text; None where there is none."""
        value = self.head.headers.get(name)
        return None if value is None else value.decode("latin-1")


class Unread(msgspec.Struct, frozen=True, gc=False):
    """A request that is refused for what its head says; its body, left out here, was dropped or is still on the wire."""

    request: Request


class Response(msgspec.Struct, frozen=True, gc=False):
    """An answer.

    Args:
        status: 200 to 599.
        body: Bytes; left out on the wire for HEAD, its length kept.
        content_type: As the client sees it.
        headers: More header lines, each ended by CRLF, made by `header_lines`.
    """

    status: int
    body: bytes | memoryview = b""
    content_type: str = "application/json"
    headers: bytes = b""


class Fault(msgspec.Struct, frozen=True, gc=False):
    """What could not be read as a request: what the client gets before the connection closes.

    Args:
        status: 4xx or 5xx.
        detail: A sentence.
        method: As far as it is known, and so `path`; for logs.
        headers: Lines that belong to the answer.
    """

    status: int
    detail: str
    method: str = ""
    path: str = ""
    headers: bytes = b""


def server_is_full(method: str, path: str) -> Fault:
    """What is said when all bodies that are being received are too much together."""
    return Fault(503, "The server holds as many unfinished requests as it takes.", method, path)


def header_lines(*pairs: tuple[str, str]) -> bytes:
    """Header lines from names and values; what could break out of a line becomes `?`."""
    return b"".join(f"{name}: {clean(value)}\r\n".encode("latin-1", "replace") for name, value in pairs)


def clean(value: str) -> str:
    """A header's value without control characters: nothing that a model or client says can start another line."""
    return value if value.isprintable() else value.translate(_UNSAFE)


def encode_head(response: Response, date: bytes, lines: bytes) -> bytes:
    """The head of an answer whose body comes in parts.

    Args:
        response: Its status, type and headers.
        date: A whole `date` header line.
        lines: Whole header lines that say how the body is framed.
    """
    return b"%scontent-type: %s\r\n%s%s%s\r\n" % (
        _STATUS_LINES.get(response.status) or b"HTTP/1.1 %d Unknown\r\n" % response.status,
        clean(response.content_type).encode("latin-1", "replace"),
        response.headers,
        date,
        lines,
    )


def encode(response: Response, date: bytes, is_head: bool, connection: bytes = b"") -> bytes:
    """The response as it goes on the wire, in one piece.

    Args:
        response: What to say.
        date: A whole `date` header line.
        is_head: Leave the body out, keep its length.
        connection: A whole `connection` header line, or nothing.
    """
    head = b"%scontent-type: %s\r\ncontent-length: %d\r\n%s%s%s\r\n" % (
        _STATUS_LINES.get(response.status) or b"HTTP/1.1 %d Unknown\r\n" % response.status,
        clean(response.content_type).encode("latin-1", "replace"),
        len(response.body),
        response.headers,
        date,
        connection,
    )
    return head if is_head or response.status in _BODILESS else head + response.body
