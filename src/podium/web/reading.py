"""From bytes to requests: httptools cuts, this file decides what is refused. No I/O and no clock.

However the bytes are split over reads, the same requests come out (tests/web/test_reading.py holds it to that).
After a fault nothing more is read: where one request ends and the next begins is then a matter of opinion, and two
opinions on one connection are how requests are smuggled.
"""

import re
from collections import deque
from enum import Enum
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import httptools

from podium.web.heads import MAX_HEAD_SIZE, KnownHeads
from podium.web.limits import Limits
from podium.web.messages import Fault, Head, Request, Unread
from podium.web.unpacking import accepts, find_coding

# What a header counts for beyond its name and value, as in RFC 9113 §10.5.1: many tiny ones cost as much as a large one.
HEADER_OVERHEAD = 32
_HEAD_SLACK = 4096
_MOST_DROPPED = 64 * 1024  # bytes of a refused body that are read to keep its connection: a new one costs about as much
_MAX_FRAMING = 16  # bytes on the wire for each of a chunked body; chunks of one byte need six

# Headers that say where a request ends or where it goes; a second one is an attack or a fault, never a list.
_ONCE = frozenset({b"content-length", b"transfer-encoding", b"host", b"expect", b"content-type"})
_UPGRADE = frozenset({b"upgrade", b"connection", b"http2-settings"})
_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")}

# RFC 3986 §3.2.2 and §3.2.3: a name or address, perhaps a port, no user; empty where the URL has no authority.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]+)([^ ]*)")


class ReadingPhase(Enum):
    """Where in a request the reader is."""

    IDLE = "between requests"
    HEAD = "in a request's line or headers"
    BODY = "in a request's body"
    CLOSED = "after the last request of this connection"


_IDLE, _HEAD, _BODY, _CLOSED = ReadingPhase
_NO_HEAD = b"", Head("", "")
_NO_HEAD[1].body_size = -1  # so that nothing begins with it


class _Refused(Exception):
    """Leaves the parser's callback; the fault is kept beside it."""


