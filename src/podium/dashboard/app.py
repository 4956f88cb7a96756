"""The site: which address is which screen, and what every answer carries."""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from podium._version import __version__
from podium.dashboard.answers import read_form, status_of
from podium.dashboard.changing import CHANGES, Changing
from podium.dashboard.doors import COOKIE, SESSION_S, Doorkeeper
from podium.dashboard.names import of_part
from podium.dashboard.pages import Page, Question
from podium.dashboard.ranges import PRESETS, read_range
from podium.dashboard.rendering import STATIC, environment
from podium.dashboard.screens.alerts import alerts
from podium.dashboard.screens.drift import drift
from podium.dashboard.screens.environments import environments
from podium.dashboard.screens.experiments import experiments
from podium.dashboard.screens.overview import overview
from podium.dashboard.screens.predictions import predictions
from podium.dashboard.screens.quality import quality
from podium.dashboard.screens.registry import registered, registry, version
from podium.dashboard.screens.rollouts import rollouts
from podium.dashboard.screens.system import system
from podium.dashboard.screens.traffic import traffic
from podium.dashboard.seals import Notices
from podium.dashboard.shield import Shield
from podium.dashboard.sources import DashboardSources
from podium.domain.clients.access import NOBODY, Need, Principal, allows
from podium.errors import InvalidInput, NotFound, PermissionDenied, PodiumError, Unauthenticated

Screen = Callable[[DashboardSources, Question], Page]
SCREENS: Mapping[str, Screen] = {
    "/": overview,
    "/models/{name}/traffic": traffic,
    "/models/{name}/drift": drift,
    "/models/{name}/predictions": predictions,
    "/models/{name}/quality": quality,
    "/registry": registry,
    "/registry/{name}": registered,
    "/registry/{name}/versions/{version}": version,
    "/rollouts": rollouts,
    "/experiments": experiments,
    "/alerts": alerts,
    "/environments": environments,
    "/system": system,
}
_LONGEST_QUERY = 4096
_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})
_THEMES = ("light", "dark")
_THEME = "podium_theme"
_YEAR_S = 365 * 86_400
_log = logging.getLogger("podium.dashboard")


def site(
    sources: DashboardSources,
    doors: Doorkeeper,
    *,
    is_https: bool = False,
    is_local: bool = True,
    allows_changes: bool = False,
) -> Shield:
    """The whole site as an ASGI application.

    Args:
        sources: Where it reads from.
        doors: Who may look.
        is_https: Whether browsers reach it by TLS: cookies never go another way, then.
        is_local: Whether only this machine's own names for itself are answered.
        allows_changes: Whether there are pages that change something.
    """
    pages = Site(sources, doors, is_https=is_https, allows_changes=allows_changes)
    routes: list[Any] = [Route(path, pages.screen(screen), name=path) for path, screen in SCREENS.items()]
    routes += pages.changes()
    routes += [
        Route("/theme", pages.theme),
        Route("/sign-in", pages.sign_in, methods=["GET", "POST"]),
        Route("/sign-out", pages.sign_out, methods=["POST"]),
        *(Route(path, lambda _: PlainTextResponse("ok\n")) for path in ("/healthz", "/readyz")),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        HTTPException: pages.refused,
        PodiumError: pages.failed,
        Exception: pages.broken,
    }
    return Shield(Starlette(routes=routes, exception_handlers=handlers), is_local=is_local, is_https=is_https)


