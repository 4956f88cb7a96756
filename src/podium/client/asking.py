"""What both clients know of their server, and what they ask it; how that is sent is each one's own."""

import os
import random
import time
from typing import TYPE_CHECKING

from podium.client.calls import API_KEY, ServerPlace
from podium.client.exchanges import ClientRequest, ResendPatience, Steps, asked, awaited
from podium.client.predicting import PredictionCall

if TYPE_CHECKING:
    from podium.client.binary import KnownForms

TIMEOUT_S = 60.0


class ServerAsker:
    """The part of a client that sends nothing.

    Args:
        url: As for `Client`, and so is the rest.
        api_key: What opens the server; None takes the variable PODIUM_API_KEY.
        timeout: Seconds for one call, with all its tries, where the call says no deadline.
        retries: How often a request is sent again, where that is safe.

    Raises:
        Misconfigured: The address is none, or has a password in it.
    """

    def __init__(self, url: str, api_key: str | None, timeout: float, retries: int) -> None:
        self._place = ServerPlace.of(url, api_key if api_key is not None else os.environ.get(API_KEY))
        self.url = self._place.url
        self.timeout = timeout
        self._patience = ResendPatience(retries)
        self._learned: KnownForms | None = None

    def __repr__(self) -> str:
        return f"<podium.client.{type(self).__name__} {self.url}>"

    def _limit_s(self, deadline: float | None) -> float:
        return self.timeout if deadline is None else deadline

    def _steps(self, request: ClientRequest, deadline: float | None, spent_s: float = 0.0) -> Steps:
        """Ask for anything, again where that is safe."""
        limit_s = self._limit_s(deadline)
        return asked(request, self.url, limit_s, self._patience, time.monotonic, random.random, spent_s)

    def _predicted(self, call: PredictionCall, deadline: float | None) -> Steps:
        """Ask for a prediction, as bytes where that was seen to be answered alike."""
        return call.steps(self._ways(), lambda request, spent_s: self._steps(request, deadline, spent_s))

    def _awaited(self, model: str | None, deadline: float | None) -> Steps:
        """Ask until the server, or a model, is ready."""
        return awaited(self._place.ready(model), self.url, self._limit_s(deadline), time.monotonic, random.random)

    def _ways(self) -> "KnownForms | None":
        if self._learned is None and self._patience.retries:
            from podium.client.binary import KnownForms

            self._learned = KnownForms()
        return self._learned
