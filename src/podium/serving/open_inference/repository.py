"""The protocol's repository extension: which models there are, load one, unload one. The supervisor does it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from podium.protocols.open_inference.problems import error_body
from podium.serving.asking import OpenQuestions
from podium.serving.pages import Finder, Pages, Paths
from podium.transport.messages import AskOutcome
from podium.web.handling import Exchange
from podium.web.messages import Head, Request, Response

_INDEX_S = 30.0
# Loading takes as long as it takes; a client that does not wait so long has closed its connection by then.
_MOVE_S = 3600.0

MOST_BYTES = 1 << 16
"""Of a body that says what to load: it is read by the gateway, where everybody else waits meanwhile."""


def repository_paths(asking: OpenQuestions, pages: Pages) -> Paths:
    """Where models are listed, loaded and unloaded."""

    def asked(verb: str, timeout_s: float) -> dict[str, Finder]:
        def find(_: Head, name: str = "") -> Callable[[Request, Exchange], None]:
            return partial(_ask, asking, pages, verb, name, timeout_s)

        return {"POST": find}

    return {
        "/v2/repository/index": asked("index", _INDEX_S),
        "/v2/repository/models/{name}/load": asked("load", _MOVE_S),
        "/v2/repository/models/{name}/unload": asked("unload", _MOVE_S),
    }


def _ask(
    asking: OpenQuestions, pages: Pages, verb: str, name: str, timeout_s: float, request: Request, exchange: Exchange
) -> None:
    told = _told(request.body)
    if told is None or not isinstance(told.get("parameters", {}), dict):
        text = "The body is neither empty nor a JSON object of at most 64 KiB, whose parameters are one, too."
        pages.answer(request, exchange, Response(400, error_body(text)))
        return
    if not isinstance(told.get("ready", False), bool):
        pages.answer(request, exchange, Response(400, error_body("ready is neither true nor false.")))
        return
    if verb == "index":
        arguments: dict[str, Any] = {"ready": told.get("ready") is True}
    else:
        arguments = {"parameters": told.get("parameters", {})}

    def answer(given: AskOutcome) -> None:
        pages.answer(request, exchange, _response(verb, given))

    asking.ask(verb, name, answer, timeout_s, arguments)


def _told(body: bytes | bytearray) -> dict[str, Any] | None:
    """The body's object; an empty one for an empty body; None for what is none, or so large that others would wait."""
    if len(body) > MOST_BYTES:
        return None
    if not body.strip():
        return {}
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _response(verb: str, given: AskOutcome) -> Response:
    if not 200 <= given.status < 300:
        return Response(given.status, error_body(str(given.body.get("error") or f"To {verb} failed.")))
    return Response(given.status, msgspec.json.encode(given.body.get("models", []) if verb == "index" else given.body))
