"""`/openapi.json` and `/docs`: what this server can be asked, made when somebody asks and kept until a model changes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from podium._version import __version__
from podium.serving.asking import OpenQuestions
from podium.serving.description.docs_page import POLICY, page_of
from podium.serving.pages import Finder, Pages, Paths
from podium.serving.standing import Standing
from podium.serving.walks.router import Router
from podium.transport.messages import AskOutcome
from podium.web.handling import Exchange
from podium.web.messages import Head, Request, Response, header_lines
from podium.web.routes import detail

_ASK_S = 10.0
_HTML = "text/html; charset=utf-8"


class DescriptionPages:
    """Answers with the document, or with its page. Event loop's thread only.

    Args:
        asking: Asks the supervisor for the models' signatures.
        pages: Writes answers down.
        router: Has the routing table.
        standing: Knows which versions serve.
        credentials: What the server asks for: `key`, `certificate`.
    """

    def __init__(
        self, asking: OpenQuestions, pages: Pages, router: Router, standing: Standing, credentials: Sequence[str] = ()
    ) -> None:
        self._credentials = credentials
        self._asking = asking
        self._pages = pages
        self._router = router
        self._standing = standing
        self._kept: tuple[object, Response, Response] | None = None

    def paths(self) -> Paths:
        """Both pages."""

        def finder(at: int) -> dict[str, Finder]:
            def find(_: Head) -> Callable[[Request, Exchange], None]:
                return partial(self._take, at)

            return {"GET": find, "HEAD": find}

        return {"/openapi.json": finder(1), "/docs": finder(2)}

    def _take(self, at: int, request: Request, exchange: Exchange) -> None:
        now = self._state()
        if self._kept is not None and self._kept[0] == now:
            self._pages.answer(request, exchange, self._kept[1] if at == 1 else self._kept[2])
            return

        def take(given: AskOutcome) -> None:
            if given.status != 200:
                error = str(given.body.get("error") or "The server cannot say now what it serves.")
                self._pages.answer(request, exchange, detail(503, error, header_lines(("retry-after", "1"))))
                return
            self._kept = (now, *self._made(given.body["models"]))
            self._pages.answer(request, exchange, self._kept[1] if at == 1 else self._kept[2])

        self._asking.ask("describe", "", take, _ASK_S)

    def _state(self) -> object:
        """Another value whenever the document may be another."""
        table = self._router.table
        loaded = tuple((name, (self._standing.model_of(name) or {}).get("digest")) for name in table.endpoints)
        return table.epoch, table.default, loaded

    def _made(self, models: Mapping[str, Mapping[str, Any]]) -> tuple[Response, Response]:
        table = self._router.table
        served = {name: models[name] for name in table.endpoints if name in models}
        # It needs numpy for the bounds of types, which a gateway that describes nothing does without.
        from podium.domain.description.document import describe  # noqa: PLC0415

        document = describe(served, table.default, __version__, self._credentials)
        page = Response(200, page_of(document).encode(), _HTML, POLICY)
        return Response(200, msgspec.json.encode(document) + b"\n"), page
