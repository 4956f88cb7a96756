"""The slabs of a server's workers: where their rows are counted, kept until the monitor has written all of it down."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Of workers that have ended, and of which nobody says that it was written down: there is no monitor, or it cannot write.
_MOST_OVER = 256


@dataclass(slots=True)
class HeldSlab:
    """One worker's.

    Attributes:
        number: The replica's id.
        descriptor: Of its memory.
        model, version: Of whose rows are counted.
        profile: The path of the profile that they are counted by.
        is_over: Whether its worker has ended: what it holds is final.
    """

    number: int
    descriptor: int
    model: str
    version: str
    profile: str
    is_over: bool = False

    def told(self) -> dict[str, Any]:
        """As `Sight` has it."""
        return {"number": self.number, "model": self.model, "version": self.version, "profile": self.profile}


class Slabs:
    """All of them, by replica."""

    def __init__(self) -> None:
        self._held: dict[int, HeldSlab] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, slab: HeldSlab) -> None:
        """A worker is ready and counts; the descriptor is ours from here on."""
        self._held[slab.number] = slab

    def end(self, number: int) -> None:
        """A worker has ended, if it had one."""
        slab = self._held.get(number)
        if slab is not None:
            slab.is_over = True
        over = [each.number for each in self._held.values() if each.is_over]
        self.settle(over[:-_MOST_OVER])

    def settle(self, numbers: Sequence[int]) -> None:
        """What these held is written down, where their workers have ended."""
        for number in numbers:
            slab = self._held.get(number)
            if slab is not None and slab.is_over:
                del self._held[number]
                os.close(slab.descriptor)

    def unknown(self, known: Sequence[int]) -> list[HeldSlab]:
        """Those that somebody does not have, oldest first."""
        return [slab for number, slab in self._held.items() if number not in known]

    def is_over(self, number: int) -> bool:
        """Whether what it holds is final."""
        slab = self._held.get(number)
        return slab is None or slab.is_over

    def close(self) -> None:
        """The server ends."""
        for slab in self._held.values():
            os.close(slab.descriptor)
        self._held.clear()
