"""What a worker does for its memory's pages: keeps those that it shares with its fork server, gives back what is free.

Python's allocator keeps pools of pieces of one size and fills the gaps in them before it begins another pool. Where many
modules were imported gaps are everywhere, each in a page that all forks share until one of them writes there: a few hundred
small objects, made after the fork, are a few hundred copies of pages.
"""

import ctypes

_STEP, _LARGEST = 16, 512
_POOL_BYTES = 16 * 1024
# A bytes object of so many bytes more is one of this size.
_BYTES_OVERHEAD = 33
_MOST_BYTES = 256 * 1024


def fill_gaps() -> list[object]:
    """Fill the gaps between small objects that stay, so that what is made from here on lies together.

    Returns: What fills them, for whoever wants them to stay filled; a few megabytes at most.
    """
    fillings: list[object] = []
    for size in range(3 * _STEP, _LARGEST + 1, _STEP):
        # So many side by side, without a gap between them, are in a pool that was begun for them.
        in_pool = _POOL_BYTES // size - 2
        together = last = 0
        for _ in range(_MOST_BYTES // size):
            filling = bytes(size - _BYTES_OVERHEAD)
            fillings.append(filling)
            together = together + 1 if id(filling) - last == size else 0
            last = id(filling)
            if together >= in_pool:
                break
    return fillings


def give_back_memory() -> None:
    """Give the pages of freed memory back to the system, where the C library can: after a peak that will not come again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
