"""Asking the supervisor to load what sleeps, once for all who wait for it."""

from collections.abc import Callable
from functools import partial

from podium.errors import NotFound, PodiumError, Unavailable
from podium.serving.asking import OpenQuestions
from podium.transport.messages import AskOutcome

_RETRY_AFTER_S = 5.0


class Waking:
    """Which endpoints were asked for and are not awake yet. Event loop's thread only.

    Args:
        asking: Asks the supervisor.
        patience_s: For how long requests wait; the supervisor looks for room no longer than that.
    """

    def __init__(self, asking: OpenQuestions, patience_s: float) -> None:
        self._asking = asking
        self._patience_s = patience_s
        self._asked: set[str] = set()

    def wake(self, endpoint: str, on_refused: Callable[[PodiumError], None]) -> None:
        """Ask that an endpoint wakes; a routing table says when it has.

        Args:
            endpoint: Public name.
            on_refused: Called with the reason if it does not.
        """
        if endpoint not in self._asked:
            self._asked.add(endpoint)
            patience = {"timeout_s": self._patience_s}
            self._asking.ask("wake", endpoint, partial(self._hear, endpoint, on_refused), self._patience_s, patience)

    def _hear(self, endpoint: str, on_refused: Callable[[PodiumError], None], answer: AskOutcome) -> None:
        self._asked.discard(endpoint)
        # 504: it is still being loaded. Each request has its own limit, and one that comes asks again.
        if answer.status >= 400 and answer.status != 504:
            text = str(answer.body.get("error", f"{endpoint} cannot be loaded now."))
            on_refused(NotFound(text) if answer.status == 404 else Unavailable(text, _RETRY_AFTER_S))
