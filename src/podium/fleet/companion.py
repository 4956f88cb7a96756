"""A child that the server keeps beside what serves: started again when it dies, and never waited for while others serve."""

import time
from collections.abc import Callable
from pathlib import Path

from podium.domain.planning import Crashes, restart_at
from podium.fleet.host.machine import oom_kills
from podium.fleet.site import Site
from podium.fleet.telling.events import Event
from podium.fleet.workers.causes import cause_of_death, cause_of_error
from podium.fleet.workers.children import Child
from podium.transport.messages import Message

_SURVIVED_S = 60.0
_LAST_S = 5.0


def _pass_over(_child: Child, _message: Message) -> None:
    """Of one that has nothing to say to the supervisor."""


class Companion:
    """The process of one kind that lives now, and after it the next. One task awaits `run`; the same loop calls the rest.

    Args:
        site: The server's.
        name: What the process is, for people and for events: `monitor` has `monitor_died`.
        log: What it prints goes there.
        start: Starts one that prints to the log. After an OSError it is called again, as after a death.
        hear: Given each message that one sends.

    Attributes:
        child: The process, while it lives.
        is_stopping: Whether it is not to be started again.
    """

    def __init__(
        self,
        site: Site,
        name: str,
        log: Path,
        start: Callable[[Path], Child],
        hear: Callable[[Child, Message], None] = _pass_over,
    ) -> None:
        self.child: Child | None = None
        self.is_stopping = False
        self._site = site
        self._name = name
        self._log = log
        self._start = start
        self._hear = hear

    @property
    def pids(self) -> set[int]:
        """Its process, while it lives."""
        return set() if self.child is None else {self.child.pid}

    async def run(self) -> None:
        """Keep it alive until it is closed: started again at once, and the longer waited for the oftener it died."""
        crashes = Crashes(0, 0.0)
        while not self.is_stopping:
            born = time.monotonic()
            why = await self._live()
            count = 1 if time.monotonic() - born >= _SURVIVED_S else crashes.count + 1
            crashes = Crashes(count, time.monotonic())
            if not self.is_stopping:
                text = f"the {self._name} died and is started again: {why}"
                self._site.tell(Event(f"{self._name}_died", text, is_problem=True))
            await self._site.bell.until(lambda: self.is_stopping, restart_at(crashes, 1) - time.monotonic())

    async def close(self, patience_s: float) -> None:
        """Let it end by itself for so long, then kill it; it is not started again."""
        self.is_stopping = True
        self._site.bell.ring()
        child = self.child
        if child is not None:
            if patience_s > 0:
                await child.over(patience_s)
            child.kill()
            await child.over()

    async def _live(self) -> str:
        """One process, from its start to its end; why it ended."""
        before = oom_kills()
        try:
            child = self._start(self._log)
        except OSError as error:
            return cause_of_error(error).message
        self.child = child
        try:
            while (messages := await child.receive()) is not None:
                for message in messages:
                    self._hear(child, message)
            await child.over(_LAST_S)
        finally:
            status = await child.end()
            # Not before: who reaps orphans would take its exit status.
            self.child = None
        return cause_of_death(status, before, oom_kills(), str(self._log)).message
