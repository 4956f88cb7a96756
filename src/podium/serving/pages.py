"""Paths and who takes their requests; and the pages that a gateway answers by itself: probes, status, metrics."""

import re
from collections.abc import Callable, Mapping

import msgspec

from podium._version import __version__
from podium.protocols.open_inference.problems import as_error, speaks
from podium.serving.recording import Recorder
from podium.serving.standing import Standing
from podium.serving.walks.request_ids import RequestIds
from podium.web.handling import Arrival, Exchange
from podium.web.messages import Head, Request, Response, header_lines

_QUIET = re.compile(r"/(|ping|health|livez|readyz|metrics|status|version|(v2/)?models/[^/]+/ready|v2/health/(live|ready))")
_LONGEST = 300  # characters
_LOUD = frozenset({401, 403, 405, 429})

Taker = Callable[[Request, Arrival], None]
"""Takes a request to its answer."""
Finder = Callable[..., Taker]
"""Called once for each head, with the parts of its path: who takes all requests that begin with it."""
Paths = Mapping[str, Mapping[str, Finder]]
"""By path and method, as in `web.routes.Routes`."""


class Pages:
    """Answers that need no model, each with its request's id and a line in the access log.

    Args:
        ids: Names requests.
        recorder: Counts and writes down; successful probes are not written down.
    """

    def __init__(self, ids: RequestIds, recorder: Recorder) -> None:
        self.ids = ids
        self._recorder = recorder

    def page(self, answer: Callable[..., Response]) -> dict[str, Finder]:
        """GET and HEAD of a page that is made from the parts of its path."""

        def find(_: Head, *parts: str) -> Taker:
            return lambda request, exchange: self.answer(request, exchange, answer(*parts))

        return {"GET": find, "HEAD": find}

    def taker(self, response: Response) -> Taker:
        """Gives every request this answer."""
        return lambda request, exchange: self.answer(request, exchange, response)

    def answer(
        self, request: Request, exchange: Exchange, response: Response, identity: str | None = None, error: str = ""
    ) -> None:
        """Answer a request and write it down.

        Args:
            request: The request.
            exchange: Its way back.
            response: The answer.
            identity: The id that the answer names already; else the request's own.
            error: What is written down of an error; else what the answer says.
        """
        response = in_words_of(request.path, response)
        if response.status >= 400 and not error:
            error = _said_by(response)
        identity = identity or self.ids.of(request)
        headers = header_lines(("x-request-id", identity)) + response.headers
        principal = exchange.terms.principal
        exchange.answer(Response(response.status, response.body, response.content_type, headers))
        if response.status in _LOUD or not _QUIET.fullmatch(request.path):
            sent = len(response.body)
            self._recorder.record_refused(
                response.status, identity, request.method, request.path, exchange.client, sent, error, principal
            )

    def of_standing(self, standing: Standing) -> Paths:
        """What a gateway says of itself, of the server and of each model."""
        page = self.page
        return {
            "/models/{name}/ready": page(standing.readiness_of),
            "/ping": page(standing.readiness),
            "/health": page(standing.readiness),
            "/readyz": page(standing.readiness),
            "/livez": page(lambda: Response(200, b"\n")),
            "/version": page(lambda: Response(200, __version__.encode())),
            "/status": page(standing.status),
            "/metrics": page(standing.metrics),
        }


def _said_by(response: Response) -> str:
    """The sentence of an error's body, in whichever shape it is."""
    try:
        return str(msgspec.json.decode(as_error(response.body))["error"])[:_LONGEST]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return ""


def in_words_of(path: str, response: Response) -> Response:
    """An error as the clients of the protocol that has this path know errors."""
    if response.status < 400 or not speaks(path):
        return response
    return Response(response.status, as_error(response.body), headers=response.headers)
