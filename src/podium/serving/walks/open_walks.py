"""All requests whose clients wait, on their way or in a line, and how each ends but by its worker's answer.

Each ends exactly once: what is not among them any more has ended, whoever says so a second time.
"""

import math
from collections.abc import Callable

from podium.errors import DeadlineExceeded, PodiumError, Unavailable
from podium.protocols.mlflow.problems import problem
from podium.serving.recording import CLIENT_LEFT, Recorder
from podium.serving.settings import GatewaySettings
from podium.serving.walks.entrance import Entrance
from podium.serving.walks.lines import Lines
from podium.serving.walks.replica import Replica
from podium.serving.walks.router import Router
from podium.serving.walks.waking import Waking
from podium.serving.walks.walk import Walk
from podium.telemetry.slots import UNROUTED
from podium.transport.frames import Reply
from podium.web.messages import Response, header_lines

RETRY_AFTER_S = 1.0


class OpenWalks:
    """What `Scoring` does with walks that nobody answers. Event loop's thread only.

    Args:
        settings: Limits and time-outs.
        router: Has the table that says who sleeps.
        recorder: Counts and logs.
        entrance: Counted them in.
        waking: Asks that endpoints wake which sleep; None where nobody could.
        on_freed: Told of each replica that has one request less because its client waits no longer.

    Attributes:
        walks: Oldest first, hence soonest deadline first, but for those with a deadline of their own, which have timers.
        lines: Where those stand whom no replica took.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        router: Router,
        recorder: Recorder,
        entrance: Entrance,
        waking: Waking | None,
        on_freed: Callable[[Replica], None],
    ) -> None:
        self._recorder = recorder
        self._entrance = entrance
        self._on_freed = on_freed
        self.walks: dict[Walk, None] = {}
        self.lines = Lines(router, settings.pending, settings.pending_s, waking, self.refuse)

    def release(self, walk: Walk) -> bool:
        """Take a walk out of wherever it is; whether it was still open."""
        if walk not in self.walks:
            return False
        del self.walks[walk]
        self._entrance.leave(walk)
        self.lines.leave(walk)
        replica, walk.replica = walk.replica, None
        if replica is not None:
            replica.cancel(walk.identity)
            self._on_freed(replica)
        return True

    def close(
        self,
        walk: Walk,
        status: int,
        answer: bytes | memoryview = b"",
        reply: Reply | None = None,
        error: str | None = None,
    ) -> None:
        """Count a walk that was released, and write its line; as `Recorder.record`."""
        last = walk.last
        series, label = (UNROUTED, None) if last is None else (last.series, (last.endpoint, last.version))
        self._recorder.record(walk, series, status, answer, label=label, reply=reply, error=error)

    def fail(self, walk: Walk, error: PodiumError) -> None:
        """Answer with an error."""
        if not self.release(walk):
            return
        found = problem(error, walk.request_id)
        headers = b"x-request-id: %s\r\n" % walk.request_id.encode("latin-1")
        if found.retry_after_s is not None:
            headers += header_lines(("retry-after", str(math.ceil(found.retry_after_s))))
        walk.exchange.answer(Response(found.status, found.body, found.content_type, headers))
        self.close(walk, found.status, found.body, error=error.code)

    def refuse(self, walk: Walk, error: PodiumError) -> None:
        """Answer with an error that says no replica was ready."""
        self._recorder.count_rejected(UNROUTED, "not_ready")
        self.fail(walk, error)

    def abandon(self, walk: Walk) -> None:
        """Its client has left."""
        if self.release(walk):
            self.close(walk, CLIENT_LEFT, error="CLIENT_LEFT")

    def expire(self, walk: Walk) -> None:
        """Its time is up."""
        self._recorder.count_rejected(UNROUTED if walk.last is None else walk.last.series, "deadline")
        self.fail(walk, DeadlineExceeded(f"No answer within {walk.deadline - walk.started:g} s."))

    def sweep(self, now: float) -> None:
        """Give up whoever's time is over. `now` is `time.monotonic()`."""
        expired = []
        for walk in self.walks:
            if walk.deadline > now:
                break
            expired.append(walk)
        for walk in expired:
            self.expire(walk)
        self._entrance.sweep()
        for walk in self.lines.expired(now):
            self.refuse(walk, Unavailable("No replica of the model is ready.", RETRY_AFTER_S))

    def fail_all(self, error: PodiumError) -> None:
        """Answer whoever still waits: the gateway ends."""
        for walk in list(self.walks):
            self.fail(walk, error)
