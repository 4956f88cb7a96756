"""What gateways ask the supervisor to do, by verb: who knows a verb answers, now or later."""

import logging
from collections.abc import Callable
from typing import Any

from podium.transport.messages import Answer, Ask

_log = logging.getLogger("podium.fleet")

Reply = Callable[[int, dict[str, Any]], None]
"""Called once with a status and a body, as in `messages.Answer`."""
Verb = Callable[[str, dict[str, Any], Reply], None]
"""Called with the subject, the arguments and the way back; it must not wait."""


class Asks:
    """The verbs that are known. Event loop's thread only."""

    def __init__(self) -> None:
        self._verbs: dict[str, Verb] = {}

    def learn(self, verb: str, answerer: Verb) -> None:
        """Know a verb from now on."""
        self._verbs[verb] = answerer

    def take(self, ask: Ask, say: Callable[[Answer], object]) -> None:
        """Do what is asked and say what came of it."""

        def reply(status: int, body: dict[str, Any]) -> None:
            say(Answer(ask.number, status, body))

        answerer = self._verbs.get(ask.verb)
        if answerer is None:
            reply(501, {"error": f"This server does not know how to {ask.verb}."})
            return
        try:
            answerer(ask.subject, ask.arguments, reply)
        except Exception:  # noqa: BLE001 - whoever asks may not end what serves
            _log.exception("to %s %s failed", ask.verb, ask.subject)
            reply(500, {"error": f"To {ask.verb} {ask.subject} failed; the server's log says why."})
