"""Names for requests, by which answers, logs and workers speak of them, and by which feedback finds who answered."""

import os
import re
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from podium.telemetry.served import COUNT, STAMP_DIGITS, ServedRequests, stamp_ms_of
from podium.web.messages import Request

REQUEST_ID = b"x-request-id"
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@\-]{1,128}")
_MOST_IDS = 1 << 31


def is_sane_id(text: str) -> bool:
    """Whether an answer may have this id: it is harmless in a log."""
    return _SANE_ID.fullmatch(text) is not None


class Ids(Protocol):
    """Makes ids."""

    def new(self) -> str:
        """An id that nobody else has."""


class Answering(Protocol):
    """A replica, as far as its requests' names are concerned."""

    endpoint: str
    version: str
    series: int
    ids: Ids


class NamedWalk(Protocol):
    """A walk, as far as its name is concerned."""

    request_id: str
    is_foreign: bool
    attempts: int


class RequestIds:
    """Ids for requests that bring none: unlike those of every other process, and cheap."""

    def __init__(self) -> None:
        self._prefix = os.urandom(STAMP_DIGITS // 2).hex()
        self._count = 0

    def of(self, request: Request) -> str:
        """The client's `X-Request-ID` where it is harmless in a log, else a new one."""
        return self.given(request) or self.new()

    @staticmethod
    def given(request: Request) -> str | None:
        """The client's `X-Request-ID`; None where it brings none that is harmless in a log."""
        theirs = request.header(REQUEST_ID)
        return theirs if theirs is not None and is_sane_id(theirs) else None

    def new(self) -> str:
        """An id that nobody else has."""
        self._count += 1
        return f"{self._prefix}{self._count:08x}"

    def take_back(self) -> None:
        """Make the last one again next time: nobody has heard of it."""
        self._count -= 1


class VersionIds:
    """Ids that say which version answers, for as long as feedback on its answers is taken.

    Args:
        stamp, place: What they begin with, and where that is remembered.
        generation: Of the version's series, when the stamp was made.
        made_ms: When that was.
    """

    __slots__ = ("_place", "_stamp", "count", "generation", "made_ms")

    def __init__(self, stamp: str, place: memoryview, generation: int, made_ms: int) -> None:
        self.renew(stamp, place, generation, made_ms)

    def renew(self, stamp: str, place: memoryview, generation: int, made_ms: int) -> None:
        """Begin with another stamp from now on."""
        self._stamp, self._place, self.generation, self.made_ms = stamp, place, generation, made_ms
        self.count = 0

    def refresh(self, now_ms: int) -> None:
        """Be as of now: no id was made yet."""
        ServedRequests.restamp(self._place, now_ms)
        self.made_ms = now_ms

    def new(self) -> str:
        """An id that nobody else has."""
        count = self.count = self.count + 1
        self._place[COUNT] = count
        return f"{self._stamp}{count:08x}"


class Naming:
    """Which ids the requests of each version get, and who answered those that brought their own.

    Args:
        served: Where that is remembered.
        slot: This gateway's place in it.
        window_s: Feedback is taken for so long; 0: never, and nothing is remembered.
        clock: Seconds, monotonic, the same for all processes.
    """

    def __init__(
        self, served: ServedRequests, slot: int, window_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.plain = RequestIds()
        self._served = served
        self._slot = slot
        self._clock = clock
        self._window_ms = int(1000 * window_s)
        self._stamp_ms = stamp_ms_of(self._window_ms)
        self._looks_at = 0
        self._known: dict[tuple[str, str, int], VersionIds] = {}

    def name(self, replica: Answering) -> None:
        """Let a replica's requests have ids of its version."""
        if not self._window_ms:
            replica.ids = self.plain
            return
        key, now_ms = (replica.endpoint, replica.version, replica.series), self._now_ms()
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = VersionIds(*self._stamp(key, now_ms))
        elif known.generation != self._served.generation_of(replica.series):
            known.renew(*self._stamp(key, now_ms))
        replica.ids = known

    def note(self, replica: Answering, answered: NamedWalk) -> None:
        """Remember who answered a request, where its id does not say it."""
        if answered.is_foreign:
            self.note_given(replica, answered.request_id, is_sure=answered.attempts > 1)

    def note_given(self, replica: Answering, request_id: str, *, is_sure: bool = False) -> None:
        """Remember who answered a request that brought its own id.

        An id of podium's that a client brings again stands for the answer that it was given with, and not for this one,
        unless it `is_sure` that podium gave it to this request.
        """
        if self._window_ms and (is_sure or not self._served.is_stamped(request_id)):
            self._served.name(self._slot, replica.series, replica.endpoint, request_id, self._now_ms())

    def sweep(self, replicas: Iterable[Answering]) -> None:
        """Begin new stamps where it is time to. Call it several times a second."""
        now_ms = self._now_ms()
        if now_ms < self._looks_at:
            return
        self._looks_at = now_ms + self._stamp_ms // 10
        due = [key for key, ids in self._known.items() if now_ms - ids.made_ms > self._stamp_ms or ids.count > _MOST_IDS]
        if not due:
            return
        living = {(replica.endpoint, replica.version, replica.series) for replica in replicas}
        for key in due:
            if key not in living:
                del self._known[key]
            elif self._known[key].count:
                self._known[key].renew(*self._stamp(key, now_ms))
            else:
                self._known[key].refresh(now_ms)

    def _stamp(self, key: tuple[str, str, int], now_ms: int) -> tuple[str, memoryview, int, int]:
        endpoint, _, series = key
        return *self._served.stamp(self._slot, series, endpoint, now_ms), self._served.generation_of(series), now_ms

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
