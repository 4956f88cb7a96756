"""`/authz/PATH`: whether a request may pass, as proxies ask (Envoy's ext_authz over HTTP, nginx's auth_request).

200 with who asks and what they may do, which the proxy sets over whatever the client sent; else the refusal, which it hands
on. A path of podium's needs what it needs here; any other one needs somebody who is known.
"""

from podium.domain.clients.access import Need
from podium.domain.clients.forwarding import PRINCIPAL, SCOPES
from podium.serving.guard.guard import Gate, Guard
from podium.serving.pages import Finder, Pages, Taker
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response, header_lines
from podium.web.routes import Routes, detail

PREFIX = "/authz"
_MISREAD = frozenset({"", ".", ".."})
_WHOLE = tuple(Need)
"""From the least to the most."""


def authz_taker(guard: Guard, head: Head, routes: Routes[Finder], pages: Pages) -> Taker:
    """Who answers requests with a head whose path begins with `/authz/`."""
    # Some proxies hand on all that the client sent: who it says it is, is not asked of itself.
    kept = {name: value for name, value in head.headers.items() if name not in (PRINCIPAL, SCOPES)}
    head = Head(head.method, head.path, head.query, kept)
    path = head.path.removeprefix(PREFIX)
    if any(part in _MISREAD for part in path[1:].split("/")[:-1]) or path.endswith(("/.", "/..")):
        # Whoever answers it may clean it up into a path that needs more.
        return pages.taker(detail(400, "A path with an empty part, '.' or '..' is not judged."))
    found = routes.methods_of(path)
    need, endpoint = Need.KNOWN, None
    if found is not None:
        route, named, methods = found
        need = _need(guard, head.method, route, methods)
        endpoint = named.get("name")

    def allow(request: Request, arrival: Arrival) -> None:
        who = guard.decide(need, endpoint, head.headers, arrival.peer).principal
        said = (PRINCIPAL.decode(), who.name), (SCOPES.decode(), " ".join(sorted(who.scopes)))
        pages.answer(request, arrival, Response(200, b"", headers=header_lines(*said)))

    return Gate(guard, head, need, endpoint, allow, pages)


def _need(guard: Guard, method: str, route: str, methods: tuple[str, ...]) -> Need:
    """What the request needs that a proxy asks about.

    nginx's auth_request asks with GET whatever the client sent, and no header that says more is surely the proxy's own: so
    GET, and a method that the path has not, mean the most that any method of the path needs.
    """
    meant = methods if method == "GET" or method not in methods else (method,)
    return max((guard.need_of(each, route) for each in meant), key=_WHOLE.index)