class Site:
    """Answers requests.

    Args:
        sources, doors, is_https, allows_changes: As for `site`.
    """

    def __init__(self, sources: DashboardSources, doors: Doorkeeper, *, is_https: bool, allows_changes: bool) -> None:
        self._sources = sources
        self._doors = doors
        self._is_https = is_https
        self._allows_changes = allows_changes
        self._notices = Notices(sources.clock)
        self._templates = environment()

    def changes(self) -> list[Route]:
        """Of the pages that change something; where nothing may, they say so, and take no form."""
        if not self._allows_changes:
            return [Route(path, self._only_read, name=path) for path in CHANGES]
        changing = Changing(self._sources, self._enter, self._written, self._notices, is_https=self._is_https)
        return [Route(path, changing.page(each), name=path, methods=["GET", "POST"]) for path, each in CHANGES.items()]

    def screen(self, screen: Screen) -> Callable[[Request], Awaitable[Response]]:
        """What answers with a screen, as a page or, with `panel` and `as`, as the rows behind one of its panels."""

        async def answer(request: Request) -> Response:
            self._enter(request)
            return await run_in_threadpool(self._answer, screen, request)

        return answer

    async def theme(self, request: Request) -> Response:
        """Keep light or dark, or forget it, and go back."""
        chosen, back = request.query_params.get("to"), request.query_params.get("back", "/")
        response = RedirectResponse(_own(back), status_code=303)
        if chosen in _THEMES:
            response.set_cookie(_THEME, chosen, max_age=_YEAR_S, secure=self._is_https, httponly=True, samesite="lax")
        else:
            response.delete_cookie(_THEME)
        return response

    async def sign_in(self, request: Request) -> Response:
        """Ask for a key, and take it."""
        back = _own(request.query_params.get("next", "/"))
        if not self._doors.asks:
            return RedirectResponse(back, status_code=303)
        problem = None
        if request.method == "POST":
            try:
                form = await read_form(request)
                name = await run_in_threadpool(self._doors.sign_in, form.get("key", "").strip())
            except PodiumError as error:
                problem = error.message
            else:
                response = RedirectResponse(_own(form.get("next", "/")), status_code=303)
                response.set_cookie(
                    COOKIE, name, max_age=SESSION_S, secure=self._is_https, httponly=True, samesite="lax", path="/"
                )
                return response
        body = self._written(request, "sign_in.html", "Sign in", "", {"problem": problem, "next": back})
        return HTMLResponse(body, 200 if problem is None else 401)

    async def sign_out(self, request: Request) -> Response:
        """End a session."""
        self._doors.sign_out(request.cookies.get(COOKIE))
        response = RedirectResponse("/sign-in", status_code=303)
        response.delete_cookie(COOKIE)
        return response

    async def refused(self, request: Request, error: Exception) -> Response:
        """An address that there is not, or a method."""
        assert isinstance(error, HTTPException)
        words = {404: "There is no such page.", 405: "This page is only read."}
        return self._problem(request, error.status_code, words.get(error.status_code, error.detail))

    async def failed(self, request: Request, error: Exception) -> Response:
        """What podium itself says is wrong."""
        assert isinstance(error, PodiumError)
        if isinstance(error, Unauthenticated) and _is_page(request):
            back = quote(request.url.path + (f"?{request.url.query}" if request.url.query else ""), safe="")
            return RedirectResponse(f"/sign-in?next={back}", status_code=303)
        response = self._problem(request, status_of(error), error.message)
        if isinstance(error, Unauthenticated):
            response.headers["www-authenticate"] = 'Bearer realm="podium"'
        return response

    async def broken(self, request: Request, error: Exception) -> Response:
        """A fault of the dashboard itself: what it was is in its log, not on the page."""
        mark = secrets.token_hex(4)
        _log.error("%s %r", mark, request.url.path, exc_info=error)
        return self._problem(request, 500, f"This page could not be made. The dashboard's log says why, as {mark}.")

    async def _only_read(self, request: Request) -> Response:
        self._enter(request)
        raise PermissionDenied(
            "This dashboard only reads. One that is started with --allow-changes (podium serve: --dashboard-changes) can."
        )

    def _enter(self, request: Request) -> Principal:
        if len(request.url.query) > _LONGEST_QUERY:
            raise InvalidInput(f"The query string is longer than {_LONGEST_QUERY} characters.")
        given = [(name, value) for name, value in request.scope["headers"] if name in _CREDENTIALS]
        if len(given) > 1:
            raise Unauthenticated("Send one of Authorization and X-API-Key, once.")
        who = self._doors.enter(dict(given), request.cookies.get(COOKIE))
        request.state.who = who
        return who

    def _answer(self, screen: Screen, request: Request) -> Response:
        began = time.perf_counter()
        query = dict(request.query_params)
        now = self._sources.clock()
        named = {name: of_part(part) for name, part in request.path_params.items()}
        asked = Question(named, query, now, read_range(query, now))
        page = screen(self._sources, asked)
        if "panel" in query:
            return _rows(page, query)
        more = {
            **page.content,
            "span": asked.span,
            "has_range": page.has_range,
            "firing_now": len(self._sources.firing().value),
        }
        body = self._written(request, page.template, page.title, page.section, more)
        took_ms = 1000 * (time.perf_counter() - began)
        return HTMLResponse(body, headers={"server-timing": f"page;dur={took_ms:.1f}"})

    def _written(self, request: Request, template: str, title: str, section: str, content: Mapping[str, Any]) -> str:
        theme = request.cookies.get(_THEME)
        frame = {
            "title": title,
            "section": section,
            "now": self._sources.clock(),
            "query": dict(request.query_params),
            "path": quote(request.url.path, safe="/"),
            "presets": list(PRESETS),
            "theme": theme if theme in _THEMES else None,
            "asks": self._doors.asks,
            "version": __version__,
            "span": None,
            "firing_now": 0,
            "has_range": False,
            "may_change": self._allows_changes and allows(getattr(request.state, "who", NOBODY), Need.ADMIN),
            "is_form": False,
            "said": self._notices.get(request.query_params.get("said")) if section else None,
        }
        return self._templates.get_template(template).render({**frame, **content})

    def _problem(self, request: Request, status: int, message: str) -> Response:
        if not _is_page(request):
            return JSONResponse({"error": message}, status)
        content = {"status": status, "message": message}
        return HTMLResponse(self._written(request, "problem.html", "Not shown", "", content), status)


def _rows(page: Page, query: Mapping[str, str]) -> Response:
    table = page.table(query["panel"])
    if table is None:
        known = ", ".join(each.id for each in page.tables) or "none"
        raise NotFound(f"This page has no panel {query['panel'][:50]!r}; it has {known}.")
    if query.get("as") == "csv":
        attached = {"content-disposition": f'attachment; filename="{table.id}.csv"'}
        return Response(table.to_csv(), media_type="text/csv; charset=utf-8", headers=attached)
    return Response(table.to_json(), media_type="application/json")


def _is_page(request: Request) -> bool:
    """Whether a person looks, and no program."""
    return "panel" not in request.query_params and "text/html" in request.headers.get("accept", "text/html")


def _own(address: str) -> str:
    """An address of this site; anything else becomes its first page, so that no link leads from here to a stranger."""
    is_own = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if is_own and address.isascii() else "/"
