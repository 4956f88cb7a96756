"""Where a worker's rows are accounted for and counted: a slab by a profile, or whatever takes them until there is one."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.profile_reading import read_profile
from podium.transport.slab import SlabWriter, create_slab


class RowBook(Protocol):
    """What keeps account of rows: a slab."""

    def see(self, rows: int) -> None: ...

    def drop(self, rows: int) -> None: ...


class Counter(Protocol):
    """What takes slices of rows."""

    def add(self, rows: int, columns: Mapping[str, Any], predictions: Mapping[str, Any]) -> None: ...


class OpenSlab(NamedTuple):
    """The descriptor of a slab, the profile by which its cells are counted, and its columns of which none are."""

    descriptor: int
    profile_id: str
    uncounted: tuple[str, ...] = ()


def counting_by(text: bytes, key: bytes | None = None) -> tuple[OpenSlab, SlabWriter, BatchCounter]:
    """A new slab, and what counts in it.

    Args:
        text: Of a profile.
        key: That its categories were hashed with, if they were.

    Raises:
        InvalidProfile: It is none.
        OSError: There is no memory for it.
    """
    profile = read_profile(text)
    layout = Layout(profile, key)
    descriptor = create_slab(profile.profile_id, layout.size)
    slab = SlabWriter(descriptor)
    counter = BatchCounter(layout, np.frombuffer(slab.cells, np.int64), time.monotonic)
    return OpenSlab(descriptor, profile.profile_id, layout.uncounted), slab, counter