class RequestReader:
    """Reads one connection's requests.

    Args:
        limits: What is refused.
        heads: Shared by all connections with the same limits.

    Attributes:
        ready: Whole requests and unread ones, oldest first; a fault is always the last entry.
        phase: Where the reader stopped.
        body_size: Bytes of the unfinished body that are held.
        wants_continue: The unfinished request waits for `100 Continue`; whoever says it sets this back.
        is_judged: Somebody has looked at `head` of the unfinished request; whoever does sets this.
    """

    __slots__ = (
        "_body", "_coding", "_fault", "_has_passed_head", "_head_size", "_headers", "_headers_size", "_heads",
        "_is_dismissed", "_is_http10", "_is_upgrade", "_keeps_alive", "_last", "_limits", "_made", "_parser", "_url",
        "_wire_size", "body_size", "is_judged", "phase", "ready", "wants_continue",
    )  # fmt: skip

    def __init__(self, limits: Limits, heads: KnownHeads) -> None:
        self._limits = limits
        self._heads = heads
        self.ready: deque[Request | Unread | Fault] = deque()
        self._last = _NO_HEAD
        self._head_size = 0
        self._has_passed_head = False
        self._body: bytes | bytearray = b""
        self.body_size = 0
        self.wants_continue = False
        self._made: Head | None = None
        self._restart()

    def recall(self, data: bytes) -> Request | None:
        """The one request that these bytes are, if its head was read before; else None, and they are to be fed.

        Only for a reader in phase IDLE: the parser, which sees nothing of this, then stands before a request as well.
        """
        # A client that says the same again is known by a comparison; a head ends where it first can, so this one does, too.
        start, head = self._last
        end = len(start)
        if head.body_size != len(data) - end or not data.startswith(start):
            end = data.find(b"\r\n\r\n", 0, MAX_HEAD_SIZE) + 4
            start = data[:end]
            known = self._heads.known.get(start)
            if known is None or known.body_size != len(data) - end:
                return None
            self._last, head = (start, known), known
        self._head_size = 0
        return Request(head, data[end:])

    def feed(self, data: bytes) -> None:
        """Take what arrived; look at `ready` and `phase` after."""
        if self.is_closed:
            return
        if self.phase is _IDLE and not self.ready:
            self._parse(data)
            if len(self.ready) == 1 and self.phase is _IDLE and isinstance(request := self.ready[0], Request):
                self._heads.learn(data, request.head)
        else:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        self._has_passed_head = self.phase is _BODY
        if self._has_passed_head:
            self._wire_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.refuse(self._fault or Fault(400, "The request is not valid HTTP/1.1."))
        if not self._has_passed_head and not self.is_closed:
            self._head_size += len(data)
            if self._head_size > self._limits.url_bytes + self._limits.header_bytes + _HEAD_SLACK:
                self._close(Fault(431, "The request's headers are too large."))
        elif (
            not self._is_dismissed
            and self._wire_size > self._limits.header_bytes + _MAX_FRAMING * self.body_size
            and self.phase is _BODY
        ):
            # Chunk extensions are dropped as they come: without a bound they could go on for ever.
            self.refuse(Fault(400, "The chunks of the body are mostly framing.", *self.target))

    def refuse(self, fault: Fault) -> None:
        """Read nothing more; the fault takes the unfinished request's place.

        Nothing happens after the last request: bytes that follow one which said `Connection: close` are not looked at.
        """
        if not self.is_closed:
            self._close(fault)

    @property
    def head(self) -> Head:
        """The unfinished request's, in phase BODY."""
        if self._made is None:
            self._made = self._head()
        return self._made

    def dismiss(self) -> None:
        """Keep nothing of the unfinished request's body.

        A short one is read to its end, and the connection lives. Else, and where its client waits to be told to send it,
        the request is the connection's last: what follows its head may be its body or the next request.
        """
        head = self.head
        self._body = b""
        self.body_size = 0
        if 0 < head.body_size <= _MOST_DROPPED and not self.wants_continue:
            self._is_dismissed = True
            return
        head.keeps_alive = head.is_plain = False
        self.wants_continue = False
        self.phase = _CLOSED
        self.ready.append(Unread(Request(head, b"")))

    @property
    def is_closed(self) -> bool:
        """Whether the last request of this connection was read."""
        return self.phase is _CLOSED

    @property
    def target(self) -> tuple[str, str]:
        """Method and path of the unfinished request, as far as they are known; for logs."""
        if not self._url:
            return "", ""
        return self._parser.get_method().decode("latin-1"), self._url.partition(b"?")[0].decode("latin-1")

    # ── httptools calls these

    def on_message_begin(self) -> None:
        self.phase = _HEAD
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._headers_size = 0
        self._coding = ""
        self._wire_size = 0
        self._made = None
        self._is_dismissed = self.is_judged = False

    def on_url(self, part: bytes) -> None:
        self._url += part
        if len(self._url) > self._limits.url_bytes:
            self._refuse(414, f"The URL is longer than {self._limits.url_bytes} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers_size = size = self._headers_size + len(name) + len(value) + HEADER_OVERHEAD
        if size > self._limits.header_bytes:
            self._refuse(431, f"The request's headers are larger than {self._limits.header_bytes} bytes.")
        if self.phase is _BODY:
            return  # a trailer: counted and dropped, never a header
        name = name.lower()
        value = value.rstrip(b" \t")  # llhttp takes off what is before it only
        headers = self._headers
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            self._refuse(400, f"The request has more than one {name.decode('latin-1').title()} header.")
        else:
            headers[name] += b", " + value

    def on_headers_complete(self) -> None:
        parser = self._parser
        version = parser.get_http_version()
        self._is_http10 = version == "1.0"
        self._head_size = 0
        self._has_passed_head = True
        self._keeps_alive = parser.should_keep_alive()
        self._is_upgrade = parser.should_upgrade()
        self.phase = _BODY
        if version != "1.1" and not self._is_http10:
            self._refuse(400, "This server speaks HTTP/1.1 and HTTP/1.0.")
        headers = self._headers
        if len(headers) > self._limits.headers:
            self._refuse(431, f"The request has more than {self._limits.headers} headers.")
        if not _HOST.fullmatch(headers.get(b"host", b"" if self._is_http10 else b"?")):
            self._refuse(400, "An HTTP/1.1 request needs a Host header, and it names a host.")
        if not _is_target(self._url, parser.get_method()):
            self._refuse(400, "The request's target is neither a path nor an http URL.")
        if b"transfer-encoding" in headers:
            self._judge_transfer_encoding(headers)
        length = headers.get(b"content-length")
        if length is not None:
            if not length.isdigit():
                self._refuse(400, "The Content-Length is not a number.")
            if int(length) > self._limits.body_bytes:
                self._refuse(413, f"The body is larger than {self._limits.body_bytes} bytes.")
        if b"content-encoding" in headers:
            self._judge_content_encoding(headers)
        if b"expect" in headers:
            if headers[b"expect"].lower() != b"100-continue":
                self._refuse(417, "The only expectation that is met here is 100-continue.")
            self.wants_continue = not self._is_http10

    def on_body(self, part: bytes) -> None:
        if self._is_dismissed:
            return
        size = self.body_size + len(part)
        if size > self._limits.body_bytes:
            self._refuse(413, f"The body is larger than {self._limits.body_bytes} bytes.")
        if not self.body_size:
            self._body = part
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += part
        self.body_size = size

    def on_message_complete(self) -> None:
        if self._is_upgrade:
            return  # its body, if any, was not read: see _decline_upgrade
        request = Request(self.head, self._body)
        self.ready.append(Unread(request) if self._is_dismissed else request)
        self._body = b""
        self.body_size = 0
        self.wants_continue = False
        self.phase = _IDLE if self._keeps_alive else _CLOSED

    # ── what the callbacks decide by

    # RFC 9110 would have 501 here, and 505 for a version; but a 5xx says that we failed, and pages whoever is on call.
    def _judge_transfer_encoding(self, headers: dict[bytes, bytes]) -> None:
        if b"content-length" in headers:
            self._refuse(400, "Content-Length and Transfer-Encoding contradict each other.")
        if self._is_http10:
            self._refuse(400, "HTTP/1.0 has no Transfer-Encoding.")
        if headers[b"transfer-encoding"].strip().lower() != b"chunked":
            self._refuse(400, "The only Transfer-Encoding that is read here is chunked.")

    def _judge_content_encoding(self, headers: dict[bytes, bytes]) -> None:
        try:
            self._coding = find_coding(headers)
        except LookupError as error:
            self._refuse(415, str(error.args[0]), accepts())

    def _head(self) -> Head:
        method = self._parser.get_method()
        path, query = _target(self._url)
        return Head(
            _METHODS.get(method) or method.decode("latin-1"),
            path,
            query,
            self._headers,
            is_http10=self._is_http10,
            keeps_alive=self._keeps_alive,
            coding=self._coding,
        )

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read the request again without its offer to speak another protocol, as RFC 9110 §7.8 allows.

        httptools stops at such a request's headers and would lose the body: that is how Java's HttpClient posts by default.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._close(Fault(400, "This server is not a proxy.", "CONNECT"))
            return
        kept = {name: value for name, value in self._headers.items() if name not in _UPGRADE}
        if not self._keeps_alive:
            kept[b"connection"] = b"close"
        version = b"1.0" if self._is_http10 else b"1.1"
        lines = b"".join(b"%s: %s\r\n" % header for header in kept.items())
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (method, self._url, version, lines)
        self._restart()
        self.feed(head + rest)

    def _restart(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self.wants_continue = False
        self._fault: Fault | None = None
        self._is_http10 = False
        self._keeps_alive = True
        self._is_upgrade = False
        self._body = b""
        self.body_size = 0
        self.on_message_begin()
        self.phase = _IDLE

    def _refuse(self, status: int, detail: str, headers: bytes = b"") -> None:
        self._fault = Fault(status, detail, *self.target, headers)
        raise _Refused

    def _close(self, fault: Fault) -> None:
        self.phase = _CLOSED
        self.wants_continue = False
        self._body = b""
        self.body_size = 0
        self.ready.append(fault)


@lru_cache(maxsize=256)
def _is_target(url: bytes, method: bytes) -> bool:
    """Whether a request's target has one of the forms of RFC 9112 §3.2, but CONNECT's."""
    if b"#" in url:
        return False
    if url.startswith(b"/") or (url == b"*" and method == b"OPTIONS") or method == b"CONNECT":
        return True
    parts = _ABSOLUTE.fullmatch(url)
    return parts is not None and _HOST.fullmatch(parts[1]) is not None


@lru_cache(maxsize=256)
def _target(url: bytes) -> tuple[str, str]:
    """Path, percent-decoded, and query of a request's target; of an absolute one (`http://host/path`) too."""
    absolute = _ABSOLUTE.fullmatch(url)
    target, _, query = (url if absolute is None else absolute[2]).partition(b"?")
    return unquote_to_bytes(target or b"/").decode("utf-8", "replace"), query.decode("latin-1")
