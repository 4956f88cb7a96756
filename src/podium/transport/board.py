"""The board of a replica: a small memory page that the worker writes and others read while it runs and after it died.

It says what runs *now*, so that after a crash exactly the requests of the fatal batch are charged with it, and all others
are simply sent again. The page is an anonymous memfd handed over by descriptor: nothing to clean up, whoever dies.

    magic u64 | busy_since_ns u64 (0 = idle) | queued_rows u64 | running u64 | then `running` times: socket u64, id u64
    at its end: most rows of a batch u64 | used and total bytes of the device u64 each (0 = nobody counts them)
                | how busy the device is, in percent and one more u64 (0 = nobody can tell)

`socket` is the serial that the supervisor gave to one gateway's data socket in `Attach`; `id` is that gateway's request id.
One process writes; a reader may see a batch half announced, which errs towards charging fewer requests. Whatever a page
holds, reading it is safe: counts are clipped to what fits, and a page without the magic number holds nothing.
"""

import fcntl
import mmap
import os
import struct
from array import array
from collections.abc import Sequence

_SIZE = 64 * 1024
_MAGIC = 0x314452414F424450
_HEAD = struct.Struct("<QQQQ")
_ENTRY = struct.Struct("<QQ")
_QUEUED, _NUMBERS = 2, 4  # positions, in units of eight bytes
_TAIL = struct.Struct("<QQQQ")
_TAIL_AT = _SIZE - _TAIL.size
CAPACITY = (_TAIL_AT - _HEAD.size) // _ENTRY.size


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
        self._words = memoryview(self._page).cast("Q")

    def announce(self, running: Sequence[tuple[int, int]], now_ns: int) -> None:
        """Say, before a batch runs, which (socket, id) it holds.

        Raises:
            ValueError: More than `CAPACITY` of them; the board is as it was.
        """
        if len(running) > CAPACITY:
            raise ValueError(f"a board holds {CAPACITY} requests, not {len(running)}")
        numbers = array("Q", [number for pair in running for number in pair])
        words = self._words
        # Entries before their count: a reader never counts what is not written yet.
        words[_NUMBERS : _NUMBERS + len(numbers)] = memoryview(numbers)
        words[3] = len(running)
        words[1] = now_ns

    def announce_ranges(self, running: Sequence[tuple[int, int, int]], now_ns: int) -> None:
        """As `announce`, for ids that follow one another: (socket, first id, how many) each."""
        words, start = self._words, _NUMBERS
        if sum([count for _, _, count in running]) > CAPACITY:
            raise ValueError(f"a board holds {CAPACITY} requests, and these are more")
        for socket, first, count in running:
            stop = start + 2 * count
            words[start:stop:2] = memoryview(array("Q", (socket,)) * count)
            words[start + 1 : stop : 2] = memoryview(array("Q", range(first, first + count)))
            start = stop
        words[3] = (start - _NUMBERS) // 2
        words[1] = now_ns

    def point(self, socket: int, identity: int, now_ns: int) -> None:
        """Announce one request in place of whatever was announced; cheaper than `announce`."""
        words = self._words
        words[4] = socket
        words[5] = identity
        words[3] = 1
        words[1] = now_ns

    def clear(self) -> None:
        """Say that nothing runs."""
        words = self._words
        words[3] = 0
        words[1] = 0

    def set_queued(self, rows: int) -> None:
        """Say how many rows wait."""
        self._words[_QUEUED] = rows

    def set_row_cap(self, rows: int) -> None:
        """Say how many rows a batch may have now."""
        self._words[_TAIL_AT // 8] = rows

    def set_device(self, used_bytes: int, total_bytes: int, utilisation_percent: int | None = None) -> None:
        """Say how full the device is, and how busy."""
        words, at = self._words, _TAIL_AT // 8
        words[at + 1] = used_bytes
        words[at + 2] = total_bytes
        words[at + 3] = 0 if utilisation_percent is None else utilisation_percent + 1

    def close(self) -> None:
        self._words.release()
        self._page.close()


class BoardReader:
    """The gateway's and the supervisor's end; read-only."""

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, _SIZE, prot=mmap.PROT_READ)

    @property
    def busy_since_ns(self) -> int:
        """CLOCK_MONOTONIC when the running batch began; 0 while idle."""
        return self._head()[1]

    @property
    def queued_rows(self) -> int:
        return self._head()[2]

    @property
    def row_cap(self) -> int:
        """The most rows of a batch now; 0 before the worker has said it."""
        return self._tail()[0]

    @property
    def device_memory(self) -> tuple[int, int]:
        """Used and total bytes of the device; zeros where nobody counts them."""
        return self._tail()[1:3]

    @property
    def device_utilisation_percent(self) -> int | None:
        """How busy the device was lately; None where nobody can tell."""
        said = self._tail()[3]
        return said - 1 if said else None

    def running(self) -> list[tuple[int, int]]:
        """The (socket, id) of the batch that runs, or ran when the worker died."""
        count = min(self._head()[3], CAPACITY)
        return [_ENTRY.unpack_from(self._page, _HEAD.size + i * _ENTRY.size) for i in range(count)]

    def close(self) -> None:
        self._page.close()

    def _tail(self) -> tuple[int, int, int, int]:
        row_cap, used, total, busy = _TAIL.unpack_from(self._page, _TAIL_AT)
        return (row_cap, used, total, busy) if self._head()[0] == _MAGIC else (0, 0, 0, 0)

    def _head(self) -> tuple[int, int, int, int]:
        magic, busy_since_ns, queued_rows, running = _HEAD.unpack_from(self._page)
        return (magic, busy_since_ns, queued_rows, running) if magic == _MAGIC else (magic, 0, 0, 0)
