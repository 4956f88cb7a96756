"""Who waits for which endpoint: a line for each, so that nobody waits for another's, and a sleeper is asked to wake."""

import time
from collections.abc import Callable

from podium.domain.clients.admission import AdmissionRefusal, Bounds
from podium.errors import PodiumError
from podium.serving.walks.router import Router
from podium.serving.walks.waiting import WaitingLine
from podium.serving.walks.waking import Waking
from podium.serving.walks.walk import Walk


class Lines:
    """All lines of a gateway. Event loop's thread only.

    Args:
        router: Has the table that says who sleeps, and who is gone.
        bounds: Of each line.
        patience_s: How long anybody waits.
        waking: Asks that endpoints wake; None where nobody could.
        refuse: Called with each request that waits for an endpoint which does not wake, and why.
    """

    def __init__(
        self,
        router: Router,
        bounds: Bounds,
        patience_s: float,
        waking: Waking | None,
        refuse: Callable[[Walk, PodiumError], None],
    ) -> None:
        self._router = router
        self._bounds = bounds
        self._patience_s = patience_s
        self._waking = waking
        self._refuse = refuse
        self._lines: dict[str | None, WaitingLine[Walk]] = {}

    def join(self, walk: Walk) -> AdmissionRefusal | None:
        """Stand at the end of its endpoint's line; the refusal where that is full."""
        line = self._lines.get(walk.endpoint)
        if line is None:
            line = self._lines[walk.endpoint] = WaitingLine(self._bounds)
        refusal = line.join(walk, time.monotonic() + self._patience_s)
        endpoint = walk.endpoint or self._router.table.default
        if refusal is None:
            self.wake(endpoint)
        return refusal

    def leave(self, walk: Walk) -> None:
        """Go; nothing happens to one who does not wait."""
        if walk.endpoint in self._lines:
            self._lines[walk.endpoint].leave(walk)

    def serve(self, take: Callable[[Walk], bool]) -> None:
        """Offer each its turn, line by line, as `WaitingLine.serve`."""
        for line in self._lines.values():
            if len(line):
                line.serve(take)

    def expired(self, now: float) -> list[Walk]:
        """Those whose time is up; they leave."""
        return [walk for line in self._lines.values() for walk in line.expired(now)]

    def hopeless(self) -> list[Walk]:
        """Those to whom a new table gives no hope: they leave. For whoever waits for a sleeper, it is asked to wake."""
        table, found = self._router.table, list[Walk]()
        for name, line in list(self._lines.items()):
            endpoint = name or table.default
            if not len(line):
                if endpoint not in table.endpoints:
                    del self._lines[name]
            elif endpoint not in table.endpoints or endpoint in table.hopeless:
                found += line.expired(float("inf"))
            else:
                self.wake(endpoint)
        return found

    def wake(self, endpoint: str) -> None:
        """Ask that an endpoint wakes, if it sleeps."""
        if self._waking is not None and endpoint in self._router.table.asleep:
            self._waking.wake(endpoint, lambda error: self._refuse_all(endpoint, error))

    def _refuse_all(self, endpoint: str, error: PodiumError) -> None:
        for name, line in list(self._lines.items()):
            if (name or self._router.table.default) == endpoint:
                for walk in list(line.expired(float("inf"))):
                    self._refuse(walk, error)
