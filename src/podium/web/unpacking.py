"""Request bodies that come compressed: undone a piece at a time, never beyond the limit on a body.

A thousand bytes may unpack to a million. So each piece has a bound, between a few pieces other connections have their
turn, and what passes the limit is refused without a look at the rest.
"""

import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from podium.web.limits import Limits
from podium.web.messages import Fault, Head, Request, header_lines

PIECE_BYTES = 64 * 1024
_PIECES_A_TURN = 8
_MAX_MEMBERS = 1024  # compressed files one behind the other; each costs a new decompressor
_ZSTD_WINDOW_LOG = 23  # 8 MiB, what RFC 9659 asks of clients
_GZIP = 31  # zlib's number for a gzip header and trailer, window 32 KiB


class _Unreadable(Exception):
    """The bytes are not of their coding, or stop in the middle."""


class Unpacking:
    """One body on its way to what it was before.

    Args:
        request: With a body in the coding that its head names.
        limits: Of which the one on bodies counts here.

    Attributes:
        size: Bytes that are held so far.
    """

    def __init__(self, request: Request, limits: Limits) -> None:
        self._head = request.head
        self._limit = limits.body_bytes
        self._unpacked = bytearray()
        self._pieces = _CODINGS[request.head.coding](request.body)

    @property
    def size(self) -> int:
        return len(self._unpacked)

    def advance(self) -> Request | Fault | None:
        """Go on for about a millisecond: the request as its handler sees it, why it is refused, or None: not done yet."""
        unpacked = self._unpacked
        try:
            for _ in range(_PIECES_A_TURN):
                piece = next(self._pieces, None)
                if piece is None:
                    return Request(self._head, unpacked)
                unpacked += piece
                if len(unpacked) > self._limit:
                    return self._fault(413, f"The body is larger than {self._limit} bytes when it is unpacked.")
        except _Unreadable:
            return self._fault(400, f"The body is not valid {self._head.coding}.")
        return None

    def _fault(self, status: int, detail: str) -> Fault:
        return Fault(status, detail, self._head.method, self._head.path)


def find_coding(head: dict[bytes, bytes]) -> str:
    """The coding of the body of a request with these headers; empty where it comes as it is.

    Raises:
        LookupError: with a sentence for the client, when nothing here undoes it.
    """
    name = head[b"content-encoding"].decode("latin-1").strip().lower()
    name = {"x-gzip": "gzip", "identity": ""}.get(name, name)
    if not name:
        return ""
    if name == "zstd" and zstd_library() is None:
        raise LookupError(
            'Content-Encoding zstd needs a library: pip install "podium[zstd]" where the server runs. Or send gzip.'
        )
    if name not in _CODINGS:
        raise LookupError(f"The only Content-Encoding read here is one of: {', '.join(readable())}.")
    return name


def readable() -> list[str]:
    """The codings that can be undone on this machine."""
    return [name for name in _CODINGS if name != "zstd" or zstd_library() is not None]


def accepts() -> bytes:
    """The header line that tells a client which codings to use, RFC 9110 §12.5.3."""
    return header_lines(("accept-encoding", ", ".join(readable())))


@cache
def zstd_library() -> Any:
    """The standard library's zstd (Python 3.14) or its twin of the same interface for earlier ones; None without either."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return __import__(name, fromlist=["ZstdDecompressor"])
        except ImportError:
            continue
    return None


def _gunzip(body: bytes | bytearray) -> Iterator[bytes]:
    """Each next() costs one piece of input or of output at most."""
    view, at, end = memoryview(body), 0, len(body)
    for _ in range(_MAX_MEMBERS):
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            given = view[at : at + PIECE_BYTES]
            try:
                piece = member.decompress(given, PIECE_BYTES)
            except zlib.error:
                raise _Unreadable from None
            at += len(given) - len(member.unused_data if member.eof else member.unconsumed_tail)
            if not (piece or given or member.eof):
                raise _Unreadable  # all input is used up, and the end did not come
            yield piece
        if at == end:
            return
    raise _Unreadable


def _unzstd(body: bytes | bytearray) -> Iterator[bytes]:
    zstd = zstd_library()
    view, at, end = memoryview(body), 0, len(body)
    for _ in range(_MAX_MEMBERS):
        frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
        while not frame.eof:
            given = view[at : at + PIECE_BYTES] if frame.needs_input else b""
            if frame.needs_input and not given:
                raise _Unreadable
            try:
                piece = frame.decompress(given, PIECE_BYTES)
            except zstd.ZstdError:
                raise _Unreadable from None
            at += len(given) - len(frame.unused_data if frame.eof else b"")
            yield piece
        if at == end:
            return
    raise _Unreadable


_CODINGS: dict[str, Callable[[bytes | bytearray], Iterator[bytes]]] = {"gzip": _gunzip, "zstd": _unzstd}


def is_packed(head: Head, body: bytes | bytearray) -> bool:
    """Whether a body has to be unpacked; there is nothing in an empty one."""
    return bool(head.coding and body)
