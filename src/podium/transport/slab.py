"""A worker's slab: memory that it counts its model's rows in, and that the monitor reads while it lives and after.

    magic | words of the head | cells | life | profile id, 4 | rows seen | rows dropped | … | cells, 64-bit whole numbers

One process writes, anyone reads; whatever is in it only grows, so that what two readings differ by was counted between
them, and nothing is counted twice whoever dies. `seen` is how many rows were answered; those that are neither counted nor
dropped wait to be counted, or were lost with the worker. The page is an anonymous memfd handed over by descriptor.
"""

import fcntl
import mmap
import os
import struct
from dataclasses import dataclass

_MAGIC = 0x62616C53_4450
_HEAD = struct.Struct("<qqqq32sqq")
_WORDS = 16
_SEEN, _DROPPED = 8, 9
_MOST_CELLS = 2**20
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_DIGEST = "sha256:"


@dataclass(frozen=True, slots=True)
class SlabReading:
    """What a slab held when it was read.

    Attributes:
        life: Of the slab; no other has it.
        profile_id: Which profile says whose cell is which.
        seen: Rows that were answered.
        dropped: Of those: rows that are not going to be counted.
        cells: The counts, 64-bit whole numbers; the first is how many rows were counted.
    """

    life: str
    profile_id: str
    seen: int
    dropped: int
    cells: bytes

    @property
    def counted(self) -> int:
        """Rows that are in the cells."""
        return int.from_bytes(self.cells[:8], "little", signed=True)


def create_slab(profile_id: str, cells: int) -> int:
    """A new slab's descriptor, all zero, sealed against resizing. The caller owns it.

    Raises:
        ValueError: So many cells are none, or too many.
        OSError: There is no memory or no descriptor.
    """
    if not 0 < cells <= _MOST_CELLS:
        raise ValueError(f"a slab has 1 to {_MOST_CELLS} cells, not {cells}")
    descriptor = os.memfd_create("podium-slab", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 8 * (_WORDS + cells))
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_SEAL)
    life = int.from_bytes(os.urandom(8), "little") >> 1
    digest = bytes.fromhex(profile_id.removeprefix(_DIGEST))
    os.pwrite(descriptor, _HEAD.pack(_MAGIC, _WORDS, cells, life, digest, 0, 0), 0)
    return descriptor


class SlabWriter:
    """The worker's end.

    Args:
        descriptor: From `create_slab`; stays the caller's.

    Attributes:
        cells: Memory of 64-bit whole numbers to count in.
    """

    def __init__(self, descriptor: int) -> None:
        words = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size)).cast("q")
        self._words = words
        self.cells = words[_WORDS:]

    def see(self, rows: int) -> None:
        """So many rows were answered."""
        self._words[_SEEN] += rows

    def drop(self, rows: int) -> None:
        """So many of them are not going to be counted."""
        self._words[_DROPPED] += rows


def read_slab(descriptor: int) -> SlabReading | None:
    """What a slab holds now; None where the descriptor is none: it came from a process that runs somebody's code."""
    try:
        is_sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS == _SEALS
        size = os.fstat(descriptor).st_size
        if not is_sealed or not 8 * _WORDS < size <= 8 * (_WORDS + _MOST_CELLS):
            return None
        page = os.pread(descriptor, size, 0)
    except OSError:
        return None
    magic, words, cells, life, digest, seen, dropped = _HEAD.unpack_from(page)
    if (magic, words) != (_MAGIC, _WORDS) or len(page) != 8 * (_WORDS + cells) or life < 0:
        return None
    return SlabReading(f"{life:016x}", _DIGEST + digest.hex(), seen, dropped, page[8 * _WORDS :])
