"""A byte stream cut into the frames of `frames.py`, their payloads not yet read."""

import mmap
from typing import NamedTuple

from podium.transport.frames import DEFAULT_LIMIT, HEADER, BrokenFrame

_LARGE_BYTES = 1 << 18
_AT_ONCE = 1 << 18


class Frame(NamedTuple):
    """One frame, its payload not yet read."""

    kind: int
    flags: int
    status: int
    id: int
    payload: memoryview


class FrameReader:
    """Cuts a byte stream into frames, in time linear in the bytes however they arrive.

    Whole frames are cut out of the very bytes that were fed, without a copy; only a frame that arrives in pieces is put
    together, once. A payload's memoryview stays valid for as long as somebody holds it.

    Whoever receives may write the rest of a large frame straight to its place: `room`, then `take`.

    Args:
        limit: Bytes; a longer payload is a broken frame, found from its header alone.

    Attributes:
        room: Where the next bytes of the stream belong, as far as they are of a large frame; None: to be fed.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._needed = HEADER.size
        self._large = memoryview(b"")
        self._at = 0  # bytes of the large frame that are there
        self.room: memoryview | None = None

    def take(self, count: int) -> list[Frame]:
        """So many bytes were written to `room`; the frame, if that makes it whole."""
        large = self._large
        self._at = at = self._at + count
        if at < len(large):
            self.room = large[at : at + _AT_ONCE]
            return []
        self.room = None
        self._large, whole = memoryview(b""), large.toreadonly()
        _, kind, flags, status, identity = HEADER.unpack_from(whole)
        return [Frame(kind, flags, status, identity, whole[HEADER.size :])]

    def feed(self, data: bytes) -> list[Frame]:
        """Take what arrived and return the frames that are now whole.

        Raises:
            BrokenFrame: A length beyond the limit, or more than there is memory for; every later call raises it too.
        """
        if self.room is not None:
            return self._pour(data)
        rest = self._rest
        if not rest:
            return self._cut(data)
        rest += data
        if len(rest) < self._needed:
            return []
        # The views of the frames pin this buffer: it is theirs from here on, and what is left goes into a new one.
        self._rest = bytearray()
        return self._cut(rest)

    def _cut(self, data: bytes | bytearray) -> list[Frame]:
        frames: list[Frame] = []
        view = memoryview(data).toreadonly()
        position, size, header_size, limit = 0, len(data), HEADER.size, self._limit
        needed = header_size
        while size - position >= header_size:
            length, kind, flags, status, identity = HEADER.unpack_from(data, position)
            if length > limit:
                self._rest = bytearray(view[position:])
                self._needed = 0
                raise BrokenFrame(f"a frame announces {length} bytes; the limit is {limit}")
            start = position + header_size
            if size - start < length:
                needed = header_size + length
                break
            position = start + length
            frames.append(Frame(kind, flags, status, identity, view[start:position]))
        if needed > _LARGE_BYTES:
            self._begin_large(needed, view[position:])
        elif position < size:
            self._rest = bytearray(view[position:])
        self._needed = needed
        return frames

    def _begin_large(self, needed: int, begun: memoryview) -> None:
        """Have a place for a whole frame: the kernel's, whose pages come as they are written to and not all at once.

        Raises:
            BrokenFrame: There is none.
        """
        try:
            self._large = memoryview(mmap.mmap(-1, needed))
        except OSError as error:
            self._rest, self._needed = bytearray(begun), 0
            raise BrokenFrame(f"there is no memory for a frame of {needed} bytes: {error.strerror}") from None
        self._large[: len(begun)] = begun
        self._at = 0
        self.take(len(begun))

    def _pour(self, data: bytes) -> list[Frame]:
        """As `feed`, in the middle of a large frame."""
        view, frames = memoryview(data), []
        while (room := self.room) is not None and view:
            count = min(len(room), len(view))
            room[:count] = view[:count]
            view = view[count:]
            frames += self.take(count)
        return frames + self.feed(bytes(view)) if view else frames
