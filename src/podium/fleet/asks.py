"""What gateways ask the supervisor to do, by verb: who knows a verb answers, now or later."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from podium.transport.messages import Ask, AskOutcome

_log = logging.getLogger("podium.fleet")

Reply = Callable[[int, dict[str, Any]], None]
"""Called once with a status and a body, as in `messages.AskOutcome`."""
Verb = Callable[[str, dict[str, Any], Reply], None]
"""Called with the subject, the arguments and the way back; it must not wait."""
ENDING = {"error": "The server is shutting down."}
"""What is said, with 503, to whoever asks while the server ends: nothing is loaded any more."""


class Asks:
    """The verbs that are known, and the tasks that answer later. Event loop's thread only."""

    def __init__(self) -> None:
        self._verbs: dict[str, Verb] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def learn(self, verb: str, answerer: Verb) -> None:
        """Know a verb from now on."""
        self._verbs[verb] = answerer

    def work(self, tasks: asyncio.TaskGroup, doing: Coroutine[Any, Any, None], name: str) -> None:
        """Answer later, in a task of this group; cancelled at the server's end, it answers with `ENDING`."""
        task = tasks.create_task(doing, name=name)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def close(self) -> None:
        """The server ends: who waits for an answer gets it now, and nothing more is taken."""
        self._is_closed = True
        for task in list(self._working):
            task.cancel()

    def take(self, ask: Ask, say: Callable[[AskOutcome], object]) -> None:
        """Do what is asked and say what came of it."""

        def reply(status: int, body: dict[str, Any]) -> None:
            say(AskOutcome(ask.number, status, body))

        if self._is_closed:
            reply(503, ENDING)
            return
        answerer = self._verbs.get(ask.verb)
        if answerer is None:
            reply(501, {"error": f"This server does not know how to {ask.verb}."})
            return
        try:
            answerer(ask.subject, ask.arguments, reply)
        except Exception:  # noqa: BLE001 - whoever asks may not end what serves
            _log.exception("to %s %s failed", ask.verb, ask.subject)
            reply(500, {"error": f"To {ask.verb} {ask.subject} failed; the server's log says why."})
