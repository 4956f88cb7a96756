"""The board of a replica: a small memory page that the worker writes and others read while it runs and after it died.

It says what runs *now*, so that after a crash exactly the requests of the fatal batch are charged with it, and all others
are simply sent again. The page is an anonymous memfd handed over by descriptor: nothing to clean up, whoever dies.

    magic u64 | busy_since_ns u64 (0 = idle) | queued_rows u64 | running u64 | then `running` times: socket u64, id u64

`socket` is the serial that the supervisor gave to one gateway's data socket in `Attach`; `id` is that gateway's request id.
One process writes; a reader may see a batch half announced, which errs towards charging fewer requests.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Sequence

_SIZE = 64 * 1024
_MAGIC = 0x314452414F424450
_HEAD = struct.Struct("<QQQQ")
_ENTRY = struct.Struct("<QQ")
CAPACITY = (_SIZE - _HEAD.size) // _ENTRY.size


def create_board() -> int:
    """A new board's descriptor, sealed against resizing. The caller owns it."""
    descriptor = os.memfd_create("podium-board", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, _SIZE)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    with mmap.mmap(descriptor, _SIZE) as page:
        _HEAD.pack_into(page, 0, _MAGIC, 0, 0, 0)
    return descriptor


class BoardWriter:
    """The worker's end."""

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, _SIZE)

    def announce(self, running: Sequence[tuple[int, int]], now_ns: int) -> None:
        """Say, before a batch runs, which (socket, id) it holds; at most `CAPACITY` of them."""
        flat = [number for pair in running for number in pair]
        struct.pack_into(f"<{len(flat)}Q", self._page, _HEAD.size, *flat)
        struct.pack_into("<Q", self._page, 24, len(running))
        struct.pack_into("<Q", self._page, 8, now_ns)

    def clear(self) -> None:
        """Say that the batch is over."""
        struct.pack_into("<Q", self._page, 24, 0)
        struct.pack_into("<Q", self._page, 8, 0)

    def set_queued(self, rows: int) -> None:
        """Say how many rows wait."""
        struct.pack_into("<Q", self._page, 16, rows)


class BoardReader:
    """The gateway's and the supervisor's end; read-only."""

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, _SIZE, prot=mmap.PROT_READ)

    @property
    def busy_since_ns(self) -> int:
        """CLOCK_MONOTONIC when the running batch began; 0 while idle."""
        return int(_HEAD.unpack_from(self._page)[1])

    @property
    def queued_rows(self) -> int:
        return int(_HEAD.unpack_from(self._page)[2])

    def running(self) -> list[tuple[int, int]]:
        """The (socket, id) of the batch that runs, or ran when the worker died."""
        count = min(int(_HEAD.unpack_from(self._page)[3]), CAPACITY)
        return [_ENTRY.unpack_from(self._page, _HEAD.size + i * _ENTRY.size) for i in range(count)]

    def close(self) -> None:
        self._page.close()
