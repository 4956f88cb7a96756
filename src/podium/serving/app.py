"""Which answer a path gets: scoring, probes, status, metrics. Requests and answers only; no socket, no process."""

import logging
import re
from collections.abc import Callable
from functools import partial

from podium._version import __version__
from podium.errors import BodyTooLarge, UnsupportedContentType
from podium.protocols.mlflow.content_types import Form, form_of
from podium.protocols.mlflow.problems import problem
from podium.serving.recording import Recorder
from podium.serving.scoring import Scoring
from podium.serving.standing import Standing
from podium.web.handling import Exchange
from podium.web.messages import Fault, Head, Request, Response, header_lines
from podium.web.routes import Routes, detail

_log = logging.getLogger("podium.gateway")
_QUIET = re.compile(r"/(ping|health|livez|readyz|metrics|status|version|models/[^/]+/ready)")

Taker = Callable[[Request, Exchange], None]
"""Takes a request to its answer."""
Finder = Callable[..., Taker]
"""Called once for each head, with the parts of its path: who takes all requests that begin with it."""


class App:
    """Answers every request of a gateway; what `web.protocol.Connections` calls.

    Args:
        scoring: Where `POST /invocations` goes, and `POST /models/NAME/invocations` for one endpoint of several.
        standing: What the other paths tell.
        recorder: Counts what never becomes a scoring request; successful probes are not written down.
        max_body_bytes: Named in the answer to a body that is larger.
    """

    def __init__(self, scoring: Scoring, standing: Standing, recorder: Recorder, max_body_bytes: int) -> None:
        self._scoring = scoring
        self._recorder = recorder
        self._max_body_bytes = max_body_bytes

        def page(answer: Callable[..., Response]) -> dict[str, Finder]:
            def find(_: Head, *parts: str) -> Taker:
                return lambda request, exchange: self._answer(request, exchange, answer(*parts))

            return {"GET": find, "HEAD": find}

        self._routes: Routes[Finder] = Routes(
            {
                "/invocations": {"POST": self._scorer},
                "/models/{name}/invocations": {"POST": self._scorer},
                "/endpoints/{name}/invocations": {"POST": self._scorer},
                "/models/{name}/ready": page(standing.readiness_of),
                "/v2/models/{name}": page(standing.metadata_of),
                "/ping": page(standing.readiness),
                "/health": page(standing.readiness),
                "/readyz": page(standing.readiness),
                "/livez": page(lambda: Response(200, b"\n")),
                "/version": page(lambda: Response(200, __version__.encode())),
                "/status": page(standing.status),
                "/metrics": page(standing.metrics),
            }
        )

    def handle(self, request: Request, exchange: Exchange) -> None:
        """Answer a request; an error of ours is a 500 that names nothing, and a traceback in the log."""
        head = request.head
        try:
            found = head.memo
            if found is None:
                found = head.memo = self._find(head)
            if isinstance(found, Response):
                self._answer(request, exchange, found)
            else:
                found(request, exchange)
        except Exception as error:  # noqa: BLE001
            _log.exception("answering %s %s failed", request.method, request.path)
            # Whatever took the request must not answer it a second time, when another may wait behind it.
            on_leave, exchange.on_leave = exchange.on_leave, None
            if on_leave is not None:
                on_leave()
            failed = problem(error, None)
            exchange.answer(Response(failed.status, failed.body, failed.content_type))

    def _find(self, head: Head) -> Response | Taker:
        found = self._routes.find(head.method, head.path, head.query)
        return found if isinstance(found, Response) else found.answerer(head, *found.parts)

    def _scorer(self, head: Head, endpoint: str | None = None) -> Taker:
        start = self._scoring.start_json if _is_plain_json(head) else self._scoring.start
        return start if endpoint is None else partial(start, endpoint=endpoint)

    def handle_fault(self, fault: Fault, exchange: Exchange) -> None:
        """Answer what could not be read as a request."""
        if fault.status == 413:
            too_large = problem(BodyTooLarge(self._max_body_bytes), None)
            response = Response(too_large.status, too_large.body, too_large.content_type)
        else:
            response = detail(fault.status, fault.detail)
        identity = self._scoring.ids.new()
        retry = (("retry-after", "1"),) if fault.status == 503 else ()
        headers = header_lines(("x-request-id", identity), *retry) + fault.headers
        exchange.answer(Response(response.status, response.body, response.content_type, headers))
        self._recorder.record_refused(
            fault.status, identity, fault.method, fault.path, exchange.client, len(response.body), fault.detail
        )

    def _answer(self, request: Request, exchange: Exchange, response: Response) -> None:
        identity = self._scoring.ids.of(request)
        headers = header_lines(("x-request-id", identity)) + response.headers
        exchange.answer(Response(response.status, response.body, response.content_type, headers))
        if not _QUIET.fullmatch(request.path) or response.status == 405:
            sent = len(response.body)
            self._recorder.record_refused(
                response.status, identity, request.method, request.path, exchange.client, sent, ""
            )


def _is_plain_json(head: Head) -> bool:
    """Whether the head says JSON and nothing else that scoring would look at."""
    headers = head.headers
    if b"x-request-id" in headers or b"content-encoding" in headers:
        return False
    try:
        return form_of(headers.get(b"content-type", b"").decode("latin-1")) is Form.JSON
    except UnsupportedContentType:
        return False
