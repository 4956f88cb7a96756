"""Samples the first rows of a model that has no monitoring profile, until they make one.

It stands where a slab and its counter would: the tap hands it the same slices, in spare time. What comes of it goes
to the supervisor, which takes the first profile that a worker of this version has, and tells all of them to count by it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podium.domain.monitoring.bootstrap import Bootstrap
from podium.domain.monitoring.features import Features
from podium.domain.monitoring.profile_reading import MOST_BYTES
from podium.errors import PodiumError
from podium.transport.counting_messages import Counting
from podium.transport.messages import Message
from podium.worker.log import log_event
from podium.worker.pages import give_back_memory

if TYPE_CHECKING:
    from podium.worker.tap import Tap


class Sampling:
    """Takes rows; when there are enough it tells the profile, once, and takes no more.

    Args:
        features: Which columns the model's input has; None takes them as they are.
        clock: Seconds since 1970.
        tell: Takes the profile's text.
    """

    def __init__(self, features: Features | None, clock: Callable[[], float], tell: Callable[[str], None]) -> None:
        self._bootstrap: Bootstrap | None = Bootstrap(features, clock())
        self._clock = clock
        self._tell = tell

    def see(self, rows: int) -> None:
        """So many rows were answered: nobody counts yet."""

    def drop(self, rows: int) -> None:
        """So many of them are not going to be sampled."""

    def add(self, rows: int, columns: Mapping[str, Any], predictions: Mapping[str, Any]) -> None:
        """Take a slice.

        Raises:
            InvalidInput: Its arrays differ in their number of rows.
        """
        if self._bootstrap is None:
            return
        now = self._clock()
        self._bootstrap.add(rows, columns, predictions, now)
        if self._bootstrap.is_ready(now):
            bootstrap, self._bootstrap = self._bootstrap, None
            self._tell(bootstrap.profile().to_json())
            del bootstrap
            give_back_memory()


def count_by(tap: "Tap | None", profile: int, tell: Callable[[Message, Sequence[int]], None]) -> None:
    """Have a tap count by a profile from now on, and tell where.

    Args:
        tap: Of the loop whose thread this is; None where nothing is watched.
        profile: Descriptor of its file; closed here.
        tell: Sends a message with descriptors.
    """
    with open(profile, "rb") as file:
        text = file.read(MOST_BYTES + 1)
    if tap is None or not tap.is_sampling:
        return
    try:
        slab = tap.count_by(text)
    except (PodiumError, OSError, ValueError) as error:
        log_event("profile_refused", reason=str(error))
        return
    tell(Counting(slab.profile_id), (slab.descriptor,))
    os.close(slab.descriptor)
