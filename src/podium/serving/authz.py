"""`/authz/PATH`: whether a request may pass, as proxies ask (Envoy's ext_authz over HTTP, nginx's auth_request).

200 with who asks and what they may do, which the proxy sets over whatever the client sent; else the refusal, which it hands
on. A path of podium's needs what it needs here; any other one needs somebody who is known.
"""

from podium.domain.access import Need
from podium.domain.forwarding import PRINCIPAL, SCOPES
from podium.serving.guarding import Gate, Guard
from podium.serving.pages import Finder, Pages, Taker
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response, header_lines
from podium.web.routes import Routes

PREFIX = "/authz"


def authz_taker(guard: Guard, head: Head, routes: Routes[Finder], pages: Pages) -> Taker:
    """Who answers requests with a head whose path begins with `/authz/`."""
    # Some proxies hand on all that the client sent: who it says it is, is not asked of itself.
    kept = {name: value for name, value in head.headers.items() if name not in (PRINCIPAL, SCOPES)}
    head = Head(head.method, head.path, head.query, kept)
    found = routes.find(head.method, head.path.removeprefix(PREFIX), head.query)
    need, endpoint = Need.KNOWN, None
    if not isinstance(found, Response):
        need, endpoint = guard.need_of(head.method, found.path), found.named.get("name")

    def allow(request: Request, arrival: Arrival) -> None:
        who = guard.decide(need, endpoint, head.headers, arrival.peer).principal
        said = (PRINCIPAL.decode(), who.name), (SCOPES.decode(), " ".join(sorted(who.scopes)))
        pages.answer(request, arrival, Response(200, b"", headers=header_lines(*said)))

    return Gate(guard, head, need, endpoint, allow, pages)
