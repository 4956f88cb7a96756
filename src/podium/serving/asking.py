"""Asking the supervisor for something that only it can do, such as loading a model; each question has a deadline."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from podium.transport.messages import Ask, AskOutcome, Message

_MOST_QUESTIONS = 1024

OnAnswer = Callable[[AskOutcome], None]


class OpenQuestions:
    """The questions of one gateway that have no answer yet. Event loop's thread only.

    Args:
        loop: The event loop.
        say: Sends a message to the supervisor.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, say: Callable[[Message], None]) -> None:
        self._loop = loop
        self._say = say
        self._number = 0
        self._open: dict[int, tuple[float, OnAnswer]] = {}

    def ask(
        self, verb: str, subject: str, on_answer: OnAnswer, timeout_s: float, arguments: Mapping[str, Any] | None = None
    ) -> None:
        """Ask; `on_answer` is called once, with what the supervisor says or with an answer of status 504 or 503 of ours.

        Args:
            verb: What to do; the supervisor answers 501 to what it does not know.
            subject: What to do it with: mostly an endpoint's name.
            on_answer: Takes the answer, never before this returns.
            timeout_s: From now.
            arguments: Any JSON.
        """
        self._number += 1
        if len(self._open) >= _MOST_QUESTIONS:
            full = AskOutcome(self._number, 503, {"error": "The server has as many such requests as it takes. Try again."})
            self._loop.call_soon(on_answer, full)
            return
        self._open[self._number] = (time.monotonic() + timeout_s, on_answer)
        self._say(Ask(self._number, verb, subject, dict(arguments or {})))

    def hear(self, answer: AskOutcome) -> None:
        """The supervisor has answered; a second time, or too late, changes nothing."""
        found = self._open.pop(answer.number, None)
        if found is not None:
            found[1](answer)

    def sweep(self, now: float) -> None:
        """Answer whoever has waited for too long. `now` is `time.monotonic()`."""
        for number in [number for number, (until, _) in self._open.items() if until <= now]:
            self.hear(AskOutcome(number, 504, {"error": "The server did not do this within the time that it had."}))
