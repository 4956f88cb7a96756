"""The pages that change something: a page that says what would happen, its form, and the answer to that form.

Nothing is changed by looking. A form passes with a token that was made for this browser's cookie, session, person and
address, once; the shield has refused before what another site's page sent.
"""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from podium.api.registering import actor
from podium.dashboard.answers import read_form, status_of
from podium.dashboard.changes.alarms import END_OF_SILENCE, SILENCE, TEST
from podium.dashboard.changes.proposals import PageChange, Proposal, WantedChange
from podium.dashboard.changes.steps import STEP
from podium.dashboard.changes.versions import PROMOTION, ROLLBACK
from podium.dashboard.doors import COOKIE
from podium.dashboard.names import of_part
from podium.dashboard.rendering import url_of
from podium.dashboard.seals import FORM_S, Notices, Seals
from podium.dashboard.sources import DashboardSources
from podium.domain.clients.access import Need, Principal, allows
from podium.errors import PermissionDenied, PodiumError

CHANGES: Mapping[str, PageChange] = {
    "/registry/{name}/versions/{version}/promote": PROMOTION,
    "/registry/{name}/rollback": ROLLBACK,
    "/rollouts/{name}/{follows}/{action}": STEP,
    "/alerts/silence": SILENCE,
    "/alerts/silences/{id}/end": END_OF_SILENCE,
    "/alerts/test": TEST,
}
FORMS_COOKIE = "podium_forms"
_NAME = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST_FORM_BYTES = 65_536
_LATE = "Nothing was changed: this form was not made for your session, or more than an hour ago. Look again, and confirm."
_MAY_NOT = "Your scopes do not cover this. Changing something needs a key with the scope admin."
_TWICE = "This form was sent before, and is under way or came to nothing. Look again before you confirm."


class Writing(Protocol):
    """How a page is written."""

    def __call__(self, request: Request, template: str, title: str, section: str, content: Mapping[str, Any]) -> str: ...


class Changing:
    """Answers for the pages that change something.

    Args:
        sources: Where it reads, and what it changes.
        enter: Who asks, or why they may not look.
        write: Writes a page.
        notices: What was done, for the next page.
        is_https: Whether cookies go by TLS only.
    """

    def __init__(
        self,
        sources: DashboardSources,
        enter: Callable[[Request], Principal],
        write: Writing,
        notices: Notices,
        *,
        is_https: bool,
    ) -> None:
        self._sources = sources
        self._enter = enter
        self._write = write
        self._notices = notices
        self._is_https = is_https
        self._seals = Seals(sources.clock)

    def page(self, change: PageChange) -> Callable[[Request], Awaitable[Response]]:
        """What answers for one change: GET asks for confirmation, POST is it."""

        async def answer(request: Request) -> Response:
            who = self._enter(request)
            if not allows(who, Need.ADMIN):
                raise PermissionDenied(_MAY_NOT)
            if request.method != "POST":
                return await run_in_threadpool(self._asking, change, request, who, dict(request.query_params))
            form = await read_form(request, _MOST_FORM_BYTES)
            return await run_in_threadpool(self._confirmed, change, request, who, form)

        return answer

    def _confirmed(self, change: PageChange, request: Request, who: Principal, form: Mapping[str, str]) -> Response:
        values = {**request.query_params, **form}
        token, browser = form.get("token", ""), _browser_of(request)
        if browser is None or not self._seals.fits(token, *_bound(request, who, browser)):
            return self._asking(change, request, who, values, 403, _LATE)
        if not self._seals.take(token):
            place = self._seals.led_to(token)
            if place is not None:
                return RedirectResponse(place, status_code=303)
            return self._asking(change, request, who, values, 409, _TWICE)
        try:
            done = change.make(self._sources, _asked(request, who, values))
        except PodiumError as error:
            return self._asking(change, request, who, values, status_of(error), error.message)
        place = url_of(done.back, said=self._notices.put(done.message))
        self._seals.note(token, place)
        return RedirectResponse(place, status_code=303)

    def _asking(
        self,
        change: PageChange,
        request: Request,
        who: Principal,
        values: Mapping[str, str],
        status: int = 200,
        problem: str | None = None,
    ) -> Response:
        """The page that asks for confirmation, as things are now; again, with what was typed, where something is wrong."""
        asked = _asked(request, who, values)
        proposal: Proposal = change.propose(self._sources, asked)
        browser = _browser_of(request) or secrets.token_urlsafe(32)
        content = {
            "proposal": proposal,
            "problem": problem,
            "token": self._seals.make(*_bound(request, who, browser)),
            "author": asked.author or actor(),
            "is_form": True,
            "firing_now": len(self._sources.firing().value),
        }
        body = self._write(request, "confirm.html", proposal.title, proposal.section, content)
        response = HTMLResponse(body, status)
        response.set_cookie(
            FORMS_COOKIE, browser, max_age=FORM_S, secure=self._is_https, httponly=True, samesite="strict", path="/"
        )
        return response


def author_of(who: Principal) -> str | None:
    """Who changes something, for the record: a key's name and the process that it was given to; None is the process."""
    return f"{who.name} via {actor()}" if who.name else None


def _asked(request: Request, who: Principal, values: Mapping[str, str]) -> WantedChange:
    return WantedChange({name: of_part(part) for name, part in request.path_params.items()}, values, author_of(who))


def _browser_of(request: Request) -> str | None:
    """Which browser it is, by the cookie that forms are bound to."""
    name = request.cookies.get(FORMS_COOKIE, "")
    return name if _NAME.fullmatch(name) else None


def _bound(request: Request, who: Principal, browser: str) -> tuple[str, ...]:
    """What a form's token is good for."""
    # As the form will send it, however whoever came here had written it.
    address = url_of(request.scope["path"], dict(request.query_params))
    return browser, who.name, request.cookies.get(COOKIE, ""), address
