"""Token buckets that all gateways of a server share: a table in the slots' memory, without a lock.

    set 0: mark, time | mark, time | … 8 of them
    set 1: …

A bucket is its mark (a keyed hash of whose it is) and the time at which it is full again (`domain/clients/rates.py`). It
stands in one of the eight places of its set. A time that is past means a full bucket, which is as good as none: its
place is free for whoever comes. Where all eight are in use, the fullest makes room.

A cell is one aligned 8-byte store and nobody waits for anybody: two gateways that decide within the same microsecond may
take the same token, or the same few where many are counted together (`serving/guard/limiter.py`). That errs on the
clients' side, by as many as a gateway counts at once, and does not add up.
"""

import hashlib

SETS = 8192
_WAYS = 8
_WIDTH = 2 * _WAYS
CELLS = SETS * _WIDTH


class Buckets:
    """The table as one process sees it.

    Args:
        cells: `CELLS` unsigned 64-bit numbers, shared.
        seed: The server's own, so that nobody outside can choose whose bucket stands beside whose.

    Attributes:
        cells: The table. A place that `place_of` gave is still that bucket's while the cell before it holds its mark.
    """

    def __init__(self, cells: memoryview, seed: int) -> None:
        self.cells = cells
        self._seed = seed.to_bytes(8, "little")

    def mark_of(self, whose: str) -> int:
        """What a bucket is found by; never 0."""
        digest = hashlib.blake2b(whose.encode("utf-8", "surrogateescape"), digest_size=8, key=self._seed).digest()
        return int.from_bytes(digest, "little") or 1

    def place_of(self, mark: int) -> int:
        """Where the bucket's time stands, now; it may be given away once it is full."""
        cells = self.cells
        start = (mark % SETS) * _WIDTH
        best, best_at = start, 1 << 64
        for place in range(start, start + _WIDTH, 2):
            if cells[place] == mark:
                return place + 1
            full_at = cells[place + 1]
            if full_at < best_at:
                best, best_at = place, full_at
        # Where nobody's is full, whoever has the fewest tokens out is forgotten; the new one starts full.
        cells[best + 1] = 0
        cells[best] = mark
        return best + 1
