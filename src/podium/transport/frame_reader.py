"""A byte stream cut into the frames of `frames.py`, their payloads not yet read."""

from typing import NamedTuple

from podium.transport.frames import DEFAULT_LIMIT, HEADER, BrokenFrame


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

    Args:
        limit: Bytes; a longer payload is a broken frame, found from its header alone.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._needed = HEADER.size

    def feed(self, data: bytes) -> list[Frame]:
        """Take what arrived and return the frames that are now whole.

        Raises:
            BrokenFrame: A length beyond the limit; every later call raises it too.
        """
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
        if position < size:
            self._rest = bytearray(view[position:])
        self._needed = needed
        return frames
