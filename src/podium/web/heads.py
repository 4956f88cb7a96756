"""Heads that were read before: a client on a kept connection sends the same request line and headers again and again.

The parser's callbacks cost several microseconds a request, a look-up a fraction of one. What is remembered is what the
strict parser itself accepted for the very same bytes, so that nothing is accepted that it would refuse.
"""

from podium.web.messages import Head

MAX_HEAD_SIZE = 4096
_MAX_HEADS = 1024
_MAX_SIZE = 1024 * 1024
_MAX_SEEN = 4096

# Framing that is not a plain length, or something to say between head and body: always the parser's business.
_UNFIT = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"content-encoding"})
# Different in every request by their meaning; not worth a place.
_FRESH = frozenset({b"x-request-id", b"traceparent", b"tracestate", b"x-amzn-trace-id", b"x-b3-traceid", b"b3", b"date"})


class KnownHeads:
    """The heads of all connections of a server, by their bytes.

    A head is kept when it comes a second time: a client whose heads are all different, by malice or by a header that
    changes, pushes nobody's out. When they are too many all are forgotten, and learnt again within as many requests.

    Attributes:
        known: Whole heads, their empty line included. Look up here; only `learn` adds.
    """

    __slots__ = ("_seen", "_size", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, Head] = {}
        self._seen: set[int] = set()
        self._size = 0

    def learn(self, data: bytes, head: Head) -> None:
        """Remember the head of `data`, which the parser read as one whole request and nothing else."""
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD_SIZE) + 4
        # Where blank lines come first, or the length is not spelled out, the head does not end where it seems to.
        if end < 5 or head.body_size != len(data) - end or not head.is_plain:
            return
        headers = head.headers
        if not (headers.keys().isdisjoint(_UNFIT) and headers.keys().isdisjoint(_FRESH)):
            return
        key = data[:end]
        mark = hash(key)
        seen = self._seen
        if mark not in seen:
            if len(seen) >= _MAX_SEEN:
                seen.clear()
            seen.add(mark)
            return
        seen.discard(mark)
        self._size += end
        if len(self.known) >= _MAX_HEADS or self._size > _MAX_SIZE:
            self.known.clear()
            self._size = end
        self.known[key] = head
