"""Which answer a path gets: scoring, probes, status, metrics. Requests and answers only; no socket, no process."""

import logging
from collections.abc import Iterable

from podium.domain.clients.access import Peer
from podium.errors import BodyTooLarge, UnsupportedContentType
from podium.protocols import tensors
from podium.protocols.mlflow.content_types import form_of
from podium.protocols.mlflow.problems import problem
from podium.serving.guard.authz import PREFIX, authz_taker
from podium.serving.guard.guard import Gate, Guard, gate
from podium.serving.pages import Finder, Pages, Paths, Taker, in_words_of
from podium.serving.recording import Recorder
from podium.web.handling import Arrival, Exchange
from podium.web.messages import Fault, Head, Request, Response, header_lines
from podium.web.routes import Routes, detail

_log = logging.getLogger("podium.gateway")
_OURS = frozenset({tensors.CONTENT_TYPE.encode(), tensors.LARGE_TYPE.encode(), tensors.GENERATE_TYPE.encode()})


class App:
    """Answers every request of a gateway; what `web.connections.Connections` calls.

    Args:
        paths: Which path is whose, of each protocol and of podium's own pages; no two have the same.
        pages: Answers what no protocol takes.
        recorder: Counts what never becomes a scoring request.
        max_body_bytes: Named in the answer to a body that is larger.
        guard: Decides who may pass.
        has_authz: Whether `/authz/PATH` says of other requests whether they may.

    Attributes:
        paths: All of them, each with its methods.
        routes: Finds them.
    """

    def __init__(
        self,
        paths: Iterable[Paths],
        pages: Pages,
        recorder: Recorder,
        max_body_bytes: int,
        guard: Guard,
        has_authz: bool = False,
    ) -> None:
        self._guard = guard
        self._has_authz = has_authz
        self._pages = pages
        self._recorder = recorder
        self._max_body_bytes = max_body_bytes
        table = [entry for each in paths for entry in each.items()]
        self.paths = [(path, frozenset(methods)) for path, methods in table]
        self.routes: Routes[Finder] = Routes(dict(table))

    def handle(self, request: Request, exchange: Arrival) -> None:
        """Answer a request; an error of ours is a 500 that names nothing, and a traceback in the log."""
        head = request.head
        try:
            found = head.memo
            if found is None:
                found = head.memo = self._find(head)
            found(request, exchange)
        except Exception as error:  # noqa: BLE001
            _log.exception("answering %s %r failed", request.method, request.path)  # a path may hold line ends
            # Whatever took the request must not answer it a second time, when another may wait behind it.
            on_leave, exchange.on_leave = exchange.on_leave, None
            if on_leave is not None:
                on_leave()
            failed = problem(error, None)
            exchange.answer(in_words_of(head.path, Response(failed.status, failed.body, failed.content_type)))

    def turns_away(self, head: Head, peer: Peer) -> bool:
        """Whether a request is refused for who asks, whatever its body is; nothing is counted by that."""
        try:
            found = head.memo = head.memo or self._find(head)
        except Exception:  # noqa: BLE001
            return False  # `handle` meets it again, and answers
        return isinstance(found, Gate) and found.turns_away(peer)

    def turn_away(self, request: Request, exchange: Arrival) -> None:
        """Refuse a request whose body nobody read, because `turns_away` said so."""
        found: Gate = request.head.memo
        found.refuse(request, exchange)

    def _find(self, head: Head) -> Taker:
        if self._has_authz and head.path.startswith(f"{PREFIX}/"):
            return authz_taker(self._guard, head, self.routes, self._pages)
        found = self.routes.find(head.method, head.path, head.query)
        if (kind := head.headers.get(b"content-type")) in _OURS:
            # What gateway and worker say to each other is no client's to say: this is where every request of one begins.
            found = _unknown_type(kind)
        if isinstance(found, Response):
            taker, route = self._pages.taker(found), None
        else:
            taker, route = found.answerer(head, *found.parts), found
        return gate(self._guard, head, route, taker, self._pages)

    def handle_fault(self, fault: Fault, exchange: Exchange) -> None:
        """Answer what could not be read as a request."""
        if fault.status == 413:
            too_large = problem(BodyTooLarge(self._max_body_bytes), None)
            response = Response(too_large.status, too_large.body, too_large.content_type)
        else:
            response = detail(fault.status, fault.detail)
        response = in_words_of(fault.path, response)
        identity = self._pages.ids.new()
        retry = (("retry-after", "1"),) if fault.status == 503 else ()
        headers = header_lines(("x-request-id", identity), *retry) + fault.headers
        exchange.answer(Response(response.status, response.body, response.content_type, headers))
        self._recorder.record_refused(
            fault.status, identity, fault.method, fault.path, exchange.client, len(response.body), fault.detail
        )


def _unknown_type(content_type: bytes) -> Response:
    """The answer to a type that no client may send, in the words for those that nobody reads."""
    try:
        raise AssertionError(f"{form_of(content_type.decode('latin-1'))} is a form that clients send")
    except UnsupportedContentType as error:
        refused = problem(error, None)
        return Response(refused.status, refused.body, refused.content_type)
