"""An even sample of rows, however many come: each whose number 2^k divides, and k as small as it can be.

The same rows give the same sample, however they were cut into chunks. It holds rows, so it lives only while a profile is
made of them; nothing of it is written anywhere.
"""

from typing import Any

import numpy as np

from podium.domain.frames import is_frame, is_table
from podium.domain.monitoring.batches import rows_at, rows_in

MOST_ROWS = 20_000
MOST_BYTES = 256 * 2**20

# What one cell that is an object is taken to need.
_OBJECT_BYTES = 64


class RowSample:
    """Takes chunks of things that have as many rows each, and keeps the same rows of all of them.

    Args:
        most_rows: That are kept.
        most_bytes: That they take, about.
    """

    def __init__(self, most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES) -> None:
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._step = 1
        self._taken = self._rows = self._bytes = 0
        self._pieces: list[tuple[Any, dict[str, Any]]] = []

    def add(self, parts: dict[str, Any]) -> None:
        """Take a chunk: its parts by name, each with as many rows; a part that is None is not there."""
        there = {name: part for name, part in parts.items() if part is not None}
        rows = next((found for part in there.values() if (found := rows_in(part)) is not None), 0)
        numbers = np.arange(self._taken, self._taken + rows)
        self._taken += rows
        self._keep(numbers, there)
        while self._rows > self._most_rows or (self._bytes > self._most_bytes and self._rows > 1):
            self._step *= 2
            pieces, self._pieces, self._rows, self._bytes = self._pieces, [], 0, 0
            for kept, parts_of_piece in pieces:
                self._keep(kept, parts_of_piece)

    def part(self, name: str) -> Any:
        """The kept rows of one part, joined; None where a chunk did not have it."""
        found = [piece.get(name) for _, piece in self._pieces]
        return None if not found or any(each is None for each in found) else joined(found)

    @property
    def rows(self) -> int:
        """How many are kept."""
        return self._rows

    def _keep(self, numbers: Any, parts: dict[str, Any]) -> None:
        places = np.flatnonzero(numbers % self._step == 0)
        if not len(places):
            return
        kept = {name: rows_at(part, places) for name, part in parts.items()}
        self._pieces.append((numbers[places], kept))
        self._rows += len(places)
        self._bytes += sum(map(_bytes_of, kept.values()))


def joined(pieces: list[Any]) -> Any:
    """Batches of one kind as one."""
    first = pieces[0]
    if len(pieces) == 1:
        return first
    if isinstance(first, dict):
        return {label: joined([piece[label] for piece in pieces]) for label in first}
    if is_table(first):
        import pandas

        return pandas.concat(pieces)
    if isinstance(first, list):
        return [row for piece in pieces for row in piece]
    if hasattr(first, "tocsr"):
        import scipy.sparse

        return scipy.sparse.vstack(pieces).tocsr()
    return np.concatenate(pieces)


def _bytes_of(part: Any) -> int:
    if isinstance(part, dict):
        return sum(map(_bytes_of, part.values()))
    if is_frame(part):
        return int(part.shape[0] * part.shape[1]) * _OBJECT_BYTES
    return int(getattr(part, "nbytes", len(part) * _OBJECT_BYTES if isinstance(part, list) else 0))
